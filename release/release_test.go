package main

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"rustgen/internal/templateset"
	"rustgen/internal/tree"
	"rustgen/templates"
)

const long = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"

func makeSet(t *testing.T, files map[string]string) (*templateset.Set, tree.Tree) {
	t.Helper()
	fsys := fstest.MapFS{}
	for p, text := range files {
		fsys[p] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	s, err := templateset.Load(fsys, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	read, err := read(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return s, read
}

func TestCheck(t *testing.T) {
	t.Parallel()
	first, files := makeSet(t, map[string]string{
		"template.yaml": "name: small\nversion: 1.0.0\n", "CHANGELOG.md": "## 1.0.0\n\nFirst.\n", "files/old.rs.tmpl": long,
	})
	dir := t.TempDir()
	if _, err := keep(dir, first, files); err != nil {
		t.Fatal(err)
	}
	if _, err := keep(dir, first, files); err == nil {
		t.Error("a release was kept twice")
	}
	kept, err := keptReleases(dir, "small")
	if err != nil || len(kept) != 1 || !kept[0].Files.Equal(files) {
		t.Fatalf("kept %v, %v", kept, err)
	}
	renames := "renames: [{from: old.rs, to: new.rs, since: 1.1.0}]\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"as released": {map[string]string{
			"template.yaml": "name: small\nversion: 1.0.0\n", "CHANGELOG.md": "## 1.0.0\n\nFirst.\n", "files/old.rs.tmpl": long}, ""},
		"ready": {map[string]string{
			"template.yaml": "name: small\nversion: 1.1.0\n" + renames, "CHANGELOG.md": "## [1.1.0] - 2026-01-01\n", "files/new.rs": long}, ""},
		"version": {map[string]string{
			"template.yaml": "name: small\nversion: 1.0.0\n", "CHANGELOG.md": "## 1.0.0\n", "files/old.rs": long}, "raise it"},
		"changelog": {map[string]string{
			"template.yaml": "name: small\nversion: 1.1.0\n", "CHANGELOG.md": "## 1.0.0\n", "files/old.rs": long}, `no section "## 1.1.0"`},
		"rename": {map[string]string{
			"template.yaml": "name: small\nversion: 1.1.0\n", "CHANGELOG.md": "## 1.1.0\n", "files/new.rs": long},
			"old.rs moved to new.rs: record it, {from: old.rs, to: new.rs, since: 1.1.0}"},
		"rename to nowhere": {map[string]string{
			"template.yaml": "name: small\nversion: 1.1.0\n" + renames, "CHANGELOG.md": "## 1.1.0\n", "files/other.rs": "x\n"}, "there is no file new.rs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, files := makeSet(t, c.files)
			findings, err := check(t.Context(), s, files, kept)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(findings, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// The embedded set is as its last release, or ready for the next one but for its number: a released version never
// changes.
func TestEmbeddedSet(t *testing.T) {
	t.Parallel()
	kept, err := keptReleases("../templates/releases", templates.Default)
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := fs.Sub(os.DirFS("../templates"), templates.Default)
	if err != nil {
		t.Fatal(err)
	}
	s, err := templateset.Load(fsys, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := read(fsys)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := check(t.Context(), s, files, kept)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) > 0 {
		t.Errorf("go run ./release -check: %s", strings.Join(findings, "; "))
	}
}
