package rust

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// owned is the end of a path: the type that a name belongs to, and the name. The type is empty where the name alone does
// not say it: a function of a module, a name by itself, or one that an import renames.
type owned struct{ owner, name string }

// renamed finds the names that an import or a Cargo.toml gives to something else: what stands behind one of these can be of
// any type.
func (p *Program) findRenamed() {
	p.renamed = map[string]bool{}
	for _, f := range p.sorted {
		for name, all := range f.imports {
			for _, imported := range all {
				if imported.whole[strings.LastIndexByte(imported.whole, ':')+1:] != name {
					p.renamed[name] = true
				}
			}
		}
	}
}

// ownerOf is the type that the last but one word of a path names, or nothing.
func (p *Program) ownerOf(parts []string) string {
	if len(parts) < 2 {
		return ""
	}
	owner := parts[len(parts)-2]
	if first, _ := utf8.DecodeRuneInString(owner); !unicode.IsUpper(first) || p.renamed[owner] {
		return ""
	}
	return owner
}

// NamedLike are the uses whose path may be the given one, or may end with it after "*". Only their whole path, which
// Spelled has, says whether it is.
func (p *Program) NamedLike(path string) []Use {
	whole := strings.TrimPrefix(path, "*")
	parts := strings.Split(whole, "::")
	name := parts[len(parts)-1]
	owner := ""
	if len(parts) > 1 {
		owner = parts[len(parts)-2]
	}
	if first, _ := utf8.DecodeRuneInString(owner); !unicode.IsUpper(first) {
		if len(parts) > 1 || whole == path {
			return p.taken(name, p.under[owned{"", name}])
		}
		return p.named[name]
	}
	indexes := slices.Clone(p.under[owned{"", name}])
	for _, known := range p.owners[name] {
		if known == owner || len(parts) == 2 && whole != path && strings.HasSuffix(known, owner) {
			indexes = append(indexes, p.under[owned{known, name}]...)
		}
	}
	slices.Sort(indexes)
	return p.taken(name, indexes)
}

func (p *Program) taken(name string, indexes []int32) []Use {
	all := make([]Use, len(indexes))
	for n, i := range indexes {
		all[n] = p.named[name][i]
	}
	return all
}

// indexUse files a use under its last word, and with its owner.
func (p *Program) indexUse(n namedUse) {
	key := owned{n.owner, n.name}
	if _, ok := p.under[key]; !ok && n.owner != "" {
		p.owners[n.name] = append(p.owners[n.name], n.owner)
	}
	p.under[key] = append(p.under[key], int32(len(p.named[n.name])))
	p.named[n.name] = append(p.named[n.name], n.use)
}

// indexFunction files a function under its name, and under its type and its trait.
func (p *Program) indexFunction(fn *Function) {
	p.functions[fn.Name] = append(p.functions[fn.Name], fn)
	for _, owner := range slices.Compact([]string{fn.Type, fn.Trait}) {
		if owner != "" || fn.Type == "" {
			key := owned{owner, fn.Name}
			p.belong[key] = append(p.belong[key], fn)
		}
	}
}
