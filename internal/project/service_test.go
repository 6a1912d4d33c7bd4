package project_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/afero"

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
	value := decision.RawText("yes: it's \"quoted\"")
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
	if !s.Base.Equal(written) || s.Conflicts != nil || s.Record.Decisions["name"].Value.String() != "yes: it's \"quoted\"" {
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

// A record comes with a repository: what no rustgen has recorded is refused, though its checksum is right.
func TestDecodeRefusesWhatNobodyRecorded(t *testing.T) {
	t.Parallel()
	value := func(text string) map[string]decision.Recorded {
		return map[string]decision.Recorded{"name": {Value: decision.RawText(text), Origin: decision.Chosen}}
	}
	good := func() *project.Record {
		return &project.Record{Template: "small", Version: "1.0.0", Extends: "hotpath 1.7.0", Source: "https://example.com/set@v1",
			Rooms: []string{"crates/**"}, Decisions: value("x")}
	}
	for what, c := range map[string]struct {
		edit func(*project.Record)
		want string
	}{
		"a template that writes":      {func(r *project.Record) { r.Template = "a\x1b]0;x\a" }, `template "a\x1b]0;x\a" is not the name of a template set`},
		"a version that writes":       {func(r *project.Record) { r.Version = "1.7.0\x1b[2K" }, `version "1.7.0\x1b[2K" is not a semantic version`},
		"a version of several lines":  {func(r *project.Record) { r.Version = "1.6.0\n======= x" }, `version "1.6.0\n======= x" is not a semantic version`},
		"an extended set that writes": {func(r *project.Record) { r.Extends = "hotpath 1.7.0\u202e" }, `extends "1.7.0\u202e" is not a semantic version`},
		"an extended set alone":       {func(r *project.Record) { r.Extends = "hotpath" }, "does not name a template set and its version"},
		"a directory":                 {func(r *project.Record) { r.Source = "../../x" }, `source "../../x" is not a git URL`},
		"a source that writes":        {func(r *project.Record) { r.Source = "https://example.com/\x1b[2K" }, "is not a git URL"},
		"a commit that writes":        {func(r *project.Record) { r.Commit = "\x1b[2K" }, `commit "\x1b[2K" is not the name of a commit`},
		"an owned file outside":       {func(r *project.Record) { r.Owned = []string{"../x"} }, "owned: "},
		"a room without end":          {func(r *project.Record) { r.Rooms = []string{strings.Repeat("{,,,}", 20) + "Q"} }, "rooms: pattern"},
		"too many rooms":              {func(r *project.Record) { r.Rooms = slices.Repeat([]string{"a"}, 1001) }, "more than 1000 rooms"},
		"a value that writes":         {func(r *project.Record) { r.Decisions = value("\x1b[31mred") }, `decision name: the value "\x1b[31mred" has a character that is not printed`},
		"a decision that writes":      {func(r *project.Record) { r.Decisions["a\rb"] = r.Decisions["name"] }, `decision "a\rb" is not kebab-case`},
	} {
		r := good()
		c.edit(r)
		data, err := r.Encode(slices.Collect(maps.Keys(r.Decisions)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := project.Decode(data); err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x1b\n\r") {
			t.Errorf("%s gives %v", what, err)
		}
	}
	data, err := good().Encode([]string{"name"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := project.Decode(data); err != nil {
		t.Errorf("a good one gives %v", err)
	}
}

func TestReadConflictsRefusesWhatNoUpgradeLeft(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"from: 1.0.0\nto: 1.1.0\nconflicts: [{path: a.txt, kind: both-added}]\n":       "",
		"from: 1.0.0\nto: 1.1.0\nconflicts: [{path: ../../etc/passwd, kind: content}]": "clean relative path",
		"from: 1.0.0\nto: 1.1.0\nconflicts: [{path: \"a\\e[2K\", kind: content}]":      "control character",
		"from: 1.0.0\nto: 1.1.0\nconflicts: [{path: a, kind: \"\\e[2K\"}]":             `"\x1b[2K" is no kind of conflict`,
		"from: \"1\\a\"\nto: 1.1.0\n":                                                  "is not a semantic version",
		"- a":                                                                          "cannot unmarshal",
	} {
		m, _, _ := record(t)
		if err := afero.WriteFile(m, project.ConflictsPath, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := project.ReadConflicts(m)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %s", text, err, want)
		} else if err != nil && strings.ContainsAny(err.Error(), "\x1b\a\n") {
			t.Errorf("%q gives %q", text, err)
		}
	}
}

// What git's index held comes back through git update-index, which takes any path.
func TestUndoRefusesHostileEntries(t *testing.T) {
	t.Parallel()
	object := strings.Repeat("a", 40)
	for entry, good := range map[string]bool{
		"100644 " + object + " 0\tsrc/main.rs":              true,
		"100644 " + object + " 0\t../outside":               false,
		"100644 " + object + " 0\ta\x00100644 b 0\toutside": false,
		"160000 " + object + " 0\tmodule":                   false,
		"100644 x 0\ta":                                     false,
		"":                                                  false,
	} {
		m, _, _ := record(t)
		u := &project.Undo{From: "1.0.0", To: "1.1.0", After: map[string]string{}, Before: tree.Tree{}, Index: []string{entry}}
		f, err := u.File()
		if err != nil {
			t.Fatal(err)
		}
		if err := afero.WriteFile(m, project.UndoPath, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := project.ReadUndo(m); (err == nil) != good {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

// A file of the record is read as far as rustgen could have written it.
func TestOwnFilesAreBounded(t *testing.T) {
	t.Parallel()
	m, _, _ := record(t)
	if err := afero.WriteFile(m, project.AnswersPath, make([]byte, 1<<20+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := project.Load(m); err == nil || err.Error() != ".rustgen/answers.yaml: it is larger than 1 MiB" {
		t.Errorf("a large record gives %v", err)
	}
}

// Whatever answers.yaml holds, it is refused, or a record that says the same when it is written again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("template: a\nversion: 1.0.0\ndecisions: {a: {value: 1, from: chosen}}\nsnapshot: x\nchecksum: y\n"))
	f.Add([]byte("template: a\nversion: 1.0.0\nextends: b 1.0.0\nsource: https://a/b@v1\nrooms: ['a/**']\ndecisions: {a: {value: [1, b], from: default}}\nsnapshot: x\nchecksum: y\n"))
	f.Add([]byte("decisions: *a"))
	f.Add([]byte("template: a\nversion: \"1.0.0\\e[2K\"\ndecisions: {a: {value: &x [*x], from: chosen}}\n"))
	f.Add([]byte("template: a\nversion: 1.0.0\nrooms: ['{,,,}{,,,}{,,,}{,,,}']\ndecisions: {a: {value: 1, from: locked}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := memory{afero.NewMemMapFs()}
		if err := afero.WriteFile(m, project.AnswersPath, data, 0o644); err != nil {
			t.Fatal(err)
		}
		// What is damaged is decoded, too: restore goes by it.
		r, _, _, err := project.Salvage(m)
		if err != nil {
			return
		}
		for _, text := range []string{r.Template, r.Version, r.Extends, r.Source} {
			if strings.ContainsFunc(text, unicode.IsControl) {
				t.Fatalf("%q is taken", text)
			}
		}
		again, err := r.Encode(slices.Sorted(maps.Keys(r.Decisions)))
		if err != nil {
			return
		}
		back, err := project.Decode(again)
		if err != nil || !back.Same(r) {
			t.Fatalf("it does not come back: %v\n%s", err, again)
		}
	})
}

// Whatever lies in the undo record, it is refused, or changes nothing but files that a template may write.
func FuzzUndo(f *testing.F) {
	f.Add([]byte(`{"from":"1.0.0","to":"1.1.0","created":["a"],"after":{"a":"0:sha256:x","b":""},"index":["100644 `+strings.Repeat("a", 40)+` 2\ta"],"links":{"b":"/etc"}}`), []byte("x"))
	f.Add([]byte(`{"from":"1.0.0","to":"1.1.0","after":{".git/hooks/pre-commit":""},"links":{".git/hooks/pre-commit":"../../hook"}}`), []byte("x"))
	f.Add([]byte(`{"links":{"a":"b"},"after":{"a/b":""}}`), []byte{})
	f.Fuzz(func(t *testing.T, manifest, file []byte) {
		archive, err := tree.Tree{"undo.json": {Mode: tree.ModeFile, Data: manifest}, "files/a.txt": {Mode: tree.ModeFile, Data: file}}.Archive()
		if err != nil {
			t.Fatal(err)
		}
		m := memory{afero.NewMemMapFs()}
		if err := afero.WriteFile(m, project.UndoPath, archive, 0o644); err != nil {
			t.Fatal(err)
		}
		u, err := project.ReadUndo(m)
		if err != nil {
			return
		}
		for _, p := range slices.Concat(u.Paths(), u.Before.Paths(), u.Created) {
			if err := project.CheckPath(p); err != nil {
				t.Fatal(err)
			}
		}
		for _, entry := range u.Index {
			if strings.ContainsAny(entry, "\x00\n") {
				t.Fatalf("%q is taken", entry)
			}
		}
	})
}
