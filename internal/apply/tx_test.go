package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rustgen/internal/tree"
)

func text(s string) *tree.File { return &tree.File{Mode: tree.ModeFile, Data: []byte(s)} }

// before and after are a service of every kind of change: edited, made executable, removed, created in new directories, a
// directory in a file's place and the other way round, links.
var (
	before = tree.Tree{
		"edited": *text("1"), "mode": *text("m"), "gone/deep/file": *text("g"), "becomes-dir": *text("f"),
		"becomes-file/inner": *text("i"), "link": {Mode: tree.ModeLink, Data: []byte("edited")}, "mine": *text("untouched"),
		".rustgen/answers.yaml": *text("old"),
	}
	after = tree.Tree{
		"edited": *text("2"), "mode": {Mode: tree.ModeExec, Data: []byte("m")}, "new/deep/file": *text("n"),
		"becomes-dir/inner": *text("d"), "becomes-file": *text("b"), "link": {Mode: tree.ModeLink, Data: []byte("mode")},
		"mine": *text("untouched"), "new-link": {Mode: tree.ModeLink, Data: []byte("mine")}, ".rustgen/answers.yaml": *text("new"),
	}
)

// anyPath is for services that are nobody's.
func anyPath(string) error { return nil }

func changesOf(from, to tree.Tree) []Change {
	var changes []Change
	seen := map[string]bool{}
	for _, t := range []tree.Tree{from, to} {
		for _, p := range t.Paths() {
			a, had := from[p]
			b, has := to[p]
			if seen[p] || had && has && a.Equal(b) {
				continue
			}
			seen[p] = true
			c := Change{Path: p}
			if had {
				c.Before = &a
			}
			if has {
				c.File = &b
			}
			changes = append(changes, c)
		}
	}
	return changes
}

func makeService(t *testing.T) Root {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "service")
	if err := Fresh(t.Context(), dir, before, nil); err != nil {
		t.Fatal(err)
	}
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// read is what a directory holds, empty directories too, which a half undone change would leave.
func read(t *testing.T, root Root) tree.Tree {
	t.Helper()
	got, err := tree.FromFS(os.DirFS(root.Dir()))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root.Dir(), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && p != root.Dir() {
			if entries, _ := os.ReadDir(p); len(entries) == 0 {
				rel, _ := filepath.Rel(root.Dir(), p)
				got[rel+"/"] = tree.File{}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTransact(t *testing.T) {
	t.Parallel()
	root := makeService(t)
	if err := Transact(t.Context(), root, "test", changesOf(before, after)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, root); !got.Equal(after) {
		t.Errorf("got %v", got.Paths())
	}
}

// TestTransactFaults has every single call fail, in every way, and looks for half trees.
func TestTransactFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name           string
		err            error
		forever, reads bool
	}{
		{"disk full once", syscall.ENOSPC, false, false},
		{"disk full", syscall.ENOSPC, true, false},
		{"I/O error", syscall.EIO, false, true},
		{"I/O errors", syscall.EIO, true, true},
		{"read-only", syscall.EROFS, false, false},
		{"killed", errors.New("killed"), true, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				root := makeService(t)
				f := &faulty{FS: root, left: n, forever: kind.forever, reads: kind.reads, err: kind.err}
				err := Transact(t.Context(), f, "test", changesOf(before, after))
				checkWhole(t, root, fmt.Sprintf("call %d", n), err)
				if !f.broken {
					if n < 20 {
						t.Fatalf("only %d calls were tried", n)
					}
					return
				}
			}
		})
	}
}

// checkWhole wants the old tree after an error and the new one after none; where the run says that it was cut off, the
// next one has to bring about either.
func checkWhole(t *testing.T, root Root, where string, err error) {
	t.Helper()
	var cut *CutOff
	_, leftover := os.Stat(filepath.Join(root.Dir(), txDir))
	if errors.As(err, &cut) || leftover == nil {
		if err == nil {
			t.Errorf("%s: no error, and yet something is left over", where)
		}
		if cut == nil {
			now := read(t, root)
			maps.DeleteFunc(now, func(p string, _ tree.File) bool { return strings.HasPrefix(p, txDir+"/") })
			if !now.Equal(before) {
				t.Errorf("%s: error %v says that nothing was changed, and the tree is %v", where, err, now.Paths())
			}
		}
		if _, err := Recover(calm(root), anyPath); err != nil {
			t.Fatalf("%s: recover: %v", where, err)
		}
		if got := read(t, root); !got.Equal(before) && !got.Equal(after) {
			t.Errorf("%s: half a tree after recovering: %v", where, got.Paths())
		}
		return
	}
	want, got := after, read(t, root)
	if err != nil {
		want = before
	} else {
		// A directory that became empty and cannot be removed is no reason to take all back.
		maps.DeleteFunc(got, func(p string, _ tree.File) bool { return strings.HasSuffix(p, "/") })
	}
	if !got.Equal(want) {
		t.Errorf("%s: error %v, and the tree is %v", where, err, got.Paths())
	}
}

// TestRecoverInterrupted kills the run, and then every recovery of it.
func TestRecoverInterrupted(t *testing.T) {
	t.Parallel()
	// Every pair of moments takes minutes: these steps have no common divisor with the length of an op.
	for n := 1; ; n += 5 {
		var finished bool
		for again := 1; ; again += 7 {
			root := makeService(t)
			f := &faulty{FS: root, left: n, forever: true, reads: true, err: errors.New("killed")}
			_ = Transact(t.Context(), f, "test", changesOf(before, after))
			finished = !f.broken
			f = &faulty{FS: root, left: again, forever: true, reads: true, err: errors.New("killed")}
			_, _ = Recover(f, anyPath)
			if _, err := Recover(calm(root), anyPath); err != nil {
				t.Fatalf("killed at %d and %d: %v", n, again, err)
			}
			if got := read(t, root); !got.Equal(before) && !got.Equal(after) {
				t.Fatalf("killed at %d and %d: half a tree: %v", n, again, got.Paths())
			}
			if !f.broken {
				break
			}
		}
		if finished {
			return
		}
	}
}

// TestTransactKeepsEdits leaves alone what somebody edited between planning and writing, and what somebody edited after
// a run was cut off.
func TestTransactKeepsEdits(t *testing.T) {
	t.Parallel()
	root := makeService(t)
	edit := func() {
		if err := os.WriteFile(filepath.Join(root.Dir(), "edited"), []byte("by hand"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	edit()
	var changed *Changed
	if err := Transact(t.Context(), root, "test", changesOf(before, after)); !errors.As(err, &changed) {
		t.Fatalf("got %v", err)
	}
	for n := 1; ; n++ {
		root = makeService(t)
		f := &faulty{FS: root, left: n, forever: true, reads: true, err: errors.New("killed")}
		_ = Transact(t.Context(), f, "test", changesOf(before, after))
		edit()
		_, err := Recover(calm(root), anyPath)
		if got := string(read(t, root)["edited"].Data); got != "by hand" {
			t.Fatalf("killed at %d: the edit became %q (%v)", n, got, err)
		}
		if !f.broken {
			return
		}
	}
}

func TestTransactStaysInside(t *testing.T) {
	t.Parallel()
	root := makeService(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root.Dir(), "out")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"out/file", "../file", "link/../../file"} {
		if err := Transact(t.Context(), root, "test", []Change{{Path: p, File: text("x")}}); err == nil {
			t.Errorf("%s was written", p)
		}
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Error("something was written outside")
	}
}

func TestTransactInterrupted(t *testing.T) {
	t.Parallel()
	root := makeService(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Transact(ctx, root, "test", changesOf(before, after)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if got := read(t, root); !got.Equal(before) {
		t.Error("something was written")
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); err == nil {
		t.Fatal("two runs hold one directory")
	}
	unlock()
	unlock, err = Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// hostile is a service with a .git, and a journal in it that came with the repository.
func hostile(t *testing.T, journal string, name string) Root {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "service")
	if err := Fresh(t.Context(), dir, tree.Tree{
		"src/main.rs": *text("mine"), "hooks": {Mode: tree.ModeLink, Data: []byte(".git/hooks")}, ".rustgen/answers.yaml": *text("old"),
		txDir + "/" + name: *text(journal), txDir + "/new/0": {Mode: tree.ModeExec, Data: []byte("#!/bin/sh\n")}, txDir + "/old/1": *text("theirs"),
	}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, ".git/hooks/empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// A repository that somebody else made may bring a journal along. One that rustgen cannot have written is refused whole,
// before a single change of it, in either direction.
func TestRecoverRefusesHostileJournals(t *testing.T) {
	t.Parallel()
	for name, journal := range map[string]string{
		"git's hooks":           `{"ops":[{"path":".git/hooks/pre-commit","after":"x"}]}`,
		"spelled otherwise":     `{"ops":[{"path":"sub/.GIT/config","after":"x"}]}`,
		"outside":               `{"ops":[{"path":"../x","after":"x"}]}`,
		"through a link":        `{"ops":[{"path":"hooks/pre-commit","after":"x"}]}`,
		"out of a link":         `{"ops":[{"path":"hooks/empty","before":"x"}]}`,
		"not rustgen's":         `{"ops":[{"path":".rustgen/tx/journal","after":"x"}]}`,
		"a directory":           `{"ops":[{"path":"src"}]}`,
		"a directory of git":    `{"ops":[],"dirs":[".git/hooks/empty"]}`,
		"the second of several": `{"ops":[{"path":"new","after":"x"},{"path":".git/config","after":"x"}]}`,
		"no journal":            `{`,
	} {
		for _, file := range []string{"journal", "journal.back"} {
			root := hostile(t, journal, file)
			was := read(t, root)
			_, err := Recover(calm(root), tree.CheckPath)
			var damaged *Damaged
			if !errors.As(err, &damaged) {
				t.Errorf("%s in %s: got %v", name, file, err)
			}
			if got := read(t, root); !got.Equal(was) {
				t.Errorf("%s in %s: the service changed: %v", name, file, got.Paths())
			}
		}
	}
}

// A link that a journal says is removed first, and is not, is not written through either.
func TestRecoverStaysOutOfLinks(t *testing.T) {
	t.Parallel()
	root := hostile(t, `{"ops":[{"path":"hooks/pre-commit","after":"x"},{"path":"hooks","before":"x"}]}`, "journal")
	_, err := Recover(calm(root), tree.CheckPath)
	if entries, _ := os.ReadDir(filepath.Join(root.Dir(), ".git/hooks")); len(entries) != 1 {
		t.Errorf("something was written into .git/hooks (%v)", err)
	}
}

// The directories of a transaction are not entered where they are links.
func TestRecoverEntersNoLinks(t *testing.T) {
	t.Parallel()
	for _, at := range []string{txDir, txDir + "/new", txDir + "/old"} {
		root := hostile(t, `{"ops":[{"path":"new","after":"x"}]}`, "journal")
		if err := root.RemoveAll(at); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(strings.Repeat("../", strings.Count(at, "/")), ".git/hooks"), filepath.Join(root.Dir(), at)); err != nil {
			t.Fatal(err)
		}
		was := read(t, root)
		var damaged *Damaged
		if _, err := Recover(calm(root), tree.CheckPath); !errors.As(err, &damaged) {
			t.Errorf("%s: got %v", at, err)
		}
		if got := read(t, root); !got.Equal(was) {
			t.Errorf("%s: the service changed: %v", at, got.Paths())
		}
	}
}

// Whatever a journal says, what lies outside, git's own directory and the links stay as they are.
func FuzzRecover(f *testing.F) {
	sum := digestOf(&tree.File{Mode: tree.ModeExec, Data: []byte("#!/bin/sh\n")})
	for _, journal := range []string{
		`{"what":"x","ops":[{"path":"new","after":"` + sum + `"}],"dirs":["a"]}`,
		`{"ops":[{"path":".git/hooks/pre-commit","after":"` + sum + `"}]}`,
		`{"ops":[{"path":"hooks/pre-commit","after":"` + sum + `"},{"path":"hooks","before":"x"}]}`,
		`{"ops":[{"path":"../x","after":"` + sum + `"}],"dirs":["..",".git"]}`,
		`{"ops":[{"path":"src/main.rs","before":"` + digestOf(text("mine")) + `"}]}`,
		`{"ops":[{"path":"src","after":"` + sum + `"},{"path":"src/main.rs","before":"` + digestOf(text("mine")) + `"}]}`,
		`{`, `null`, `{"ops":null}`,
	} {
		f.Add(journal, true)
		f.Add(journal, false)
	}
	f.Fuzz(func(t *testing.T, journal string, back bool) {
		name := "journal"
		if back {
			name = "journal.back"
		}
		root := hostile(t, journal, name)
		around := filepath.Dir(root.Dir())
		_, _ = Recover(calm(root), tree.CheckPath)
		if entries, err := os.ReadDir(around); err != nil || len(entries) != 1 {
			t.Fatalf("beside the service there is %v, %v", entries, err)
		}
		if entries, err := os.ReadDir(filepath.Join(root.Dir(), ".git/hooks")); err != nil || len(entries) != 1 || entries[0].Name() != "empty" {
			t.Fatalf(".git/hooks holds %v, %v", entries, err)
		}
	})
}
