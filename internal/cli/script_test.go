package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts and tests start this binary as `rustgen`: the command line as it is, in a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rustgen": func() { os.Exit(Main(os.Args[1:])) },
	})
}

// TestScripts runs testdata/script/*.txtar. Beside testscript's own commands there are:
//
//	exits CODE COMMAND ARG...   runs a command that must exit with CODE
//	json PATH VALUE             compares a field of the JSON on standard output; PATH as in files.0.path, VALUE as JSON
//	same DIR DIR                compares two trees by paths, modes, links and bytes; what git keeps is left out
//	remember PATH               takes note of all that is below PATH
//	unchanged PATH              checks that nothing below PATH changed since
//	absent PATH...              checks that there is nothing, not even a dangling link
//	mode PATH OCTAL             checks the permissions of a file
//	needs TOOL                  skips the script aloud where a tool is missing
//	without TOOL                leaves the tool's directory out of the PATH
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup:         setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     cmdExits,
			"json":      cmdJSON,
			"same":      cmdSame,
			"remember":  cmdRemember,
			"unchanged": cmdUnchanged,
			"absent":    cmdAbsent,
			"mode":      cmdMode,
			"needs":     cmdNeeds,
			"without":   cmdWithout,
		},
	})
}

// setupScript gives a script a home of its own, with a git identity and none of this machine's settings.
func setupScript(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, ".home")
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	config := "[user]\n\tname = Test\n\temail = test@example.com\n[init]\n\tdefaultBranch = main\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(env.WorkDir))
	env.Setenv("TERM", "dumb")
	releases, err := filepath.Abs(filepath.Join("..", "..", "templates", "releases"))
	if err != nil {
		return err
	}
	env.Setenv("RELEASES", releases)
	env.Values[rememberedKey{}] = map[string]string{}
	env.Values[testKey{}] = env.T()
	return nil
}

type (
	rememberedKey struct{}
	testKey       struct{}
)

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH VALUE")
	}
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for part := range strings.SplitSeq(args[0], ".") {
		switch v := value.(type) {
		case map[string]any:
			var ok bool
			if value, ok = v[part]; !ok && !neg {
				ts.Fatalf("%s: there is no %q", args[0], part)
			}
		case []any:
			i, err := strconv.Atoi(part)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: the list has %d items", args[0], len(v))
			}
			value = v[i]
		default:
			ts.Fatalf("%s: %q of %v", args[0], part, value)
		}
	}
	got, err := json.Marshal(value)
	ts.Check(err)
	if (string(got) == args[1]) == neg {
		ts.Fatalf("%s is %s", args[0], got)
	}
}

func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same DIR DIR")
	}
	first, err := listing(ts.MkAbs(args[0]))
	ts.Check(err)
	second, err := listing(ts.MkAbs(args[1]))
	ts.Check(err)
	if (first == second) == neg {
		ts.Fatalf("the trees compare wrongly:\n%s\n%s", first, second)
	}
}

func cmdRemember(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		list, err := listing(ts.MkAbs(dir))
		ts.Check(err)
		ts.Value(rememberedKey{}).(map[string]string)[dir] = list
	}
}

func cmdUnchanged(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		list, err := listing(ts.MkAbs(dir))
		ts.Check(err)
		if before, ok := ts.Value(rememberedKey{}).(map[string]string)[dir]; !ok || before != list {
			ts.Fatalf("%s changed\nfrom:\n%s\nto:\n%s", dir, before, list)
		}
	}
}

func cmdAbsent(ts *testscript.TestScript, _ bool, args []string) {
	for _, p := range args {
		if _, err := os.Lstat(ts.MkAbs(p)); !errors.Is(err, fs.ErrNotExist) {
			ts.Fatalf("%s exists", p)
		}
	}
}

func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode PATH OCTAL")
	}
	info, err := os.Lstat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s", args[0], got)
	}
}

func cmdNeeds(ts *testscript.TestScript, _ bool, args []string) {
	for _, tool := range args {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") == "1" {
			ts.Fatalf("%s is not on the PATH, and RUSTGEN_REQUIRE_TOOLS=1 forbids to skip", tool)
		}
		ts.Value(testKey{}).(testscript.T).Skip(tool + " is not on the PATH")
	}
}

// cmdWithout makes a PATH of links to all that is on it but one tool.
func cmdWithout(ts *testscript.TestScript, _ bool, args []string) {
	bin := ts.MkAbs(".home/bin")
	ts.Check(os.MkdirAll(bin, 0o755))
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if len(args) == 1 && e.Name() != args[0] {
				// The first of a name on the PATH wins.
				_ = os.Symlink(filepath.Join(dir, e.Name()), filepath.Join(bin, e.Name()))
			}
		}
	}
	ts.Setenv("PATH", bin)
}

// listing is a tree as text: a line for each path with its mode and the digest of its bytes. What git keeps, and the
// directories that hold it, are left out.
func listing(root string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == ".home") {
			return filepath.SkipDir
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			fmt.Fprintf(&b, "%v %s\n", info.Mode(), name)
			return nil
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			fmt.Fprintf(&b, "link %s -> %s\n", name, target)
			return err
		}
		data, err := os.ReadFile(p)
		sum := sha256.Sum256(data)
		fmt.Fprintf(&b, "%v %s %s\n", info.Mode(), name, hex.EncodeToString(sum[:8]))
		return err
	})
	return b.String(), err
}

// requireTool skips a test aloud where a tool is missing, and fails it where skips are forbidden.
func requireTool(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") == "1" {
			t.Fatalf("%s is not on the PATH, and RUSTGEN_REQUIRE_TOOLS=1 forbids to skip", tool)
		}
		t.Skipf("%s is not on the PATH", tool)
	}
	return path
}

// execute runs the command line in this process: its exit code and streams.
func execute(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	a := newApp(strings.NewReader(stdin), &out, &errs, nil)
	code = a.run(context.Background(), args)
	return code, out.String(), errs.String()
}
