// Package tree is a directory tree as a value: what a template set renders to, what a service holds, and what a merge
// compares. It reads and writes no file system of its own.
package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
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
//
// Errors: what is neither a file nor a link, more than 100,000 files, or more than 256 MiB.
func FromFS(files fs.FS, skip ...string) (Tree, error) {
	t := Tree{}
	left := Room{}
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
		if f.Data, err = left.ReadFile(files, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		t[p] = f
		return nil
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
