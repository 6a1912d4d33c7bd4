package vcs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rustgen/internal/git"
)

// The repository of a new service passes, and one that could run something does not.
func TestCheckNew(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not on the PATH")
	}
	for name, test := range map[string]struct {
		path, text string
		refused    bool
	}{
		"as it was made": {},
		"a hook":         {"hooks/pre-commit", "#!/bin/sh\n", true},
		"a setting":      {"config", "[core]\n\tfsmonitor = touch planted\n", true},
		"a section":      {"config", "[include]\n\tpath = /etc/gitconfig\n", true},
		"alternates":     {"objects/info/alternates", "/elsewhere\n", true},
		"attributes":     {"info/attributes", "* filter=x\n", true},
		"a common one":   {"commondir", "/elsewhere\n", true},
	} {
		dir := t.TempDir()
		if err := Init(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"add", "a"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "a"}} {
			if _, err := git.Run(t.Context(), git.Call{Dir: dir, Args: args, Unconfigured: true}); err != nil {
				t.Fatal(err)
			}
		}
		if at := filepath.Join(dir, ".git", test.path); test.path != "" {
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := CheckNew(os.DirFS(filepath.Join(dir, ".git"))); (err != nil) != test.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
