// Package git runs the git program, and is the only one that does. Every call is disarmed: nothing that a template set
// or a repository brings along is run, and what would point git at another repository is left out of its environment.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rustgen/internal/lazyregexp"
)

// ErrMissing says that there is no git program.
var ErrMissing = errors.New("there is no git program on the PATH")

// Call is one run of git.
type Call struct {
	// Dir is where git runs. Its repository is the one whose .git lies there: none above it, and no bare one.
	Dir string
	// Store is a bare repository of the caller's own, to run in instead; git looks for no other.
	Store string
	Args  []string
	Input []byte
	// Unconfigured leaves out what the system and the user have configured, and the attributes of both.
	Unconfigured bool
	// Config are settings, KEY=VALUE, for this call. They go through the environment, so that no list of processes shows
	// them.
	Config []string
	// Env are more variables, NAME=VALUE.
	Env []string
	// Limit is the most that git may answer, in bytes; 0 for [DefaultLimit].
	Limit int
}

// DefaultLimit is the most that git may answer where a call names no other limit.
const DefaultLimit = 1 << 30

// ErrLimit says that git answered more than the call allows.
var ErrLimit = errors.New("git answers more than is read")

// Failed is a git that ended with another exit code than 0.
type Failed struct {
	Command string
	Code    int
	// Text is what git said on standard error.
	Text string
}

func (f *Failed) Error() string {
	for line := range strings.Lines(f.Text) {
		if line = strings.TrimSpace(line); line != "" {
			return fmt.Sprintf("git %s: %s", f.Command, strings.TrimPrefix(strings.TrimPrefix(line, "fatal: "), "error: "))
		}
	}
	return fmt.Sprintf("git %s: exit status %d", f.Command, f.Code)
}

// Distrusted says that git does not trust a repository, since another user owns it.
type Distrusted struct{ Dir string }

func (d *Distrusted) Error() string {
	return "git does not trust " + d.Dir + ", which another user owns"
}

var distrusted = lazyregexp.New(`detected dubious ownership in repository at '([^']+)'`)

// disarmed are the settings of every call: no hook and no monitor of the file system is started, no transport is a
// command, and a bare repository that lies inside a tree is none.
var disarmed = []string{
	"core.hooksPath=" + os.DevNull, "core.fsmonitor=false", "safe.bareRepository=explicit", "protocol.ext.allow=never",
	"submodule.recurse=false",
}

// Run runs git and returns its output, also beside a [Failed]. A signal ends git, and the error is the context's.
func Run(ctx context.Context, c Call) (string, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return "", ErrMissing
	}
	cmd := exec.CommandContext(ctx, program, c.Args...)
	// Git ends the programs that it has started for a transfer, if it is asked to end and not killed.
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = 3 * time.Second
	if c.Store != "" {
		c.Dir = c.Store
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return "", err
	}
	cmd.Dir, cmd.Env = c.Dir, c.environment(os.Environ())
	out := limited{most: c.Limit}
	if out.most == 0 {
		out.most = DefaultLimit
	}
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Input), &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.text.String(), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case out.full:
		return "", fmt.Errorf("git %s: %w", command(c.Args), ErrLimit)
	case interrupted(err):
		return "", context.Canceled
	case distrusted.MatchString(errs.String()):
		return "", &Distrusted{Dir: distrusted.FindStringSubmatch(errs.String())[1]}
	case errors.As(err, &exit):
		return out.text.String(), &Failed{Command: command(c.Args), Code: exit.ExitCode(), Text: errs.String()}
	default:
		return "", fmt.Errorf("git %s: %w", command(c.Args), err)
	}
}

// environment is what git sees: the caller's variables without those that point git at a repository, and then the
// settings, of which the last counts.
func (c *Call) environment(inherited []string) []string {
	var env []string
	count := 0
	for _, v := range inherited {
		name, value, _ := strings.Cut(v, "=")
		switch {
		case local[name]:
		case strings.HasPrefix(name, "GIT_") && c.Unconfigured:
		case name == "GIT_CONFIG_COUNT":
			// A number that git would refuse is left out with all that it counts.
			if n, err := fmt.Sscanf(value, "%d", &count); n != 1 || err != nil || count < 0 {
				count = 0
			}
		default:
			env = append(env, v)
		}
	}
	settings := disarmed
	if c.Unconfigured {
		env = append(env, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_ATTR_NOSYSTEM=1")
		settings = append(settings[:len(settings):len(settings)], "core.attributesFile="+os.DevNull)
	}
	for _, setting := range append(settings[:len(settings):len(settings)], c.Config...) {
		key, value, _ := strings.Cut(setting, "=")
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", count, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", count, value))
		count++
	}
	env = append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", count), "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	if c.Store != "" {
		env = append(env, "GIT_DIR="+c.Store)
	} else {
		env = append(env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(c.Dir))
	}
	return append(env, c.Env...)
}

// local are the variables that speak of one repository; a git that runs a hook sets them, for one. A setting of
// `git -c`, which outranks those of GIT_CONFIG_COUNT, is not passed on either.
var local = map[string]bool{
	"GIT_DIR": true, "GIT_WORK_TREE": true, "GIT_INDEX_FILE": true, "GIT_OBJECT_DIRECTORY": true, "GIT_PREFIX": true,
	"GIT_COMMON_DIR": true, "GIT_ALTERNATE_OBJECT_DIRECTORIES": true, "GIT_IMPLICIT_WORK_TREE": true, "GIT_GRAFT_FILE": true,
	"GIT_SHALLOW_FILE": true, "GIT_NAMESPACE": true, "GIT_CONFIG": true, "GIT_CONFIG_PARAMETERS": true,
	"GIT_CEILING_DIRECTORIES": true, "GIT_EXTERNAL_DIFF": true, "GIT_ATTR_SOURCE": true, "GIT_TEMPLATE_DIR": true,
	"GIT_TERMINAL_PROMPT": true, "LC_ALL": true,
}

// limited keeps what is written to it, up to a limit.
type limited struct {
	text bytes.Buffer
	most int
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.text.Len()+len(p) > l.most {
		l.full = true
		return 0, ErrLimit
	}
	return l.text.Write(p)
}

// interrupted reports whether git was ended by Ctrl-C, which reaches it, too, and may reach it first.
func interrupted(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal() == syscall.SIGINT || status.Signal() == syscall.SIGTERM
	}
	return exit.ExitCode() == 128+int(syscall.SIGINT)
}

// command is the name of git's command among its arguments.
func command(args []string) string {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			return arg
		}
	}
	return ""
}
