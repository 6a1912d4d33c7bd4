//go:build unix

package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// writeFiles writes files below a directory.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
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

// fromElsewhere makes a service whose record names a template set somewhere else.
func fromElsewhere(t *testing.T, work, source string) {
	t.Helper()
	writeFiles(t, work, map[string]string{"set/template.yaml": "name: small\nversion: 1.0.0\n", "set/files/a.txt": "a\n"})
	if out, err := rustgenIn(t, work, "new", "svc", "--yes", "--vcs", "none", "--template", "set").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	record := recordIn(filepath.Join(work, "svc"))
	record.Source = source
	data, err := record.Encode([]string{"name"})
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, work, map[string]string{"svc/.rustgen/answers.yaml": string(data)})
}

// A record may come from anybody: the server that it names is asked for what cannot be done without it, and no sooner.
func TestRecordedSourceIsNotContactedUnasked(t *testing.T) {
	t.Parallel()
	requireTool(t, "git")
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	work := t.TempDir()
	fromElsewhere(t, work, server.URL+"/set.Git")
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"status", "--check=damaged,drift"}, {"diff"}, {"explain"}, {"explain", "name"},
		{"explain", "--help"}, {"upgrade", "--help"}, {"set", "--help"}, {"restore", "a.txt"}, {"upgrade", "--abort"},
		{"upgrade", "--dry-run"}, {"upgrade", "--dry-run", "--set", "name=x"}, {"set", "name=x", "--dry-run"}, {"diff", "--upgrade"}, {"diff", "--owned"},
		{"upgrade", "--dry-run", "--format", "markdown"}, {"upgrade", "--dry-run", "--json"}} {
		out, _ := rustgenIn(t, filepath.Join(work, "svc"), args...).CombinedOutput()
		if n := requests.Swap(0); n > 0 {
			t.Errorf("rustgen %v asks the server %d times\n%s", args, n, out)
		}
	}
	out, err := rustgenIn(t, filepath.Join(work, "svc"), "status").CombinedOutput()
	if want := "the newest is not known: rustgen status --check=behind asks " + server.URL + "/set.Git"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("status says %v, %s", err, out)
	}
	set := server.URL + "/set.Git"
	for _, args := range [][]string{{"explain"}, {"upgrade", "--dry-run"}, {"diff", "--upgrade"}, {"set", "name=x", "--dry-run"}} {
		out, _ := rustgenIn(t, filepath.Join(work, "svc"), args...).CombinedOutput()
		if want := "is at " + set + ", as the service's record says, and is not fetched unasked\nhint: rustgen " + args[0]; !strings.Contains(string(out), want) {
			t.Errorf("rustgen %v says %s", args, out)
		}
		_ = rustgenIn(t, filepath.Join(work, "svc"), append(args, "--template", set)...).Run()
		if requests.Swap(0) == 0 {
			t.Errorf("rustgen %v, as its hint has it, does not ask the server", args)
		}
	}
	// What cannot be done without the set asks for it, and says so before.
	for _, args := range [][]string{{"status", "--check=behind"}, {"upgrade"}, {"set", "name=x"}} {
		out, _ := rustgenIn(t, filepath.Join(work, "svc"), args...).CombinedOutput()
		if requests.Swap(0) == 0 || !strings.HasPrefix(string(out), "fetching the template set from "+set+", as the service's record says\n") {
			t.Errorf("rustgen %v does not ask the server, or not say so:\n%s", args, out)
		}
	}
	// A check of the audit is explained whatever the set is.
	out, err = rustgenIn(t, filepath.Join(work, "svc"), "explain", "image-user").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "image-user: ") || requests.Swap(0) > 0 {
		t.Errorf("rustgen explain image-user says %v, %s", err, out)
	}
}

// No program for another transport is started with an argument of the record's.
func TestRecordedSourceStartsNoHelper(t *testing.T) {
	t.Parallel()
	requireTool(t, "git")
	work := t.TempDir()
	writeFiles(t, work, map[string]string{"bin/git-remote-x": "#!/bin/sh\ntouch " + work + "/planted\nexit 1\n"})
	if err := os.Chmod(filepath.Join(work, "bin/git-remote-x"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"x::anything ://", "x://anything", "ext::sh -c touch% planted ://"} {
		fromElsewhere(t, work, source)
		for _, args := range [][]string{{"status", "--check=behind"}, {"upgrade"}, {"diff", "--upgrade"}, {"set", "a=b"}} {
			cmd := rustgenIn(t, filepath.Join(work, "svc"), args...)
			cmd.Env = append(cmd.Env, "PATH="+filepath.Join(work, "bin")+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("%s: rustgen %v ends well\n%s", source, args, out)
			}
			if _, err := os.Lstat(filepath.Join(work, "planted")); err == nil {
				t.Fatalf("%s: rustgen %v started it", source, args)
			}
		}
		if err := os.RemoveAll(filepath.Join(work, "svc")); err != nil {
			t.Fatal(err)
		}
	}
}

// endsWithin runs a command that must end by itself, soon.
func endsWithin(t *testing.T, limit time.Duration, cmd *exec.Cmd) string {
	t.Helper()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	if !timer.Stop() {
		t.Errorf("%v did not end within %v", cmd.Args, limit)
	}
	return out.String()
}

// Nothing but regular files is read, and nothing outside of what a command is about: no device, and no pipe, which would
// never end.
func TestNoDeviceIsRead(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	pipe := func(p string) {
		t.Helper()
		at := filepath.Join(work, p)
		_ = os.Remove(at)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(at, 0o644); err != nil {
			t.Skipf("pipes cannot be made: %v", err)
		}
	}
	link := func(target, p string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(work, p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(work, p)); err != nil {
			t.Fatal(err)
		}
	}
	fromElsewhere(t, work, "")
	link("/dev/zero", "device/Cargo.toml")
	pipe("piped/Cargo.toml")
	writeFiles(t, work, map[string]string{"inside/Cargo.toml": "[package]\nname = \"a\"\n"})
	link("/dev/zero", "inside/src/main.rs")
	pipe("inside/src/lib.rs")
	pipe("pipe-set/template.yaml")
	writeFiles(t, work, map[string]string{"pipe-file/template.yaml": "name: small\nversion: 1.0.0\n"})
	pipe("pipe-file/files/a.txt")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"Cargo.toml", []string{"audit", "device"}},
		{"Cargo.toml", []string{"audit", "piped"}},
		{"", []string{"audit", "inside"}},
		{"template.yaml: it is not a regular file", []string{"new", "x", "--yes", "--template", "pipe-set"}},
		{"neither a file nor a link", []string{"new", "x", "--yes", "--template", "pipe-file"}},
	} {
		if out := endsWithin(t, 20*time.Second, rustgenIn(t, work, c.args...)); !strings.Contains(out, c.want) {
			t.Errorf("rustgen %v says %s", c.args, out)
		}
	}
	for _, p := range []string{"svc/.rustgen/conflicts.yaml", "svc/.rustgen/tx/journal", "svc/a.txt", "svc/.rustgen/answers.yaml"} {
		_ = os.Remove(filepath.Join(work, p))
		pipe(p)
		if out := endsWithin(t, 20*time.Second, rustgenIn(t, work, "status", "--dir", "svc", "--template", "set")); !strings.Contains(out, filepath.Base(p)) {
			t.Errorf("with a pipe for %s status says %s", p, out)
		}
		if err := os.Remove(filepath.Join(work, p)); err != nil {
			t.Fatal(err)
		}
		if p == "svc/.rustgen/tx/journal" {
			_ = os.Remove(filepath.Join(work, "svc/.rustgen/tx"))
		}
	}
}

// Whoever reads the output may leave: the temporary checkout goes all the same.
func TestBrokenPipeLeavesNoCheckout(t *testing.T) {
	t.Parallel()
	requireTool(t, "git")
	work := t.TempDir()
	files := map[string]string{"set/template.yaml": "name: small\nversion: 1.0.0\n"}
	for i := range 3000 {
		files["set/files/"+strings.Repeat("d/", i%7)+strings.Repeat("f", 1+i%200)+".txt"] = "a\n"
	}
	writeFiles(t, work, files)
	temporary := filepath.Join(work, "tmp")
	if err := os.Mkdir(temporary, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "set"}} {
		if out, err := exec.Command("git", append([]string{"-C", filepath.Join(work, "set")}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	cmd := rustgenIn(t, work, "new", "x", "--dry-run", "--yes", "--template", "file://"+work+"/set")
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	_ = cmd.Wait()
	entries, err := os.ReadDir(temporary)
	if err != nil || len(entries) > 0 {
		t.Errorf("it left %v (%v)", entries, err)
	}
	if strings.Contains(errs.String(), "error") {
		t.Errorf("it says %s", &errs)
	}
}
