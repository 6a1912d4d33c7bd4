package vcs

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

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

// WithoutSecret is a git URL as it may be printed and written into a repository: a password or token is left out of it,
// also one in a query.
func WithoutSecret(source string) string {
	scheme, rest, ok := strings.Cut(source, "://")
	if !ok {
		return source
	}
	if query := strings.IndexByte(rest, '?'); query >= 0 && strings.HasPrefix(scheme, "http") {
		rest = rest[:query]
		source = scheme + "://" + rest
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

// Recordable refuses a source that no service may name as its set's: a directory means something on one machine only,
// and a program for another transport would be started, with an argument that whoever wrote the record has chosen.
func Recordable(source string) error {
	scheme, _, ok := strings.Cut(source, "://")
	switch {
	case !IsURL(source):
		return errors.New("it is not a git URL")
	case ok && !slices.Contains([]string{"https", "http", "ssh", "git", "file"}, scheme):
		return errors.New("it is not an https, http, ssh, git or file URL")
	case WithoutSecret(source) != source:
		return errors.New("it holds a password or token")
	}
	return nil
}

// Remote reports whether a source lies on another machine, so that reading it tells somebody.
func Remote(source string) bool { return IsURL(source) && !strings.HasPrefix(source, "file://") }

// access is a URL without its password, and the settings and variables by which git has it all the same: what is an
// argument of git is in every list of processes.
func access(source string) (bare string, config, env []string, err error) {
	u, parseErr := url.Parse(source)
	if parseErr != nil || u.Scheme != "http" && u.Scheme != "https" {
		return source, nil, nil, nil
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", nil, nil, errors.New("a git URL has no query: give a token as https://USER:TOKEN@HOST/..., or let git's credential helper keep it")
	}
	password, ok := u.User.Password()
	if !ok {
		return source, nil, nil, nil
	}
	name := u.User.Username()
	u.User = nil
	key := "credential." + u.Scheme + "://" + u.Host + ".helper="
	return u.String(), []string{
			// The first one forgets the helpers that are configured: what the URL says counts.
			key,
			key + `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$RUSTGEN_GIT_USER" "$RUSTGEN_GIT_PASSWORD"; }; f`,
		},
		[]string{"RUSTGEN_GIT_USER=" + name, "RUSTGEN_GIT_PASSWORD=" + password}, nil
}
