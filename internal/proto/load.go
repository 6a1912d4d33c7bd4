package proto

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"

	"rustgen/internal/tree"
)

// Files is a file system with the name that a person would give a path in it.
type Files struct {
	fs.FS
	// Shown may be nil: then a path is shown as it is.
	Shown func(string) string
}

func (f Files) shown(p string) string {
	if f.Shown == nil {
		return p
	}
	return f.Shown(p)
}

// maxFile bounds a proto file, and a buf.yaml.
const maxFile = 16 << 20

// read reads a file. What is no regular file is not opened: a pipe or a device would never end.
func (f Files) read(p string) ([]byte, error) { return tree.ReadRegular(f.FS, p, maxFile) }

// loaded is a parsed file.
type loaded struct {
	File
	ast     *ast.FileNode
	imports []imported
}

// imported is an import of a file, and its place.
type imported struct{ path, place string }

// loader reads files and whatever they import, each once.
type loader struct {
	files  Files
	source *Source
	own    map[string]Path
	loaded map[string]*loaded
}

var standard = protocompile.WithStandardImports(protocompile.ResolverFunc(func(string) (protocompile.SearchResult, error) {
	return protocompile.SearchResult{}, fs.ErrNotExist
}))

// isStandard reports whether every compiler has a file, so that none is read from a disk.
func isStandard(name string) bool {
	_, err := standard.FindFileByPath(name)
	return err == nil
}

// load reads the own files of a source and what they import.
func load(files Files, source *Source) (*loader, error) {
	l := &loader{files, source, map[string]Path{}, map[string]*loaded{}}
	for _, p := range source.Own {
		if isStandard(p.Name) {
			continue
		}
		if other, ok := l.own[p.Name]; ok && other != p {
			if err := l.twice(other.Full(), p.Full(), p.Name); err != nil {
				return nil, err
			}
		}
		l.own[p.Name] = p
	}
	for _, name := range sortedKeys(l.own) {
		if err := l.add(name, "", nil); err != nil {
			return nil, err
		}
	}
	if err := l.checkSpelling(); err != nil {
		return nil, err
	}
	return l, l.checkDeclarations()
}

// twice refuses two files of one import path, unless they are the same.
func (l *loader) twice(a, b, name string) error {
	first, err := l.files.read(a)
	if err != nil {
		return fault(l.files.shown(a), "", "%v", cause(err))
	}
	second, err := l.files.read(b)
	if err != nil {
		return fault(l.files.shown(b), "", "%v", cause(err))
	}
	if bytes.Equal(first, second) {
		return nil
	}
	return fault(l.files.shown(b), "remove one of them, or give them paths of their own",
		"it is imported as %q, and so is %s, which says something else", name, l.files.shown(a))
}

// find is where an imported file lies.
func (l *loader) find(name string) (found Path, ok bool, err error) {
	if own, isOwn := l.own[name]; isOwn {
		found, ok = own, true
	}
	if !fs.ValidPath(name) {
		return found, ok, nil
	}
	for _, root := range l.source.Roots {
		at := Path{root, name}
		if info, err := fs.Stat(l.files.FS, at.Full()); err != nil || info.IsDir() {
			continue
		}
		if !ok {
			found, ok = at, true
		} else if at.Full() != found.Full() {
			if err := l.twice(found.Full(), at.Full(), name); err != nil {
				return found, ok, err
			}
		}
	}
	return found, ok, nil
}

// add reads a file that is imported at a place. The files on the way to it are in stack.
func (l *loader) add(name, place string, stack []string) error {
	if i := slices.Index(stack, name); i >= 0 {
		return fault(place, "move what both need into a file of its own", "imports go in a circle: %s",
			strings.Join(append(stack[i:], name), " -> "))
	}
	if l.loaded[name] != nil || isStandard(name) {
		return nil
	}
	at, ok, err := l.find(name)
	if err != nil {
		return err
	}
	if !ok {
		return l.missing(name, place, stack)
	}
	f, err := l.parse(at)
	if err != nil {
		return err
	}
	stack = append(stack, name)
	for _, i := range f.imports {
		if err := l.add(i.path, i.place, stack); err != nil {
			return err
		}
	}
	l.loaded[name] = f
	return nil
}

// missing says where an import was looked for, and what would bring it.
func (l *loader) missing(name, place string, stack []string) error {
	var searched []string
	for _, root := range l.source.Roots {
		searched = append(searched, l.files.shown(root))
	}
	hint := "--include DIR names a directory in which " + name + " lies"
	importer := l.loadedDir(stack)
	switch beside := path.Join(importer, path.Base(name)); {
	case len(l.source.Remote) > 0:
		hint = "buf export " + l.source.Remote[0] + " --output DIR fetches a module of the registry; then --include DIR"
	case fs.ValidPath(beside) && exists(l.files, beside):
		root, cut := strings.CutSuffix(beside, "/"+name)
		hint = "it lies at " + l.files.shown(beside) + ": import it by its path below an import root"
		if cut {
			hint = "--include " + l.files.shown(root) + " makes it found"
		}
	case l.emptyFolder() != "":
		hint = l.emptyFolder() + " is empty: git submodule update --init fills it if it is a submodule"
	}
	return fault(place, hint, "%q is imported, and is in none of the folders searched: %s", name, strings.Join(searched, ", "))
}

// loadedDir is the directory of the last file on a way.
func (l *loader) loadedDir(stack []string) string {
	if len(stack) == 0 {
		return "."
	}
	at, _, _ := l.find(stack[len(stack)-1])
	return path.Dir(at.Full())
}

// emptyFolder is an import root without anything in it.
func (l *loader) emptyFolder() string {
	for _, root := range l.source.Roots {
		if entries, err := fs.ReadDir(l.files.FS, root); err == nil && len(entries) == 0 {
			return l.files.shown(root)
		}
	}
	return ""
}

func exists(files fs.FS, p string) bool {
	_, err := fs.Stat(files, p)
	return err == nil
}

// parse reads one file and checks what is to be known before it is compiled.
func (l *loader) parse(at Path) (*loaded, error) {
	shown := l.files.shown(at.Full())
	data, err := l.files.read(at.Full())
	if err != nil {
		return nil, fault(shown, "rustgen must be able to read it", "%v", cause(err))
	}
	if err := checkBytes(shown, data); err != nil {
		return nil, err
	}
	handler := reporter.NewHandler(nil)
	node, err := parser.Parse(at.Name, bytes.NewReader(data), handler)
	// Said before a syntax error: it may well be the edition's.
	if e := node.Edition; e != nil {
		start := node.NodeInfo(e).Start()
		return nil, fault(position(shown, start.Line, start.Col), `write it with syntax = "proto3"`,
			"edition %q: the Rust build (protox, prost) takes proto2 and proto3 only", e.Edition.AsString())
	}
	if err != nil {
		return nil, l.compilerFault(err)
	}
	_, own := l.own[at.Name]
	f := &loaded{File: File{Path: at.Name, Shown: shown, Own: own, Data: data}, ast: node}
	for _, d := range node.Decls {
		switch d := d.(type) {
		case *ast.ImportNode:
			start := node.NodeInfo(d.Name).Start()
			f.imports = append(f.imports, imported{d.Name.AsString(), position(shown, start.Line, start.Col)})
		case *ast.PackageNode:
			f.Package = string(d.Name.AsIdentifier())
		}
	}
	return f, nil
}

// checkBytes refuses what protox does not read.
func checkBytes(shown string, data []byte) error {
	if bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")) {
		return fault(position(shown, 1, 1), "save it without one", "it begins with a byte order mark, which the Rust build (protox) refuses")
	}
	line := 1
	for rest := range bytes.Lines(data) {
		if i := invalid(rest); i >= 0 {
			return fault(position(shown, line, i+1), "save it as UTF-8 (iconv -f LATIN1 -t UTF-8 converts Latin-1)", "it is not UTF-8")
		}
		line++
	}
	return nil
}

// invalid is where the first byte is that is not UTF-8, or -1.
func invalid(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// compilerFault is an error of protocompile, with the file as a person would write it.
func (l *loader) compilerFault(err error) error {
	var at reporter.ErrorWithPos
	if !errors.As(err, &at) {
		return fault("", "", "%v", err)
	}
	text := at.Unwrap().Error()
	shown := func(name string) string {
		if found, ok, err := l.find(name); ok && err == nil {
			return l.files.shown(found.Full())
		}
		return name
	}
	for _, name := range sortedKeys(l.loaded) {
		text = strings.ReplaceAll(text, name+":", shown(name)+":")
	}
	pos := at.GetPosition()
	return fault(position(shown(pos.Filename), pos.Line, pos.Col), "buf build says the same", "%s", text)
}

// checkSpelling refuses files that some disks cannot tell apart.
func (l *loader) checkSpelling() error {
	spelled := map[string]string{}
	for _, name := range sortedKeys(l.loaded) {
		shown := l.loaded[name].Shown
		if other, ok := spelled[strings.ToLower(name)]; ok {
			return fault(shown, "rename one of them", "it and %s differ only in case: on macOS and Windows one replaces the other", other)
		}
		spelled[strings.ToLower(name)] = shown
	}
	return nil
}

// checkDeclarations refuses two services, messages or enums of one full name in two files.
func (l *loader) checkDeclarations() error {
	declared := map[string]string{}
	for _, name := range sortedKeys(l.loaded) {
		f := l.loaded[name]
		for _, d := range f.ast.Decls {
			var what string
			var ident *ast.IdentNode
			switch d := d.(type) {
			case *ast.ServiceNode:
				what, ident = "service", d.Name
			case *ast.MessageNode:
				what, ident = "message", d.Name
			case *ast.EnumNode:
				what, ident = "enum", d.Name
			default:
				continue
			}
			full := strings.TrimPrefix(f.Package+"."+ident.Val, ".")
			start := f.ast.NodeInfo(ident).Start()
			place := position(f.Shown, start.Line, start.Col)
			if other, ok := declared[full]; ok {
				return fault(place, "rename one of them, or remove one of the files", "%s %s is declared twice: here, and at %s", what, full, other)
			}
			declared[full] = place
		}
	}
	return nil
}
