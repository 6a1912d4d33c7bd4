package golden

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"rustgen/internal/layertest"
)

// rustFlags replace what .cargo/config.toml says, so that all services share one set of compiled dependencies, and so
// that one built for a newer CPU can be tested on an older.
const rustFlags = "RUSTFLAGS=-Ctarget-cpu=x86-64-v2"

// TestCargo builds every kept service, without a warning, and runs its own checks and tests.
func TestCargo(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles every service: left out by -short")
	}
	if _, err := exec.LookPath("cargo"); err != nil {
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "" {
			t.Fatal("there is no cargo")
		}
		t.Skip("there is no cargo: the kept services are not compiled")
	}
	target := os.Getenv("CARGO_TARGET_DIR")
	if target == "" {
		target = filepath.Join("..", "target", "golden")
	}
	target, err := filepath.Abs(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services(t) {
		t.Run(s.name, func(t *testing.T) {
			// A copy, newer than what was compiled before: cargo takes the crates of two services for one where they
			// share a target directory, and builds again only what is newer.
			dir := t.TempDir()
			write(t, dir, read(t, s.name))
			if s.out.Answers["layer"].Value.String() == "registry" {
				if err := layertest.Share(dir); err != nil {
					t.Fatal(err)
				}
			}
			cargo := func(args ...string) {
				t.Helper()
				cmd := exec.Command("cargo", args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), rustFlags, "CARGO_TARGET_DIR="+target, "CARGO_TERM_COLOR=never")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("cargo %v: %v\n%s", args, err, out)
				}
			}
			packages := []string{"--package", s.name, "--package", "loadtest"}
			cargo(slices.Concat([]string{"fmt"}, packages, []string{"--check"})...)
			cargo(slices.Concat([]string{"clippy"}, packages, []string{"--all-targets", "--", "-Dwarnings"})...)
			cargo(slices.Concat([]string{"test", "--quiet"}, packages)...)
			if s.out.Answers["layer"].Value.String() == "vendored" {
				cargo("metadata", "--locked", "--format-version", "1")
			}
		})
	}
}
