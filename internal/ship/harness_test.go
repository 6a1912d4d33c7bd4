package ship

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rustgen/internal/decision"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
)

// setDir is the template set under test.
const setDir = "../../templates/hotpath"

// answers are decisions that are not the defaults.
type answers map[string]string

// cases cover every value of every decision that these proofs depend on.
var cases = map[string]answers{
	"default": {"name": "hello"},
	"full": {
		"name": "hello", "downstream": "user-store,prices", "queue": "64", "allocator": "jemalloc",
		"memory": "256MiB", "runtime": "current-thread",
	},
	"stateful": {
		"name": "order-api", "package": "acme.orders.v2", "state": "stateful", "metrics": "otelgrpc", "ci": "gitlab",
		"base": "scratch", "deadline": "45s", "allocator": "mimalloc", "traces": "none",
	},
	"otel": {
		"name": "hello", "metrics": "otelgrpc", "downstream": "prices", "queue": "8", "target-cpu": "generic",
		"panic": "unwind", "deadline": "20ms", "max-message": "64KiB",
	},
	"bare": {"name": "hello", "ci": "none", "deploy": "none", "go-client": "false"},
}

// rendered is the tree of some decisions, and the values that templates saw.
type rendered struct {
	tree.Tree
	data map[string]any
}

func renderTree(t testing.TB, given answers) rendered {
	t.Helper()
	set, err := templateset.Load(os.DirFS(setDir), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	engine := render.NewEngine()
	inputs := map[string]decision.Input{}
	for id, value := range given {
		inputs[id] = decision.Text(value, decision.FromFlag(id))
	}
	outcome, err := set.Catalog.Resolve(engine.Eval, decision.Request{Given: inputs, AcceptDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := outcome.Err(); err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(set, outcome.Data)
	if err != nil {
		t.Fatal(err)
	}
	return rendered{files, outcome.Data}
}

// write lays the tree out in a new folder.
func (r rendered) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	r.writeTo(t, dir)
	return dir
}

func (r rendered) writeTo(t testing.TB, dir string) {
	t.Helper()
	for name, file := range r.Tree {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, file.Data, file.Mode); err != nil {
			t.Fatal(err)
		}
	}
}

// with is the tree with one text in one file replaced: a planted fault. The text must be there, or the fault would be
// none.
func (r rendered) with(t testing.TB, name, old, new string) rendered {
	t.Helper()
	file, ok := r.Tree[name]
	if !ok {
		t.Fatalf("no file %s to plant a fault in", name)
	}
	if !bytes.Contains(file.Data, []byte(old)) {
		t.Fatalf("%s holds no %q to plant a fault in", name, old)
	}
	changed := rendered{r.Clone(), r.data}
	file.Data = bytes.Replace(file.Data, []byte(old), []byte(new), 1)
	changed.Tree[name] = file
	return changed
}

// eachCase runs a test over every case whose tree holds a path.
func eachCase(t *testing.T, needs string, test func(t *testing.T, r rendered)) {
	t.Helper()
	ran := false
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		r := renderTree(t, cases[name])
		if _, ok := r.Tree[needs]; !ok {
			continue
		}
		ran = true
		t.Run(name, func(t *testing.T) { test(t, r) })
	}
	if !ran {
		t.Fatalf("no case renders %s", needs)
	}
}

// findings are the ways in which something breaks what it must hold.
type findings []string

// wrong adds what does not hold.
func (f *findings) wrong(holds bool, format string, args ...any) {
	if !holds {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

// need finds a program; without it the test is skipped, or fails where RUSTGEN_REQUIRE_TOOLS is set.
func need(t testing.TB, tool, how string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		missing(t, tool+" is missing: "+how)
	}
	return path
}

// asked skips what takes many minutes, or tools that take many minutes to build, unless the environment asks for it.
func asked(t testing.TB, variable string) {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Skip("SKIPPED: " + variable + " does not ask for it")
	}
}

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}

// run runs a program in a folder and returns what it printed.
func run(t testing.TB, dir string, command ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Dir = dir
	output, err := c.CombinedOutput()
	return string(output), err
}

func mustRun(t testing.TB, dir string, command ...string) string {
	t.Helper()
	output, err := run(t, dir, command...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, output)
	}
	return output
}
