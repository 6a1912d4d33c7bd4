// Package vcs is what rustgen needs of the git program beside merging: fetching a template set, the first commit of a
// new service, and the index.
package vcs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// ErrNoGit says that there is no git program.
var ErrNoGit = errors.New("there is no git program on the PATH")

// IsURL reports whether a template source is a git URL rather than a directory.
func IsURL(source string) bool {
	if strings.Contains(source, "://") {
		return true
	}
	// The scp form, user@host:path.
	host, _, ok := strings.Cut(source, ":")
	return ok && strings.Contains(host, "@") && !strings.ContainsAny(host, "/\\")
}

// SplitRef parts a URL from the @REF behind it. An @ in the host part, or at the start of a part of the path, belongs to
// the URL.
func SplitRef(source string) (url, ref string) {
	path := hostEnd(source)
	for at := len(source) - 1; at > path; at-- {
		if source[at] == '@' && source[at-1] != '/' && source[at-1] != ':' {
			return source[:at], source[at+1:]
		}
	}
	return source, ""
}

// hostEnd is where the path of a git URL begins.
func hostEnd(source string) int {
	if i := strings.Index(source, "://"); i >= 0 {
		if slash := strings.IndexByte(source[i+3:], '/'); slash >= 0 {
			return i + 3 + slash
		}
		return len(source)
	}
	return max(strings.IndexByte(source, ':'), 0)
}

// WithoutSecret is a git URL as it may be written into a repository: a password or token is left out of it.
func WithoutSecret(source string) string {
	scheme, rest, ok := strings.Cut(source, "://")
	if !ok {
		return source
	}
	host, path := rest, ""
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		host, path = rest[:slash], rest[slash:]
	}
	user, host, ok := cutLast(host, "@")
	if !ok {
		return source
	}
	name, _, secret := strings.Cut(user, ":")
	switch {
	case strings.HasPrefix(scheme, "http"):
		return scheme + "://" + host + path
	case secret:
		return scheme + "://" + name + "@" + host + path
	default:
		return source
	}
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return "", s, false
}

// Clone fetches one commit of a repository into dir, which is empty. Nothing of the repository is run: no hook and no
// submodule, nor a filter of the user's that its attributes name. The same commit gives the same bytes everywhere. It
// returns the commit's name.
func Clone(ctx context.Context, url, ref, dir string) (commit string, err error) {
	if strings.HasPrefix(url, "-") || strings.HasPrefix(ref, "-") {
		return "", fmt.Errorf("%q is not a git URL", url)
	}
	run := func(env []string, args ...string) (string, error) {
		return git(ctx, dir, env, append([]string{"-c", "protocol.ext.allow=never", "-c", "core.hooksPath=" + os.DevNull,
			"-c", "core.attributesFile=" + os.DevNull}, args...)...)
	}
	if _, err := run(unconfigured, "init", "--quiet", "--template="); err != nil {
		return "", err
	}
	// Only the user's configuration knows how to reach it.
	fetched := "FETCH_HEAD"
	_, err = run(nil, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", url, orHead(ref))
	if err != nil && hexForm.MatchString(ref) && ctx.Err() == nil {
		// Not every server gives out a commit by its name, and none by a short one.
		fetched = ref
		_, err = run(nil, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", url, "+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*")
	}
	if err != nil {
		return "", err
	}
	if _, err := run(unconfigured, "checkout", "--quiet", fetched); err != nil {
		return "", err
	}
	if commit, err = run(unconfigured, "rev-parse", "HEAD"); err != nil {
		return "", err
	}
	return strings.TrimSpace(commit), os.RemoveAll(filepath.Join(dir, ".git"))
}

// unconfigured leaves out of account what anybody has configured for git.
var unconfigured = []string{
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_COUNT=0", "GIT_CONFIG_PARAMETERS=", "GIT_ATTR_NOSYSTEM=1",
}

func orHead(ref string) string {
	if ref == "" {
		return "HEAD"
	}
	return ref
}

// Real is dir, which need not exist, as it is on the disk: a link may lead into a repository.
func Real(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest), nil
		}
		rest = filepath.Join(filepath.Base(at), rest)
		at = filepath.Dir(at)
	}
}

// Repository finds the repository that dir, which need not exist, would lie in. It is "" outside one.
func Repository(dir string) (string, error) {
	at, err := Real(dir)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", nil
		}
		at = up
	}
}

// Git runs git in dir and returns its output. The repository is the one of dir, whatever the environment says.
func Git(ctx context.Context, dir string, args ...string) (string, error) {
	return git(ctx, dir, nil, args...)
}

// git is Git with variables of its own.
func git(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return "", ErrNoGit
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(append(environ(), "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil || interrupted(err) {
			return "", context.Canceled
		}
		if dir := distrusted.FindStringSubmatch(errs.String()); dir != nil {
			return "", &Distrusted{Dir: dir[1]}
		}
		return "", fmt.Errorf("git %s: %s", subcommand(args), firstLine(errs.String(), err))
	}
	return out.String(), nil
}

// Distrusted says that git does not trust a repository, since another user owns it.
type Distrusted struct{ Dir string }

func (d *Distrusted) Error() string {
	return "git does not trust " + d.Dir + ", which another user owns"
}

var distrusted = regexp.MustCompile(`detected dubious ownership in repository at '([^']+)'`)

// interrupted reports whether git ended by a signal: Ctrl-C reaches it, too, and may reach it first.
func interrupted(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	return !exit.Exited() || exit.ExitCode() == 128+int(syscall.SIGINT)
}

// environ leaves out what would point git at another repository: set while a git hook runs, for one.
func environ() []string {
	var kept []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_COMMON_DIR":
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

func subcommand(args []string) string {
	for i := 0; i < len(args); i++ {
		if args[i] == "-c" {
			i++
			continue
		}
		if strings.HasPrefix(args[i], "-") {
			continue
		}
		return args[i]
	}
	return ""
}

func firstLine(text string, err error) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			return strings.TrimPrefix(strings.TrimPrefix(line, "fatal: "), "error: ")
		}
	}
	return err.Error()
}
