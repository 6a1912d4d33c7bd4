package ship

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// repository is a tree, committed on main as its owner would have it.
func repository(t *testing.T, r rendered) string {
	t.Helper()
	dir := r.write(t)
	for _, command := range [][]string{
		{"git", "init", "--quiet", "--initial-branch", "main"},
		{"git", "add", "--all"},
		{"git", "-c", "user.name=owner", "-c", "user.email=owner@localhost", "commit", "--quiet", "--message", "first"},
	} {
		mustRun(t, dir, command...)
	}
	return dir
}

func pipelineTools(t *testing.T) {
	t.Helper()
	asked(t, "RUSTGEN_PIPELINE")
	need(t, "cargo-nextest", "cargo install --locked cargo-nextest")
	need(t, "cargo-deny", "cargo install --locked cargo-deny")
	need(t, "cargo", "https://rustup.rs")
	t.Setenv("CARGO_TARGET_DIR", targetDir(t))
}

// The pipeline's own steps pass on a fresh tree: these here, the others where their proofs are.
var (
	stepsHere      = []string{"fmt", "lint", "unit", "deps", "manifests"}
	stepsElsewhere = map[string]string{
		"proto": "TestProtoStep", "client": "TestClientAgainstService", "alerts": "TestAlerts", "image": "TestImages",
		"load":       "internal/servicetest, with RUSTGEN_LOAD",
		"advisories": "nowhere: it asks the RustSec database over the network, and fails on what became known since",
	}
)

func TestPipelineSteps(t *testing.T) {
	pipelineTools(t)
	dir := repository(t, renderTree(t, cases["default"]))
	output := mustRun(t, dir, append([]string{"ci/check.sh"}, stepsHere...)...)
	// What warns on a fresh tree is never read again.
	if strings.Contains(output, "warning") {
		t.Error("a fresh tree is warned of")
	}
	t.Log(output)
}

// Each step fails on what it is there to find.
func TestPipelineStepFaults(t *testing.T) {
	pipelineTools(t)
	for step, fault := range map[string]struct{ file, old, new string }{
		"fmt":       {"src/main.rs", "fn main()", "fn  main()"},
		"lint":      {"src/score.rs", "let mut seed", "let _ = std::fs::read(\"/\");\n        let mut seed"},
		"deps":      {"deny.toml", `"MIT", `, ""},
		"manifests": {"deploy/overlays/prod/kustomization.yaml", "../../base", "../../bass"},
	} {
		t.Run(step, func(t *testing.T) {
			dir := renderTree(t, cases["default"]).with(t, fault.file, fault.old, fault.new).write(t)
			if output, err := run(t, dir, "ci/check.sh", step); err == nil {
				t.Errorf("passed:\n%s", output)
			}
		})
	}
}

// commit commits all that changed, as the service's owner, and tags it unless the tag is empty.
func commit(t *testing.T, dir, tag string) {
	t.Helper()
	mustRun(t, dir, "git", "add", "--all")
	mustRun(t, dir, "git", "-c", "user.name=owner", "-c", "user.email=owner@localhost", "commit", "--quiet", "--allow-empty", "--message", "work")
	if tag != "" {
		mustRun(t, dir, "git", "tag", tag)
	}
}

// The API may grow, and may not break the callers of its last release.
func TestProtoStep(t *testing.T) {
	need(t, "buf", "go install github.com/bufbuild/buf/cmd/buf@v1.75.0")
	r := renderTree(t, cases["full"])
	for name, change := range map[string]struct {
		file, old, new, says string
	}{
		"nothing":               {},
		"a field more":          {helloProto, "uint64 count = 2;", "uint64 count = 2;\n  string note = 3;", ""},
		"a field less":          {helloProto, "  uint64 seq = 1;\n", "", "was deleted"},
		"another type":          {helloProto, "uint64 digest = 2", "string digest = 2", "changed type"},
		"another number":        {helloProto, "uint32 rounds = 3", "uint32 rounds = 4", "was deleted"},
		"an RPC less":           {helloProto, "  rpc Watch(WatchRequest) returns (stream WatchEvent);\n", "", "was deleted"},
		"a name out of fashion": {helloProto, "uint32 interval_ms = 3", "uint32 intervalMs = 3", "lower_snake_case"},
		// Those of others change as they do.
		"another's field less": {"proto/foreign/prices/v1/prices.proto", "  string key = 1;\n", "", ""},
		"another's fashion":    {"proto/foreign/prices/v1/prices.proto", "string key = 1", "string theKey = 1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := repository(t, r)
			mustRun(t, dir, "git", "tag", "v1.0.0")
			commit(t, dir, "")
			if change.file != "" {
				r.with(t, change.file, change.old, change.new).writeTo(t, dir)
			}
			output, err := run(t, dir, "ci/check.sh", "proto")
			if change.says == "" && (err != nil || !strings.Contains(output, "compared with v1.0.0")) {
				t.Errorf("%v\n%s", err, output)
			}
			if change.says != "" && (err == nil || !strings.Contains(output, change.says)) {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

// What the API is compared with is its last release, and until there is one nothing.
func TestProtoRelease(t *testing.T) {
	need(t, "buf", "go install github.com/bufbuild/buf/cmd/buf@v1.75.0")
	const none = "the API is in no release yet"
	r := renderTree(t, cases["default"])
	another := anotherAPI(t, r)
	// replace puts another API in the place of the sample.
	replace := func(t *testing.T, dir string) {
		mustRun(t, dir, "rm", "-r", "proto")
		another.writeTo(t, dir)
	}
	for name, test := range map[string]struct {
		work func(t *testing.T, dir string)
		says string
		ok   bool
	}{
		"the first commit":             {func(*testing.T, string) {}, none, true},
		"another API before a release": {replace, none, true},
		"tags of other things": {func(t *testing.T, dir string) {
			mustRun(t, dir, "git", "tag", "clients/go/v1.0.0")
			mustRun(t, dir, "git", "tag", "vendored")
			commit(t, dir, "")
		}, none, true},
		"the first release": {func(t *testing.T, dir string) { commit(t, dir, "v1.0.0") }, none, true},
		"another API after a release": {func(t *testing.T, dir string) {
			commit(t, dir, "v1.0.0")
			replace(t, dir)
			commit(t, dir, "")
		}, "was deleted", false},
		"a release that breaks": {func(t *testing.T, dir string) {
			commit(t, dir, "v1.0.0")
			replace(t, dir)
			commit(t, dir, "v1.1.0")
		}, "compared with v1.0.0", false},
		"the higher release, and after its candidate": {func(t *testing.T, dir string) {
			for _, tag := range []string{"v1.9.0", "v1.10.0-rc.1", "v1.10.0", ""} {
				commit(t, dir, tag)
			}
		}, "compared with v1.10.0\n", true},
		"a release of another branch": {func(t *testing.T, dir string) {
			mustRun(t, dir, "git", "switch", "--quiet", "--create", "other")
			commit(t, dir, "v1.0.0")
			mustRun(t, dir, "git", "switch", "--quiet", "main")
			commit(t, dir, "")
		}, none, true},
		"a release before there was an API": {func(t *testing.T, dir string) {
			mustRun(t, dir, "git", "rm", "--quiet", "-r", "proto", "buf.yaml")
			commit(t, dir, "v1.0.0")
			r.writeTo(t, dir)
			commit(t, dir, "")
		}, none, true},
		"no repository": {func(t *testing.T, dir string) { mustRun(t, dir, "rm", "-rf", ".git") }, none, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := repository(t, r)
			test.work(t, dir)
			output, err := run(t, dir, "ci/check.sh", "proto")
			if (err == nil) != test.ok || !strings.Contains(output, test.says) {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
	// Without its history, the last release may be missing.
	dir, shallow := repository(t, r), t.TempDir()
	commit(t, dir, "")
	mustRun(t, shallow, "git", "clone", "--quiet", "--depth", "1", "file://"+dir, ".")
	if output, err := run(t, shallow, "ci/check.sh", "proto"); err == nil || !strings.Contains(output, "git fetch --unshallow --tags") {
		t.Errorf("a shallow clone: %v\n%s", err, output)
	}
}

// A release of a service whose other protos stood among its own is compared without them.
func TestProtoReleaseBeforeForeign(t *testing.T) {
	need(t, "buf", "go install github.com/bufbuild/buf/cmd/buf@v1.75.0")
	r := renderTree(t, cases["full"])
	dir := repository(t, r)
	mustRun(t, dir, "git", "mv", "proto/foreign/prices", "proto/foreign/user_store", "proto")
	if err := os.WriteFile(filepath.Join(dir, "buf.yaml"), []byte("version: v2\nmodules:\n  - path: proto\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	commit(t, dir, "v1.0.0")
	mustRun(t, dir, "git", "rm", "--quiet", "-r", "proto/prices", "proto/user_store")
	r.writeTo(t, dir)
	commit(t, dir, "")
	if output, err := run(t, dir, "ci/check.sh", "proto"); err != nil || !strings.Contains(output, "compared with v1.0.0") {
		t.Errorf("%v\n%s", err, output)
	}
}

// Each step is a function of the script, and is proven by a test.
func TestEveryStep(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		script := string(renderTree(t, cases[name]).Tree["ci/check.sh"].Data)
		for _, step := range strings.Fields(steps.FindStringSubmatch(script)[1]) {
			if !strings.Contains(script, "\n"+step+"() {") {
				t.Errorf("%s: step %s is no function", name, step)
			}
			if !slices.Contains(stepsHere, step) && stepsElsewhere[step] == "" {
				t.Errorf("%s: step %s is run by no test", name, step)
			}
		}
	}
}
