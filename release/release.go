package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"rustgen/internal/merge"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
)

const suffix = ".tar.gz"

// released is a version of a set that was released.
type released struct {
	Version *semver.Version
	// Files is the set as it was, with template.yaml and all.
	Files tree.Tree
}

// keptReleases reads the releases of a set in dir, oldest first.
func keptReleases(dir, name string) ([]released, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept []released
	for _, e := range entries {
		text, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), suffix), name+"-")
		version, err := semver.StrictNewVersion(text)
		if !ok || err != nil {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		files, err := tree.FromArchive(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		kept = append(kept, released{version, files})
	}
	slices.SortFunc(kept, func(a, b released) int { return a.Version.Compare(b.Version) })
	return kept, nil
}

// read reads a set's directory as it is to be kept.
func read(fsys fs.FS) (tree.Tree, error) {
	t := tree.Tree{}
	err := fs.WalkDir(fsys, ".", func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			target, err := fs.ReadLink(fsys, p)
			t[p] = tree.File{Mode: tree.ModeLink, Data: []byte(target)}
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		data, err := fs.ReadFile(fsys, p)
		t[p] = tree.File{Mode: tree.NormalMode(info.Mode()), Data: data}
		return err
	})
	return t, err
}

// check lists what keeps a set from being released after its earlier releases: a version that was not raised, a missing
// section of the changelog, files that moved without a record. A set that is as its last release is fine.
func check(ctx context.Context, set *templateset.Set, files tree.Tree, kept []released) ([]string, error) {
	version, err := semver.StrictNewVersion(set.Version)
	if err != nil {
		return nil, err
	}
	var findings []string
	if !hasSection(set.Changelog, set.Version) {
		findings = append(findings, fmt.Sprintf("CHANGELOG.md has no section \"## %s\"", set.Version))
	}
	if len(kept) == 0 {
		return findings, nil
	}
	last := kept[len(kept)-1]
	if last.Files.Equal(files) {
		return findings, nil
	}
	if !version.GreaterThan(last.Version) {
		findings = append(findings, fmt.Sprintf("the set differs from its release %s, and its version is %s: raise it", last.Version, version))
	}
	moved, err := merge.Renames(ctx, paths(last.Files), paths(files))
	if err != nil {
		return nil, err
	}
	recorded := map[string]templateset.Rename{}
	for _, r := range set.Renames {
		recorded[r.From] = r
	}
	now := paths(files)
	for _, from := range slices.Sorted(maps.Keys(moved)) {
		if r, ok := recorded[from]; !ok || r.To != moved[from] {
			findings = append(findings, fmt.Sprintf("%s moved to %s: record it, {from: %s, to: %s, since: %s}", from, moved[from], from, moved[from], version))
		}
	}
	for _, r := range set.Renames {
		since, err := semver.StrictNewVersion(r.Since)
		if err == nil && since.GreaterThan(version) {
			findings = append(findings, fmt.Sprintf("renames: %s: since %s is after %s", r.From, r.Since, version))
		}
		if _, ok := now[r.To]; !ok && recorded[r.To].To == "" {
			findings = append(findings, fmt.Sprintf("renames: there is no file %s", r.To))
		}
	}
	return findings, nil
}

// paths are the set's files by the paths that they render to, as far as these hold no expression.
func paths(files tree.Tree) tree.Tree {
	t := tree.Tree{}
	for p, f := range files {
		if below, ok := strings.CutPrefix(p, "files/"); ok {
			t[strings.TrimSuffix(below, ".tmpl")] = f
		}
	}
	return t
}

func hasSection(changelog, version string) bool {
	for line := range strings.Lines(changelog) {
		title, ok := strings.CutPrefix(strings.TrimSpace(line), "## ")
		word, _, _ := strings.Cut(title, " ")
		if ok && strings.Trim(word, "[]") == version {
			return true
		}
	}
	return false
}

// keep writes the release of a set into dir. A version is kept once.
func keep(dir string, set *templateset.Set, files tree.Tree) (string, error) {
	data, err := files.Archive()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	at := filepath.Join(dir, set.Name+"-"+set.Version+suffix)
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	return at, errors.Join(err, f.Close())
}
