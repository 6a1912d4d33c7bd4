package prompt_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// terminal is a shell in a window of tmux.
type terminal struct {
	t      *testing.T
	socket string
}

func startTerminal(t *testing.T, dir string, width, height int, environment ...string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") == "1" {
			t.Fatal("tmux is not on the PATH, and RUSTGEN_REQUIRE_TOOLS=1 forbids to skip")
		}
		t.Skip("tmux is not on the PATH")
	}
	term := &terminal{t, filepath.Join(t.TempDir(), "tmux")}
	shell := append([]string{"env", "CI=", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "PS1=ready> ", "ENV="}, environment...)
	term.tmux(append([]string{
		"-f", os.DevNull, "-u", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "-c", dir,
	}, append(shell, "sh")...)...)
	t.Cleanup(func() { term.tmux("kill-server") })
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...)
	// A tmux around the tests is none of theirs.
	cmd.Env = append(os.Environ(), "TMUX=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// keys presses keys by tmux's names; types types text.
func (term *terminal) keys(keys ...string) { term.tmux(append([]string{"send-keys"}, keys...)...) }
func (term *terminal) types(text string)   { term.tmux("send-keys", "-l", text) }

// sees waits for a text on the screen, and gives the screen.
func (term *terminal) sees(text string) string {
	term.t.Helper()
	screen := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		screen = term.tmux("capture-pane", "-p", "-J")
		if strings.Contains(screen, text) {
			return screen
		}
	}
	term.t.Fatalf("there is no %q on\n%s", text, screen)
	return ""
}

// The whole prompt by keyboard, as a new user would: a wrong name, back and forth, Ctrl-C in the middle, then to the
// end; and the command that it prints gives the same bytes.
func TestInATerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and drives rustgen")
	}
	path := withRustgen(t)
	dir := t.TempDir()
	term := startTerminal(t, dir, 80, 24, path)
	term.sees("ready>")

	term.types("rustgen new --vcs none\n")
	term.sees("What is the service called?")
	term.types("Hello")
	term.keys("Enter")
	term.sees("hint: use hello")
	term.keys("BSpace", "BSpace", "BSpace", "BSpace", "BSpace")
	term.types("hello")
	term.keys("Enter")
	term.sees("Which API does it serve?")
	term.keys("Enter")
	term.sees("leave it empty for hello.v1 (default)")
	term.keys("Enter")
	term.sees("Does the service hold state that must survive a restart?")
	term.keys("Enter")
	term.sees("› Abort  default")
	term.keys("C-c")
	screen := term.sees("error: interrupted; nothing was written")
	if strings.Contains(screen, "What does a panic do?") {
		t.Errorf("the form is left on the screen:\n%s", screen)
	}
	if !strings.Contains(screen, "  rustgen new hello --state stateless --vcs none\n") {
		t.Errorf("the answers so far are lost:\n%s", screen)
	}
	term.types("echo it is $?\n")
	term.sees("it is 130")
	if state := term.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}"); strings.TrimSpace(state) != "0 1" {
		t.Errorf("the alternate screen and the cursor are %q", state)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("it left %v, %v", left, err)
	}

	term.types("clear; rustgen new hello --vcs none\n")
	term.sees("Which API does it serve?")
	term.keys("Enter")
	term.sees("leave it empty for hello.v1 (default)")
	term.keys("Enter")
	term.sees("Does the service hold state")
	term.keys("Enter")
	term.sees("› Abort  default")
	term.keys("BTab")
	term.sees("› Stateless  recommended")
	term.keys("Down", "Enter")
	term.sees("› Unwind  default")
	term.keys("Up", "Enter")
	term.sees("✗ a stateful service with panic=abort would lose its state")
	term.keys("Down", "Enter")
	term.sees("Which allocator serves the heap?")
	term.keys("Down", "Enter")
	term.sees("✓ Allocator  jemalloc")
	term.keys("Enter")
	term.sees("How much memory may one replica use?")
	term.types("12")
	term.keys("Enter")
	term.sees("✗ memory 12: a service needs at least 64MiB")
	term.keys("BSpace", "BSpace")
	term.types("1GiB")
	term.keys("Enter")
	term.sees("How many CPUs may one replica use?")
	term.keys("Enter")
	term.sees("How large may one message be?")
	term.keys("Enter")
	term.sees("How long may a call take at most?")
	term.keys("Enter")
	term.sees("› Take them")
	term.keys("Enter")
	term.sees("› Create the service")
	term.keys("Down", "Enter")
	term.sees("› API ")
	term.keys("Up")
	term.sees("› Go module")
	term.keys("Up")
	term.sees("› Go client")
	term.keys("Enter")
	term.sees("Do Go services call it?")
	term.keys("Down", "Enter")
	screen = term.sees("› Create the service")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("before it is confirmed there is %v, %v\n%s", left, err, screen)
	}
	term.keys("Enter")
	screen = term.sees("created ./hello")

	command := regexp.MustCompile(`(?m)^  (rustgen new .*)$`).FindStringSubmatch(screen)
	if command == nil {
		t.Fatalf("there is no command in\n%s", screen)
	}
	const want = "rustgen new hello --state stateful --allocator jemalloc --runtime multi-thread --memory 1GiB --go-client no --vcs none"
	if got := strings.TrimSpace(command[1]); got != want {
		t.Errorf("the command is\n%s\nwant\n%s", got, want)
	}
	script := exec.Command("sh", "-c", command[1]+" --dir second")
	script.Dir, script.Env = dir, append(os.Environ(), path)
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first, second := files(t, filepath.Join(dir, "hello")), files(t, filepath.Join(dir, "second"))
	if len(first) == 0 || !maps.Equal(first, second) {
		t.Errorf("the command gives other bytes than the prompt: %d and %d files", len(first), len(second))
	}
}

// What lies in the way is named at the prompt, and commands no terminal by its name.
func TestHostileNamesInATerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and drives rustgen")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "hello"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a\x1b]0;PWN\x07b", "c\u202etxt.exe"} {
		if err := os.WriteFile(filepath.Join(dir, "hello", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	term := startTerminal(t, dir, 120, 24, withRustgen(t))
	term.sees("ready>")
	title := term.tmux("display-message", "-p", "#{pane_title}")
	term.types("rustgen new --vcs none\n")
	term.sees("What is the service called?")
	term.types("hello")
	term.keys("Enter")
	screen := term.sees("hello is not empty")
	for _, name := range []string{`a\x1b]0;PWN\x07b`, `c\u202etxt.exe`} {
		if !strings.Contains(screen, name) {
			t.Errorf("it does not name %s:\n%s", name, screen)
		}
	}
	if now := term.tmux("display-message", "-p", "#{pane_title}"); now != title {
		t.Errorf("the window is called %q now", now)
	}
	term.keys("C-c")
	term.sees("nothing was written")
}

// withRustgen builds rustgen, and returns the variable PATH by which a shell finds it.
func withRustgen(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "rustgen"), "rustgen/cmd/rustgen")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return "PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH")
}

// files are the paths of a tree with their modes and bytes.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		all[name] = info.Mode().String() + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
