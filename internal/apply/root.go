// Package apply is the only writer: it carries out what was planned, whole or not at all, and never outside the
// directory that it was given.
package apply

import (
	"os"
	"time"

	"github.com/spf13/afero"
)

// Root is a file system that ends at one directory: a path or a symbolic link that leads outside is refused by the
// kernel's own resolution (os.Root), which afero.BasePathFs does not do.
type Root struct{ root *os.Root }

var (
	_ afero.Fs        = Root{}
	_ afero.Symlinker = Root{}
)

// OpenRoot opens the directory dir, which must exist.
func OpenRoot(dir string) (Root, error) {
	root, err := os.OpenRoot(dir)
	return Root{root}, err
}

// Close lets go of the directory.
func (r Root) Close() error { return r.root.Close() }

// Name is part of afero.Fs.
func (r Root) Name() string { return "Root " + r.root.Name() }

// Dir is the directory's path.
func (r Root) Dir() string { return r.root.Name() }

// Create is part of afero.Fs.
func (r Root) Create(name string) (afero.File, error) { return file(r.root.Create(name)) }

// Open is part of afero.Fs.
func (r Root) Open(name string) (afero.File, error) { return file(r.root.Open(name)) }

// OpenFile is part of afero.Fs.
func (r Root) OpenFile(name string, flag int, mode os.FileMode) (afero.File, error) {
	return file(r.root.OpenFile(name, flag, mode))
}

// file keeps a nil *os.File from becoming an afero.File that is not nil.
func file(f *os.File, err error) (afero.File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Mkdir is part of afero.Fs.
func (r Root) Mkdir(name string, mode os.FileMode) error { return r.root.Mkdir(name, mode) }

// MkdirAll is part of afero.Fs.
func (r Root) MkdirAll(name string, mode os.FileMode) error { return r.root.MkdirAll(name, mode) }

// Remove is part of afero.Fs.
func (r Root) Remove(name string) error { return r.root.Remove(name) }

// RemoveAll is part of afero.Fs.
func (r Root) RemoveAll(name string) error { return r.root.RemoveAll(name) }

// Rename is part of afero.Fs.
func (r Root) Rename(from, to string) error { return r.root.Rename(from, to) }

// Stat is part of afero.Fs.
func (r Root) Stat(name string) (os.FileInfo, error) { return r.root.Stat(name) }

// Chmod is part of afero.Fs.
func (r Root) Chmod(name string, mode os.FileMode) error { return r.root.Chmod(name, mode) }

// Chown is part of afero.Fs.
func (r Root) Chown(name string, uid, gid int) error { return r.root.Chown(name, uid, gid) }

// Chtimes is part of afero.Fs.
func (r Root) Chtimes(name string, atime, mtime time.Time) error {
	return r.root.Chtimes(name, atime, mtime)
}

// LstatIfPossible is part of afero.Symlinker.
func (r Root) LstatIfPossible(name string) (os.FileInfo, bool, error) {
	info, err := r.root.Lstat(name)
	return info, true, err
}

// SymlinkIfPossible is part of afero.Symlinker.
func (r Root) SymlinkIfPossible(target, name string) error { return r.root.Symlink(target, name) }

// ReadlinkIfPossible is part of afero.Symlinker.
func (r Root) ReadlinkIfPossible(name string) (string, error) { return r.root.Readlink(name) }
