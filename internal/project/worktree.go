package project

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"rustgen/internal/tree"
)

// The most that is looked through for files that a user has moved.
const (
	maxCandidates     = 20_000
	maxCandidateBytes = 1 << 20
	maxCandidatesSum  = 64 << 20
)

// View is what git knows of a work tree and the disk does not show. A service outside git has none.
type View struct {
	// Absent are files that are not checked out, as outside a sparse checkout: they are not deleted.
	Absent tree.Tree
	// Modes are the modes of files where those of the disk mean nothing.
	Modes map[string]fs.FileMode
	// Submodules maps the directories that are repositories of their own to their commits.
	Submodules map[string]string
	// Own lists the service's own files: what git tracks, or would track.
	Own func() (map[string]bool, error)
}

// Worktree reads of a service what takes part in a merge: the given paths, whatever git thinks of them, and what stands
// in their way. Where the user has removed one of base, it also reads what may be its new place.
func Worktree(from FS, view *View, base tree.Tree, paths []string) (tree.Tree, error) {
	if view == nil {
		view = &View{}
	}
	w := &worktree{from: from, view: view, dirs: map[string]string{".": ""}, read: tree.Tree{}}
	for _, p := range paths {
		if err := w.add(p); err != nil {
			return nil, err
		}
	}
	for p := range base {
		if _, ok := w.read[p]; !ok {
			return w.read, w.candidates()
		}
	}
	return w.read, nil
}

type worktree struct {
	from FS
	view *View
	// dirs maps a directory to "", or to the file or link that stands at it or above it.
	dirs map[string]string
	read tree.Tree
	// skip are names of directories that are not walked, whole says that other services' are.
	skip  []string
	whole bool
}

func (w *worktree) add(p string) error {
	if f, ok := w.view.Absent[p]; ok {
		w.read[p] = f
	}
	in, err := w.inTheWay(path.Dir(p))
	if err != nil || in == missing {
		return err
	}
	if in != "" {
		p = in
	}
	if commit, ok := w.view.Submodules[p]; ok {
		w.read[p] = submodule(commit)
		return nil
	}
	info, _, err := w.from.LstatIfPossible(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", p, bare(err))
	case info.IsDir():
		return w.walk(p, func(p string, info fs.FileInfo) error { return w.file(p, info) })
	default:
		return w.file(p, info)
	}
}

// missing stands for a directory that does not exist.
const missing = "\x00"

// inTheWay is the path at or above a directory that is something else than a directory.
func (w *worktree) inTheWay(dir string) (string, error) {
	if in, ok := w.dirs[dir]; ok {
		return in, nil
	}
	in, err := w.inTheWay(path.Dir(dir))
	if err != nil {
		return "", err
	}
	if _, ok := w.view.Submodules[dir]; ok && in == "" {
		w.dirs[dir] = dir
		return dir, nil
	}
	if in == "" {
		info, _, err := w.from.LstatIfPossible(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			in = missing
		case err != nil:
			return "", fmt.Errorf("%s: %w", dir, bare(err))
		case !info.IsDir():
			in = dir
		}
	}
	w.dirs[dir] = in
	return in, nil
}

func (w *worktree) file(p string, info fs.FileInfo) error {
	f, err := ReadFile(w.from, p, info)
	if err != nil {
		return err
	}
	if mode, ok := w.view.Modes[p]; ok && !f.IsLink() && mode != tree.ModeLink {
		f.Mode = mode
	}
	w.read[p] = f
	return nil
}

// submodule stands for a repository that is part of the service's: no file of the template goes into it. Its content is
// what git shows in its place.
func submodule(commit string) tree.File {
	return tree.File{Mode: tree.ModeFile, Data: []byte("Subproject commit " + commit + "\n")}
}

// ReadFile reads one entry.
func ReadFile(from FS, p string, info fs.FileInfo) (tree.File, error) {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := from.ReadlinkIfPossible(p)
		return tree.File{Mode: tree.ModeLink, Data: []byte(target)}, err
	case info.Mode().IsRegular():
		data, err := readBounded(from, p, info, tree.MaxBytes)
		if err != nil {
			return tree.File{}, err
		}
		return tree.File{Mode: tree.NormalMode(info.Mode()), Data: data}, nil
	default:
		return tree.File{}, fmt.Errorf("%s: it is neither a file nor a link", p)
	}
}

// candidates reads the user's own files, without what git ignores, what tools have made or copied, what belongs to
// another service, what is too large to have been a template's, and what cannot be read.
func (w *worktree) candidates() error {
	left := int64(maxCandidatesSum)
	own := map[string]bool(nil)
	if w.view.Own != nil {
		var err error
		if own, err = w.view.Own(); err != nil {
			return err
		}
	}
	w.skip = append(slices.Clone(made), vendored...)
	return w.walk(".", func(p string, info fs.FileInfo) error {
		_, have := w.read[p]
		if have || own != nil && !own[p] || !info.Mode().IsRegular() || info.Size() > min(maxCandidateBytes, left) || len(w.read) > maxCandidates {
			return nil
		}
		if w.file(p, info) == nil {
			left -= info.Size()
		}
		return nil
	})
}

// Files reads all that a directory holds, whether rustgen made it or not. It leaves out what git and tools keep there, and
// what cannot be read; what is larger than 1 MiB is there without its bytes.
//
// Errors: more than 20,000 files, or 64 MiB.
func Files(from FS) (tree.Tree, error) {
	w := &worktree{from: from, view: &View{}, read: tree.Tree{}, skip: made, whole: true}
	left := int64(maxCandidatesSum)
	err := w.walk(".", func(p string, info fs.FileInfo) error {
		switch {
		case !info.Mode().IsRegular():
			return nil
		case info.Size() > maxCandidateBytes:
			w.read[p] = tree.File{Mode: tree.NormalMode(info.Mode())}
		case w.file(p, info) == nil:
			left -= info.Size()
		}
		if len(w.read) > maxCandidates || left < 0 {
			return fmt.Errorf("more than %d files or %d MiB", maxCandidates, maxCandidatesSum>>20)
		}
		return nil
	})
	return w.read, err
}

// Added lists the files of a service that are not the template's.
func Added(from FS, base tree.Tree) ([]string, error) {
	w := &worktree{from: from, view: &View{}, skip: made}
	var added []string
	err := w.walk(".", func(p string, _ fs.FileInfo) error {
		if _, ok := base[p]; !ok {
			added = append(added, p)
		}
		return nil
	})
	slices.Sort(added)
	return added, err
}

// made are directories of tools.
var made = []string{".git", "node_modules", "target"}

// vendored are directories of what others have written.
var vendored = []string{"vendor", "third_party"}

func (w *worktree) walk(dir string, visit func(string, fs.FileInfo) error) error {
	entries, err := afero.ReadDir(w.from, dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, bare(err))
	}
	for _, info := range entries {
		p := path.Join(dir, info.Name())
		if info.IsDir() {
			if slices.Contains(w.skip, info.Name()) || p == Dir || w.foreign(p) {
				continue
			}
			if err := w.walk(p, visit); err != nil {
				return err
			}
			continue
		}
		if tree.CheckPath(p) != nil || strings.HasPrefix(p, Dir+"/") {
			continue
		}
		if err := visit(p, info); err != nil {
			return err
		}
	}
	return nil
}

// foreign reports whether a directory is a repository of its own, or another service.
func (w *worktree) foreign(dir string) bool {
	_, _, err := w.from.LstatIfPossible(dir + "/.git")
	if err != nil && !w.whole {
		_, _, err = w.from.LstatIfPossible(dir + "/" + AnswersPath)
	}
	return err == nil
}
