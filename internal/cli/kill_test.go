//go:build unix

package cli

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kills is how often a run is killed: few enough for every day, 200 where it is to be proven.
var kills = flag.Int("kills", 24, "how often to kill rustgen new")

// rustgenIn prepares a run of this command line in a process of its own, below dir.
func rustgenIn(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := exec.LookPath("rustgen")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir),
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.com",
		"GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.com")
	return cmd
}

// A new service appears whole or not at all, whenever the run that makes it is killed.
func TestKilledNewLeavesNoPartialTarget(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) {
		killRuns(t, *kills, syscall.SIGKILL, "--vcs", "none")
	})
	t.Run("git", func(t *testing.T) {
		requireTool(t, "git")
		killRuns(t, *kills/2, syscall.SIGKILL, "--vcs", "git")
	})
}

// Ctrl-C leaves nothing behind, and says so with its exit code.
func TestInterruptedNewLeavesNothing(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) {
		killRuns(t, *kills/2, syscall.SIGINT, "--vcs", "none")
	})
	t.Run("git", func(t *testing.T) {
		requireTool(t, "git")
		killRuns(t, *kills/2, syscall.SIGINT, "--vcs", "git")
	})
}

// killRuns starts `rustgen new` many times, sends each a signal at some moment of its life, and compares what is there
// afterwards with what a run that nobody disturbs makes. Only the moment is left to chance: whichever it is, the target
// must be whole or absent.
func killRuns(t *testing.T, rounds int, sig syscall.Signal, args ...string) {
	work := t.TempDir()
	args = append([]string{"new", "hello", "--yes"}, args...)
	run := func(dir string) *exec.Cmd {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return rustgenIn(t, dir, args...)
	}
	lifetime := time.Hour
	for range 3 {
		if err := os.RemoveAll(filepath.Join(work, "whole")); err != nil {
			t.Fatal(err)
		}
		cmd := run(filepath.Join(work, "whole"))
		started := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		lifetime = min(lifetime, time.Since(started))
	}
	whole := mustList(t, filepath.Join(work, "whole", "hello"))
	inGit := gitState(t, filepath.Join(work, "whole", "hello"))

	at := filepath.Join(work, "at")
	target := filepath.Join(at, "hello")
	random := rand.New(rand.NewPCG(1, 2))
	before, after := 0, 0
	for round := range rounds {
		cmd := run(at)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		// A group of its own, as a shell makes: Ctrl-C reaches git, too, and a kill does not.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(lifetime) * 5 / 4)))
		if sig == syscall.SIGKILL {
			_ = syscall.Kill(cmd.Process.Pid, sig)
		} else {
			_ = syscall.Kill(-cmd.Process.Pid, sig)
		}
		err := cmd.Wait()
		if _, e := os.Lstat(target); errors.Is(e, fs.ErrNotExist) {
			before++
			if err == nil {
				t.Fatalf("round %d: exit 0 and no service", round)
			}
		} else {
			after++
			if got := mustList(t, target); got != whole {
				t.Fatalf("round %d: a partial service:\n%s\nwant:\n%s", round, got, whole)
			}
			if got := gitState(t, target); got != inGit {
				t.Fatalf("round %d: the repository is %q, want %q", round, got, inGit)
			}
			if err := os.RemoveAll(target); err != nil {
				t.Fatal(err)
			}
		}
		if sig == syscall.SIGINT {
			checkInterrupted(t, cmd.ProcessState, errs.String(), at)
		}
	}
	t.Logf("%d rounds of %v: %d before the service was in place, %d after", rounds, sig, before, after)
	if before == 0 {
		t.Error("no run was hit before it had finished: the test shows nothing")
	}

	// What killed runs leave beside the target goes with the next that finishes.
	if out, err := run(at).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := mustList(t, target); got != whole {
		t.Fatalf("after the kills:\n%s\nwant:\n%s", got, whole)
	}
	if got := mustNames(t, at); got != "hello" {
		t.Errorf("left behind: %s", got)
	}
}

// A service in a directory that exists is there whole after the next run, whenever the one that makes it is killed: that
// begins anew, or ends what the killed one had begun.
func TestKilledNewInPlaceIsEnded(t *testing.T) {
	t.Parallel()
	requireTool(t, "git")
	work := t.TempDir()
	start := func(name string) (*exec.Cmd, string) {
		dir := filepath.Join(work, name)
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
		return rustgenIn(t, dir, "new", "hello", "--yes", "--dir", "."), dir
	}
	cmd, dir := start("whole")
	started := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lifetime := time.Since(started)
	whole, inGit := mustList(t, dir), gitState(t, dir)
	random := rand.New(rand.NewPCG(3, 4))
	ended := 0
	for round := range *kills {
		cmd, dir := start("at")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(lifetime) * 5 / 4)))
		_ = syscall.Kill(cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		out, err := rustgenIn(t, dir, "new", "hello", "--yes", "--dir", ".").CombinedOutput()
		if err != nil {
			ended++
			if !strings.Contains(string(out), "holds a service that rustgen made") {
				t.Fatalf("round %d: the next run ends with %v\n%s", round, err, out)
			}
		}
		if got := mustList(t, dir); got != whole {
			t.Fatalf("round %d: a partial service:\n%s\nwant:\n%s\n%s", round, got, whole, out)
		}
		if got := gitState(t, dir); got != inGit {
			t.Fatalf("round %d: the repository is %q, want %q", round, got, inGit)
		}
	}
	t.Logf("%d kills: %d services were whole, or were ended by the next run", *kills, ended)
}

// checkInterrupted expects 130, or a run that had finished, or one that had not yet begun to listen for the signal.
func checkInterrupted(t *testing.T, state *os.ProcessState, errs, dir string) {
	t.Helper()
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGINT, state.ExitCode() == exitDone:
	case state.ExitCode() == exitInterrupted:
		if errs != "error: interrupted; nothing was written\n" {
			t.Errorf("it says %q", errs)
		}
	default:
		t.Errorf("exit code %d: %s", state.ExitCode(), errs)
	}
	if left := mustNames(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func mustList(t *testing.T, dir string) string {
	t.Helper()
	list, err := listing(dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func mustNames(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// gitState is the tree of the last commit, and what differs from it. It is empty where there is no repository.
func gitState(t *testing.T, dir string) string {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err != nil {
		return ""
	}
	cmd := exec.Command("sh", "-c", "git rev-parse HEAD^{tree} && git status --short && git fsck")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
