//go:build unix

package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallSet writes a template set of n files to dir, in one of two versions that differ in every third file, in a rename,
// a deletion and an addition.
func smallSet(t *testing.T, dir string, n, version int) {
	t.Helper()
	files := map[string]string{"template.yaml": fmt.Sprintf("name: small\nversion: 1.%d.0\n", version)}
	for i := range n {
		var lines []string
		for line := range 60 {
			lines = append(lines, fmt.Sprintf("file %d line %d", i, line))
		}
		if i%3 == 0 {
			lines[50] = fmt.Sprintf("file %d version %d", i, version)
		}
		name := fmt.Sprintf("files/part%d/f%d.txt", i%5, i)
		if i == 1 && version > 0 {
			name = "files/elsewhere/f1.txt"
		}
		if i != 2 || version == 0 {
			files[name] = strings.Join(lines, "\n") + "\n"
		}
	}
	if version > 0 {
		files["files/new/new.txt"] = "new\n"
	}
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A killed upgrade leaves the old service or the new one, at the latest after the next command, and no edit is lost.
func TestKilledUpgrade(t *testing.T) {
	t.Parallel()
	requireTool(t, "git")
	work := t.TempDir()
	smallSet(t, filepath.Join(work, "v1"), 40, 0)
	smallSet(t, filepath.Join(work, "v2"), 40, 1)
	must := func(args ...string) {
		t.Helper()
		if out, err := rustgenIn(t, work, args...).CombinedOutput(); err != nil {
			t.Fatalf("rustgen %v: %v\n%s", args, err, out)
		}
	}
	must("new", "old", "--yes", "--vcs", "none", "--template", "v1")
	for i := range 12 {
		at := filepath.Join(work, "old", fmt.Sprintf("part%d/f%d.txt", i%5, i))
		data, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		if i != 2 {
			data = append([]byte("an edit\n"), data...)
		}
		if err := os.WriteFile(at, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	copyTo := func(dir string) {
		t.Helper()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(work, "old"))); err != nil {
			t.Fatal(err)
		}
	}
	list := func(dir string) string {
		t.Helper()
		text, err := listing(dir)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	svc := filepath.Join(work, "svc")
	copyTo(svc)
	before := list(svc)
	started := time.Now()
	must("upgrade", "--dir", "svc", "--template", "v2")
	lifetime := time.Since(started)
	after := list(svc)

	inTime, recovered := 0, 0
	for range *kills {
		copyTo(svc)
		cmd := rustgenIn(t, work, "upgrade", "--dir", "svc", "--template", "v2")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(lifetime))))
		if cmd.Process.Signal(syscall.SIGKILL) == nil {
			inTime++
		}
		_ = cmd.Wait()
		left := list(svc)
		out, err := rustgenIn(t, work, "status", "--dir", "svc", "--template", "v2").CombinedOutput()
		if err != nil {
			t.Fatalf("status after a kill: %v\n%s", err, out)
		}
		if got := list(svc); got != left {
			t.Fatalf("status after a kill changed the service:\n%s", got)
		}
		out, err = rustgenIn(t, work, "restore", "part2/f12.txt", "--dir", "svc").CombinedOutput()
		if err != nil {
			t.Fatalf("restore after a kill: %v\n%s", err, out)
		}
		if strings.Contains(string(out), "which was cut off") {
			recovered++
		}
		if got := list(svc); got != before && got != after {
			t.Fatalf("a killed upgrade and the next command left half a service:\n%s", got)
		}
		must("upgrade", "--dir", "svc", "--template", "v2")
		if got := list(svc); got != after {
			t.Fatalf("the upgrade after a killed one made another service:\n%s", got)
		}
	}
	t.Logf("%d of %d runs were killed in time; %d were completed by the next command", inTime, *kills, recovered)
}
