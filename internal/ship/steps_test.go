package ship

import (
	"maps"
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

// The proto may grow, and may not break its callers.
func TestProtoStep(t *testing.T) {
	asked(t, "RUSTGEN_PIPELINE")
	need(t, "buf", "go install github.com/bufbuild/buf/cmd/buf@v1.75.0")
	r := renderTree(t, cases["default"])
	const file = "proto/hello/v1/hello.proto"
	for name, change := range map[string]struct {
		old, new, says string
	}{
		"nothing":               {"", "", ""},
		"a field more":          {"uint64 count = 2;", "uint64 count = 2;\n  string note = 3;", ""},
		"a field less":          {"  uint64 seq = 1;\n", "", "was deleted"},
		"another type":          {"uint64 digest = 2", "string digest = 2", "changed type"},
		"another number":        {"uint32 rounds = 3", "uint32 rounds = 4", "was deleted"},
		"an RPC less":           {"  rpc Lookup(LookupRequest) returns (LookupReply);\n", "", "was deleted"},
		"a name out of fashion": {"uint32 interval_ms = 3", "uint32 intervalMs = 3", "lower_snake_case"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := repository(t, r)
			if change.old != "" {
				r.with(t, file, change.old, change.new).writeTo(t, dir)
			}
			output, err := run(t, dir, "ci/check.sh", "proto")
			if change.says == "" && err != nil {
				t.Errorf("%v\n%s", err, output)
			}
			if change.says != "" && (err == nil || !strings.Contains(output, change.says)) {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
	// A base that does not exist is a mistake of the pipeline, not a pass.
	if output, err := run(t, repository(t, r), "env", "BASE_REF=origin/nowhere", "ci/check.sh", "proto"); err == nil {
		t.Errorf("passed:\n%s", output)
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
