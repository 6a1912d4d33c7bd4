package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"rustgen/internal/tree"
)

// Fresh makes the directory dir out of a tree, whole or not at all: everything is written beside it, finish (which may
// be nil) completes it there, and one rename puts it in place. A run that was killed leaves at most that directory
// beside, which the next one for the same dir removes.
func Fresh(ctx context.Context, dir string, t tree.Tree, finish func(ctx context.Context, staged string) error) (err error) {
	parent, base := filepath.Split(filepath.Clean(dir))
	if parent == "" {
		parent = "."
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	root, err := OpenRoot(parent)
	if err != nil {
		return err
	}
	defer root.Close()
	staging := "." + base + ".rustgen-new"
	unlock, err := claim(root, staging)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, root.RemoveAll(staging))
		unlock()
	}()
	staged := staging + "/" + base
	if err := root.Mkdir(staged, 0o755); err != nil {
		return err
	}
	if err := Write(ctx, root, staged, t); err != nil {
		return err
	}
	if finish != nil {
		if err := finish(ctx, filepath.Join(parent, staged)); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return root.Rename(staged, base)
}

// claim makes the staging directory this run's own. One that a killed run left is removed; one that a living run holds
// is an error.
func claim(root Root, staging string) (unlock func(), err error) {
	if err := root.Mkdir(staging, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	lock := flock.New(filepath.Join(root.Dir(), staging, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, fmt.Errorf("another rustgen is writing %s", filepath.Join(root.Dir(), staging))
	}
	entries, err := os.ReadDir(filepath.Join(root.Dir(), staging))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			if err := root.RemoveAll(staging + "/" + e.Name()); err != nil {
				return nil, err
			}
		}
	}
	return func() { _ = lock.Unlock() }, nil
}
