package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
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
	s, err := a.lockDir(dir)
	if err != nil {
		return nil, err
	}
	if s.tracksRun() {
		return nil, failed("rustgen did not leave it so; git rm -r --cached .rustgen/tx, and removing it, forget that run",
			"%s: .rustgen/tx is in the repository; nothing was changed", s.shown())
	}
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
	return s, nil
}

// readDir is openDir for a command that only reports: what an earlier run has left is said, and stays.
func (a *app) readDir(dir string) (*service, error) {
	s, err := a.lockDir(dir)
	if err != nil {
		return nil, err
	}
	pending, err := apply.Pending(s.root, project.CheckPath)
	if err != nil {
		return nil, a.writeFault(err)
	}
	if pending != "" {
		a.say("warning: an earlier `%s` was cut off: the next rustgen upgrade, set or restore here finishes it or takes it back", pending)
	}
	return s, nil
}

// tracksRun reports whether what an interrupted run leaves was committed: then it is nobody's here.
func (s *service) tracksRun() bool {
	if _, _, err := s.root.LstatIfPossible(".rustgen/tx"); err != nil || s.repo == nil {
		return false
	}
	tracked, err := s.repo.Tracks(context.Background(), ".rustgen/tx")
	return err == nil && tracked
}

// lockDir finds the service around dir, and keeps other runs out until this one ends.
func (a *app) lockDir(dir string) (*service, error) {
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
	if s.repo, err = vcs.Open(at); err != nil {
		return nil, err
	}
	return s, nil
}

// openService is openDir with the record and the snapshot, which must be as rustgen wrote them.
func (a *app) openService(dir string) (*service, error) {
	return a.loaded(a.openDir(dir))
}

// readService is openService for a command, or a dry run, that only reports.
func (a *app) readService(dir string) (*service, error) {
	return a.loaded(a.readDir(dir))
}

// openDirOrRead opens a directory for a command that may be a dry run.
func (a *app) openDirOrRead(dir string, dryRun bool) (*service, error) {
	if dryRun {
		return a.readDir(dir)
	}
	return a.openDir(dir)
}

// openOrRead opens a service for a command that may be a dry run.
func (a *app) openOrRead(dir string, dryRun bool) (*service, error) {
	if dryRun {
		return a.readService(dir)
	}
	return a.openService(dir)
}

func (a *app) loaded(s *service, err error) (*service, error) {
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
	a.settling.Store(true)
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

// recordedSource is where the set of an existing service comes from, for the commands that work on one or speak of its
// decisions. Ending an upgrade needs no set, nor does a plain diff. A set on another machine is only asked for what
// cannot be done without it: the record may come from anybody, and reading the set would tell them.
func recordedSource(args []string) (string, error) {
	if len(args) == 0 || !slices.Contains([]string{"upgrade", "set", "diff", "explain"}, args[0]) ||
		slices.Contains(args, "--abort") || slices.Contains(args, "--continue") ||
		args[0] == "diff" && !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--upgrade") }) {
		return "", nil
	}
	record := recordOf(argument(args, "--dir"))
	switch {
	case record == nil:
		return "", nil
	case !vcs.Remote(record.Source):
		return record.Source, nil
	case slices.Contains(args, "--help") || slices.Contains(args, "-h"):
		return "", nil
	case args[0] == "explain":
		return "", failed("rustgen explain --template "+quote(record.Source)+" fetches it",
			"the decisions are those of the template set at %s, which is not fetched unasked", record.Source)
	default:
		return record.Source, nil
	}
}

// recordOf is the record of the service around dir; nil where there is none that can be read.
func recordOf(dir string) *project.Record {
	if dir == "" {
		dir = "."
	}
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
