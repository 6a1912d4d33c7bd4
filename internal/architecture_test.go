// Package internal_test holds the directions in which packages may import each other.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "rustgen"

// room is what a package may reach: other packages of this module, and what only some may touch.
type room struct {
	imports []string
	// pure packages see values only: no file, process, network, clock or randomness.
	pure bool
}

// rooms are all packages of the program, from the inside out. A package that is not here has no place yet: give it one.
var rooms = map[string]room{
	"internal/hint":        {pure: true},
	"internal/lazyregexp":  {pure: true},
	"internal/tree":        {pure: true},
	"internal/decision":    {pure: true, imports: []string{"internal/hint", "internal/tree"}},
	"internal/templateset": {pure: true, imports: []string{"internal/decision", "internal/tree"}},
	"internal/render":      {pure: true, imports: []string{"internal/templateset", "internal/tree"}},
	"internal/setcheck":    {pure: true, imports: []string{"internal/decision", "internal/render", "internal/templateset", "internal/tree"}},
	"internal/git":         {},
	"internal/helm":        {},
	"internal/auditreport": {pure: true, imports: []string{"internal/audit", "internal/hint", "internal/report"}},
	"internal/describe":    {imports: []string{"internal/decision", "internal/hint", "internal/manual", "internal/report", "internal/source", "internal/vcs"}},
	"internal/interview": {imports: []string{
		"internal/decision", "internal/hint", "internal/prompt", "internal/source", "internal/terminal", "internal/upgrade", "internal/vcs",
	}},
	"internal/standing":   {imports: []string{"internal/decision", "internal/hint", "internal/project", "internal/report", "internal/source", "internal/upgrade", "internal/vcs"}},
	"internal/serviceapi": {imports: []string{"internal/apidiff", "internal/gostubs", "internal/hint", "internal/ownapi", "internal/proto", "internal/source", "internal/tree", "internal/upgrade"}},
	"internal/auditrun":   {imports: []string{"internal/audit", "internal/auditreport", "internal/helm", "internal/hint", "internal/report", "internal/tree"}},
	"internal/merge":      {imports: []string{"internal/git", "internal/tree"}},
	// For tests that compile services.
	"internal/layertest": {},
	"internal/layer":     {pure: true, imports: []string{"internal/tree"}},
	"internal/docs":      {pure: true, imports: []string{"internal/decision"}},
	"internal/upgrade": {imports: []string{
		"internal/apply", "internal/decision", "internal/git", "internal/hint", "internal/merge", "internal/project", "internal/render",
		"internal/templateset", "internal/tree", "internal/vcs",
	}},
	"internal/source": {imports: []string{
		"internal/decision", "internal/git", "internal/hint", "internal/project", "internal/render", "internal/templateset", "internal/tree", "internal/upgrade", "internal/vcs", "templates",
	}},
	"internal/bootstrap": {imports: []string{
		"internal/apply", "internal/cargo", "internal/decision", "internal/git", "internal/gostubs", "internal/hint", "internal/ownapi", "internal/project",
		"internal/proto", "internal/report", "internal/serviceapi", "internal/source", "internal/tree", "internal/upgrade", "internal/vcs",
	}},
	"internal/answers":  {pure: true, imports: []string{"internal/decision", "internal/hint"}},
	"internal/terminal": {pure: true, imports: []string{"internal/tree"}},
	"internal/manual":   {pure: true, imports: []string{"internal/report"}},
	"internal/report": {pure: true, imports: []string{
		"internal/decision", "internal/hint", "internal/project", "internal/templateset", "internal/tree", "internal/upgrade",
	}},
	"internal/vcs":          {imports: []string{"internal/git", "internal/tree"}},
	"internal/apply":        {imports: []string{"internal/tree"}},
	"internal/project":      {imports: []string{"internal/decision", "internal/tree", "internal/vcs"}},
	"internal/cargo":        {pure: true},
	"internal/audit":        {pure: true, imports: []string{"internal/audit/rust", "internal/tree"}},
	"internal/audit/rust":   {pure: true, imports: []string{"internal/rustlex"}},
	"internal/rustlex":      {pure: true},
	"internal/proto":        {pure: true, imports: []string{"internal/tree"}},
	"internal/rustsrc":      {pure: true, imports: []string{"internal/rustlex"}},
	"internal/ownapi":       {pure: true, imports: []string{"internal/apidiff", "internal/decision", "internal/proto", "internal/tree"}},
	"internal/gostubs":      {pure: true, imports: []string{"internal/proto", "internal/tree"}},
	"internal/apidiff":      {pure: true, imports: []string{"internal/gostubs", "internal/proto", "internal/rustsrc", "internal/tree"}},
	"internal/prompt":       {imports: []string{"internal/decision", "internal/prompt/quiet"}},
	"internal/prompt/quiet": {},
	"templates":             {},
	"internal/cli": {imports: []string{
		"internal/answers", "internal/apply", "internal/audit", "internal/auditreport", "internal/auditrun", "internal/bootstrap", "internal/cargo", "internal/decision", "internal/describe",
		"internal/hint", "internal/interview", "internal/layer", "internal/manual", "internal/merge", "internal/ownapi", "internal/project", "internal/prompt",
		"internal/proto", "internal/report", "internal/serviceapi", "internal/setcheck", "internal/source", "internal/standing", "internal/templateset", "internal/terminal",
		"internal/tree", "internal/upgrade", "internal/vcs", "templates",
	}},
	"cmd/rustgen": {imports: []string{"internal/cli"}},
}

// everywhere are packages that stand for the standard library's, and that all may import.
var everywhere = []string{"internal/lazyregexp"}

// only names the packages that may import what is dangerous, heavy or to be had in one place.
var only = map[string][]string{
	"os/exec": {"internal/git", "internal/helm"},
	// What a core package gets of a file, it gets as values.
	"go.yaml.in/yaml/v3":                 {"internal/answers", "internal/audit", "internal/merge", "internal/project", "internal/proto", "internal/templateset"},
	"github.com/charmbracelet/huh":       {"internal/prompt"},
	"github.com/charmbracelet/bubbletea": {"internal/prompt"},
	"github.com/Masterminds/sprig/v3":    {"internal/render"},
	"github.com/spf13/cobra":             {"internal/cli", "internal/describe"},
	"github.com/bufbuild/protocompile":   {"internal/proto"},
	"github.com/gofrs/flock":             {"internal/apply"},
	"os/signal":                          {"internal/cli"},
	"net/http":                           {},
	"plugin":                             {},
	"unsafe":                             {},
}

// impure is what no pure package imports.
var impure = []string{"os", "os/exec", "os/signal", "net", "net/http", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "github.com/spf13/afero"}

// writes are the functions of os that change a disk.
var writes = strings.Fields("Chmod Chown Chtimes CopyFS Create CreateTemp Link Mkdir MkdirAll MkdirTemp OpenFile Remove RemoveAll Rename Symlink Truncate WriteFile")

// writers may write: apply to a service; merge, vcs and source to temporary directories of their own, with these functions.
var writers = map[string][]string{
	"internal/apply":     writes,
	"internal/layertest": {"WriteFile"},
	"internal/merge":     {"MkdirTemp", "MkdirAll", "WriteFile", "RemoveAll"},
	"internal/vcs":       {"RemoveAll"},
	"internal/source":    {"MkdirTemp", "RemoveAll"},
}

// source is one Go file of the program, tests apart.
type source struct {
	path, pkg string
	file      *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	set := token.NewFileSet()
	for _, top := range []string{"cmd", "internal", "templates"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(p string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				// A directory with a module of its own is not part of the program, and neither is what is rendered.
				if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil || entry.Name() == "testdata" || entry.Name() == "files" {
					return filepath.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(set, p, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, p)
			name = filepath.ToSlash(name)
			all = append(all, source{name, path.Dir(name), file})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d files were found", len(all))
	}
	return all
}

func TestImportDirections(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, s := range sources(t) {
		place, ok := rooms[s.pkg]
		if !ok {
			t.Errorf("%s: package %s has no place in this test", s.path, s.pkg)
			continue
		}
		for _, spec := range s.file.Imports {
			name := strings.Trim(spec.Path.Value, `"`)
			if own, ok := strings.CutPrefix(name, module+"/"); ok {
				used[s.pkg+" "+own] = true
				if !slices.Contains(place.imports, own) && !slices.Contains(everywhere, own) {
					t.Errorf("%s imports %s, against the direction", s.path, own)
				}
			}
			if place.pure && slices.Contains(impure, name) {
				t.Errorf("%s imports %s, and %s is pure", s.path, name, s.pkg)
			}
			if may, ok := only[name]; ok && !slices.Contains(may, s.pkg) {
				t.Errorf("%s imports %s, which is for %v", s.path, name, may)
			}
			if strings.HasPrefix(path.Base(name), "util") {
				t.Errorf("%s imports %s: name a package by its concept", s.path, name)
			}
		}
	}
	for pkg, place := range rooms {
		for _, own := range place.imports {
			if !used[pkg+" "+own] {
				t.Errorf("%s may import %s, and does not: take the permission back", pkg, own)
			}
		}
	}
}

// Every expression that is compiled at its first use can be.
func TestLazyExpressionsCompile(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || selector.Sel.Name != "New" {
				return true
			}
			if from, ok := selector.X.(*ast.Ident); !ok || from.Name != "lazyregexp" {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: an expression that is put together is compiled where it is used, by regexp.MustCompile", s.path)
				return true
			}
			found++
			expr, err := strconv.Unquote(literal.Value)
			if err == nil {
				_, err = regexp.Compile(expr)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", s.path, literal.Value, err)
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("only %d expressions were found", found)
	}
}

// Nothing but apply writes to a service.
func TestOnlyApplyWrites(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch {
			case from.Name == "os" && slices.Contains(writes, selector.Sel.Name) && !slices.Contains(writers[s.pkg], selector.Sel.Name):
				t.Errorf("%s calls os.%s: only apply writes", s.path, selector.Sel.Name)
			case from.Name == "os" && selector.Sel.Name == "Exit" && s.pkg != "cmd/rustgen":
				t.Errorf("%s calls os.Exit: the exit code is decided in one place", s.path)
			case from.Name == "time" && selector.Sel.Name == "Now" && rooms[s.pkg].pure:
				t.Errorf("%s reads the clock, and %s is pure", s.path, s.pkg)
			}
			return true
		})
	}
}
