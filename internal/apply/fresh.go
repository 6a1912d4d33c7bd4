package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"rustgen/internal/tree"
)

// Finish completes a tree where it is staged, before it is put in place.
type Finish func(ctx context.Context, staged string) error

// Fresh makes the directory dir out of a tree, whole or not at all: everything is written beside it, finish (which may
// be nil) completes it there, and one rename puts it in place, so that there is no journal to keep. A run that was killed leaves at most that directory
// beside, which the next one for the same dir removes.
func Fresh(ctx context.Context, dir string, t tree.Tree, finish Finish) (err error) {
	parent, base := filepath.Split(filepath.Clean(dir))
	parent = filepath.Clean(parent)
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
		// What was cut off is for the next run to end.
		if cut := (*CutOff)(nil); !errors.As(err, &cut) {
			// What is in place is in place, whatever a leftover says; the next run for the directory removes it.
			if e := remove(root, staging); err != nil {
				err = errors.Join(err, e)
			}
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

// Staging is what [Into] writes to, inside the directory.
const Staging = ".rustgen-new"

// Into puts a tree into a directory that exists and has nothing of it: everything is staged inside it, and put in place by
// one transaction, with the repository that finish may have made. What a kill interrupts, [Resume] ends. what names the
// run for it.
func Into(ctx context.Context, dir, what string, t tree.Tree, finish Finish) error {
	root, err := OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return staged(ctx, root, Staging, t, finish, func(from string) error {
		changes := make([]Change, 0, len(t))
		for _, p := range t.Paths() {
			f := t[p]
			changes = append(changes, Change{Path: p, File: &f})
		}
		err := (&tx{fs: root, dir: Staging, from: from}).run(ctx, what, changes)
		var changed *Changed
		if errors.As(err, &changed) {
			return fmt.Errorf("put the service into %s: %s is in the way", dir, changed.Path)
		}
		return err
	})
}

// Resume ends what a killed [Into] had begun to put in place, and clears away what it had only staged; nil where nothing
// was begun. The directory may have come
// from somebody else: nothing is carried out that check refuses.
func Resume(dir string, check Check) (*Recovered, error) {
	root, err := OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	t := &tx{fs: root, dir: Staging}
	if err := noLink(root, Staging); nothing(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(dir, Staging))
	if err != nil {
		return nil, err
	}
	defer unlock()
	j, _, err := t.readJournal()
	if err != nil {
		return nil, err
	}
	if j == nil {
		// It was only staged, or is in place already.
		return nil, remove(root, Staging)
	}
	if err := t.checkLinks(j); err != nil {
		return nil, &Damaged{err}
	}
	return t.recover(check)
}

// checkLinks refuses links that no new service has: those that lead out of it, or into what is git's or rustgen's.
func (t *tx) checkLinks(j *journal) error {
	links := tree.Tree{}
	for i, o := range j.Ops {
		f, _, err := t.at(t.stagedAt(i))
		if err != nil {
			return err
		}
		if f != nil && f.IsLink() {
			links[o.Path] = *f
		}
	}
	return links.Check()
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
