// Package tree is a directory tree as a value: what a template set renders to, what a service holds, and what a merge
// compares. It reads and writes no file system of its own.
package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The modes that a tree distinguishes, as git does.
const (
	ModeFile fs.FileMode = 0o644
	ModeExec fs.FileMode = 0o755
	ModeLink fs.FileMode = fs.ModeSymlink | 0o777
)

// File is one entry of a tree: a regular file, or a symbolic link whose Data is its target.
type File struct {
	Mode fs.FileMode
	Data []byte
}

// IsLink reports whether the entry is a symbolic link.
func (f File) IsLink() bool { return f.Mode&fs.ModeSymlink != 0 }

// GitMode is the entry's mode as git writes it.
func (f File) GitMode() string {
	switch f.Mode {
	case ModeLink:
		return "120000"
	case ModeExec:
		return "100755"
	default:
		return "100644"
	}
}

// Equal reports whether two entries have the same mode and bytes.
func (f File) Equal(g File) bool { return f.Mode == g.Mode && string(f.Data) == string(g.Data) }

// IsText reports whether the entry is a regular file of valid UTF-8 without NUL, which is what can be rendered and
// merged by line.
func (f File) IsText() bool { return !f.IsLink() && IsText(f.Data) }

// IsText reports whether data is valid UTF-8 without NUL.
func IsText(data []byte) bool {
	return utf8.Valid(data) && !slices.Contains(data, 0)
}

// Tree maps slash-separated paths to entries. Directories exist through what is in them.
type Tree map[string]File

// FromFS reads a tree, without the directories of the names to skip, wherever they lie.
func FromFS(files fs.FS, skip ...string) (Tree, error) {
	t := Tree{}
	err := fs.WalkDir(files, ".", func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(skip, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		f := File{Mode: NormalMode(info.Mode())}
		if f.IsLink() {
			target, err := fs.ReadLink(files, p)
			f.Data = []byte(target)
			t[p] = f
			return err
		}
		f.Data, err = fs.ReadFile(files, p)
		t[p] = f
		return err
	})
	return t, err
}

// Paths returns the paths in lexical order.
func (t Tree) Paths() []string { return slices.Sorted(maps.Keys(t)) }

// Clone copies the map; the bytes are shared and are not to be written to.
func (t Tree) Clone() Tree { return maps.Clone(t) }

// Equal reports whether both trees have the same paths, modes and bytes.
func (t Tree) Equal(u Tree) bool { return maps.EqualFunc(t, u, File.Equal) }

// Hash is a digest of all paths, modes and bytes, in hexadecimal.
func (t Tree) Hash() string {
	sum := sha256.New()
	for _, p := range t.Paths() {
		fmt.Fprintf(sum, "%s\x00%o\x00%d\x00", p, t[p].Mode, len(t[p].Data))
		sum.Write(t[p].Data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// NormalMode is the mode of a tree for what a file system or an archive says: a link, or a file that is executable by
// its owner or not.
func NormalMode(m fs.FileMode) fs.FileMode {
	switch {
	case m&fs.ModeSymlink != 0:
		return ModeLink
	case m&0o100 != 0:
		return ModeExec
	default:
		return ModeFile
	}
}

// reserved are the first segments that no template may write: git's own and rustgen's record.
var reserved = []string{".git", ".rustgen"}

// CheckPath refuses a path that could leave the tree, or that another system could not hold.
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
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > 255 {
			return fmt.Errorf("path %q has a part of more than 255 bytes", p)
		}
		if strings.EqualFold(part, ".git") {
			return fmt.Errorf("path %q leads into a git directory", p)
		}
	}
	if first, _, _ := strings.Cut(p, "/"); slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, first) }) {
		return fmt.Errorf("path %q leads into %s, which is not a template's to write", p, first)
	}
	return nil
}

// Check refuses a tree that cannot stand on a disk: bad paths, a path that is both a file and a directory, paths that
// differ only in case, and links that lead outside.
func (t Tree) Check() error {
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
	return nil
}
