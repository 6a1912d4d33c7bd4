package apply

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/afero"

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
	if err := Into(cancelled, dir, "rustgen new", sample(), nil); err == nil || names(t, dir) != before {
		t.Errorf("cancelled (%v) it leaves %s", err, names(t, dir))
	}
	clash := sample()
	clash["z"] = tree.File{Mode: tree.ModeFile, Data: []byte("theirs")}
	if err := os.WriteFile(filepath.Join(dir, "z"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Into(context.Background(), dir, "rustgen new", clash, nil); err == nil || !strings.Contains(err.Error(), "z is in the way") {
		t.Errorf("a file in the way gives %v", err)
	}
	if got := names(t, dir); got != before+" z" {
		t.Errorf("it leaves %s", got)
	}
	if err := Into(context.Background(), dir, "rustgen new", sample(), nil); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != ".git .git/HEAD .github a b b/c b/d b/d/e b/mine l z" {
		t.Errorf("there is %s", got)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "z")); string(data) != "mine" {
		t.Error("it wrote over a file")
	}
}

// anything lets every path and every repository pass.
var anything = Check{Path: anyPath, Repository: func(fs.FS) error { return nil }}

// place is the part of Into that puts a staged service in place, on a file system of the test's.
func place(t *testing.T, root Root, on FS) error {
	t.Helper()
	from := Staging + "/1"
	if err := root.MkdirAll(Staging, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), root, from, sample()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(root.MkdirAll(from+"/.git", 0o755), afero.WriteFile(root, from+"/.git/HEAD", []byte("ref: refs/heads/main"), 0o644)); err != nil {
		t.Fatal(err)
	}
	var changes []Change
	for _, p := range sample().Paths() {
		f := sample()[p]
		changes = append(changes, Change{Path: p, File: &f})
	}
	return (&tx{fs: on, dir: Staging, from: from}).run(t.Context(), "rustgen new", changes)
}

// Every single call of putting a service in place fails, in every way, once or from then on: it is there whole, with its
// repository, or nothing of it is, or the next run brings about either.
func TestIntoFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name           string
		err            error
		forever, reads bool
	}{
		{"disk full", syscall.ENOSPC, true, false},
		{"I/O error", syscall.EIO, false, true},
		{"read-only", syscall.EROFS, false, false},
		{"killed", errors.New("killed"), true, true},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				dir := t.TempDir()
				root, err := OpenRoot(dir)
				if err != nil {
					t.Fatal(err)
				}
				mine := filepath.Join(dir, "b")
				if err := errors.Join(os.Mkdir(mine, 0o755), os.WriteFile(filepath.Join(mine, "mine"), nil, 0o644)); err != nil {
					t.Fatal(err)
				}
				f := &faulty{FS: root, left: n, forever: kind.forever, reads: kind.reads, err: kind.err}
				err = place(t, root, f)
				recovered, resumed := Resume(dir, anything)
				if resumed != nil {
					t.Fatalf("call %d: resume: %v", n, resumed)
				}
				if err := root.RemoveAll(Staging); err != nil {
					t.Fatal(err)
				}
				got, want := names(t, dir), "b b/mine"
				if err == nil || recovered != nil && recovered.Finished || strings.Contains(got, ".git/HEAD") {
					want = ".git .git/HEAD .github a b b/c b/d b/d/e b/mine l"
				}
				if got != want {
					t.Fatalf("call %d (%v, then %v): there is %s, want %s", n, err, recovered, got, want)
				}
				if err := root.Close(); err != nil {
					t.Fatal(err)
				}
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

// What a killed run had only staged goes.
func TestIntoAfterAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, Staging, "12345", "half"), 0o755); err != nil {
		t.Fatal(err)
	}
	if done, err := Resume(dir, anything); err != nil || done != nil {
		t.Errorf("of what was only staged: %v, %v", done, err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("there is %s", got)
	}
	if err := Into(context.Background(), dir, "rustgen new", sample(), nil); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != whole {
		t.Errorf("there is %s", got)
	}
}

// Neither what a killed run has staged nor what it was placing is looked for behind a link.
func TestStagingIsNoLink(t *testing.T) {
	t.Parallel()
	journal := `{"what":"x","ops":[{"path":"a","before":"","after":"x"}],"dirs":[]}`
	for link, target := range map[string]string{Staging: ".git", Staging + "/new": "../.git/new"} {
		dir := t.TempDir()
		for _, p := range []string{".git/new", filepath.Dir(link)} {
			if err := os.MkdirAll(filepath.Join(dir, p), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skipf("links cannot be made: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, Staging, "journal"), []byte(journal), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, Staging, "lock"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		was := names(t, dir)
		if done, err := Resume(dir, anything); err == nil || done != nil {
			t.Errorf("%s: resumed: %v, %v", link, done, err)
		}
		if link == Staging {
			if err := Into(context.Background(), dir, "rustgen new", sample(), nil); err == nil {
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
	sum := digestOf(text("x"))
	link := digestOf(&tree.File{Mode: tree.ModeLink, Data: []byte("/etc")})
	op := func(path, after string) string {
		return `{"ops":[{"path":"a.txt","after":"` + sum + `"},{"path":"` + path + `","after":"` + after + `"}]}`
	}
	for what, journal := range map[string]string{
		"a hook of the repository":     op(".git/hooks/pre-commit", sum),
		"a hook of a repository below": op("a/.git/hooks/pre-commit", sum),
		"a file named .git":            op(".git", sum),
		"a name of Windows'":           op("git~1", sum),
		"a transaction":                op(".rustgen/tx/journal", sum),
		"outside":                      op("../x", sum),
		"another content":              op("b.txt", digestOf(text("y"))),
		"a link for a file":            op("c", link),
		"a link out":                   `{"ops":[{"path":"etc","after":"` + link + `"}]}`,
		"a directory for nothing":      `{"ops":[{"path":"a.txt","after":"` + sum + `"}],"dirs":["b"]}`,
		"a repository beside one":      `{"ops":[],"repository":true}`,
	} {
		dir := t.TempDir()
		for p, data := range map[string]string{"journal": journal, "lock": "", "new/0": "x", "new/1": "x", "new/.git/HEAD": ""} {
			at := filepath.Join(dir, Staging, p)
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(data), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if first := filepath.Join(dir, Staging, "new/0"); what == "a link out" {
			if err := errors.Join(os.Remove(first), os.Symlink("/etc", first)); err != nil {
				t.Skipf("links cannot be made: %v", err)
			}
		}
		if err := os.MkdirAll(filepath.Join(dir, ".git/hooks"), 0o755); err != nil {
			t.Fatal(err)
		}
		was := names(t, dir)
		var damaged *Damaged
		if done, err := Resume(dir, Check{Path: tree.CheckPath, Repository: anything.Repository}); done != nil || !errors.As(err, &damaged) {
			t.Errorf("%s: %v, %v", what, done, err)
		}
		if got := names(t, dir); got != was {
			t.Errorf("%s: from %s to %s", what, was, got)
		}
	}
}

// A change of a service brings no repository along, whatever its journal says.
func TestRecoverPlacesNoRepository(t *testing.T) {
	t.Parallel()
	root := hostile(t, `{"ops":[],"repository":true}`, "journal")
	var damaged *Damaged
	if _, err := Recover(calm(root), tree.CheckPath); !errors.As(err, &damaged) {
		t.Errorf("got %v", err)
	}
}
