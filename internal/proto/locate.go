package proto

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"rustgen/internal/lazyregexp"
)

// mostOwn is how many files an API may have that somebody names by a directory: more are a company's protos and not one
// service's.
const mostOwn = 500

// Locate finds the files of an API and the import roots, from what somebody gives: files and directories, and
// directories to look for imports in. All are paths in files.
//
// An import root is, in this order: an include that the path lies in, the module of a buf.yaml or buf.work.yaml around or
// below it, the directory that the package of a file says, and the directory itself.
func Locate(files Files, paths, includes []string) (*Source, error) {
	at := &locator{files: files, includes: includes, source: &Source{}}
	for _, dir := range includes {
		if info, err := fs.Stat(files.FS, dir); err != nil {
			return nil, fault(files.shown(dir), "--include takes a directory that imports are looked for in", "%v", cause(err))
		} else if !info.IsDir() {
			return nil, fault(files.shown(dir), "--include takes a directory that imports are looked for in", "it is a file")
		}
	}
	for _, p := range paths {
		if err := at.add(p); err != nil {
			return nil, err
		}
	}
	at.root(includes...)
	slices.SortFunc(at.source.Own, func(a, b Path) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Root, b.Root)) })
	at.source.Own = slices.Compact(at.source.Own)
	return at.source, nil
}

type locator struct {
	files    Files
	includes []string
	source   *Source
}

// root adds import roots, each once.
func (l *locator) root(dirs ...string) {
	for _, dir := range dirs {
		if !slices.Contains(l.source.Roots, dir) {
			l.source.Roots = append(l.source.Roots, dir)
		}
	}
}

func (l *locator) add(p string) error {
	shown := l.files.shown(p)
	info, err := fs.Stat(l.files.FS, p)
	switch {
	case err != nil:
		return fault(shown, "--proto takes proto files, or a directory that imports are relative to", "%v", cause(err))
	case !info.IsDir() && !strings.HasSuffix(p, ".proto"):
		return fault(shown, "--proto takes proto files, or a directory that imports are relative to", "it is not a .proto file")
	}
	workspace, err := findBuf(l.files, p)
	if err != nil {
		return err
	}
	if workspace != nil {
		l.source.Remote = append(l.source.Remote, workspace.remote...)
	}
	if !info.IsDir() {
		root := l.rootOf(p, workspace)
		name, _ := below(root, p)
		l.own(Path{root, name})
		l.workspaceRoots(workspace)
		return nil
	}
	before := len(l.source.Own)
	if err := l.directory(p, workspace); err != nil {
		return err
	}
	l.workspaceRoots(workspace)
	switch n := len(l.source.Own) - before; {
	case n == 0:
		return fault(shown, "--proto takes proto files, or a directory with some below it", "there is no .proto file in it")
	case n > mostOwn:
		return fault(shown, "name the files of this service's API, and the directory as --include",
			"it holds %d proto files, and one API has at most %d", n, mostOwn)
	}
	return nil
}

func (l *locator) own(p Path) {
	l.root(p.Root)
	l.source.Own = append(l.source.Own, p)
}

func (l *locator) workspaceRoots(w *workspace) {
	if w != nil {
		l.root(w.modules...)
	}
}

// directory adds the files of a directory: of the modules in it where buf knows them, else all.
func (l *locator) directory(dir string, w *workspace) error {
	var modules, excluded []string
	if w != nil {
		excluded = w.excludes
		for _, m := range w.modules {
			if _, ok := below(dir, m); ok {
				modules = append(modules, m)
			}
		}
	}
	if len(modules) == 0 {
		found, err := l.walk(dir, excluded, true)
		if err != nil {
			return err
		}
		root := l.directoryRoot(dir, w, found)
		for _, p := range found {
			name, _ := below(root, p)
			l.own(Path{root, name})
		}
		return nil
	}
	for _, m := range modules {
		found, err := l.walk(m, excluded, true)
		if err != nil {
			return err
		}
		for _, p := range found {
			name, _ := below(m, p)
			l.own(Path{m, name})
		}
	}
	return nil
}

// walk lists the proto files below a directory. A link to a directory is followed once, unless it leads to where the walk
// comes from, or to where it comes anyway; links behind it are not.
func (l *locator) walk(dir string, excluded []string, follow bool) ([]string, error) {
	var found []string
	err := fs.WalkDir(l.files.FS, dir, func(p string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fault(l.files.shown(p), "rustgen must be able to read it", "%v", cause(err))
		case entry.Type()&fs.ModeSymlink != 0:
			linked, err := l.linked(dir, p, follow)
			found = append(found, linked...)
			return err
		case entry.IsDir() && p != dir && l.passed(p, entry.Name(), excluded):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(p, ".proto"):
			found = append(found, p)
		}
		return nil
	})
	return found, err
}

// passed says which directories hold no part of an API.
func (l *locator) passed(p, name string, excluded []string) bool {
	return slices.Contains(l.includes, p) || slices.Contains(excluded, p) || strings.HasPrefix(name, ".") ||
		name == "node_modules" || name == "target"
}

// linked lists what a link brings into a directory.
func (l *locator) linked(dir, p string, follow bool) ([]string, error) {
	info, err := fs.Stat(l.files.FS, p)
	if err != nil {
		if strings.HasSuffix(p, ".proto") {
			return nil, fault(l.files.shown(p), "remove the link, or bring back what it leads to", "it is a link that leads nowhere")
		}
		return nil, nil
	}
	if !info.IsDir() {
		if strings.HasSuffix(p, ".proto") {
			return []string{p}, nil
		}
		return nil, nil
	}
	if !follow {
		return nil, nil
	}
	target, err := fs.ReadLink(l.files.FS, p)
	if err != nil {
		return nil, fault(l.files.shown(p), "rustgen must be able to read it", "%v", cause(err))
	}
	if path.IsAbs(target) {
		target = strings.TrimPrefix(path.Clean(target), "/")
	} else {
		target = path.Join(path.Dir(p), target)
	}
	_, inDir := below(dir, target)
	_, above := below(target, dir)
	if inDir || above || target == "" {
		return nil, nil
	}
	// Read by the link's own path, so that files are imported by the names that they have here.
	return l.walk(p, nil, false)
}

// known is the include or module that a path lies in.
func (l *locator) known(p string, w *workspace) (string, bool) {
	roots := l.includes
	if w != nil {
		roots = slices.Concat(roots, w.modules)
	}
	best, ok := "", false
	for _, root := range roots {
		if _, in := below(root, p); in && (!ok || len(root) > len(best)) {
			best, ok = root, true
		}
	}
	return best, ok
}

// rootOf is the import root of one file.
func (l *locator) rootOf(p string, w *workspace) string {
	if root, ok := l.known(p, w); ok {
		return root
	}
	if root, ok := packageRoot(p, l.read(p)); ok {
		return root
	}
	return path.Dir(p)
}

// directoryRoot is the import root of a directory's files. Its packages may say that it lies above the directory; then it
// is that one, unless fewer imports are found from there.
func (l *locator) directoryRoot(dir string, w *workspace, found []string) string {
	if root, ok := l.known(dir, w); ok {
		return root
	}
	above := ""
	var imports []string
	for _, p := range found {
		text := l.read(p)
		for _, m := range importLine.FindAllSubmatch(text, -1) {
			imports = append(imports, string(m[1]))
		}
		root, ok := packageRoot(p, text)
		if _, contains := below(root, dir); !ok || !contains || above != "" && above != root {
			return dir
		}
		above = root
	}
	if above == "" {
		return dir
	}
	resolved := func(root string) int {
		n := 0
		for _, name := range imports {
			if fs.ValidPath(name) && exists(l.files, path.Join(root, name)) {
				n++
			}
		}
		return n
	}
	if resolved(dir) > resolved(above) {
		return dir
	}
	return above
}

// read is a file's text, or nothing: that it cannot be read is said where it is parsed.
func (l *locator) read(p string) []byte {
	data, _ := l.files.read(p)
	return data
}

var (
	packageLine = lazyregexp.New(`(?m)^[ \t]*package[ \t]+([A-Za-z0-9_.]+)[ \t]*;`)
	importLine  = lazyregexp.New(`(?m)^[ \t]*import[ \t]+(?:public[ \t]+|weak[ \t]+)?"([^"]+)"[ \t]*;`)
)

// packageRoot is the directory above the folders of a file's package, if the file lies in them.
func packageRoot(p string, text []byte) (string, bool) {
	m := packageLine.FindSubmatch(text)
	if m == nil {
		return "", false
	}
	folders := strings.ReplaceAll(string(m[1]), ".", "/")
	dir := path.Dir(p)
	if dir == folders {
		return ".", true
	}
	return strings.CutSuffix(dir, "/"+folders)
}
