package servicetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// own is a service whose sample API is being replaced, as its README says.
type own struct {
	// dir is the service; its protos are beside it until they are copied.
	dir     string
	rustgen string
	// code is what the team writes by hand.
	code map[string]string
}

// sections are the commands of the README's first section, a list for each of its blocks.
func sections(t *testing.T, dir string) [][]string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "\n## Make it yours\n")
	section, _, end := strings.Cut(section, "\n## ")
	if !ok || !end {
		t.Fatal("the README does not begin with how to make it yours")
	}
	var blocks [][]string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, strings.Split(strings.TrimSpace(block[1]), "\n"))
	}
	return blocks
}

// shell runs a command of the README, and is what it printed.
func (o own) shell(t *testing.T, command string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", command)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(o.rustgen)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"RUSTFLAGS=-Ctarget-cpu=x86-64-v2", "CARGO_TARGET_DIR="+target(t), "CARGO_TERM_COLOR=never",
		"GIT_AUTHOR_NAME=team", "GIT_AUTHOR_EMAIL=team@example.com", "GIT_COMMITTER_NAME=team", "GIT_COMMITTER_EMAIL=team@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is shell for a command that succeeds.
func (o own) must(t *testing.T, command string) string {
	t.Helper()
	begin := time.Now()
	out, err := o.shell(t, command)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	t.Logf("%s: %v", command, time.Since(begin).Round(time.Second/10))
	return out
}

// withLayer does something while the service takes the layer in place. Its manifests are the template's again afterwards, for
// `rustgen set` to merge into.
func (o own) withLayer(t *testing.T, work func()) {
	t.Helper()
	manifests := map[string][]byte{"Cargo.toml": nil, "Cargo.lock": nil, "loadtest/Cargo.toml": nil}
	for name := range manifests {
		data, err := os.ReadFile(filepath.Join(o.dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		manifests[name] = data
	}
	share(t, o.dir)
	work()
	for name, data := range manifests {
		if err := os.WriteFile(filepath.Join(o.dir, filepath.FromSlash(name)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// rust is all that cargo compiles of the service.
func (o own) rust(t *testing.T) []byte {
	t.Helper()
	files := snapshot(t, o.dir)
	var all bytes.Buffer
	for _, p := range files.Paths() {
		if strings.HasSuffix(p, ".rs") || strings.HasSuffix(p, "Cargo.toml") || strings.HasPrefix(p, "proto/") {
			all.Write(files[p].Data)
		}
	}
	return all.Bytes()
}

// newOwn makes a service with the sample, committed, and puts the protos of a kept service beside it.
func newOwn(t *testing.T) own {
	t.Helper()
	home := t.TempDir()
	o := own{filepath.Join(home, "hello"), program(t), map[string]string{}}
	run(t, ".", 0, o.rustgen, "new", "hello", "--yes", "--vcs", "none", "--dir", o.dir, "--layer", "registry")
	o.must(t, "git init --quiet && git add --all && git commit --quiet --message first")
	for _, name := range []string{"apis", "third"} {
		if err := os.CopyFS(filepath.Join(home, name), os.DirFS(filepath.Join("..", "..", "golden", "testdata", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"src/handlers.rs", "tests/service.rs", "loadtest/src/workload.rs"} {
		text, err := os.ReadFile(filepath.Join("testdata", "ride-hail", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		o.code[name] = string(text)
	}
	return o
}

// write puts the team's code into the service, and its figures into the policies and gates.
func (o own) write(t *testing.T) {
	t.Helper()
	for name, text := range o.code {
		if err := os.WriteFile(filepath.Join(o.dir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := service(o.dir)
	s.edit(t, "src/policy.rs", `("ride.v1.Rides/Find", Policy::light())`, `("ride.v1.Rides/Find", Policy::light().request(4 << 10).reply(4 << 10))`)
	s.edit(t, "loadtest/gates.toml", "p99_ms = 150.0", "p99_ms = 100.0")
	for _, name := range []string{"src/policy.rs", "loadtest/gates.toml"} {
		text, err := os.ReadFile(filepath.Join(o.dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		o.code[name] = string(text)
	}
}

// steps are those of ci/check.sh that need neither a container, nor a release build, nor the network, and whose programs
// are here.
func steps(t *testing.T) string {
	t.Helper()
	here := []string{"fmt", "lint"}
	for _, step := range [][2]string{
		{"unit", "cargo-nextest"}, {"deps", "cargo-deny"}, {"proto", "buf"}, {"client", "go"}, {"manifests", "kustomize"}, {"alerts", "promtool"},
	} {
		_, err := exec.LookPath(step[1])
		switch {
		case err == nil:
			here = append(here, step[0])
		case os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "":
			t.Fatalf("there is no %s", step[1])
		default:
			t.Logf("SKIPPED: there is no %s, and the step %s is not run", step[1], step[0])
		}
	}
	return strings.Join(here, " ")
}

// ownDecisions are changes of every decision of a service with an API of its own.
var ownDecisions = []string{
	"state=stateful panic=unwind", "panic=unwind", "allocator=mimalloc", "runtime=current-thread", "memory=1GiB", "cpu=4",
	"max-message=256KiB", "deadline=2s", "downstream=pricing", "downstream=pricing,stock", "queue=128", "metrics=otelgrpc",
	"traces=none", "base=scratch", "target-cpu=x86-64-v3", "ci=gitlab", "deploy=none", "deploy=kubernetes",
	"go-module=gitlab.com/acme/rides/clients/go", "go-client=false", "go-client=true",
	"tls=server", "tls=mutual", "tls=none", "state=stateless autoscaling=keda", "name=goodbye",
}

// TestReadmeIsFollowed replaces the sample by the API of the kept service ride-hail, with the commands of the README as they
// stand there, and then changes every decision. Nothing conflicts, no line of the team changes, and what is compiled is
// compiled without a warning and passes every step of the pipeline that can be run here.
func TestReadmeIsFollowed(t *testing.T) {
	o := newOwn(t)
	blocks := sections(t, o.dir)
	if len(blocks) != 4 || !slices.Equal(blocks[0], []string{"ci/check.sh doctor"}) || !slices.Equal(blocks[3], []string{"ci/check.sh"}) {
		t.Fatalf("the section is another one now: %q", blocks)
	}
	// A machine may lack a program; what the doctor says is looked at in internal/ship.
	if out, _ := o.shell(t, blocks[0][0]); !strings.Contains(out, "WANTED") {
		t.Errorf("the doctor says nothing:\n%s", out)
	}
	for _, command := range slices.Concat(blocks[1], blocks[2]) {
		if strings.HasPrefix(command, "cargo ") {
			if !testing.Short() {
				o.withLayer(t, func() { o.must(t, command) })
			}
			continue
		}
		o.must(t, command)
	}
	if out := o.must(t, "rustgen api"); !strings.HasPrefix(out, "nothing is missing") {
		t.Errorf("after the commands:\n%s", out)
	}
	o.write(t)
	o.must(t, "git commit --quiet --all --message methods")
	if !testing.Short() {
		o.withLayer(t, func() {
			o.must(t, "cargo check --workspace --all-targets")
			if out := o.must(t, blocks[3][0]+" "+steps(t)); strings.Contains(out, "warning") {
				t.Errorf("it is warned of:\n%s", out)
			}
		})
	}
	o.changeDecisions(t)
}

// changeDecisions changes each decision in turn, compiles what that changed of the Rust, and runs the service's tests at the end.
func (o own) changeDecisions(t *testing.T) {
	t.Helper()
	for _, change := range ownDecisions {
		before := o.rust(t)
		o.must(t, "rustgen set "+change)
		o.must(t, "git add --all && git commit --quiet --allow-empty --message decision")
		for p, text := range o.code {
			if data, err := os.ReadFile(filepath.Join(o.dir, filepath.FromSlash(p))); err != nil || string(data) != text {
				t.Errorf("set %s: %s was touched (%v)", change, p, err)
			}
		}
		if !testing.Short() && !bytes.Equal(before, o.rust(t)) {
			o.withLayer(t, func() { o.must(t, "cargo check --workspace --all-targets") })
		}
	}
	o.must(t, "rustgen status --check=conflicts,damaged,drift")
	// The stubs import each other by the path of the Go module, which has changed.
	o.must(t, "rustgen api --write && rustgen api")
	if !testing.Short() {
		o.withLayer(t, func() {
			o.must(t, "cargo clippy --workspace --all-targets -- -Dwarnings && cargo test --quiet --workspace")
		})
	}
}
