package project_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/spf13/afero"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/project"
	"rustgen/internal/tree"
)

// memory is a file system of values; the record needs no links.
type memory struct{ afero.Fs }

func (memory) SymlinkIfPossible(string, string) error { return errors.ErrUnsupported }

func (memory) ReadlinkIfPossible(string) (string, error) { return "", errors.ErrUnsupported }

func (m memory) LstatIfPossible(name string) (info os.FileInfo, lstat bool, err error) {
	info, err = m.Stat(name)
	return info, true, err
}

func record(t *testing.T) (memory, tree.Tree, tree.Tree) {
	t.Helper()
	written := tree.Tree{"src/main.rs": {Mode: tree.ModeFile, Data: []byte("fn main() {}\n")}, "run.sh": {Mode: tree.ModeExec, Data: []byte("true\n")}}
	value := yaml.Node{}
	value.SetString("yes: it's \"quoted\"")
	r := &project.Record{Template: "small", Version: "1.0.0", Rooms: []string{"crates/**"}, Decisions: map[string]decision.Recorded{
		"name": {Value: value, Origin: decision.Chosen},
	}}
	files, err := r.Files([]string{"name"}, written)
	if err != nil {
		t.Fatal(err)
	}
	m := memory{afero.NewMemMapFs()}
	for p, f := range files {
		if err := afero.WriteFile(m, p, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m, files, written
}

func TestLoad(t *testing.T) {
	t.Parallel()
	m, _, written := record(t)
	s, err := project.Load(m)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Base.Equal(written) || s.Conflicts != nil || s.Record.Decisions["name"].Value.Value != "yes: it's \"quoted\"" {
		t.Errorf("loaded %+v", s)
	}
}

// No byte of the record can be another without being noticed.
func TestLoadNoticesEveryByte(t *testing.T) {
	t.Parallel()
	m, files, _ := record(t)
	for _, p := range []string{project.AnswersPath, project.SnapshotPath} {
		good := files[p].Data
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 0x04
			if err := afero.WriteFile(m, p, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := project.Load(m); err == nil {
				t.Fatalf("%s: byte %d of %d was changed unnoticed", p, i, len(good))
			}
		}
		for _, bad := range [][]byte{nil, good[:len(good)/2], append(bytes.Clone(good), '\n')} {
			if err := afero.WriteFile(m, p, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := project.Load(m); err == nil {
				t.Fatalf("%s: %d bytes instead of %d were taken", p, len(bad), len(good))
			}
		}
		if err := afero.WriteFile(m, p, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConflictsMarked(t *testing.T) {
	t.Parallel()
	m, _, _ := record(t)
	c := &project.Conflicts{From: "1.0.0", To: "1.1.0"}
	at := project.ConflictPath{Path: "a.txt", Kind: "content", Marked: true}
	for text, want := range map[string]bool{
		"a\n":                                 false,
		"<<<<<<< yours\n":                     true,
		"<<<<<<< yours:src/old name.rs\r\n":   true,
		"a ||||||| base 1.0.0\n":              false,
		">>>>>>> template 1.1.0\n":            true,
		">>>>>>> template 0.9.0\n":            true,
		"<<<<<<< HEAD\n":                      true,
		"<<<<<<< ours\n":                      true,
		"=======\n":                           false,
		"yours\n=======\ntemplate 1.1.0\n":    false,
		"<< yours\n":                          false,
		"a\nb\n<<<<<<< yours and more text\n": true,
	} {
		if err := afero.WriteFile(m, "a.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Marked(m, at); err != nil || got != want {
			t.Errorf("%q: marked %v, %v", text, got, err)
		}
	}
	if got, err := c.Marked(m, project.ConflictPath{Path: "gone.txt", Marked: true}); err != nil || got {
		t.Errorf("a file that is gone is marked: %v, %v", got, err)
	}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	m, _, _ := record(t)
	old := tree.File{Mode: tree.ModeExec, Data: []byte("old")}
	link := tree.File{Mode: tree.ModeLink, Data: []byte("/anywhere")}
	now := tree.File{Mode: tree.ModeFile, Data: []byte("new")}
	u := &project.Undo{From: "1.0.0", To: "1.1.0", After: map[string]string{}, Before: tree.Tree{}}
	u.Note("changed", &old, &now)
	u.Note("created", nil, &now)
	u.Note("removed", &link, nil)
	f, err := u.File()
	if err != nil {
		t.Fatal(err)
	}
	if err := afero.WriteFile(m, project.UndoPath, f.Data, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := project.ReadUndo(m)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Before.Equal(tree.Tree{"changed": old, "removed": link}) || len(got.Created) != 1 || len(got.Paths()) != 3 {
		t.Errorf("read %+v", got)
	}
	after := tree.Tree{"changed": now, "created": old}
	for p, want := range map[string]bool{"changed": true, "created": false, "removed": true} {
		if got.AsWritten(p, after) != want {
			t.Errorf("%s: as written is not %v", p, want)
		}
	}
}

// An undo record may come with a repository that somebody else made. One that no upgrade has written is refused.
func TestUndoRefusesHostilePaths(t *testing.T) {
	t.Parallel()
	file := &tree.File{Mode: tree.ModeExec, Data: []byte("#!/bin/sh\n")}
	link := &tree.File{Mode: tree.ModeLink, Data: []byte(".git/hooks")}
	for name, note := range map[string]func(*project.Undo){
		"a link in .git":        func(u *project.Undo) { u.Note(".git/hooks/pre-commit", link, nil) },
		"a link in .rustgen":    func(u *project.Undo) { u.Note(".rustgen/tx", link, nil) },
		"a file in .rustgen":    func(u *project.Undo) { u.Note(".rustgen/tx/journal", file, nil) },
		"removed from .git":     func(u *project.Undo) { u.Note(".git/config", nil, file) },
		"removed outside":       func(u *project.Undo) { u.Note("../config", nil, file) },
		"created in .git":       func(u *project.Undo) { u.Created = append(u.Created, ".git/config") },
		"a file behind a link":  func(u *project.Undo) { u.Note("hooks", link, nil); u.Note("hooks/pre-commit", file, nil) },
		"a link behind another": func(u *project.Undo) { u.Note("hooks", link, nil); u.Note("hooks/a/b", link, nil) },
	} {
		m, _, _ := record(t)
		u := &project.Undo{From: "1.0.0", To: "1.1.0", After: map[string]string{}, Before: tree.Tree{}}
		note(u)
		f, err := u.File()
		if err != nil {
			t.Fatal(err)
		}
		if err := afero.WriteFile(m, project.UndoPath, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := project.ReadUndo(m); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for p, good := range map[string]bool{
		"src/main.rs": true, project.AnswersPath: true, project.UndoPath: true, ".rustgen/.gitignore": true,
		".rustgen/tx/journal": false, ".RUSTGEN/answers.yaml": false, ".git/config": false, "../x": false, "": false,
	} {
		if err := project.CheckPath(p); (err == nil) != good {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("template: a\nversion: 1.0.0\ndecisions: {a: {value: 1, from: chosen}}\nsnapshot: x\nchecksum: y\n"))
	f.Add([]byte("decisions: *a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := project.Decode(data); err == nil && r.Template == "" {
			t.Error("a record of no template was taken")
		}
	})
}
