package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"rustgen/internal/parity/live"
)

// variant is one server of the comparison.
type variant struct {
	name   string
	binary string
	env    []string
	// ours is the generated service, with its features.
	ours     bool
	features string
	cores    cores
}

// inCommon is what every server and every phase is told; a phase adds its own.
var inCommon = []string{"CONNECTION_AGE_MS=3600000"}

// controls are what the generated service is compared with.
var controls = []variant{
	{name: "naive tonic", binary: "naive"},
	{name: "naive tonic, spawn_blocking", binary: "naive", env: []string{"SPAWN_BLOCKING=1"}},
	{name: "grpc-go", binary: "gosvc"},
	{name: "grpc-go, bounded by hand", binary: "gosvc", env: []string{"BOUNDED=1"}},
}

// generated are three of the six builds of the generated service, the first also with a small budget.
func generated() (all []variant) {
	for _, build := range [][2]string{
		{"system", "multi-thread"}, {"mimalloc", "multi-thread"}, {"jemalloc", "current-thread"},
	} {
		features := fmt.Sprintf("alloc-%s,runtime-%s", build[0], build[1])
		all = append(all, variant{
			name: fmt.Sprintf("generated, %s, %s", build[0], build[1]), binary: features, ours: true, features: features,
		})
	}
	small := all[0]
	small.name, small.env = small.name+", 64 MiB", []string{"MEMORY_BUDGET=64MiB"}
	return slices.Insert(all, 1, small)
}

// edits are what a team would write: one key of Lookup is answered with 60 kB, as naive and gosvc do, and the policy says
// what this run's calls take, a reply of Lookup and 10 ms of the downstream service beside 5 ms of CPU. Of the latter follow
// 12 calls in flight, which gosvc has with its bounds.
var edits = []struct{ file, old, new string }{
	{"src/handlers.rs", `
        let key = request.into_inner().key;
`, `
        let mut key = request.into_inner().key;
        // What peers that never read ask for.
        if key == "60kB" {
            key = "k".repeat(60_000);
        }
`},
	{"src/policy.rs", `("Lookup", Policy::light().request(4 << 10).reply(4 << 10)),`,
		`("Lookup", Policy::light().request(4 << 10).reply(64 << 10)),`},
	{"src/policy.rs", `Policy::cpu(Duration::from_millis(25), Duration::from_millis(5))`,
		`Policy::cpu(Duration::from_millis(15), Duration::from_millis(5))`},
}

// source is the generated service with the edits.
func source() (*live.Tree, error) {
	tree, err := live.Render("hello", map[string]string{"downstream": "prices"})
	for _, e := range edits {
		if err != nil {
			return nil, err
		}
		tree, err = tree.With(e.file, e.old, e.new)
	}
	return tree, err
}

// servers are those that are wanted, the controls first, with their binaries in dir: compiled in release, or reused.
func servers(ctx context.Context, dir string, wanted func(string) bool, reuse bool, split cores) ([]variant, error) {
	var all []variant
	for _, v := range append(slices.Clone(controls), generated()...) {
		if wanted(v.name) {
			all = append(all, v)
		}
	}
	if !reuse {
		if err := build(ctx, dir, all); err != nil {
			return nil, err
		}
	}
	for i := range all {
		all[i].binary, all[i].cores = filepath.Join(dir, all[i].binary), split
	}
	return all, nil
}

func build(ctx context.Context, dir string, all []variant) error {
	tree, err := source()
	if err != nil {
		return err
	}
	// Outside cargo's own directory: of sources inside it cargo remembers which they were, and would take what was built
	// of them for the crates of another service.
	sources, err := os.MkdirTemp("", "rustgen-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(sources)
	hello := filepath.Join(sources, "hello")
	if err := tree.Write(hello); err != nil {
		return err
	}
	// As the generated service is compiled, so that no profile is compared.
	profile := []string{
		"RUSTFLAGS=-C target-cpu=x86-64-v2", "CARGO_PROFILE_RELEASE_LTO=true", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1",
		"CARGO_PROFILE_RELEASE_PANIC=abort",
	}
	built := map[string]bool{}
	for _, v := range all {
		if built[v.binary] {
			continue
		}
		built[v.binary] = true
		step("building " + v.name)
		to := filepath.Join(dir, v.binary)
		switch {
		case v.ours:
			args := []string{"--release", "--no-default-features", "--features", v.features}
			err = live.Build(hello, "hello", to, nil, args...)
		case v.binary == "naive":
			err = live.Build("naive", "naive", to, profile, "--release")
		default:
			compile := exec.CommandContext(ctx, "go", "build", "-o", to, "./"+v.binary)
			compile.Stderr = os.Stderr
			err = compile.Run()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// start starts a server for one phase, on its cores.
func (v variant) start(ctx context.Context, env ...string) (process *live.Process, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err = v.cores.onServer(func() error {
		process, err = live.Start(ctx, v.binary, slices.Concat(inCommon, v.env, env)...)
		return err
	})
	return process, err
}

// step says what is being done.
func step(what string) { fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05"), what) }
