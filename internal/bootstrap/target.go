package bootstrap

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rustgen/internal/apply"
	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/tree"
	"rustgen/internal/vcs"
)

// Target is where the service goes: dir, which --dir gives, or else the directory of its name. A name that the template set
// has given, and
// nobody has chosen, is no place; nor is one that is more than the name of a directory, whatever the set allows.
func Target(dir string, name decision.Answer) (string, error) {
	if dir != "" {
		return filepath.Clean(dir), nil
	}
	text := name.Value.String()
	if name.Origin != decision.Chosen {
		mend := "rustgen new NAME names it, and --dir DIR says where it goes"
		if name.Origin == decision.Locked {
			mend = "--dir DIR says where it goes"
		}
		return "", hint.Refuse(mend, "the service would be called %q by the template set, which does not decide where it is made", text)
	}
	if err := tree.CheckPath(text); err != nil || strings.HasPrefix(text, ".") || strings.Contains(text, "/") {
		return "", hint.Refuse("--dir DIR says where it goes", "name %q is not the name of a directory", text)
	}
	return text, nil
}

// Resume completes what a killed run had begun to put into dir. It reports whether a service is complete there now.
func Resume(ctx context.Context, dir string) (finished bool, err error) {
	if _, err := os.Lstat(filepath.Join(dir, apply.Staging)); err != nil {
		return false, nil
	}
	if repository, err := vcs.Open(dir); err == nil && repository != nil {
		if tracked, err := repository.Tracks(ctx, apply.Staging); err == nil && tracked {
			return false, hint.Fail("rustgen did not leave it so; git -C "+hint.Quote(dir)+" rm -r "+apply.Staging+" removes it", "%s: %s is in the repository", dir, apply.Staging)
		}
	}
	resumed, err := apply.Resume(dir, apply.Check{Path: project.CheckPath, Repository: vcs.CheckNew})
	var damaged *apply.Damaged
	if errors.As(err, &damaged) {
		return false, hint.Fail("rustgen did not leave it so; removing "+filepath.Join(dir, apply.Staging)+" forgets that run", "%s: %w", dir, err)
	}
	if err != nil {
		return false, err
	}
	return resumed != nil && resumed.Finished, nil
}

// CheckTarget refuses a directory in which the service has no room. t may be nil where it is not yet known.
func CheckTarget(dir string, t tree.Tree) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return hint.Fail("choose another --dir", "%s: %w", dir, hint.Cause(err))
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if info, err = os.Stat(dir); err != nil {
			return hint.Fail("remove the link, or choose another --dir", "%s is a link that leads nowhere", dir)
		}
	}
	if !info.IsDir() {
		return hint.Fail("choose another name or --dir", "%s exists and is a file", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return hint.Fail("choose another --dir", "%s: %w", dir, hint.Cause(err))
	}
	var names []string
	for _, e := range entries {
		if e.Name() != apply.Staging {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	if !slices.Contains(names, ".git") {
		return hint.Fail("choose another name or --dir, or empty it", "%s is not empty: %s in the way", dir, areSome(names))
	}
	var collide []string
	if slices.Contains(names, project.Dir) {
		return hint.Fail("rustgen set and rustgen upgrade change a service that exists", "%s holds a service that rustgen made", dir)
	}
	for _, p := range t.Paths() {
		if inTheWay(dir, p) {
			collide = append(collide, p)
		}
	}
	if len(collide) > 0 {
		return hint.Fail("move it away, or choose another --dir", "%s has what the service would write: %s", dir, hint.Some(collide))
	}
	return nil
}

// inTheWay reports whether a path cannot be created: it exists, or a part of it is something else than a directory.
func inTheWay(dir, p string) bool {
	if _, err := os.Lstat(filepath.Join(dir, p)); err == nil {
		return true
	}
	for up := filepath.Dir(p); up != "."; up = filepath.Dir(up) {
		if info, err := os.Lstat(filepath.Join(dir, up)); err == nil {
			return !info.IsDir()
		}
	}
	return false
}

func areSome(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return hint.Some(names) + " are"
}

// RefuseExisting refuses a directory that is to be made and exists, or that cannot be made where it is to be.
func RefuseExisting(dir, mend string) error {
	_, err := os.Lstat(dir)
	switch {
	case err == nil:
		return hint.Fail(mend, "%s exists", dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return hint.Fail(mend, "%s: %w", dir, hint.Cause(err))
	}
}
