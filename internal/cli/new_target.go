package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"rustgen/internal/bootstrap"
	"rustgen/internal/decision"
	"rustgen/internal/hint"
)

// refuseTaken refuses a name whose directory has no room for a service, where the name is still being asked for.
func refuseTaken(o *newOptions, out *decision.Outcome) {
	name, ok := out.Answers[decision.NameID]
	if !ok || o.dir != "" {
		return
	}
	var f *hint.Error
	dir, err := bootstrap.Target(o.dir, name)
	if err == nil {
		err = bootstrap.CheckTarget(dir, nil)
	}
	if errors.As(err, &f) {
		refused := decision.Refuse("choose another name, or start again with --dir", "name %q: %s", name.Value.String(), visible(f.Error()))
		out.Problems = append(out.Problems, decision.Problem{ID: decision.NameID, Err: refused})
	}
}

func directoryName(dir string) string {
	if dir == "" {
		return ""
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	return filepath.Base(abs)
}

// some names the first few of many.
func some(names []string) string { return hint.Some(names) }

// refuseExisting refuses a directory that is to be made and exists, or that cannot be made where it is to be.
func refuseExisting(dir, mend string) error {
	_, err := os.Lstat(dir)
	switch {
	case err == nil:
		return failed(mend, "%s exists", dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return failed(mend, "%s: %w", dir, bare(err))
	}
}

// absentDir reports whether a directory does not exist.
func absentDir(dir string) bool {
	_, err := os.Lstat(dir)
	return errors.Is(err, fs.ErrNotExist)
}
