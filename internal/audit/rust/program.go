package rust

import (
	"cmp"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"rustgen/internal/rustlex"
)

// Package is a Cargo package whose source is read.
type Package struct {
	// Ident is its name as Rust spells it, Dir where its Cargo.toml lies.
	Ident, Dir string
	// Renames are its dependencies under other names; Dependencies the names that its code uses. Both as Rust spells them.
	Renames      map[string]string
	Dependencies map[string]bool
	// Library and Binaries are the roots of its crates.
	Library  string
	Binaries []string
}

func (p *Package) depends(name string) bool {
	return p.Dependencies[name] || p.Dependencies[p.Renames[name]]
}

// Program is the source of a service: some packages, and what they have in common.
type Program struct {
	files     map[string]*File
	sorted    []*File
	libraries map[string]*Module
	// defined are the items that a module declares itself, by their path.
	defined map[string]struct{}
	// named are paths that are called, by their last word; methods, calls of a method by its name.
	named, methods map[string][]Use
	// under are the indexes of the uses in named by what their path ends with, owners the types of a name among them.
	under  map[owned][]int32
	owners map[string][]string
	// renamed are names that stand for something of another name.
	renamed   map[string]bool
	functions map[string][]*Function
	// belong are the functions of a type or a trait; those of none are filed under the empty name.
	belong    map[owned][]*Function
	fields    map[string][]typed
	constants map[string][]constant
	closures  map[string]bool
	edges     func() []Edge
	// spelled are the answers of Spelled, for all who ask at once.
	spelled  map[Use][]string
	spelling sync.Mutex
	// globbed are the answers of viaGlobs.
	globbed  map[globQuery][]string
	globbing sync.Mutex
	routed   map[string]bool
	types    map[string]bool
	// traits are those that the service declares, aliases the other names of types.
	traits  map[string]bool
	aliases map[string]typed
}

// Use is a place that calls a path, a method or a macro.
type Use struct {
	File *File
	// I is the token of the first word of a path, or of the method's name; Open, the bracket of its arguments, or -1.
	I, Open int
	Method  bool
	Macro   bool
}

// Line is where it stands.
func (u Use) Line() int { return u.File.Line(u.I) }

// OnWorker reports whether an async worker runs it.
func (u Use) OnWorker() bool { return u.File.OnWorker(u.I) }

// Parts are the words of its path.
func (u Use) Parts() []string {
	if u.Method {
		return []string{u.File.Text(u.I)}
	}
	parts, _ := u.File.path(u.I)
	return parts
}

// Link makes a program of files.
func Link(files []*File, packages []*Package) *Program {
	p := Survey(files, packages, nil)
	p.Complete()
	return p
}

// Survey makes a program that knows its modules and what they declare, and the calls of the files alone whose source holds
// one of some words: enough to see in which packages something is called.
func Survey(files []*File, packages []*Package, words []string) *Program {
	p := &Program{
		files: map[string]*File{}, libraries: map[string]*Module{}, defined: map[string]struct{}{},
		functions: map[string][]*Function{},
		fields:    map[string][]typed{}, constants: map[string][]constant{}, closures: map[string]bool{}, spelled: map[Use][]string{}, globbed: map[globQuery][]string{}, types: map[string]bool{},
		belong: map[owned][]*Function{}, traits: map[string]bool{}, aliases: map[string]typed{},
	}
	p.edges = sync.OnceValue(p.findEdges)
	for _, f := range files {
		p.files[f.Path] = f
	}
	for _, pkg := range packages {
		if f := p.files[pkg.Library]; f != nil {
			p.libraries[pkg.Ident] = p.grow(f, pkg)
		}
		for _, b := range pkg.Binaries {
			if f := p.files[b]; f != nil && f.module == nil {
				p.grow(f, pkg)
			}
		}
	}
	p.dropTestModules()
	p.placeStrays(packages)
	for _, f := range p.files {
		p.sorted = append(p.sorted, f)
	}
	slices.SortFunc(p.sorted, func(a, b *File) int { return cmp.Compare(a.Path, b.Path) })
	for _, f := range p.sorted {
		p.define(f)
	}
	p.findRenamed()
	p.index(slices.DeleteFunc(slices.Clone(p.sorted), func(f *File) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(f.Source, w) })
	}))
	return p
}

// Complete notes the calls of all files of a program that was surveyed.
func (p *Program) Complete() {
	p.index(p.sorted)
	p.markHelpers()
}

// each calls a function for 0 to n-1, on all CPUs.
func each(n int, do func(int)) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

// index notes what files call, and what routers are given.
func (p *Program) index(files []*File) {
	p.named, p.methods, p.routed = map[string][]Use{}, map[string][]Use{}, map[string]bool{}
	p.under, p.owners = map[owned][]int32{}, map[string][]string{}
	found := make([]calls, len(files))
	each(len(found), func(i int) { found[i] = p.callsOf(files[i]) })
	for _, c := range found {
		for _, n := range c.named {
			p.indexUse(n)
		}
		for _, u := range c.methods {
			name := u.File.Text(u.I)
			p.methods[name] = append(p.methods[name], u)
		}
		for _, name := range c.routed {
			p.routed[name] = true
		}
	}
}

// calls are what one file calls: paths by the word that they end with, methods, and what it gives to routers.
type calls struct {
	named   []namedUse
	methods []Use
	routed  []string
}

// namedUse is a use with the last word of its path and the type that this is of, if the path says it.
type namedUse struct {
	owned
	use Use
}

// dropTestModules leaves out files that only tests declare.
func (p *Program) dropTestModules() {
	var tests []string
	for _, f := range p.files {
		if f.Test {
			delete(p.files, f.Path)
			tests = append(tests, strings.TrimSuffix(f.Path, ".rs")+"/")
		}
		for _, name := range f.testModules {
			dir := path.Dir(f.Path)
			if base := path.Base(f.Path); base != "mod.rs" && base != "lib.rs" && base != "main.rs" {
				dir = strings.TrimSuffix(f.Path, ".rs")
			}
			tests = append(tests, path.Join(dir, name)+"/")
		}
	}
	for name, f := range p.files {
		for _, t := range tests {
			if f.module == nil && (name == strings.TrimSuffix(t, "/")+".rs" || strings.HasPrefix(name, t)) {
				delete(p.files, name)
				break
			}
		}
	}
}

// placeStrays gives files that no module declares (a macro may) the package that they lie in.
func (p *Program) placeStrays(packages []*Package) {
	for _, f := range p.files {
		if f.module != nil {
			continue
		}
		var best *Package
		for _, pkg := range packages {
			if (pkg.Dir == "." || strings.HasPrefix(f.Path, pkg.Dir+"/")) && (best == nil || len(pkg.Dir) > len(best.Dir)) {
				best = pkg
			}
		}
		if best != nil {
			p.grow(f, best)
		}
	}
}

// Files are those that are part of the service, in order.
func (p *Program) Files() []*File { return p.sorted }

// Package is where a file belongs, or nil.
func (f *File) Package() *Package { return f.pkg }

// Functions are those of a file.
func (f *File) Functions() []*Function { return f.functions }

// define notes what a file declares.
func (p *Program) define(f *File) {
	for i := range f.tokens {
		if f.tokens[i].Kind != rustlex.Word || !f.IsWord(i+1) {
			continue
		}
		switch f.Text(i) {
		case "fn", "struct", "enum", "trait", "const", "static", "type", "union":
			if m := f.within(i); m != nil {
				p.defined[m.String()+"::"+f.Text(i+1)] = struct{}{}
			}
		}
		switch f.Text(i) {
		case "struct":
			p.types[f.Text(i+1)] = true
			p.structFields(f, i+2)
		case "enum":
			p.types[f.Text(i+1)] = true
		case "const", "static":
			p.constant(f, i+1)
		case "trait":
			p.traits[f.Text(i+1)] = true
		case "type":
			p.alias(f, i+1)
		}
	}
	for _, fn := range f.functions {
		fn.path = fn.Name
		if m := f.within(fn.From - 1); m != nil {
			fn.path = m.String() + "::" + fn.Name
		}
		p.indexFunction(fn)
	}
}

// callsOf notes what a file calls.
func (p *Program) callsOf(f *File) (c calls) {
	for i := 0; i < len(f.tokens); {
		if f.tokens[i].Kind != rustlex.Word {
			i++
			continue
		}
		next := f.byte(i + 1)
		if next != '(' && next != ':' && next != '!' {
			i++
			continue
		}
		if f.byte(i-1) == '.' && f.byte(i-2) != '.' {
			if after := f.generics(i + 1); f.byte(after) == '(' {
				c.methods = append(c.methods, Use{f, i, after, true, false})
			}
			i++
			continue
		}
		if f.Is(i-1, "fn") || f.Is(i-1, "mod") || f.Is(i-1, "struct") {
			i++
			continue
		}
		parts, after := f.path(i)
		open, macro := f.generics(after), false
		if f.byte(open) == '!' && (f.byte(open+1) == '(' || f.byte(open+1) == '[' || f.byte(open+1) == '{') {
			open, macro = open+1, true
		} else if f.byte(open) != '(' {
			open = -1
		}
		if open >= 0 || len(parts) > 1 {
			p.notePath(&c, Use{f, i, open, false, macro}, parts)
		}
		i = after
	}
	c.routed = p.routedIn(f)
	return c
}

// notePath notes a use with its last word, and with that of the import that renames it.
func (p *Program) notePath(c *calls, u Use, parts []string) {
	last := parts[len(parts)-1]
	c.named = append(c.named, namedUse{owned{p.ownerOf(parts), last}, u})
	if len(parts) == 1 {
		for _, imported := range u.File.imports[last] {
			if original := imported.whole[strings.LastIndex(imported.whole, ":")+1:]; original != last {
				c.named = append(c.named, namedUse{owned{"", original}, u})
				break
			}
		}
	}
}

// Named are the uses of paths that end with a word.
func (p *Program) Named(last string) []Use { return p.named[last] }

// Methods are the calls of methods of a name.
func (p *Program) Methods(name string) []Use { return p.methods[name] }

// Spelled are the whole paths that a use may mean.
func (p *Program) Spelled(u Use) []string {
	if u.Method {
		return []string{"." + u.File.Text(u.I)}
	}
	key := Use{File: u.File, I: u.I}
	p.spelling.Lock()
	whole, ok := p.spelled[key]
	p.spelling.Unlock()
	if !ok {
		whole = p.Resolve(u.File, u.I, u.Parts())
		p.spelling.Lock()
		p.spelled[key] = whole
		p.spelling.Unlock()
	}
	return whole
}
