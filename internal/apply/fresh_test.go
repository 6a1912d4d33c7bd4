package apply

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rustgen/internal/tree"
)

func sample() tree.Tree {
	return tree.Tree{
		"a":       {Mode: tree.ModeFile, Data: []byte("a")},
		"b/c":     {Mode: tree.ModeExec, Data: []byte("c")},
		"b/d/e":   {Mode: tree.ModeFile, Data: []byte("e")},
		"l":       {Mode: tree.ModeLink, Data: []byte("b/c")},
		".github": {Mode: tree.ModeFile},
	}
}

// names lists all that is below a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if p != dir {
			name, _ := filepath.Rel(dir, p)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

const whole = ".github a b b/c b/d b/d/e l"

func TestFresh(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	var stagedAt string
	err := Fresh(context.Background(), filepath.Join(top, "x", "y"), sample(), func(_ context.Context, staged string) error {
		stagedAt = staged
		if got := names(t, staged); got != whole {
			t.Errorf("staged %s", got)
		}
		if _, err := os.Lstat(filepath.Join(top, "x", "y")); err == nil {
			t.Error("the target is there before it is whole")
		}
		return nil
	})
	if err != nil || stagedAt == "" {
		t.Fatal(err)
	}
	if got := names(t, filepath.Join(top, "x")); got != "y "+strings.ReplaceAll("y/"+whole, " ", " y/") {
		t.Errorf("there is %s", got)
	}
}

// A run that fails, is cancelled, or finds something in the way leaves nothing: no parents, no staging.
func TestFreshFailing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	bad := sample()
	bad["b/c/under"] = tree.File{Mode: tree.ModeFile}
	for what, run := range map[string]func(dir string) error{
		"finish fails": func(dir string) error {
			return Fresh(context.Background(), dir, sample(), func(context.Context, string) error { return broken })
		},
		"cancelled": func(dir string) error { return Fresh(cancelled, dir, sample(), nil) },
		"cancelled in finish": func(dir string) error {
			ctx, cancel := context.WithCancel(context.Background())
			return Fresh(ctx, dir, sample(), func(context.Context, string) error { cancel(); return nil })
		},
		"a tree that cannot stand": func(dir string) error { return Fresh(context.Background(), dir, bad, nil) },
	} {
		top := t.TempDir()
		if err := run(filepath.Join(top, "x", "y", "z")); err == nil {
			t.Errorf("%s: no error", what)
		}
		if got := names(t, top); got != "" {
			t.Errorf("%s: left behind: %s", what, got)
		}
	}
	top := t.TempDir()
	if err := os.WriteFile(filepath.Join(top, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Fresh(context.Background(), filepath.Join(top, "x"), sample(), nil); err == nil {
		t.Error("it replaced a file")
	}
	if err := Fresh(context.Background(), filepath.Join(top, "x", "y"), sample(), nil); err == nil {
		t.Error("it made a directory below a file")
	}
	if got := names(t, top); got != "x" {
		t.Errorf("there is %s", got)
	}
}

// Two runs for one directory do not mix; one that was killed is cleared away.
func TestFreshClaims(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir := filepath.Join(top, "x")
	err := Fresh(context.Background(), dir, sample(), func(context.Context, string) error {
		if err := Fresh(context.Background(), dir, sample(), nil); err == nil || !strings.Contains(err.Error(), "another rustgen is writing") {
			t.Errorf("a second run at the same time gives %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(top, ".y.rustgen-new", "12345", "half")
	if err := os.MkdirAll(killed, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Fresh(context.Background(), filepath.Join(top, "y"), sample(), nil); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(top); len(entries) != 2 {
		t.Errorf("there is %s", names(t, top))
	}
}

// Into fills a directory that has other things in it, and takes back what it moved where something is in the way.
func TestInto(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, p := range []string{"b/mine", ".git/HEAD"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := names(t, dir)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Into(cancelled, dir, sample(), nil); err == nil || names(t, dir) != before {
		t.Errorf("cancelled (%v) it leaves %s", err, names(t, dir))
	}
	clash := sample()
	clash["z"] = tree.File{Mode: tree.ModeFile, Data: []byte("theirs")}
	if err := os.WriteFile(filepath.Join(dir, "z"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Into(context.Background(), dir, clash, nil); err == nil || !strings.Contains(err.Error(), "z is in the way") {
		t.Errorf("a file in the way gives %v", err)
	}
	if got := names(t, dir); got != before+" z" {
		t.Errorf("it leaves %s", got)
	}
	if err := Into(context.Background(), dir, sample(), nil); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != ".git .git/HEAD .github a b b/c b/d b/d/e b/mine l z" {
		t.Errorf("there is %s", got)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "z")); string(data) != "mine" {
		t.Error("it wrote over a file")
	}
}

// What a killed Into had begun to move out, Resume completes; what it had only staged goes.
func TestResume(t *testing.T) {
	t.Parallel()
	for _, moved := range [][]string{nil, {"a"}, {"a", "l", ".github"}, {"b"}, {"a", "b", "l", ".github"}} {
		dir := t.TempDir()
		root, err := OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := root.Mkdir(Staging, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := write(context.Background(), root, Staging+"/"+placing, sample()); err != nil {
			t.Fatal(err)
		}
		for _, name := range moved {
			if err := root.Rename(Staging+"/"+placing+"/"+name, name); err != nil {
				t.Fatal(err)
			}
		}
		if done, err := Resume(dir, tree.CheckPath); err != nil || !done {
			t.Errorf("after %v: %v, %v", moved, done, err)
		}
		if got := names(t, dir); got != whole {
			t.Errorf("after %v there is %s", moved, got)
		}
		if done, err := Resume(dir, tree.CheckPath); err != nil || done {
			t.Errorf("a second time: %v, %v", done, err)
		}
		if err := root.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, Staging, "12345", "half"), 0o755); err != nil {
		t.Fatal(err)
	}
	if done, err := Resume(dir, tree.CheckPath); err != nil || done {
		t.Errorf("of what was only staged: %v, %v", done, err)
	}
	if err := Into(context.Background(), dir, sample(), nil); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != whole {
		t.Errorf("there is %s", got)
	}
}

// Neither what a killed run has staged nor what it was placing is looked for behind a link.
func TestStagingIsNoLink(t *testing.T) {
	t.Parallel()
	for link, target := range map[string]string{Staging: ".git", Staging + "/" + placing: "../.git/" + placing} {
		dir := t.TempDir()
		for _, p := range []string{".git/" + placing + "/a", filepath.Dir(link)} {
			if err := os.MkdirAll(filepath.Join(dir, p), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skipf("links cannot be made: %v", err)
		}
		was := names(t, dir)
		if done, err := Resume(dir, tree.CheckPath); err == nil || done {
			t.Errorf("%s: resumed: %v, %v", link, done, err)
		}
		if link == Staging {
			if err := Into(context.Background(), dir, sample(), nil); err == nil {
				t.Error("a service was staged behind a link")
			}
		}
		if got := names(t, dir); got != was {
			t.Errorf("%s: from %s to %s", link, was, got)
		}
	}
}

// No path and no link leads a write out of the directory.
func TestWritesStayInside(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	inside, outside := filepath.Join(top, "in"), filepath.Join(top, "out")
	for _, dir := range []string{inside, outside} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(inside, "link")); err != nil {
		t.Skipf("links cannot be made: %v", err)
	}
	root, err := OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, p := range []string{"../out/x", "link/x", "/x", "a/../../out/x"} {
		if err := write(context.Background(), root, ".", tree.Tree{p: {Mode: tree.ModeFile}}); err == nil && p != "/x" {
			t.Errorf("%s was written", p)
		}
	}
	if got := names(t, outside); got != "" {
		t.Errorf("outside there is %s", got)
	}
}

// What is being placed may have come with a repository or an archive of somebody else's.
func TestResumeRefusesWhatIntoDidNotLeave(t *testing.T) {
	t.Parallel()
	for what, plant := range map[string]func(dir, placed string) error{
		"a hook of the repository": func(dir, placed string) error {
			return errors.Join(os.MkdirAll(filepath.Join(dir, ".git/hooks"), 0o755), os.MkdirAll(filepath.Join(placed, ".git/hooks"), 0o755),
				os.WriteFile(filepath.Join(placed, ".git/hooks/pre-commit"), []byte("#!/bin/sh\n"), 0o755))
		},
		"a hook of a repository below": func(_, placed string) error {
			return errors.Join(os.MkdirAll(filepath.Join(placed, "a/.git/hooks"), 0o755),
				os.WriteFile(filepath.Join(placed, "a/.git/hooks/pre-commit"), []byte("#!/bin/sh\n"), 0o755))
		},
		"a link out":         func(_, placed string) error { return os.Symlink("../../.git", filepath.Join(placed, "gitlink")) },
		"a link to the root": func(_, placed string) error { return os.Symlink("/etc", filepath.Join(placed, "etc")) },
		"a file named .git": func(_, placed string) error {
			return os.WriteFile(filepath.Join(placed, ".git"), []byte("gitdir: x"), 0o644)
		},
		"a name of Windows'": func(_, placed string) error { return os.WriteFile(filepath.Join(placed, "git~1"), nil, 0o644) },
		"a transaction": func(_, placed string) error {
			return errors.Join(os.MkdirAll(filepath.Join(placed, ".rustgen/tx"), 0o755), os.WriteFile(filepath.Join(placed, ".rustgen/tx/journal"), nil, 0o644))
		},
	} {
		dir := t.TempDir()
		placed := filepath.Join(dir, Staging, placing)
		if err := os.MkdirAll(placed, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(plant(dir, placed), os.WriteFile(filepath.Join(placed, "a.txt"), nil, 0o644),
			os.WriteFile(filepath.Join(dir, Staging, "lock"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		was := names(t, dir)
		var damaged *Damaged
		if done, err := Resume(dir, tree.CheckPath); done || !errors.As(err, &damaged) {
			t.Errorf("%s: %v, %v", what, done, err)
		}
		if got := names(t, dir); got != was {
			t.Errorf("%s: from %s to %s", what, was, got)
		}
	}
}
