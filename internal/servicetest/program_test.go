package servicetest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rustgen/internal/tree"
)

// program builds rustgen.
func program(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("SKIPPED: there is no git")
	}
	rustgen := filepath.Join(t.TempDir(), "rustgen")
	run(t, ".", 0, "go", "build", "-o", rustgen, "../../cmd/rustgen")
	return rustgen
}

// checkBuild compiles and tests a service, and finds the team's own tests among those that pass.
func checkBuild(t *testing.T, dir, name string, tests []string) {
	t.Helper()
	if testing.Short() {
		return
	}
	if _, err := exec.LookPath("cargo"); err != nil {
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "" {
			t.Fatal("there is no cargo")
		}
		t.Skip("SKIPPED: there is no cargo: the upgraded services are not compiled")
	}
	touch(t, dir)
	run(t, dir, 0, "cargo", "fmt", "--all", "--check")
	out := run(t, dir, 0, "cargo", "test", "--locked", "--package", name, "--package", "loadtest")
	for _, name := range tests {
		if !strings.Contains(out, "test "+name+" ... ok\n") {
			t.Errorf("the team's test %s did not pass:\n%s", name, out)
		}
	}
}

// snapshot reads a service, without the record of its template.
func snapshot(t *testing.T, dir string) tree.Tree {
	t.Helper()
	got, err := tree.FromFS(os.DirFS(dir), ".git", ".rustgen")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// different lists the paths that two trees do not share.
func different(a, b tree.Tree) string {
	var paths []string
	for _, p := range append(a.Paths(), b.Paths()...) {
		x, inA := a[p]
		y, inB := b[p]
		if (inA != inB || !x.Equal(y)) && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return strings.Join(paths, ", ")
}

// touch makes every file newer than what was built before: see render.
func touch(t *testing.T, dir string) {
	t.Helper()
	for p, f := range snapshot(t, dir) {
		if f.IsLink() {
			continue
		}
		at := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, f.Data, f.Mode); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a program that must end with a code, and returns what it printed.
func run(t *testing.T, dir string, code int, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if program == "cargo" {
		// The flags of golden's services, whose compiled dependencies are then taken.
		cmd.Env = append(os.Environ(), "RUSTFLAGS=-Ctarget-cpu=x86-64-v2", "CARGO_TARGET_DIR="+target(t), "CARGO_TERM_COLOR=never")
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s %s: exit %d, want %d\n%s%s", filepath.Base(program), strings.Join(args, " "), got, code, out, errs.String())
	}
	return string(out)
}
