// Package servicetest takes generated services where their teams take them. Edited for months, they are upgraded, and
// compile and pass their tests. New, they are given another API as their README says. Under load, those as they are rendered must keep every gate of their load test
// (RUSTGEN_LOAD=1), and mutants of them must break the right gate and be told the right cause (RUSTGEN_MUTANTS=1).
package servicetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	// gateBroke is the exit code of the load test when a gate broke.
	gateBroke = 4
	// inconclusive is its exit code when the machine disturbed it so much that it says nothing.
	inconclusive = 5
)

// verdict is one gate as report.json has it.
type verdict struct {
	Gate     string
	State    string
	Measured string
	Limit    string
	Cause    string
}

// verdicts are all gates of one run.
type verdicts []verdict

// kept are the gates that one run or another has kept. A fault of the service breaks its gate in every run; what else
// goes on, on this machine or its host, breaks one now and another then.
type kept map[string]bool

// without takes in the gates of one more run, and says which of them no run has kept.
func (k kept) without(all verdicts) (faults []string) {
	for _, v := range all {
		k[v.Gate] = k[v.Gate] || v.State == "passed"
		if !k[v.Gate] {
			faults = append(faults, fmt.Sprintf("%s is %s: %s, allowed %s: %s", v.Gate, v.State, v.Measured, v.Limit, v.Cause))
		}
	}
	return faults
}

// unquiet says whether the load test itself names the machine as what broke a gate.
func (all verdicts) unquiet() bool {
	return slices.ContainsFunc(all, func(v verdict) bool { return strings.HasPrefix(v.Cause, "this machine, first") })
}

const (
	// attempts is how often a load test is run before it is believed: another program on the machine, or on its host, may
	// break a gate that the service would have kept.
	attempts = 5
	// spare is how many runs more the cases of a test have together, for those in which the machine was not theirs
	// alone: they say nothing of the service.
	spare = 10
)

// quiet skips, aloud, a test that needs a machine of its own for minutes, unless the variable says that this is one.
func quiet(t *testing.T, variable string) {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Skipf("SKIPPED: set %s=1 on a quiet machine to put generated services under load", variable)
	}
	if _, err := exec.LookPath("cargo"); err != nil {
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "" {
			t.Fatal("there is no cargo")
		}
		t.Skip("SKIPPED: there is no cargo")
	}
}

// service is the directory of a rendered service.
type service string

// render makes the service that the answers describe. It is rendered anew each time, and so newer than what was built
// before: Cargo tells crates of the same name that share a target directory apart by nothing else. With layer=registry the
// layer is taken in place, and compiled once for all of them.
func render(t *testing.T, answers ...string) service {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hello")
	args := append([]string{"run", "../../cmd/rustgen", "new", "hello", "--yes", "--vcs", "none", "--dir", dir}, answers...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("rustgen new: %v\n%s", err, out)
	}
	if slices.Contains(answers, "registry") {
		share(t, dir)
	}
	return service(dir)
}

// edit replaces text in one file of the service. The text must be there once: a mutant that changes nothing proves
// nothing.
func (s service) edit(t *testing.T, file, old, new string) {
	t.Helper()
	path := filepath.Join(string(s), file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), old); n != 1 {
		t.Fatalf("%s holds this %d times, not once; mend the mutant:\n%s", file, n, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// target is where cargo builds.
func target(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CARGO_TARGET_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "target", "servicetest")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// quickBuild leaves out of a release build what takes most of its time. The load test itself is always built so.
var quickBuild = []string{"CARGO_PROFILE_RELEASE_LTO=off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16"}

// judge runs the load test until nothing is wrong with its verdicts, and fails when the attempts are used up. Runs on a
// machine that was not the test's alone are taken from spare instead, while there are any. The service is built with the
// variables of env.
func (s service) judge(t *testing.T, spare *int, wrong func(verdicts) []string, env ...string) {
	t.Helper()
	var faults []string
	for left := attempts; left > 0; {
		all := s.load(t, env...)
		if faults = wrong(all); len(faults) == 0 {
			return
		}
		if all.unquiet() && *spare > 0 {
			*spare--
			t.Logf("not counted, since the machine was not this test's alone; %d such runs are left", *spare)
			continue
		}
		left--
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

// load runs the load test of the service, which builds the service. Its exit code must be that of its gates.
func (s service) load(t *testing.T, env ...string) verdicts {
	t.Helper()
	command := func(env []string, name string, args ...string) ([]byte, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir = string(s)
		cmd.Env = append(append(os.Environ(), "CARGO_TARGET_DIR="+target(t), "CARGO_TERM_COLOR=never"), env...)
		return cmd.CombinedOutput()
	}
	if out, err := command(quickBuild, "cargo", "build", "--release", "--quiet", "-p", "loadtest"); err != nil {
		t.Fatalf("the load test does not build: %v\n%s", err, out)
	}
	out, err := command(env, filepath.Join(target(t), "release", "loadtest"), "run", "--quick")
	t.Logf("%s", out)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == inconclusive {
		err = nil
	}
	if err != nil && (exit == nil || exit.ExitCode() != gateBroke) {
		t.Fatalf("the load test did not run: %v", err)
	}
	data, readErr := os.ReadFile(filepath.Join(string(s), "target", "loadtest", "report.json"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	var report struct{ Gates verdicts }
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(report.Gates, func(v verdict) bool { return v.State == "broken" }) != (err != nil) {
		t.Fatalf("it ended with %v, and its gates are %v", err, report.Gates)
	}
	return report.Gates
}
