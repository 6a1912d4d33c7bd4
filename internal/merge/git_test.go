package merge_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"rustgen/internal/merge"
	"rustgen/internal/tree"
)

// checkGit merges the same trees with git merge. Where rustgen's policy is another, the trees are not compared: deleted
// by the user, both renamed, a file in a directory's place, and line endings.
func checkGit(t *testing.T, tr triple, got *merge.Result) {
	t.Helper()
	if len(got.KeptDeleted) > 0 {
		return
	}
	for _, c := range got.Conflicts {
		if !slices.Contains([]merge.Kind{merge.Content, merge.Binary, merge.BothAdded, merge.Link}, c.Kind) {
			return
		}
	}
	for _, side := range []tree.Tree{tr.base, tr.ours, tr.theirs} {
		for _, f := range side {
			if hasLines(f) && bytes.Contains(f.Data, []byte("\r\n")) {
				return
			}
		}
	}
	dir := t.TempDir()
	git := func(args ...string) error {
		cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@x", "-c", "merge.conflictStyle=diff3",
			"-c", "merge.directoryRenames=false", "-c", "core.autocrlf=false", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		if err != nil && args[0] != "merge" {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return err
	}
	git("init", "-q", "-b", "base")
	commit := func(tt tree.Tree) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != ".git" {
				os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
		for p, f := range tt {
			at := filepath.Join(dir, p)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if f.IsLink() {
				err = os.Symlink(string(f.Data), at)
			} else {
				err = os.WriteFile(at, f.Data, f.Mode)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		git("add", "-A", "-f")
		git("commit", "-q", "--allow-empty", "-m", "x")
	}
	commit(tr.base)
	git("checkout", "-q", "-b", "template")
	commit(tr.theirs)
	git("checkout", "-q", "-b", "yours", "base")
	commit(tr.ours)
	err := git("merge", "-q", "--no-edit", "template")
	if (err == nil) != (len(got.Conflicts) == 0) {
		t.Errorf("git merge: %v; conflicts here: %v", err, got.Conflicts)
	}
	want := readTree(t, dir)
	labels := regexp.MustCompile(`(?m)^(<{7}|\|{7}|>{7}) .*$`)
	for _, p := range slices.Sorted(maps.Keys(both(want, got.Tree))) {
		a, b := want[p], got.Tree[p]
		a.Data, b.Data = labels.ReplaceAll(a.Data, []byte("$1")), labels.ReplaceAll(b.Data, []byte("$1"))
		if !a.Equal(b) {
			t.Errorf("%s: git merge has %o %q, and rustgen %o %q", p, a.Mode, a.Data, b.Mode, b.Data)
		}
	}
}

func both(a, b tree.Tree) tree.Tree {
	all := a.Clone()
	maps.Copy(all, b)
	return all
}

func readTree(t *testing.T, dir string) tree.Tree {
	t.Helper()
	got, err := tree.FromFS(os.DirFS(dir), ".git")
	if err != nil {
		t.Fatal(err)
	}
	return got
}
