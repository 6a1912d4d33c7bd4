package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"rustgen/internal/tree"
)

// write makes the directory dir of root out of a tree.
func write(ctx context.Context, root Root, dir string, t tree.Tree) (err error) {
	if err := root.Mkdir(dir, 0o755); err != nil {
		return err
	}
	into, err := root.root.OpenRoot(dir)
	if err != nil {
		return err
	}
	dirs := directories{".": into}
	defer func() { err = errors.Join(err, dirs.close()) }()
	for _, p := range t.Paths() {
		if err := ctx.Err(); err != nil {
			return err
		}
		parent, name := path.Split(p)
		in, err := dirs.open(path.Clean(parent))
		if err != nil {
			return fmt.Errorf("make directory %s: %w", parent, bare(err))
		}
		if err := writeNew(in, name, t[p]); err != nil {
			return fmt.Errorf("write %s: %w", p, bare(err))
		}
	}
	return nil
}

// directories are those that are open, by path: a root looks every part of a path up again, so each file is written
// through its own directory.
type directories map[string]*os.Root

// open opens a directory, and makes it where it does not exist.
func (d directories) open(dir string) (*os.Root, error) {
	if at, ok := d[dir]; ok {
		return at, nil
	}
	parent, err := d.open(path.Dir(dir))
	if err != nil {
		return nil, err
	}
	name := path.Base(dir)
	if err := parent.Mkdir(name, 0o755); err != nil {
		return nil, err
	}
	at, err := parent.OpenRoot(name)
	if err == nil {
		d[dir] = at
	}
	return at, err
}

func (d directories) close() error {
	var err error
	for _, at := range d {
		err = errors.Join(err, at.Close())
	}
	return err
}

func writeNew(in *os.Root, name string, f tree.File) error {
	if f.IsLink() {
		return in.Symlink(string(f.Data), name)
	}
	out, err := in.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode)
	if err != nil {
		return err
	}
	_, err = out.Write(f.Data)
	return errors.Join(err, out.Close())
}
