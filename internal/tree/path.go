package tree

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPart is the length of a part of a path, in bytes, that common file systems hold.
const maxPart = 255

// ownDir is where rustgen keeps its record of a service.
const ownDir = ".rustgen"

// CheckPath refuses a path that could leave the tree, that leads into git's or rustgen's own directory on any system, or
// that would not be read as it stands.
func CheckPath(p string) error {
	switch {
	case p == "" || p == ".":
		return fmt.Errorf("the path is empty")
	case !utf8.ValidString(p):
		return fmt.Errorf("path %q is not UTF-8", p)
	case !fs.ValidPath(p):
		return fmt.Errorf("path %q is not a clean relative path (no leading slash, no \".\", no \"..\", no empty part)", p)
	case strings.ContainsFunc(p, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }):
		return fmt.Errorf("path %q has a backslash or a control character", p)
	case strings.ContainsFunc(p, Invisible):
		return fmt.Errorf("path %+q has a character that is not seen or changes the direction of the text", p)
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > maxPart {
			return fmt.Errorf("path %q has a part of more than %d bytes", p, maxPart)
		}
		if isGit(part) {
			return fmt.Errorf("path %q leads into a git directory", p)
		}
	}
	if first, _, _ := strings.Cut(p, "/"); asWindows(first) == ownDir {
		return fmt.Errorf("path %q leads into %s, which is not a template's to write", p, ownDir)
	}
	return nil
}

// Invisible reports whether a character is not seen where a text is printed, or has what stands around it printed in
// another order: those of Unicode's category Cf, and the separators of lines and paragraphs.
func Invisible(r rune) bool {
	return r > unicode.MaxASCII && unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// asWindows is the name that Windows and macOS read: letters in either case, nothing behind a colon, and no dots and
// spaces at the end.
func asWindows(part string) string {
	part, _, _ = strings.Cut(part, ":")
	return strings.ToLower(strings.TrimRight(part, ". "))
}

// isGit reports whether a part of a path is git's directory, by its name or by the short one that Windows gives to it.
func isGit(part string) bool {
	name := asWindows(part)
	return name == ".git" || name == "git~1"
}

// Check refuses a tree that cannot stand on every disk: bad paths, a path that is both a file and a directory, paths that
// differ only in case, links that lead outside or to what is git's or rustgen's own, and names that Windows cannot hold.
func (t Tree) Check() error {
	if err := t.CheckContained(); err != nil {
		return err
	}
	for _, p := range t.Paths() {
		if err := CheckPortable(p); err != nil {
			return fmt.Errorf("path %q: %w", p, err)
		}
	}
	return nil
}

// CheckContained is Check but for what Windows cannot hold: a service that exists may have such a file.
func (t Tree) CheckContained() error {
	spelled := make(map[string]string, len(t))
	claim := func(p string) error {
		key := strings.ToLower(p)
		if other, ok := spelled[key]; ok && other != p {
			return fmt.Errorf("paths %q and %q differ only in case", other, p)
		}
		spelled[key] = p
		return nil
	}
	for _, p := range t.Paths() {
		if err := CheckPath(p); err != nil {
			return err
		}
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if _, ok := t[dir]; ok {
				return fmt.Errorf("%q is both a file and the directory of %q", dir, p)
			}
			if err := claim(dir); err != nil {
				return err
			}
		}
		if err := claim(p); err != nil {
			return err
		}
		if f := t[p]; f.IsLink() {
			if err := checkLink(p, string(f.Data)); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkLink(p, target string) error {
	if target == "" || strings.HasPrefix(target, "/") || strings.ContainsAny(target, "\\\x00") {
		return fmt.Errorf("link %q leads to %q, which is not a relative path", p, target)
	}
	// A ".." behind a name could climb out through another link.
	if target != path.Clean(target) {
		return fmt.Errorf("link %q leads to %q, which is not a clean path", p, target)
	}
	resolved := path.Join(path.Dir(p), target)
	if resolved == ".." || strings.HasPrefix(resolved, "../") {
		return fmt.Errorf("link %q leads outside, to %q", p, target)
	}
	if resolved == "." {
		return nil
	}
	if err := CheckPath(resolved); err != nil {
		return fmt.Errorf("link %q: %w", p, err)
	}
	return nil
}
