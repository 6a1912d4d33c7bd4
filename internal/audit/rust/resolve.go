package rust

import (
	"slices"
	"strings"
)

// maxHops is how many imports a name is followed through.
const maxHops = 12

// Resolve spells a path out, whatever was imported, re-exported or renamed. Where globs leave it open, there are several
// answers.
func (p *Program) Resolve(f *File, i int, parts []string) []string {
	return p.resolve(f, i, f.within(i), parts, maxHops)
}

func (p *Program) resolve(f *File, i int, m *Module, parts []string, hops int) []string {
	if hops == 0 || len(parts) == 0 {
		return []string{strings.Join(parts, "::")}
	}
	first := parts[0]
	if m == nil { // of no crate that is known: what the file itself says
		if whole, ok := f.nearest(i, first, -1); ok {
			return []string{join(whole, parts[1:])}
		}
		return append([]string{strings.Join(parts, "::")}, f.throughGlobs(parts)...)
	}
	switch first {
	case "crate":
		return p.descend(m.root, parts[1:], hops-1)
	case "self":
		return p.descend(m, parts[1:], hops-1)
	case "super":
		if m.parent != nil {
			return p.descend(m.parent, parts[1:], hops-1)
		}
	}
	limit := int32(-1)
	if m.open >= 0 {
		limit = m.open
	}
	if whole, ok := f.nearest(i, first, limit); ok && whole != first {
		return p.resolve(f, i, m, append(strings.Split(whole, "::"), parts[1:]...), hops-1)
	}
	if c := m.children[first]; c != nil {
		return p.descend(c, parts[1:], hops-1)
	}
	if c := p.crate(m, first); c != nil && len(parts) > 1 {
		return p.descend(c, parts[1:], hops-1)
	}
	if renamed, ok := m.pkg.Renames[first]; ok {
		parts = append([]string{renamed}, parts[1:]...)
	}
	all := []string{strings.Join(parts, "::")}
	if _, ok := p.defined[m.String()+"::"+first]; ok {
		all[0] = m.String() + "::" + all[0]
	}
	if m.pkg.depends(first) || first == "std" || first == "core" || first == "alloc" {
		return all
	}
	return append(all, p.viaGlobs(f, m, parts, hops)...)
}

// globQuery is a path that is looked for through the globs of a module.
type globQuery struct {
	module *Module
	path   string
	hops   int
}

// viaGlobs are the answers of the globs of a module, each of them once. They are kept: modules that import all of each
// other would be gone through again and again otherwise.
func (p *Program) viaGlobs(f *File, m *Module, parts []string, hops int) []string {
	if len(f.globs) == 0 {
		return nil
	}
	query := globQuery{m, strings.Join(parts, "::"), hops}
	p.globbing.Lock()
	known, ok := p.globbed[query]
	p.globbing.Unlock()
	if ok {
		return known
	}
	seen := map[string]bool{}
	all := slices.DeleteFunc(p.throughModuleGlobs(f, m, parts, hops), func(whole string) bool {
		again := seen[whole]
		seen[whole] = true
		return again
	})
	p.globbing.Lock()
	p.globbed[query] = all
	p.globbing.Unlock()
	return all
}

func (p *Program) throughModuleGlobs(f *File, m *Module, parts []string, hops int) (all []string) {
	for n, g := range f.globs {
		if n > 24 || g.scope >= 0 && m.open >= 0 && g.scope != m.open {
			continue
		}
		if g.scope < 0 && m.open >= 0 {
			continue
		}
		segments := append(strings.Split(g.whole, "::"), parts...)
		if segments[0] == parts[0] && len(segments) == len(parts)+1 {
			continue
		}
		at := 0
		if m.open >= 0 {
			at = int(m.open) + 1
		}
		all = append(all, p.resolve(f, at, m, segments, hops/2)...)
	}
	return all
}

func (f *File) throughGlobs(parts []string) (all []string) {
	for _, g := range f.globs {
		all = append(all, join(g.whole, parts))
	}
	return all
}

// nearest is the import of a name in the innermost scope around i, up to the brace of its module.
func (f *File) nearest(i int, name string, limit int32) (string, bool) {
	candidates := f.imports[name]
	if len(candidates) == 0 {
		return "", false
	}
	o := int32(-1)
	if i >= 0 && i < len(f.open) {
		o = f.open[i]
	}
	for range maxDepth {
		for _, c := range candidates {
			if c.scope == o {
				return c.whole, true
			}
		}
		if o < 0 || o == limit {
			break
		}
		o = f.open[o]
	}
	return "", false
}

// descend follows a path into a module, and on through what the module imports.
func (p *Program) descend(m *Module, parts []string, hops int) []string {
	if hops <= 0 || len(parts) == 0 {
		return []string{join(m.String(), parts)}
	}
	if parts[0] == "super" && m.parent != nil {
		return p.descend(m.parent, parts[1:], hops-1)
	}
	if c := m.children[parts[0]]; c != nil {
		return p.descend(c, parts[1:], hops-1)
	}
	whole := join(m.String(), parts)
	if m.file == nil {
		return []string{whole}
	}
	if _, ok := p.defined[m.String()+"::"+parts[0]]; ok {
		return []string{whole}
	}
	at := -1
	if m.open >= 0 {
		at = int(m.open) + 1
	}
	if imported, ok := m.file.nearest(at, parts[0], m.open); ok && imported != parts[0] {
		return p.resolve(m.file, at, m, append(strings.Split(imported, "::"), parts[1:]...), hops-1)
	} else if ok { // pub use tonic;
		return []string{strings.Join(parts, "::")}
	}
	return append([]string{whole}, p.viaGlobs(m.file, m, parts, hops)...)
}

// crate is the root of another crate of this tree that a package may name.
func (p *Program) crate(m *Module, name string) *Module {
	if renamed, ok := m.pkg.Renames[name]; ok {
		name = renamed
	}
	root := p.libraries[name]
	if root == nil || root == m.root && m.pkg.Ident != name {
		return nil
	}
	if root.pkg != m.pkg && !m.pkg.depends(name) {
		return nil
	}
	return root
}
