package audit

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"

	"rustgen/internal/audit/rust"
	"rustgen/internal/lazyregexp"
	"rustgen/internal/tree"
)

// Input is what there is to look at.
type Input struct {
	// Files are those of the repository, by their paths in it.
	Files tree.Tree
	// Dir is the top of the Cargo package or workspace in the repository, Focus the directory of the package that was
	// asked for; "." is the repository's own.
	Dir, Focus string
	// Unread says what was not read, and why.
	Unread []Finding
	// Settings and Baseline are what the service allows.
	Settings Settings
	Baseline Baseline
	// Rendered are the manifests that helm or kustomize made of what lies in the repository, by the path that they are of.
	Rendered map[string][]byte
}

// service is what the checks look at.
type service struct {
	files tree.Tree
	// paths are those of the files, in order; other, those that are no source of a crate.
	paths, other []string
	// dir is the top of the workspace, focus the directory that was asked for.
	dir, focus string
	root       manifest
	// packages are those that are part of what serves.
	packages []*cargoPackage
	program  *rust.Program
	notes    []Finding
	settings Settings
	allows   []*allow
	images   []dockerfile
	objects  []object
	// unrendered are charts and kustomizations that no tool rendered.
	unrendered []Finding

	// hot runs for calls, startup once, aside on a thread of its own.
	hot, startup, aside map[*rust.Function]bool
	// rereads reads again what has changed on a disk.
	rereads map[*rust.Function]bool
	// callers are the functions that call one.
	callers map[*rust.Function][]*rust.Function
	servers []server
	// heldLocks are those that are held over an await, and locked the versions in Cargo.lock; both are looked for once.
	heldLocks func() []Finding
	lock      func() map[string]*semver.Version
}

func read(ctx context.Context, in Input) (*service, error) {
	s := &service{files: in.Files, paths: in.Files.Paths(), dir: in.Dir, focus: in.Focus, notes: in.Unread, settings: in.Settings}
	s.other = slices.DeleteFunc(slices.Clone(s.paths), func(p string) bool {
		return strings.HasSuffix(p, ".rs") && !strings.Contains(p, "xtask/") && !strings.Contains(p, "ci/") && !strings.Contains(p, "script")
	})
	s.heldLocks, s.lock = sync.OnceValue(s.findHeldLocks), sync.OnceValue(s.readLock)
	if err := s.readPackages(); err != nil {
		return nil, err
	}
	if err := s.readRust(ctx); err != nil {
		return nil, err
	}
	s.flow()
	s.servers = s.findServers()
	s.readImages()
	s.readManifests(in.Rendered)
	s.gatherAllows(in.Settings, in.Baseline)
	return s, ctx.Err()
}

// readRust reads the source of the packages, and keeps those that are part of what serves.
func (s *service) readRust(ctx context.Context) error {
	s.focusPackages()
	paths := s.rustFiles()
	files := make([]*rust.File, len(paths))
	each(ctx, len(paths), func(i int) {
		if data := s.files[paths[i]].Data; !generated(data) {
			files[i] = rust.Parse(paths[i], string(data))
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f *rust.File) bool { return f == nil })
	s.program = rust.Survey(files, s.rustPackages(), serverWords)
	kept, less := s.serving()
	if !less {
		s.program.Complete()
	} else {
		s.packages = kept
		files = slices.DeleteFunc(files, func(f *rust.File) bool {
			return !slices.ContainsFunc(kept, func(p *cargoPackage) bool { return p.rust == f.Package() })
		})
		for _, f := range files {
			f.Reset()
		}
		s.program = rust.Link(files, s.rustPackages())
	}
	return nil
}

func (s *service) rustPackages() (packages []*rust.Package) {
	for _, p := range s.packages {
		packages = append(packages, p.rust)
	}
	return packages
}

// rustFiles are the source files of the packages, without tests, examples and tools.
func (s *service) rustFiles() (paths []string) {
	for _, p := range s.paths {
		if !strings.HasSuffix(p, ".rs") || !s.files[p].IsText() {
			continue
		}
		var best *cargoPackage
		for _, pkg := range s.packages {
			if _, in := below(pkg.dir(), p); in && (best == nil || len(pkg.dir()) > len(best.dir())) {
				best = pkg
			}
		}
		if best == nil {
			continue
		}
		inside, _ := below(best.dir(), p)
		member, _ := below(s.dir, best.dir())
		if isService(inside) && isService(path.Join(member, "x")) && !s.isToolBinary(best, p) {
			paths = append(paths, p)
		}
	}
	return paths
}

// focusPackages keeps the package that was asked for with what it depends on, where one was.
func (s *service) focusPackages() {
	for _, p := range s.packages {
		if p.dir() == s.focus && s.focus != s.dir {
			s.packages = s.closure([]*cargoPackage{p})
			return
		}
	}
}

// closure adds the packages of the workspace that packages depend on.
func (s *service) closure(from []*cargoPackage) (all []*cargoPackage) {
	byName := map[string]*cargoPackage{}
	for _, p := range s.packages {
		byName[p.name()] = p
	}
	seen := map[*cargoPackage]bool{}
	for len(from) > 0 {
		p := from[0]
		from = from[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		for _, need := range p.needs {
			if other := byName[need]; other != nil {
				from = append(from, other)
			}
		}
	}
	for _, p := range s.packages {
		if seen[p] {
			all = append(all, p)
		}
	}
	return all
}

// serving are the packages with a binary that serves, and what they depend on; less says that others are left out.
func (s *service) serving() (kept []*cargoPackage, less bool) {
	serves := map[*rust.Package]bool{}
	for _, sv := range s.findServers() {
		serves[sv.file().Package()] = true
	}
	if len(serves) == 0 {
		return s.packages, false
	}
	var roots []*cargoPackage
	for _, p := range s.packages {
		if !s.hasBinary(p) || p.dir() == s.focus && s.focus != s.dir {
			continue
		}
		for _, q := range s.closure([]*cargoPackage{p}) {
			if serves[q.rust] && (q == p || !s.isTool(p)) {
				roots = append(roots, p)
				break
			}
		}
	}
	if len(roots) == 0 {
		for _, p := range s.packages {
			if serves[p.rust] {
				roots = append(roots, p)
			}
		}
	}
	for _, p := range s.packages {
		if p.dir() == s.focus && s.focus != s.dir {
			roots = append(roots, p)
		}
	}
	kept = s.closure(roots)
	return kept, len(kept) < len(s.packages)
}

// isTool reports whether a package's name says that it is run by hand.
func (s *service) isTool(p *cargoPackage) bool { return namesTool(p.name()) }

// isToolBinary reports whether a file is a binary that is run by hand, beside one that serves: a client to try it with.
func (s *service) isToolBinary(p *cargoPackage, file string) bool {
	return len(p.rust.Binaries) > 1 && slices.Contains(p.rust.Binaries, file) && namesTool(strings.TrimSuffix(path.Base(file), ".rs"))
}

// runByHand reports whether a file is of the command line of a service.
func runByHand(p string) bool {
	return strings.Contains("/"+p, "/cli/") || strings.HasSuffix("/"+p, "/cli.rs")
}

func namesTool(name string) bool {
	for piece := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '-' || r == '_' }) {
		if slices.Contains([]string{"cli", "client", "tool", "tools", "test", "tests", "bench", "e2e", "loadtest", "ctl"}, piece) {
			return true
		}
	}
	return false
}

func (s *service) hasBinary(p *cargoPackage) bool {
	return slices.ContainsFunc(p.rust.Binaries, func(b string) bool { _, ok := s.files[b]; return ok })
}

// isService leaves out what does not run in production: directories of tests, examples and tools.
func isService(p string) bool {
	for part := range strings.SplitSeq(path.Dir(p), "/") {
		for piece := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == '-' || r == '_' }) {
			if slices.Contains(apart, piece) {
				return false
			}
		}
	}
	base := path.Base(p)
	return base != "build.rs" && !strings.HasPrefix(base, "mock_") && base != "tests.rs" && base != "test.rs" && !strings.HasSuffix(base, "_test.rs") && !strings.HasSuffix(base, "_tests.rs")
}

var apart = []string{
	"test", "tests", "testing", "integration", "mock", "mocks", "bench", "benches", "benchmark", "benchmarks", "example", "examples",
	"fuzz", "loadtest", "vendor", "vendored", "third", "xtask", "e2e", "testdata", "fixtures",
}

// generated reports whether a tool wrote the file: prost and others say so on its first line, tonic above each module.
func generated(data []byte) bool {
	first, _, _ := bytes.Cut(data[:min(len(data), 400)], []byte("\n"))
	for _, mark := range []string{"@generated", "Code generated", "DO NOT EDIT"} {
		if bytes.Contains(first, []byte(mark)) {
			return true
		}
	}
	return bytes.Contains(data, []byte(" Generated client implementations.")) ||
		bytes.Contains(data, []byte(" Generated server implementations."))
}

// line finds a pattern in a text.
func line(text string, pattern *lazyregexp.Regexp) int {
	if at := pattern.FindStringIndex(text); at != nil {
		return 1 + strings.Count(text[:at[0]], "\n")
	}
	return 0
}

// matching are the text files whose path matches, of those that are no source of a crate.
func (s *service) matching(pattern *lazyregexp.Regexp) (paths []string) {
	for _, p := range s.other {
		if pattern.MatchString(p) && s.files[p].IsText() {
			paths = append(paths, p)
		}
	}
	return paths
}

func (s *service) text(p string) string { return string(s.files[p].Data) }

// anywhere finds a pattern in the files whose path matches.
func (s *service) anywhere(paths, pattern *lazyregexp.Regexp) (Place, bool) {
	for _, p := range s.matching(paths) {
		if n := line(s.text(p), pattern); n > 0 {
			return Place{p, n}, true
		}
	}
	return Place{}, false
}

// place is that of a use.
func place(u rust.Use) Place { return Place{u.File.Path, u.Line()} }
