package servicetest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rustgen/internal/apply"
	"rustgen/internal/tree"
)

const (
	releases     = "../../templates/releases"
	firstRelease = releases + "/hotpath-1.0.0.tar.gz"
)

// unpack lays a kept release out as a template set.
func unpack(t *testing.T, release string) (set string) {
	t.Helper()
	data, err := os.ReadFile(release)
	if err != nil {
		t.Fatal(err)
	}
	files, err := tree.FromArchive(data)
	if err != nil {
		t.Fatal(err)
	}
	set = filepath.Join(t.TempDir(), "set")
	if err := apply.Fresh(t.Context(), set, files, nil); err != nil {
		t.Fatal(err)
	}
	return set
}

// TestEveryRelease upgrades a service of each kept release, with a line of its own, to the set of today: it becomes the
// service that the set renders, and keeps the line.
func TestEveryRelease(t *testing.T) {
	rustgen := program(t)
	kept, err := filepath.Glob(releases + "/*.tar.gz")
	if err != nil || len(kept) == 0 {
		t.Fatalf("no release is kept (%v)", err)
	}
	answers := []string{"--state", "stateful", "--downstream", "prices", "--queue", "128"}
	fresh := func(t *testing.T, flags ...string) string {
		dir := filepath.Join(t.TempDir(), "hello")
		run(t, ".", 0, rustgen, slices.Concat([]string{"new", "hello", "--yes", "--vcs", "none", "--dir", dir}, answers, flags)...)
		return dir
	}
	const line = "// A line of the team's own.\n"
	want := snapshot(t, fresh(t))
	main := want["src/main.rs"]
	want["src/main.rs"] = tree.File{Mode: main.Mode, Data: append([]byte(line), main.Data...)}
	for _, release := range kept {
		t.Run(strings.TrimSuffix(filepath.Base(release), ".tar.gz"), func(t *testing.T) {
			dir := fresh(t, "--template", unpack(t, release))
			before := snapshot(t, dir)
			text := append([]byte(line), before["src/main.rs"].Data...)
			if err := os.WriteFile(filepath.Join(dir, "src", "main.rs"), text, 0o644); err != nil {
				t.Fatal(err)
			}
			run(t, dir, 0, rustgen, "upgrade", "--yes")
			run(t, dir, 0, rustgen, "status", "--check=conflicts,damaged,behind")
			if got := snapshot(t, dir); !got.Equal(want) {
				t.Errorf("the upgrade gives another service than the newest set: %s", different(got, want))
			}
		})
	}
}
