package ship

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// machine is a folder of programs, and all that a script finds there.
type machine string

// newMachine has every program that the doctor may look for, each in a version that is new enough. What the script is
// written with is that of this machine.
func newMachine(t *testing.T, programs []string) machine {
	t.Helper()
	m := machine(t.TempDir())
	for _, name := range []string{"bash", "dirname", "grep", "mktemp", "rm", "sed", "sort"} {
		if err := os.Symlink(need(t, name, "apt-get install coreutils grep sed"), filepath.Join(string(m), name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range programs {
		m.install(t, name, "echo "+name+" version v99.1.2")
	}
	return m
}

// install puts a program there that does what its line says.
func (m machine) install(t *testing.T, name, line string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(string(m), name), []byte("#!"+filepath.Join(string(m), "bash")+"\n"+line+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// remove takes programs away, where they are there.
func (m machine) remove(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(string(m), name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// doctor runs it where these are the only programs.
func (m machine) doctor(t *testing.T, dir string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(dir, "ci/check.sh"), "doctor")
	command.Env = []string{"PATH=" + string(m)}
	output, err := command.CombinedOutput()
	return string(output), err
}

var (
	examined = regexp.MustCompile(`(?m)^ +program "?\$?([\w-]+)"? (\S+) `)
	needed   = regexp.MustCompile(`(?m)^ +need "?\$?([\w-]+)`)
)

// wantedOf is what the doctor looks for, with the version that it wants, and those that a test may take away.
func wantedOf(t *testing.T, r rendered) (wanted map[string]string, programs []string) {
	t.Helper()
	wanted = map[string]string{}
	for _, match := range examined.FindAllSubmatch(r.Tree["ci/check.sh"].Data, -1) {
		name := string(match[1])
		wanted[name] = string(match[2])
		if name != "bash" {
			programs = append(programs, name)
		}
	}
	if len(programs) < 8 {
		t.Fatalf("only %q are looked for", programs)
	}
	return wanted, programs
}

// Where all is there the doctor says so, and every program that a step asks for is one that it looks for.
func TestDoctor(t *testing.T) {
	eachCase(t, "ci/check.sh", func(t *testing.T, r rendered) {
		wanted, programs := wantedOf(t, r)
		for _, match := range needed.FindAllSubmatch(r.Tree["ci/check.sh"].Data, -1) {
			if wanted[string(match[1])] == "" {
				t.Errorf("a step needs %s, and the doctor does not look for it", match[1])
			}
		}
		output, err := newMachine(t, programs).doctor(t, r.write(t))
		if err != nil || !strings.HasSuffix(output, "\nnothing is missing\n") {
			t.Fatalf("%v\n%s", err, output)
		}
	})
}

// Of each program the doctor says that it is missing, does not run, or is too old, and how to get it, and fails.
func TestDoctorFaults(t *testing.T) {
	r := renderTree(t, cases["default"])
	dir := r.write(t)
	wanted, programs := wantedOf(t, r)
	for _, name := range programs {
		faults := map[string]string{"missing": "", "does not run": "echo no; exit 1", "too old": "echo " + name + " version v0.0.1"}
		if wanted[name] == "any" {
			delete(faults, "too old")
		}
		for verdict, line := range faults {
			m := newMachine(t, programs)
			if line != "" {
				m.install(t, name, line)
			} else {
				m.remove(t, name)
			}
			if name == "kubectl" || name == "kustomize" && verdict == "missing" {
				checkEither(t, m, dir, name)
				continue
			}
			output, err := m.doctor(t, dir)
			says := regexp.MustCompile(`(?m)^` + verdict + ` +` + name + ` .*\n +get it by: \S`)
			if err == nil || !says.MatchString(output) || !strings.Contains(output, "1 of these programs") {
				t.Errorf("%s %s: %v\n%s", name, verdict, err, output)
			}
		}
	}
}

// checkEither looks at a machine without, or with a wrong, kubectl or kustomize: the other one is enough, and one is needed.
func checkEither(t *testing.T, m machine, dir, name string) {
	t.Helper()
	if output, err := m.doctor(t, dir); err != nil {
		t.Errorf("%s is not needed beside the other: %v\n%s", name, err, output)
	}
	m.remove(t, "kubectl", "kustomize")
	if output, err := m.doctor(t, dir); err == nil || !strings.Contains(output, "kubectl") {
		t.Errorf("neither kubectl nor kustomize is there, and that is not said: %v\n%s", err, output)
	}
}
