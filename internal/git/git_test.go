package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func requireGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") == "1" {
			t.Fatal("git is not on the PATH")
		}
		t.Skip("git is not on the PATH")
	}
}

// The settings of a call come last, after those that the environment brings along, and nothing in it names a repository.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	inherited := []string{"PATH=/bin", "GIT_DIR=/elsewhere", "GIT_WORK_TREE=/elsewhere", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.proxy",
		"GIT_CONFIG_VALUE_0=p", "GIT_CONFIG_PARAMETERS='core.hookspath'='hooks'", "GIT_EXTERNAL_DIFF=run", "GIT_SSH_COMMAND=ssh -v"}
	env := (&Call{Dir: "/a/b", Config: []string{"x.y=z=1"}}).environment(inherited)
	for _, want := range []string{"PATH=/bin", "GIT_CONFIG_KEY_0=http.proxy", "GIT_CONFIG_KEY_1=core.hooksPath", "GIT_CONFIG_VALUE_1=" + os.DevNull,
		"GIT_CONFIG_KEY_6=x.y", "GIT_CONFIG_VALUE_6=z=1", "GIT_CONFIG_COUNT=7", "GIT_CEILING_DIRECTORIES=/a", "GIT_SSH_COMMAND=ssh -v"} {
		if !slices.Contains(env, want) {
			t.Errorf("there is no %s in %q", want, env)
		}
	}
	for _, v := range env {
		if strings.Contains(v, "elsewhere") || strings.Contains(v, "hookspath") || strings.HasPrefix(v, "GIT_EXTERNAL_DIFF") {
			t.Errorf("git sees %s", v)
		}
	}
	bare := (&Call{Store: "/s", Unconfigured: true}).environment(inherited)
	for _, v := range bare {
		if strings.Contains(v, "proxy") || strings.HasPrefix(v, "GIT_SSH") {
			t.Errorf("an unconfigured git sees %s", v)
		}
	}
	if !slices.Contains(bare, "GIT_DIR=/s") || !slices.Contains(bare, "GIT_CONFIG_GLOBAL="+os.DevNull) {
		t.Errorf("an unconfigured git sees %q", bare)
	}
}

// A directory that would be a bare repository is none, nor is a repository above.
func TestRunFindsNoOtherRepository(t *testing.T) {
	t.Parallel()
	requireGit(t)
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	for _, args := range [][]string{{"init", "-q"}, {"init", "-q", "--bare", "inside"}} {
		if _, err := Run(t.Context(), Call{Dir: dir, Args: args, Unconfigured: true}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := Run(t.Context(), Call{Dir: inside, Args: []string{"rev-parse", "--git-dir"}, Unconfigured: true}); err == nil {
		t.Errorf("inside, git found %s", out)
	}
	var failed *Failed
	_, err := Run(t.Context(), Call{Dir: dir, Args: []string{"cat-file", "-e", "HEAD"}})
	if !errors.As(err, &failed) || failed.Code == 0 || !strings.HasPrefix(err.Error(), "git cat-file: ") {
		t.Errorf("a failure is %v", err)
	}
}

func TestRunLimitsTheAnswer(t *testing.T) {
	t.Parallel()
	requireGit(t)
	if _, err := Run(t.Context(), Call{Dir: t.TempDir(), Args: []string{"help", "-a"}, Limit: 10}); !errors.Is(err, ErrLimit) {
		t.Errorf("the answer is taken: %v", err)
	}
}

// A signal ends git at once, and what git has started with it.
func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	requireGit(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	call := Call{Dir: t.TempDir(), Args: []string{"-c", "alias.wait=!sleep 60", "wait"}}
	began := time.Now()
	_, err := Run(ctx, call)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("git ended by itself: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
