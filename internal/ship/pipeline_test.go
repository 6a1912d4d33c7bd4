package ship

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"sigs.k8s.io/yaml"

	"rustgen/internal/tree"
)

// lint is what actionlint, which knows the syntax, the contexts and the inputs of common actions, says of the workflows.
func lint(t *testing.T, r rendered) []string {
	t.Helper()
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{Shellcheck: "shellcheck"})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range r.Paths() {
		if !strings.HasPrefix(name, ".github/workflows/") {
			continue
		}
		errors, err := linter.Lint(name, r.Tree[name].Data, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range errors {
			found = append(found, fmt.Sprintf("%s:%d: %s", name, e.Line, e.Message))
		}
	}
	return found
}

var (
	uses   = regexp.MustCompile(`(?m)uses: *(\S+)(.*)$`)
	pinned = regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	// The images of GitLab's jobs, in the jobs and in variables that these name.
	images   = regexp.MustCompile(`(?m)^ *(?:image|- name|[A-Z]+_IMAGE): *(\S+)$`)
	byDigest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)
	calls    = regexp.MustCompile(`ci/check\.sh((?: \w+)+)`)
	steps    = regexp.MustCompile(`(?m)^steps=\((.*)\)$`)

	upgradeToken = regexp.MustCompile(`(?m)^ *(token|GH_TOKEN): \$\{\{ (.*) \}\}$`)
)

// pipelineViolations are actions that someone else can change, and steps of the script that the pipeline forgets.
func pipelineViolations(r rendered) []string {
	var found []string
	var pipeline []byte
	for _, name := range r.Paths() {
		if strings.HasPrefix(name, ".github/") || name == ".gitlab-ci.yml" {
			pipeline = append(pipeline, r.Tree[name].Data...)
		}
	}
	for _, use := range uses.FindAllSubmatch(pipeline, -1) {
		if !pinned.Match(use[1]) || !bytes.Contains(use[2], []byte("# v")) {
			found = append(found, fmt.Sprintf("%s is not pinned by commit and named by version", use[1]))
		}
	}
	for _, image := range images.FindAllSubmatch(r.Tree[".gitlab-ci.yml"].Data, -1) {
		if name := string(image[1]); !strings.HasPrefix(name, "$") && !byDigest.MatchString(name) {
			found = append(found, name+" is not pinned by digest")
		}
	}
	var called []string
	for _, call := range calls.FindAllSubmatch(pipeline, -1) {
		called = append(called, strings.Fields(string(call[1]))...)
	}
	all := strings.Fields(string(steps.FindSubmatch(r.Tree["ci/check.sh"].Data)[1]))
	for _, step := range all {
		if !slices.Contains(called, step) {
			found = append(found, "the pipeline never runs "+step)
		}
	}
	for _, step := range called {
		if !slices.Contains(all, step) {
			found = append(found, "the pipeline runs "+step+", which is no step")
		}
	}
	return append(append(found, publishViolations(r)...), upgradeViolations(r)...)
}

// upgradeViolations are ways in which the scheduled upgrade would push what it must not, or not push what it must.
func upgradeViolations(r rendered) []string {
	var found []string
	if file, ok := r.Tree[".github/workflows/upgrade.yml"]; ok {
		// Git pushes with the token of the checkout, and gh proposes with its own. The workflow's may not change workflows.
		tokens := upgradeToken.FindAllSubmatch(file.Data, -1)
		for _, token := range tokens {
			if string(token[2]) != "secrets.RUSTGEN_PUSH_TOKEN || github.token" {
				found = append(found, fmt.Sprintf("the upgrade's %s is %s", token[1], token[2]))
			}
		}
		if len(tokens) != 2 {
			found = append(found, fmt.Sprintf("the upgrade uses %d tokens", len(tokens)))
		}
	}
	if file, ok := r.Tree[".gitlab-ci.yml"]; ok {
		var gitlab struct {
			Upgrade struct{ Variables map[string]string }
		}
		if err := yaml.Unmarshal(file.Data, &gitlab); err != nil {
			return []string{err.Error()}
		}
		// rustgen is built with Go in that job, and all that is new in the project is committed.
		if path := gitlab.Upgrade.Variables["GOPATH"]; !strings.HasPrefix(path, "/") {
			found = append(found, fmt.Sprintf("the upgrade keeps Go's modules in %q", path))
		}
	}
	return found
}

// publishViolations are checks that an image could be published without.
func publishViolations(r rendered) []string {
	var found []string
	var github struct {
		Jobs map[string]struct{ Needs []string }
	}
	if err := yaml.Unmarshal(r.Tree[".github/workflows/check.yml"].Data, &github); err != nil {
		return []string{err.Error()}
	}
	for job := range github.Jobs {
		// The cache of builds is kept by the default branch, which releases nothing.
		if job != "publish" && job != "build-cache" && !slices.Contains(github.Jobs["publish"].Needs, job) {
			found = append(found, "an image is published without "+job)
		}
	}
	// GitLab's stages come one after the other.
	var gitlab struct{ Stages []string }
	if err := yaml.Unmarshal(r.Tree[".gitlab-ci.yml"].Data, &gitlab); err != nil {
		return []string{err.Error()}
	}
	if last := len(gitlab.Stages) - 1; last >= 0 && gitlab.Stages[last] != "publish" {
		found = append(found, "an image is published before the stage "+gitlab.Stages[last])
	}
	return found
}

// zizmor says where a workflow of GitHub's gives way to an attacker: by credentials, caches, triggers, or what is injected.
func zizmor(t *testing.T, dir string) (string, error) {
	t.Helper()
	return run(t, dir, need(t, "zizmor", "pip install zizmor==1.32.0"), "--offline", "--quiet", "--no-progress", ".github")
}

func TestGitHubIsSafe(t *testing.T) {
	eachCase(t, ".github/workflows/check.yml", func(t *testing.T, r rendered) {
		if output, err := zizmor(t, r.write(t)); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
		for _, name := range r.Paths() {
			if strings.HasPrefix(name, ".github/workflows/") {
				for _, violation := range permissionViolations(t, r.Tree[name].Data) {
					t.Errorf("%s: %s", name, violation)
				}
			}
		}
	})
}

func TestGitHubIsSafeFaults(t *testing.T) {
	const check = ".github/workflows/check.yml"
	for _, fault := range []struct{ old, new, found string }{
		{"          persist-credentials: false\n", "          persist-credentials: null\n", "artipacked"},
		{" # zizmor: ignore[cache-poisoning]", "", "cache-poisoning"},
		{"ci/check.sh load", "echo ${{ github.head_ref }}", "template-injection"},
		{"on:\n", "on:\n  pull_request_target:\n", "dangerous-triggers"},
	} {
		r := renderTree(t, cases["default"]).with(t, check, fault.old, fault.new)
		if output, err := zizmor(t, r.write(t)); err == nil || !strings.Contains(output, fault.found) {
			t.Errorf("%s was not found: %v\n%s", fault.found, err, output)
		}
	}
	r := renderTree(t, cases["default"])
	for _, fault := range []struct{ old, new, found string }{
		{"permissions: {}", "permissions: write-all", "the workflow's jobs have"},
		{"    permissions:\n      contents: read\n    steps:", "    steps:", "check says no permissions"},
	} {
		faulty := r.with(t, check, fault.old, fault.new)
		if found := permissionViolations(t, faulty.Tree[check].Data); len(found) != 1 || !strings.HasPrefix(found[0], fault.found) {
			t.Errorf("%q was not found: %q", fault.found, found)
		}
	}
}

// permissionViolations are permissions that a job has without asking for them.
func permissionViolations(t *testing.T, workflow []byte) []string {
	t.Helper()
	var parsed struct {
		Permissions any
		Jobs        map[string]struct{ Permissions map[string]string }
	}
	if err := yaml.Unmarshal(workflow, &parsed); err != nil {
		t.Fatal(err)
	}
	var found findings
	all, ok := parsed.Permissions.(map[string]any)
	found.wrong(ok && len(all) == 0, "the workflow's jobs have %v", parsed.Permissions)
	for name, job := range parsed.Jobs {
		found.wrong(len(job.Permissions) > 0, "%s says no permissions", name)
	}
	return found
}

// The workflows of this repository are held to the same.
func TestOwnWorkflows(t *testing.T) {
	need(t, "shellcheck", "apt-get install shellcheck")
	own := rendered{Tree: tree.Tree{}}
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := ".github/workflows/" + filepath.Base(file)
		own.Tree[name] = tree.File{Mode: 0o644, Data: data}
		for _, violation := range permissionViolations(t, data) {
			t.Errorf("%s: %s", name, violation)
		}
		for _, use := range uses.FindAllSubmatch(data, -1) {
			if !pinned.Match(use[1]) || !bytes.Contains(use[2], []byte("# v")) {
				t.Errorf("%s: %s is not pinned by commit and named by version", name, use[1])
			}
		}
	}
	for _, violation := range lint(t, own) {
		t.Error(violation)
	}
	if output, err := zizmor(t, own.write(t)); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestGitHub(t *testing.T) {
	need(t, "shellcheck", "apt-get install shellcheck")
	eachCase(t, ".github/workflows/check.yml", func(t *testing.T, r rendered) {
		for _, violation := range append(lint(t, r), pipelineViolations(r)...) {
			t.Error(violation)
		}
	})
}

func TestGitHubFaults(t *testing.T) {
	need(t, "shellcheck", "apt-get install shellcheck")
	const check, upgrade = ".github/workflows/check.yml", ".github/workflows/upgrade.yml"
	for found, r := range map[string]rendered{
		"property \"rev\" is not defined":    renderTree(t, cases["default"]).with(t, check, "github.ref }}", "github.rev }}"),
		"unexpected key \"run-on\"":          renderTree(t, cases["default"]).with(t, check, "runs-on", "run-on"),
		"label \"ubuntu-99.04\" is unknown":  renderTree(t, cases["default"]).with(t, check, "ubuntu-24.04", "ubuntu-99.04"),
		"shellcheck reported issue":          renderTree(t, cases["default"]).with(t, check, `"$RUST_VERSION" --profile`, `$RUST_VERSION --profile`),
		"is not pinned by commit":            renderTree(t, cases["default"]).with(t, check, "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "actions/checkout@v7"),
		"the pipeline never runs deps":       renderTree(t, cases["default"]).with(t, check, "ci/check.sh deps advisories", "ci/check.sh advisories"),
		"an image is published without load": renderTree(t, cases["default"]).with(t, check, "image, load]", "image]"),
		"the pipeline runs units":            renderTree(t, cases["default"]).with(t, check, "fmt lint unit", "fmt lint units"),
		"the upgrade's GH_TOKEN is github":   renderTree(t, cases["default"]).with(t, upgrade, "GH_TOKEN: ${{ secrets.RUSTGEN_PUSH_TOKEN || ", "GH_TOKEN: ${{ "),
		"the upgrade uses 1 tokens":          renderTree(t, cases["default"]).with(t, upgrade, "        with:\n          token: ${{ secrets.RUSTGEN_PUSH_TOKEN || github.token }}\n", ""),
	} {
		if all := append(lint(t, r), pipelineViolations(r)...); !strings.Contains(strings.Join(all, "\n"), found) {
			t.Errorf("%q was not found: %q", found, all)
		}
	}
}

// GitLab's pipeline against the schema that GitLab publishes.
func TestGitLab(t *testing.T) {
	need(t, "check-jsonschema", "pip install check-jsonschema")
	eachCase(t, ".gitlab-ci.yml", func(t *testing.T, r rendered) {
		mustRun(t, r.write(t), "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", ".gitlab-ci.yml")
		for _, violation := range pipelineViolations(r) {
			t.Error(violation)
		}
	})
}

// The files of the dependency bots against the schemas that they publish.
func TestBots(t *testing.T) {
	need(t, "check-jsonschema", "pip install check-jsonschema")
	for file, schema := range map[string]string{"renovate.json": "vendor.renovate", ".github/dependabot.yml": "vendor.dependabot"} {
		eachCase(t, file, func(t *testing.T, r rendered) {
			mustRun(t, r.write(t), "check-jsonschema", "--builtin-schema", schema, file)
		})
	}
}

func TestGitLabFaults(t *testing.T) {
	need(t, "check-jsonschema", "pip install check-jsonschema")
	const pipeline = ".gitlab-ci.yml"
	for _, fault := range []struct{ old, new string }{
		{"stages: [check, ship, publish]", "stages: check"},
		{"needs: [check]", "needs: 1"},
		{"- name: docker:28-dind", "- nam: docker:28-dind"},
		{"aud: sigstore", "audience: sigstore"},
		{"artifacts:\n    when: always", "artifacts:\n    when: ever"},
	} {
		r := renderTree(t, cases["stateful"]).with(t, pipeline, fault.old, fault.new)
		if output, err := run(t, r.write(t), "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", pipeline); err == nil {
			t.Errorf("%q passed:\n%s", fault.new, output)
		}
	}
	r := renderTree(t, cases["stateful"]).with(t, pipeline, "ci/check.sh load", "cargo run -p loadtest")
	if found := pipelineViolations(r); !slices.Contains(found, "the pipeline never runs load") {
		t.Errorf("a forgotten step was not found: %q", found)
	}
	r = renderTree(t, cases["stateful"]).with(t, pipeline, "[check, ship, publish]", "[check, publish, ship]")
	if found := pipelineViolations(r); !slices.Contains(found, "an image is published before the stage ship") {
		t.Errorf("publishing too early was not found: %q", found)
	}
	r = renderTree(t, cases["stateful"]).with(t, pipeline, "golang:1.26-bookworm@sha256:", "golang:1.26-bookworm-")
	if found := pipelineViolations(r); len(found) != 1 || !strings.HasSuffix(found[0], " is not pinned by digest") {
		t.Errorf("a moving image was not found: %q", found)
	}
	r = renderTree(t, cases["stateful"]).with(t, pipeline, "    GOPATH: /go\n", "")
	if found := pipelineViolations(r); !slices.Contains(found, `the upgrade keeps Go's modules in ""`) {
		t.Errorf("modules in the project were not found: %q", found)
	}
}

// The scripts, by shellcheck.
func TestScripts(t *testing.T) {
	need(t, "shellcheck", "apt-get install shellcheck")
	eachCase(t, "ci/check.sh", func(t *testing.T, r rendered) {
		dir := r.write(t)
		for _, name := range r.Paths() {
			if !strings.HasSuffix(name, ".sh") {
				continue
			}
			mustRun(t, dir, "shellcheck", filepath.FromSlash(name))
			if mode := r.Tree[name].Mode; mode.Perm() != 0o755 {
				t.Errorf("%s has mode %v", name, mode)
			}
		}
	})
	broken := renderTree(t, cases["default"]).with(t, "ci/check.sh", `rm -rf "$work"`, "rm -rf $work")
	if output, err := run(t, broken.write(t), "shellcheck", "ci/check.sh"); err == nil {
		t.Errorf("an unquoted variable passed:\n%s", output)
	}
}

// The script refuses what it does not know, and says what it lacks.
func TestScriptSpeaks(t *testing.T) {
	dir := renderTree(t, cases["default"]).write(t)
	output, err := run(t, dir, "ci/check.sh", "fmt", "tests")
	if err == nil || !strings.Contains(output, "no step tests") || !strings.Contains(output, "steps: fmt lint unit") {
		t.Errorf("%v\n%s", err, output)
	}
	output, err = run(t, dir, "env", "PROMTOOL=no-such-tool", "ci/check.sh", "alerts")
	if err == nil || !strings.Contains(output, "no-such-tool is missing") || !strings.Contains(output, "apt-get install prometheus") {
		t.Errorf("%v\n%s", err, output)
	}
}

// The pipelines fetch the last release, which the API is compared with.
func TestPipelinesFetchReleases(t *testing.T) {
	var github struct {
		Jobs map[string]struct {
			Steps []struct{ With map[string]any }
		}
	}
	if err := yaml.Unmarshal(renderTree(t, cases["default"]).Tree[".github/workflows/check.yml"].Data, &github); err != nil {
		t.Fatal(err)
	}
	if depth := github.Jobs["proto"].Steps[0].With["fetch-depth"]; fmt.Sprint(depth) != "0" {
		t.Errorf("GitHub fetches %v commits", depth)
	}
	var gitlab struct {
		Proto struct{ Variables map[string]string }
	}
	if err := yaml.Unmarshal(renderTree(t, cases["stateful"]).Tree[".gitlab-ci.yml"].Data, &gitlab); err != nil {
		t.Fatal(err)
	}
	if depth := gitlab.Proto.Variables["GIT_DEPTH"]; depth != "0" {
		t.Errorf("GitLab fetches %q commits", depth)
	}
}
