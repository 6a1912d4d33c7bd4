package vcs

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rustgen/internal/git"
)

func TestIsURL(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		"https://example.com/a/b": true, "file:///a": true, "ssh://git@example.com/a": true, "git@example.com:a/b.git": true,
		"templates/hotpath": false, "/a/b": false, ".": false, "a@b": false, "./x@y:z": false, "C:/a": false, "a:b": false,
	} {
		if got := IsURL(source); got != want {
			t.Errorf("IsURL(%q) is %v", source, got)
		}
	}
}

func TestSplitRef(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][2]string{
		"https://example.com/a/b":               {"https://example.com/a/b", ""},
		"https://example.com/a/b@v1.2.0":        {"https://example.com/a/b", "v1.2.0"},
		"https://example.com/a/b.git@feature/x": {"https://example.com/a/b.git", "feature/x"},
		"https://me@example.com/a/b":            {"https://me@example.com/a/b", ""},
		"https://me:secret@example.com/a/b@v1":  {"https://me:secret@example.com/a/b", "v1"},
		"https://me@example.com":                {"https://me@example.com", ""},
		"https://example.com/@scope/b":          {"https://example.com/@scope/b", ""},
		"https://example.com/@scope/b@v1":       {"https://example.com/@scope/b", "v1"},
		"git@example.com:a/b.git":               {"git@example.com:a/b.git", ""},
		"git@example.com:a/b.git@v1":            {"git@example.com:a/b.git", "v1"},
		"ssh://git@example.com:22/a/b@0123abc":  {"ssh://git@example.com:22/a/b", "0123abc"},
		"file:///tmp/set@main":                  {"file:///tmp/set", "main"},
	} {
		url, ref := SplitRef(source)
		if got := [2]string{url, ref}; got != want {
			t.Errorf("SplitRef(%q) is %q, want %q", source, got, want)
		}
	}
}

func TestWithoutSecret(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"https://example.com/a@v1":           "https://example.com/a@v1",
		"https://me:secret@example.com/a@v1": "https://example.com/a@v1",
		"https://token@example.com/a":        "https://example.com/a",
		"https://a@b:c@example.com/a":        "https://example.com/a",
		"ssh://git@example.com/a":            "ssh://git@example.com/a",
		"ssh://git:secret@example.com/a":     "ssh://git@example.com/a",
		"git@example.com:a/b":                "git@example.com:a/b",
		"file:///a@v1":                       "file:///a@v1",
		"templates/hotpath":                  "templates/hotpath",
		"https://token@example.com":          "https://example.com",
		// A token in a query is one, too.
		"https://example.com/x.git?private_token=s3cret@v1":    "https://example.com/x.git",
		"https://me:p@example.com/x.git?private_token=s3cret":  "https://example.com/x.git",
		"https://example.com?private_token=s3cret/with/a/path": "https://example.com",
	} {
		if got := WithoutSecret(source); got != want {
			t.Errorf("WithoutSecret(%q) is %q, want %q", source, got, want)
		}
	}
}

// A directory lies in the repository around it, also one that does not exist yet, or that a link leads to.
func TestRepository(t *testing.T) {
	t.Parallel()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(top, "repo")
	for _, dir := range []string{filepath.Join(repo, ".git"), filepath.Join(repo, "sub"), filepath.Join(top, "elsewhere")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(repo, "sub"), filepath.Join(top, "link")); err != nil {
		t.Skipf("links cannot be made: %v", err)
	}
	for dir, want := range map[string]string{
		"repo": repo, "repo/sub": repo, "repo/new/er": repo, "link": repo, "link/new": repo, "elsewhere": "", "elsewhere/new": "",
	} {
		got, err := Repository(filepath.Join(top, dir))
		if err != nil || got != want {
			t.Errorf("%s lies in %q (%v), want %q", dir, got, err, want)
		}
	}
}

// What git is given as an argument is in every list of processes.
func TestAccessKeepsPasswordsOutOfArguments(t *testing.T) {
	t.Parallel()
	bare, config, env, err := access("https://me:hunter2@example.com:8443/a/b.git")
	if err != nil || bare != "https://example.com:8443/a/b.git" || strings.Contains(strings.Join(config, " "), "hunter2") {
		t.Errorf("%q with %q: %v", bare, config, err)
	}
	if !slices.Contains(env, "RUSTGEN_GIT_PASSWORD=hunter2") || !strings.HasPrefix(config[0], "credential.https://example.com:8443.helper=") {
		t.Errorf("git does not get the password: %q, %q", config, env)
	}
	for _, same := range []string{"https://example.com/a", "https://me@example.com/a", "git@example.com:a/b", "ssh://git@example.com/a?b", "file:///a"} {
		if bare, _, _, err := access(same); err != nil || bare != same {
			t.Errorf("%s became %q: %v", same, bare, err)
		}
	}
	for _, wrong := range []string{"https://example.com/a.git?private_token=s3cret", "https://me:p@example.com/a#s3cret"} {
		if _, _, _, err := access(wrong); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s gives %v", wrong, err)
		}
	}
}

// The git server asks for the password, and git finds it without an argument that holds it.
func TestGitAsksForThePassword(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not on the PATH")
	}
	var asked atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); ok {
			asked.Store(user + ":" + password)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	from := Source{URL: strings.Replace(server.URL, "://", "://me:p%40ss@", 1) + "/a.git", Ref: "main"}
	_, err := from.Checkout(t.Context(), "", t.TempDir())
	if err == nil || strings.Contains(err.Error(), "p@ss") || strings.Contains(err.Error(), "p%40ss") {
		t.Errorf("the clone gives %v", err)
	}
	if asked.Load() != "me:p@ss" {
		t.Errorf("the server was told %v", asked.Load())
	}
}

func TestRecordable(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		"https://example.com/a@v1": true, "git@example.com:a/b.git": true, "ssh://git@example.com/a": true, "file:///a": true,
		"../../x": false, "/etc": false, "": false, "x::anything ://": false, "ext::sh -c x": false, "fd://17": false,
		"https://me:secret@example.com/a": false, "https://example.com/a?token=x": false, "HTTPS://example.com": false,
	} {
		if err := Recordable(source); (err == nil) != want {
			t.Errorf("%q: %v", source, err)
		}
	}
}

// A few kilobytes of git objects can name the same files any number of times.
func TestCloneRefusesABomb(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not on the PATH")
	}
	dir := t.TempDir()
	run := func(in string, args ...string) string {
		t.Helper()
		out, err := git.Run(t.Context(), git.Call{Dir: dir, Args: args, Input: []byte(in), Unconfigured: true})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	run("", "init", "--quiet")
	object, kind := run(strings.Repeat("a", 1<<20), "hash-object", "-w", "--stdin"), "100644 blob"
	for range 3 {
		var list strings.Builder
		for i := range 10 {
			fmt.Fprintf(&list, "%s %s\t%d\n", kind, object, i)
		}
		object, kind = run(list.String(), "mktree"), "040000 tree"
	}
	commit := run("", "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", "-m", "bomb", object)
	run("", "update-ref", "refs/heads/main", commit)
	into := t.TempDir()
	_, err := Source{URL: "file://" + dir, Ref: "main"}.Checkout(t.Context(), "", into)
	if err == nil || err.Error() != "the set is too large: more than 100000 files or 256 MiB" {
		t.Errorf("the clone gives %v", err)
	}
	if entries, err := os.ReadDir(into); err != nil || len(entries) != 1 {
		t.Errorf("it wrote %v, %v", entries, err)
	}
}
