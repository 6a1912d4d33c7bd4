package cli

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

// refuseTaken refuses a name whose directory has no room for a service, where the name is still being asked for.
func refuseTaken(o *newOptions, out *decision.Outcome) {
	name, ok := out.Answers[decision.NameID]
	if !ok || o.dir != "" {
		return
	}
	var f *hint.Error
	dir, err := target(o, name)
	if err == nil {
		err = checkTarget(dir, nil)
	}
	if errors.As(err, &f) {
		refused := decision.Refuse("choose another name, or start again with --dir", "name %q: %s", name.Value.String(), visible(f.Error()))
		out.Problems = append(out.Problems, decision.Problem{ID: decision.NameID, Err: refused})
	}
}

// target is where the service goes: --dir, or else the directory of its name. A name that the template set has given, and
// nobody has chosen, is no place; nor is one that is more than the name of a directory, whatever the set allows.
func target(o *newOptions, name decision.Answer) (string, error) {
	if o.dir != "" {
		return filepath.Clean(o.dir), nil
	}
	text := name.Value.String()
	if name.Origin != decision.Chosen {
		hint := "rustgen new NAME names it, and --dir DIR says where it goes"
		if name.Origin == decision.Locked {
			hint = "--dir DIR says where it goes"
		}
		return "", usage(hint, "the service would be called %q by the template set, which does not decide where it is made", text)
	}
	if err := tree.CheckPath(text); err != nil || strings.HasPrefix(text, ".") || strings.Contains(text, "/") {
		return "", usage("--dir DIR says where it goes", "name %q is not the name of a directory", text)
	}
	return text, nil
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

// resume completes what a killed run had begun to put into dir.
func (a *app) resume(o *newOptions, dir string) error {
	if o.dryRun {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(dir, apply.Staging)); err != nil {
		return nil
	}
	if repository, err := vcs.Open(dir); err == nil && repository != nil {
		if tracked, err := repository.Tracks(context.Background(), apply.Staging); err == nil && tracked {
			return failed("rustgen did not leave it so; git -C "+quote(dir)+" rm -r "+apply.Staging+" removes it", "%s: %s is in the repository", dir, apply.Staging)
		}
	}
	resumed, err := apply.Resume(dir, apply.Check{Path: project.CheckPath, Repository: vcs.CheckNew})
	var damaged *apply.Damaged
	if errors.As(err, &damaged) {
		return failed("rustgen did not leave it so; removing "+filepath.Join(dir, apply.Staging)+" forgets that run", "%s: %w", dir, err)
	}
	if err != nil {
		return err
	}
	if resumed != nil && resumed.Finished {
		a.written = true
		a.say("warning: a run that was killed had begun a service in %s; it is complete now", dir)
	}
	return nil
}

// checkTarget refuses a directory in which the service has no room. t may be nil where it is not yet known.
func checkTarget(dir string, t tree.Tree) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed("choose another --dir", "%s: %w", dir, bare(err))
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if info, err = os.Stat(dir); err != nil {
			return failed("remove the link, or choose another --dir", "%s is a link that leads nowhere", dir)
		}
	}
	if !info.IsDir() {
		return failed("choose another name or --dir", "%s exists and is a file", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return failed("choose another --dir", "%s: %w", dir, bare(err))
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
		return failed("choose another name or --dir, or empty it", "%s is not empty: %s in the way", dir, areSome(names))
	}
	var collide []string
	if slices.Contains(names, project.Dir) {
		return failed("rustgen set and rustgen upgrade change a service that exists", "%s holds a service that rustgen made", dir)
	}
	for _, p := range t.Paths() {
		if inTheWay(dir, p) {
			collide = append(collide, p)
		}
	}
	if len(collide) > 0 {
		return failed("move it away, or choose another --dir", "%s has what the service would write: %s", dir, some(collide))
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
	return some(names) + " are"
}

// some names the first few of many.
func some(names []string) string { return hint.Some(names) }
