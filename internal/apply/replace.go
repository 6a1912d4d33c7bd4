package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"rustgen/internal/tree"
)

// Replace gives the file name of the directory dir other content, and keeps its mode; a file that there is not is made.
// A reader sees the old content or the new, whatever interrupts it.
func Replace(dir, name string, data []byte) (err error) {
	root, err := OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	mode := tree.ModeFile
	switch info, _, err := root.LstatIfPossible(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read %s: %w", name, bare(err))
	case !info.Mode().IsRegular():
		return fmt.Errorf("write %s: it is not a regular file", name)
	default:
		mode = info.Mode().Perm()
	}
	staged := fmt.Sprintf(".%s.rustgen-%d", name, os.Getpid())
	defer func() {
		if err != nil {
			_ = root.Remove(staged)
			err = fmt.Errorf("write %s: %w", name, bare(err))
		}
	}()
	out, err := root.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return root.Rename(staged, name)
}
