package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"rustgen/internal/tree"
)

// Finish completes a tree where it is staged, before it is put in place.
type Finish func(ctx context.Context, staged string) error

// Fresh makes the directory dir out of a tree, whole or not at all: everything is written beside it, finish (which may
// be nil) completes it there, and one rename puts it in place. A run that was killed leaves at most that directory
// beside, which the next one for the same dir removes.
func Fresh(ctx context.Context, dir string, t tree.Tree, finish Finish) (err error) {
	parent, base := filepath.Split(filepath.Clean(dir))
	if parent == "" {
		parent = "."
	}
	unmake, err := makeParents(parent)
	if err != nil {
		return fmt.Errorf("make %s: %w", parent, err)
	}
	defer func() {
		if err != nil {
			unmake()
		}
	}()
	root, err := OpenRoot(parent)
	if err != nil {
		return err
	}
	defer root.Close()
	return staged(ctx, root, "."+base+".rustgen-new", t, finish, func(from string) error {
		if err := root.Rename(from, base); err != nil {
			return fmt.Errorf("put %s in place: %w", dir, bare(err))
		}
		return nil
	})
}

// makeParents makes dir and what lies above it. unmake removes what was made, as far as it is empty.
func makeParents(dir string) (unmake func(), err error) {
	var made []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		made = append(made, at)
	}
	unmake = func() {
		for _, at := range made {
			_ = os.Remove(at)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		unmake()
		return nil, bare(err)
	}
	return unmake, nil
}

// staged writes a tree into the directory staging of root, finishes it there, and has it put in place. The staging
// directory goes in any case.
func staged(ctx context.Context, root Root, staging string, t tree.Tree, finish Finish, place func(from string) error) (err error) {
	unlock, err := claim(root, staging)
	if err != nil {
		return fmt.Errorf("write to %s: %w", root.Dir(), bare(err))
	}
	defer func() {
		// What is in place is in place, whatever a leftover says; the next run for the directory removes it.
		if e := remove(root, staging); err != nil {
			err = errors.Join(err, e)
		}
		unlock()
	}()
	// A name of its own: a git that outlived a killed run may still write to that run's.
	at := fmt.Sprintf("%s/%d", staging, os.Getpid())
	if err := write(ctx, root, at, t); err != nil {
		return err
	}
	if finish != nil {
		if err := finish(ctx, filepath.Join(root.Dir(), at)); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return place(at)
}

// claim makes the staging directory this run's own. One that a killed run left is emptied; one that a living run holds
// is an error.
func claim(root Root, staging string) (unlock func(), err error) {
	if err := root.Mkdir(staging, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := noLink(root, staging); err != nil {
		return nil, err
	}
	dir := filepath.Join(root.Dir(), staging)
	unlock, err = lock(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		unlock()
		return nil, err
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			if err := remove(root, staging+"/"+e.Name()); err != nil {
				unlock()
				return nil, err
			}
		}
	}
	return unlock, nil
}

// noLink refuses a directory for staging that is a link: a repository that somebody else made may have one, to .git for
// example, and what it leads to would be emptied.
func noLink(root Root, dir string) error {
	info, _, err := root.LstatIfPossible(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory, and has to be removed", dir)
	}
	return err
}

// remove removes a directory, and waits for a git that outlived a killed run and still writes to it.
func remove(root Root, name string) error {
	var err error
	for range 50 {
		if err = root.RemoveAll(name); err == nil || !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// lock holds a staging directory, or says that another run does. It waits a moment: what a killed run had just started
// holds its files until it has become another program.
func lock(dir string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	file := flock.New(filepath.Join(dir, "lock"))
	held, err := file.TryLockContext(ctx, 20*time.Millisecond)
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	if !held || !sameFile(file, dir) {
		_ = file.Close()
		return nil, fmt.Errorf("another rustgen is writing %s", dir)
	}
	return func() { _ = file.Unlock() }, nil
}

// sameFile reports whether the lock is still the one in dir: another run may have removed it with its directory while
// this one waited.
func sameFile(lock *flock.Flock, dir string) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(filepath.Join(dir, "lock"))
	return err == nil && os.SameFile(held, there)
}

// Staging is what [Into] writes to, inside the directory, and placing what is complete in it and is being moved out.
const (
	Staging = ".rustgen-new"
	placing = "placing"
)

// Into puts a tree into a directory that exists and has nothing of it: everything is staged inside it and then moved,
// and moved back where that fails. What a kill interrupts [Resume] completes.
func Into(ctx context.Context, dir string, t tree.Tree, finish Finish) error {
	root, err := OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return staged(ctx, root, Staging, t, finish, func(from string) error {
		if err := root.Rename(from, Staging+"/"+placing); err != nil {
			return err
		}
		var undo []func()
		if err := move(root, Staging+"/"+placing, ".", &undo); err != nil {
			for _, back := range slices.Backward(undo) {
				back()
			}
			return fmt.Errorf("put the service into %s: %w", dir, err)
		}
		return nil
	})
}

// Resume completes what a killed [Into] had begun to put in place, and reports whether there was something. The directory
// may have come from somebody else: check refuses a path that no new service has, and of a repository there is at most
// the one that git has just made, where there is none yet.
func Resume(dir string, check func(path string) error) (bool, error) {
	if _, err := os.Lstat(filepath.Join(dir, Staging, placing)); err != nil {
		return false, nil
	}
	root, err := OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	for _, at := range []string{Staging, Staging + "/" + placing} {
		if err := noLink(root, at); err != nil {
			return false, fmt.Errorf("complete the service in %s: %w", dir, err)
		}
	}
	unlock, err := lock(filepath.Join(dir, Staging))
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := checkPlacing(root, check); err != nil {
		return false, &Damaged{fmt.Errorf("%s/%s: %w", Staging, placing, err)}
	}
	if err := move(root, Staging+"/"+placing, ".", new([]func())); err != nil {
		return false, fmt.Errorf("complete the service in %s: %w", dir, err)
	}
	return true, root.RemoveAll(Staging)
}

// checkPlacing refuses what Into cannot have left.
func checkPlacing(root Root, check func(path string) error) error {
	from := Staging + "/" + placing
	links := tree.Tree{}
	files, err := fs.Sub(root.root.FS(), from)
	if err != nil {
		return err
	}
	err = fs.WalkDir(files, ".", func(p string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || p == ".":
			return err
		case p == ".git" && entry.IsDir():
			if _, _, err := root.LstatIfPossible(".git"); !errors.Is(err, fs.ErrNotExist) {
				return errors.New("it holds a repository, and there is one already")
			}
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := fs.ReadLink(files, p)
			if err != nil {
				return err
			}
			links[p] = tree.File{Mode: tree.ModeLink, Data: []byte(target)}
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a link", p)
		}
		return check(p)
	})
	if err != nil {
		return err
	}
	return links.Check()
}

// move moves the entries of one directory into another. What is a directory in both is gone through.
func move(root Root, from, to string, undo *[]func()) error {
	entries, err := os.ReadDir(filepath.Join(root.Dir(), from))
	if err != nil {
		return err
	}
	for _, e := range entries {
		source, target := from+"/"+e.Name(), filepath.Join(to, e.Name())
		there, _, err := root.LstatIfPossible(target)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := root.Rename(source, target); err != nil {
				return err
			}
			*undo = append(*undo, func() { _ = root.Rename(target, source) })
		case err != nil:
			return err
		case e.IsDir() && there.IsDir():
			if err := move(root, source, target, undo); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is in the way", target)
		}
	}
	return nil
}

// bare is the cause of an error about a path, where the message names the path itself.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	default:
		return err
	}
}
