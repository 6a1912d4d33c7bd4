package vcs

import (
	"os"
	"path/filepath"
	"testing"
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
