//go:build unix

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// allowedService has one finding that a comment allows, one that the settings do, and one that nothing allows.
var allowedService = map[string]string{
	"svc/Cargo.toml":          "[package]\nname = \"svc\"\n[dependencies]\ntonic = \"0.14\"\n",
	"svc/Cargo.lock":          "version = 4\n",
	"svc/src/main.rs":         "mod own;\nasync fn a() {\n    // rustgen: allow(blocking, it is read once)\n    std::fs::read(\"a\");\n}\nasync fn b() { std::fs::read(\"b\"); }\n",
	"svc/src/own.rs":          "pub async fn c() { std::fs::read(\"c\"); }\n",
	"svc/.rustgen-audit.yaml": "allow:\n  - {check: blocking, path: src/own.rs, reason: it is run by hand}\n",
}

// TestSARIFIsValid holds the report to the published schema, and suppressions to where they are written.
func TestSARIFIsValid(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	writeFiles(t, work, allowedService)
	cmd := rustgenIn(t, work, "audit", "svc", "--format", "sarif", "--fail-on", "never")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	schema, err := compiler.Compile("testdata/sarif-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	report, err := jsonschema.UnmarshalJSON(strings.NewReader(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(report); err != nil {
		t.Error(err)
	}
	var log struct {
		Runs []struct {
			Results []struct {
				RuleID    string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
				Suppressions []struct{ Kind, Justification string }
			}
		}
	}
	if err := json.Unmarshal(out, &log); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range log.Runs[0].Results {
		if r.RuleID == "blocking" {
			p := r.Locations[0].PhysicalLocation
			got = append(got, fmt.Sprintf("%s:%d %v", p.ArtifactLocation.URI, p.Region.StartLine, r.Suppressions))
		}
	}
	want := "[src/main.rs:6 [] src/main.rs:4 [{inSource it is read once}] src/own.rs:1 [{external it is run by hand}]]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v\nwant %s", got, want)
	}
	if err := schema.Validate(map[string]any{"version": "2.1.0"}); err == nil {
		t.Error("the schema takes a report without runs")
	}
}

// TestAuditSaysWhatItDidNotRead: nothing that may matter is left out without a word, and nothing holds the run.
func TestAuditSaysWhatItDidNotRead(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	writeFiles(t, work, map[string]string{"svc/Cargo.toml": "[package]\nname = \"svc\"\n", "svc/src/main.rs": "fn main() {}\n", "svc/src/bad.rs": "\xff\xfe", "svc/src/shut.rs": ""})
	src := filepath.Join(work, "svc/src")
	if err := syscall.Mkfifo(filepath.Join(src, "pipe.rs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(src, "device.rs")); err != nil {
		t.Fatal(err)
	}
	large, err := os.Create(filepath.Join(src, "large.rs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(large.Truncate(4<<20+1), large.Close()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"src/bad.rs: not read: it is no UTF-8 text", "src/pipe.rs: not read: it is no regular file",
		"src/device.rs: not read: it is no regular file", "src/large.rs: not read: it has more than 4 MiB",
	}
	if os.Getuid() != 0 { // root may read everything
		if err := os.Chmod(filepath.Join(src, "shut.rs"), 0); err != nil {
			t.Fatal(err)
		}
		want = append(want, "src/shut.rs: not read: permission denied")
	}
	out := endsWithin(t, 20*time.Second, rustgenIn(t, work, "audit", "svc"))
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("%q is not in\n%s", w, out)
		}
	}
}

// manyGlobs is a crate whose modules import all of each other, so that each name has very many readings.
func manyGlobs() map[string]string {
	files := map[string]string{"svc/Cargo.toml": "[package]\nname = \"svc\"\n"}
	var mods, globs strings.Builder
	for i := range 24 {
		fmt.Fprintf(&mods, "mod m%d;\n", i)
		fmt.Fprintf(&globs, "use crate::m%d::*;\n", i)
	}
	files["svc/src/main.rs"] = mods.String() + "fn main() {}\n"
	for i := range 24 {
		files[fmt.Sprintf("svc/src/m%d.rs", i)] = globs.String() + "pub async fn f() {\n" + strings.Repeat("spawn(x);\n", 20_000) + "}\n"
	}
	return files
}

// One signal ends an audit, whatever the source keeps it busy with.
func TestSignalEndsAnAudit(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	writeFiles(t, work, manyGlobs())
	cmd := rustgenIn(t, work, "audit", "svc")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("%v, %s", err, &errs)
	}
}
