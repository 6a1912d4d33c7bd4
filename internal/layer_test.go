package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// layer holds the crates of the server layer.
const layer = "../templates/hotpath/files/crates"

// TestTheLayersModulesImportWithoutACircle reads which modules of each crate name which others. A module names another by
// its own path, never through what the crate's root exports again, so that what is read here is what there is.
func TestTheLayersModulesImportWithoutACircle(t *testing.T) {
	crates, err := filepath.Glob(filepath.Join(layer, "hotpath*", "src"))
	if err != nil || len(crates) == 0 {
		t.Fatalf("no crate under %s: %v", layer, err)
	}
	for _, source := range crates {
		t.Run(filepath.Base(filepath.Dir(source)), func(t *testing.T) {
			imports := moduleImports(t, source)
			for module, others := range imports {
				for _, other := range others {
					if _, known := imports[other]; !known {
						t.Errorf("%s: %s names crate::%s, which is no module: import from the module that defines it", source, module, other)
					}
				}
			}
			if circle := findCircle(imports); circle != nil {
				t.Errorf("%s: the modules import each other in a circle: %s", source, strings.Join(circle, " -> "))
			}
		})
	}
}

func TestCratePathsAreRead(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{"use crate::env::Env;", "env"},
		{"use crate::{alloc, wire::{timeout, code_of}, env::Env};", "alloc wire env"},
		{"    let level = crate::target_cpu::LEVEL;", "target_cpu"},
		{"/// See [`run`](crate::run).\n//! crate::run\n// crate::run", ""},
		{"use super::Settings;\nuse hotpath_telemetry::Failure;", ""},
		{"use crate::Failure;", "Failure"},
		{"use crate::{\n    a::B,\n    c,\n};", "a c"},
	} {
		if got := strings.Join(cratePaths(test.source), " "); got != test.want {
			t.Errorf("%q: got %q, want %q", test.source, got, test.want)
		}
	}
}

func TestCirclesAreFound(t *testing.T) {
	for name, test := range map[string]struct {
		imports map[string][]string
		circle  bool
	}{
		"a line":               {map[string][]string{"a": {"b"}, "b": {"c"}, "c": nil}, false},
		"two ways to one":      {map[string][]string{"a": {"b", "c"}, "b": {"c"}, "c": nil}, false},
		"two that need each":   {map[string][]string{"a": {"b"}, "b": {"a"}}, true},
		"a circle behind some": {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if circle := findCircle(test.imports); (circle != nil) != test.circle {
				t.Errorf("got %v", circle)
			}
		})
	}
}

// moduleImports are the modules of the crate in source, and the modules of the same crate that each names. What lies in a
// folder belongs to the module of the folder's name. Unit tests may name what they like.
func moduleImports(t *testing.T, source string) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir(source, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".rs" {
			return err
		}
		inside, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		module := strings.TrimSuffix(strings.Split(filepath.ToSlash(inside), "/")[0], ".rs")
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if module == "lib" || module == "main" || filepath.Base(file) == "tests.rs" {
			return nil
		}
		shipped, _, _ := strings.Cut(string(text), "#[cfg(test)]\nmod tests {")
		imports[module] = append(imports[module], withoutSelf(module, cratePaths(shipped))...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

func withoutSelf(module string, others []string) []string {
	return slices.DeleteFunc(others, func(other string) bool { return other == module })
}

var (
	comment   = regexp.MustCompile(`(?m)//.*$`)
	crateItem = regexp.MustCompile(`\bcrate::(\{|[A-Za-z_][A-Za-z0-9_]*)`)
	firstName = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)`)
)

// cratePaths are the first names after each `crate::` in Rust source, comments left out.
func cratePaths(source string) []string {
	source = comment.ReplaceAllString(source, "")
	var names []string
	for _, at := range crateItem.FindAllStringSubmatchIndex(source, -1) {
		item := source[at[2]:at[3]]
		if item != "{" {
			names = append(names, item)
			continue
		}
		for _, part := range groupParts(source[at[3]:]) {
			if name := firstName.FindStringSubmatch(part); name != nil {
				names = append(names, name[1])
			}
		}
	}
	return names
}

// groupParts are what stands between the commas of a group, up to the brace that closes it; inner groups stay whole.
func groupParts(source string) []string {
	depth, begin := 0, 0
	var parts []string
	for at, char := range source {
		switch {
		case char == '{':
			depth++
		case char == '}' && depth == 0:
			return append(parts, source[begin:at])
		case char == '}':
			depth--
		case char == ',' && depth == 0:
			parts = append(parts, source[begin:at])
			begin = at + 1
		}
	}
	return parts
}

// findCircle is a way from a module back to itself, or nil.
func findCircle(imports map[string][]string) []string {
	done := map[string]bool{}
	var path []string
	var visit func(module string) []string
	visit = func(module string) []string {
		if at := slices.Index(path, module); at >= 0 {
			return append(slices.Clone(path[at:]), module)
		}
		if done[module] {
			return nil
		}
		path = append(path, module)
		for _, other := range imports[module] {
			if circle := visit(other); circle != nil {
				return circle
			}
		}
		path = path[:len(path)-1]
		done[module] = true
		return nil
	}
	modules := make([]string, 0, len(imports))
	for module := range imports {
		modules = append(modules, module)
	}
	slices.Sort(modules)
	for _, module := range modules {
		if circle := visit(module); circle != nil {
			return circle
		}
	}
	return nil
}
