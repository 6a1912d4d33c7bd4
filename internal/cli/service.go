package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/project"
	"rustgen/internal/vcs"
)

// service is a service that exists, open for one run.
type service struct {
	*project.Service
	// dir is where it lies, root the file system that ends there, repo the repository around it; nil outside one.
	dir  string
	root apply.Root
	repo *vcs.Service
}

// serviceFlag declares where the service is.
func serviceFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", ".", "the service in `DIR`, or the one around it")
}

// openDir finds the service around dir, keeps other runs out until this one ends, and completes what an earlier run
// has left.
func (a *app) openDir(dir string) (*service, error) {
	if dir == "" {
		dir = "."
	}
	at, err := project.Find(dir)
	if errors.Is(err, project.ErrNone) {
		return nil, failed("rustgen new NAME makes one; --dir DIR names another place", "%s: %w", dir, err)
	}
	if err != nil {
		return nil, err
	}
	s := &service{dir: at}
	if s.root, err = apply.OpenRoot(at); err != nil {
		return nil, failed("", "%s: %w", at, bare(err))
	}
	unlock, err := apply.Lock(at)
	if err != nil {
		s.root.Close()
		return nil, failed("wait for it to end", "%w", err)
	}
	a.atExit = append(a.atExit, func() { unlock(); _ = s.root.Close() })
	recovered, err := apply.Recover(s.root, project.CheckPath)
	if err != nil {
		return nil, a.writeFault(err)
	}
	if recovered != nil {
		a.written = true
		done := "took back"
		if recovered.Finished {
			done = "finished"
		}
		a.say("%s an earlier `%s`, which was cut off", done, recovered.What)
	}
	if s.repo, err = vcs.Open(at); err != nil {
		return nil, err
	}
	return s, nil
}

// openService is openDir with the record and the snapshot, which must be as rustgen wrote them.
func (a *app) openService(dir string) (*service, error) {
	s, err := a.openDir(dir)
	if err != nil {
		return nil, err
	}
	if s.Service, err = project.Load(s.root); err != nil {
		return nil, s.damaged(err)
	}
	return s, nil
}

// damaged is an error in the record, with the way back.
func (s *service) damaged(err error) error {
	hint := "rustgen restore .rustgen makes it anew"
	if s.repo != nil {
		hint = "git restore .rustgen brings the committed one back; rustgen restore .rustgen makes it anew"
	}
	if errors.Is(err, project.ErrEdited) {
		hint = "decisions change by rustgen set; " + hint + " from what it says"
	}
	return failed(hint, "%w", err)
}

// transact makes changes to a service, all or nothing. What is left to do after it is not to be interrupted.
func (a *app) transact(ctx context.Context, s *service, what string, changes []apply.Change) error {
	if err := apply.Transact(ctx, s.root, what, changes); err != nil {
		return a.writeFault(err)
	}
	a.written = true
	return nil
}

// writeFault is an error of the writer, with what to do about it.
func (a *app) writeFault(err error) error {
	var cut *apply.CutOff
	var changed *apply.Changed
	var damaged *apply.Damaged
	switch {
	case errors.As(err, &cut):
		a.written = true
		return failed("mend the cause; the next rustgen command here finishes it or takes it back", "%w", err)
	case errors.As(err, &changed):
		return failed("run it again", "%w; nothing was changed", err)
	case errors.As(err, &damaged):
		return failed("rustgen did not leave it so; removing .rustgen/tx forgets that run", "%w; nothing was changed", err)
	case errors.Is(err, context.Canceled):
		return err
	default:
		return failed("mend the cause and run it again", "%w; nothing was changed", err)
	}
}

// recordIn is the record of the service around dir, as far as it can be read; nil without one.
func recordIn(dir string) *project.Record {
	at, err := project.Find(dir)
	if err != nil {
		return nil
	}
	root, err := apply.OpenRoot(at)
	if err != nil {
		return nil
	}
	defer root.Close()
	record, err := project.ReadRecord(root)
	if err != nil {
		return nil
	}
	return record
}

// shown is the service's directory as a person would type it.
func (s *service) shown() string { return near(s.dir) }

// near is a directory from here, where it is not far.
func near(dir string) string {
	abs, err := filepath.Abs(".")
	if err != nil {
		return dir
	}
	rel, err := filepath.Rel(abs, dir)
	if err != nil || strings.Count(rel, "..") > 2 {
		return dir
	}
	return shown(rel)
}

// exactly names what files are rendered from: a set and, where it extends another, that one, each in its version.
func exactly(name, version, extends string) string {
	if extends == "" {
		return name + " " + version
	}
	return name + " " + version + " on " + extends
}

// on is what the service was rendered from.
func (s *service) on() string { return exactly(s.Record.Template, s.Record.Version, s.Record.Extends) }

// matches refuses a set that the service was not made from.
func (s *service) matches(set *openedSet) error {
	under, _, _ := strings.Cut(set.Base, " ")
	if s.Record.Template == set.Name || s.Record.Template == under {
		return nil
	}
	return usage("--template DIR or URL names its set", "the service was made from the set %s, and this is %s", s.Record.Template, set.Name)
}

// absent reports whether an error says that there is nothing.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
