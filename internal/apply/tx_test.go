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
	got := tree.Tree{}
	err := filepath.WalkDir(root.Dir(), func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root.Dir(), p)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() {
			if entries, _ := os.ReadDir(p); len(entries) == 0 {
				got[rel+"/"] = tree.File{}
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := tree.File{Mode: tree.NormalMode(info.Mode())}
		if f.IsLink() {
			target, err := os.Readlink(p)
			f.Data = []byte(target)
			got[rel] = f
			return err
		}
		f.Data, err = os.ReadFile(p)
		got[rel] = f
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
		if _, err := Recover(calm(root)); err != nil {
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
		finished := false
		for again := 1; ; again += 7 {
			root := makeService(t)
			f := &faulty{FS: root, left: n, forever: true, reads: true, err: errors.New("killed")}
			_ = Transact(t.Context(), f, "test", changesOf(before, after))
			finished = !f.broken
			f = &faulty{FS: root, left: again, forever: true, reads: true, err: errors.New("killed")}
			_, _ = Recover(f)
			if _, err := Recover(calm(root)); err != nil {
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
		_, err := Recover(calm(root))
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
