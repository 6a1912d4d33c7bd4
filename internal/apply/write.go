package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/spf13/afero"

	"rustgen/internal/tree"
)

// FS is what a tree is written to: links need more than afero.Fs.
type FS interface {
	afero.Fs
	afero.Symlinker
}

// Write puts every entry of a tree below dir, where nothing of it may exist yet.
func Write(ctx context.Context, to FS, dir string, t tree.Tree) error {
	made := map[string]bool{}
	for _, p := range t.Paths() {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := path.Join(dir, p)
		if parent := path.Dir(at); !made[parent] {
			if err := to.MkdirAll(parent, 0o755); err != nil {
				return fmt.Errorf("make directory %s: %w", parent, bare(err))
			}
			made[parent] = true
		}
		if err := writeNew(to, at, t[p]); err != nil {
			return fmt.Errorf("write %s: %w", p, bare(err))
		}
	}
	return nil
}

func writeNew(to FS, at string, f tree.File) error {
	if f.IsLink() {
		return to.SymlinkIfPossible(string(f.Data), at)
	}
	out, err := to.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode)
	if err != nil {
		return err
	}
	_, err = out.Write(f.Data)
	return errors.Join(err, out.Close())
}
