package rust

import (
	"path"
	"strings"
)

// importedName is what a use declaration brings into the scope between two brackets.
type importedName struct {
	name  string
	whole string
	// scope is the bracket that the declaration stands in, or -1.
	scope int32
}

// declaredModule is `mod x;`, or `mod x { ... }` whose brace is at open.
type declaredModule struct {
	name, path string
	at         int
	open       int32
}

// maxImportDepth is how deep the braces of one use may nest.
const maxImportDepth = 64

// importTree reads what follows `use`, or stands between its braces, and notes where names come from.
func (f *File) importTree(i int, prefix string, scope, depth int) int {
	for i < len(f.tokens) && depth < maxImportDepth {
		switch c := f.byte(i); {
		case c == ';' || c == '}':
			return i + 1
		case c == '{':
			i = f.importTree(i+1, prefix, scope, depth+1)
		case c == '*':
			f.globs = append(f.globs, importedName{"*", prefix, int32(scope)})
			i++
		case f.IsWord(i):
			i = f.importPath(i, prefix, scope, depth)
		default:
			i++
		}
	}
	return i
}

func (f *File) importPath(i int, prefix string, scope, depth int) int {
	parts, after := f.path(i)
	whole := join(prefix, parts)
	switch {
	case f.Is(after, ":", ":", "{"):
		return f.importTree(after+3, whole, scope, depth+1)
	case f.Is(after, ":", ":", "*"):
		f.globs = append(f.globs, importedName{"*", whole, int32(scope)})
		return after + 3
	}
	name := parts[len(parts)-1]
	if name == "self" {
		whole = strings.TrimSuffix(whole, "::self")
		name = whole[strings.LastIndex(whole, ":")+1:]
	}
	if f.Is(after, "as") {
		name, after = f.Text(after+1), after+2
	}
	f.imports[name] = append(f.imports[name], importedName{name, whole, int32(scope)})
	return after
}

func join(prefix string, parts []string) string {
	if prefix != "" {
		parts = append([]string{prefix}, parts...)
	}
	return strings.Join(parts, "::")
}

// declareModule notes `mod x;` and `mod x {`.
func (f *File) declareModule(i int) {
	if !f.IsWord(i+1) || f.byte(i+2) != ';' && f.byte(i+2) != '{' {
		return
	}
	m := declaredModule{name: f.Text(i + 1), at: i, open: -1}
	if f.byte(i+2) == '{' {
		m.open = int32(i + 2)
	}
	before := i - 1
	for before >= 0 && (f.Is(before, "pub") || f.byte(before) == ')') {
		if f.byte(before) == ')' {
			before = int(f.partner[before])
		}
		before--
	}
	for k := f.attributesBefore(before); k < before; k++ {
		if f.Is(k, "path", "=") {
			m.path = strings.Trim(f.Text(k+2), `"`)
		}
	}
	f.modules = append(f.modules, m)
}

// Module is one module of a crate: a file, or braces in one.
type Module struct {
	name string
	// whole is its path.
	whole  string
	parent *Module
	root   *Module
	pkg    *Package
	file   *File
	// open is the brace of an inline module, or -1.
	open     int32
	children map[string]*Module
}

// String is the module's path.
func (m *Module) String() string { return m.whole }

// grow builds the module tree of a crate from its root file.
func (p *Program) grow(root *File, pkg *Package) *Module {
	m := &Module{name: pkg.Ident, whole: pkg.Ident, pkg: pkg, file: root, open: -1, children: map[string]*Module{}}
	m.root = m
	dir := path.Dir(root.Path)
	p.adopt(m, dir, 0)
	return m
}

// adopt gives a file its module, and follows what the file declares. dir is where its children lie.
func (p *Program) adopt(m *Module, dir string, depth int) {
	f := m.file
	if f.module != nil || depth > 64 {
		return
	}
	f.module, f.pkg, f.inline = m, m.pkg, map[int32]*Module{}
	dirs := map[int32]string{-1: dir}
	inline := map[int32]*Module{-1: m}
	for _, d := range f.modules {
		parent, in := m, dir
		for o, n := f.open[d.at], 0; n < maxDepth; o, n = f.open[o], n+1 {
			if known, ok := inline[o]; ok {
				parent, in = known, dirs[o]
				break
			}
		}
		child := &Module{name: d.name, whole: parent.whole + "::" + d.name, parent: parent, root: m.root, pkg: m.pkg, file: f, open: d.open, children: map[string]*Module{}}
		if d.open >= 0 {
			inline[d.open], dirs[d.open] = child, path.Join(in, d.name)
			f.inline[d.open] = child
			parent.children[d.name] = child
			continue
		}
		child.file = nil
		candidates := []string{path.Join(in, d.name+".rs"), path.Join(in, d.name, "mod.rs")}
		if d.path != "" {
			candidates = []string{path.Join(path.Dir(f.Path), d.path)}
		}
		for _, c := range candidates {
			if file := p.files[c]; file != nil {
				child.file = file
				break
			}
		}
		if child.file == nil {
			continue
		}
		if child.file.module != nil { // it is declared twice, by its path
			parent.children[d.name] = child.file.module
			continue
		}
		parent.children[d.name] = child
		below := path.Join(in, d.name)
		if d.path != "" {
			below = path.Dir(child.file.Path)
		}
		p.adopt(child, below, depth+1)
	}
}

// within is the module that a token stands in.
func (f *File) within(i int) *Module {
	if len(f.inline) == 0 || i < 0 || i >= len(f.open) {
		return f.module
	}
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth; o, n = f.open[o], n+1 {
		if m := f.inline[o]; m != nil {
			return m
		}
	}
	return f.module
}
