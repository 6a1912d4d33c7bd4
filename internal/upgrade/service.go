package upgrade

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"syscall"

	"rustgen/internal/apply"
	"rustgen/internal/git"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/tree"
	"rustgen/internal/vcs"
)

// Service is a service that exists, open for one run: no other run changes it until it is closed.
type Service struct {
	// Service is nil until Load.
	*project.Service
	// Dir is where it lies, Root the file system that ends there, Repo the repository around it; nil outside one.
	Dir  string
	Root apply.Root
	Repo *vcs.Service

	// WasOwned reports whether a file was owned when it was written, for a record from before records list them. nil: none
	// was, so that what nobody has edited is updated one last time.
	WasOwned func(path string) bool

	unlock func()
	index  *vcs.Index
	// disk holds the modes that the disk has where git's are others.
	disk map[string]fs.FileMode
}

// Open finds the service around dir, keeps other runs out, and completes what an earlier run has left, which it returns.
// It is for a run that changes the service.
func Open(ctx context.Context, dir string) (*Service, *apply.Recovered, error) {
	s, err := lock(dir)
	if err != nil {
		return nil, nil, err
	}
	if s.tracksRun(ctx) {
		s.Close()
		return nil, nil, hint.Fail("rustgen did not leave it so; git rm -r --cached .rustgen/tx, and removing it, forget that run",
			"%s: .rustgen/tx is in the repository; nothing was changed", dir)
	}
	recovered, err := apply.Recover(s.Root, project.CheckPath)
	if err != nil {
		s.Close()
		return nil, nil, writeFault(s.Dir, err)
	}
	return s, recovered, nil
}

// OpenToRead is Open for a run that only reports: pending is what an earlier run was about that has left something, which
// stays as it is; "" where none has.
func OpenToRead(dir string) (s *Service, pending string, err error) {
	if s, err = lock(dir); err != nil {
		return nil, "", err
	}
	if pending, err = apply.Pending(s.Root, project.CheckPath); err != nil {
		s.Close()
		return nil, "", writeFault(s.Dir, err)
	}
	return s, pending, nil
}

// lock finds the service around dir, and keeps other runs out until it is closed.
func lock(dir string) (*Service, error) {
	at, err := project.Find(dir)
	if errors.Is(err, project.ErrAbsent) {
		return nil, hint.Fail("name the directory of a service, or one in it", "%s: %w", dir, err)
	}
	if errors.Is(err, project.ErrNone) {
		return nil, hint.Fail("rustgen new NAME makes one; --dir DIR names another place", "%s: %w", dir, err)
	}
	if err != nil {
		return nil, err
	}
	s := &Service{Dir: at}
	if s.Root, err = apply.OpenRoot(at); err != nil {
		return nil, hint.Fail("", "%s: %w", at, cause(err))
	}
	if s.unlock, err = apply.Lock(at); err != nil {
		_ = s.Root.Close()
		return nil, hint.Fail("wait for it to end", "%w", err)
	}
	if s.Repo, err = vcs.Open(at); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// tracksRun reports whether what an interrupted run leaves was committed: then it is nobody's here.
func (s *Service) tracksRun(ctx context.Context) bool {
	const left = project.Dir + "/tx"
	if s.missing(left) || s.Repo == nil {
		return false
	}
	tracked, err := s.Repo.Tracks(ctx, left)
	return err == nil && tracked
}

// owned reports whether a file was the team's when the template wrote it.
func (s *Service) owned(p string) bool {
	if s.Record.Owned == nil && s.WasOwned != nil {
		return s.WasOwned(p)
	}
	return s.Record.Owns(p)
}

// Close lets other runs in.
func (s *Service) Close() {
	s.unlock()
	_ = s.Root.Close()
}

// Load reads the record and the snapshot, which must be as rustgen wrote them.
func (s *Service) Load(ctx context.Context) error {
	var err error
	if s.Service, err = project.Load(s.Root); err != nil {
		return s.damaged(ctx, err)
	}
	return nil
}

// cause is the cause of a path error, without the operation and the path, which the message names itself.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Worktree reads the service's files as git sees them: those that are not checked out are there, and modes are the
// index's where the disk has none.
func (s *Service) Worktree(ctx context.Context, base tree.Tree, paths []string) (tree.Tree, error) {
	view, err := s.view(ctx, paths)
	if err != nil {
		return nil, err
	}
	t, err := project.Worktree(s.Root, view, base, paths)
	if err != nil {
		return nil, hint.Fail("make it readable", "rustgen must be able to read the service: %w", err)
	}
	return t, nil
}

// view asks git what the disk does not show. It is nil outside a repository.
func (s *Service) view(ctx context.Context, paths []string) (*project.View, error) {
	if s.Repo == nil {
		return nil, nil
	}
	if s.index == nil {
		var err error
		if s.index, err = s.Repo.Index(ctx); err != nil {
			return nil, gitFault("read git's index", err)
		}
	}
	view := &project.View{Modes: map[string]fs.FileMode{}, Submodules: map[string]string{}, Own: func() (map[string]bool, error) { return s.own(ctx) }}
	var absent []string
	for p, entry := range s.index.Entries {
		switch {
		case entry.Submodule:
			view.Submodules[p] = entry.Object
		case entry.Skipped && slices.Contains(paths, p) && s.missing(p):
			absent = append(absent, p)
		case !s.index.TrustsDisk:
			view.Modes[p] = entry.Mode
		}
	}
	if !s.index.TrustsDisk && s.Service != nil {
		for p, f := range s.Base {
			if _, tracked := s.index.Entries[p]; !tracked {
				view.Modes[p] = f.Mode
			}
		}
	}
	s.noteModes(view)
	var err error
	if view.Absent, err = s.Repo.Contents(ctx, absent, s.index); err != nil {
		return nil, gitFault("read what is not checked out", err)
	}
	return view, nil
}

// noteModes keeps the modes of the disk, with which the writer compares what it replaces.
func (s *Service) noteModes(view *project.View) {
	s.disk = map[string]fs.FileMode{}
	for p := range view.Modes {
		if info, _, err := s.Root.LstatIfPossible(p); err == nil && info.Mode().IsRegular() {
			s.disk[p] = tree.NormalMode(info.Mode())
		}
	}
}

func (s *Service) missing(p string) bool {
	_, _, err := s.Root.LstatIfPossible(p)
	return errors.Is(err, fs.ErrNotExist)
}

// own lists the service's own files: those that git tracks, or neither tracks nor ignores.
func (s *Service) own(ctx context.Context) (map[string]bool, error) {
	tracked, untracked, err := s.Repo.Files(ctx)
	if err != nil {
		return nil, gitFault("tell which files are the service's", err)
	}
	all := maps.Clone(tracked)
	maps.Copy(all, untracked)
	return all, nil
}

// Added lists the user's own files: what git does not ignore, or without git all but what tools make.
func (s *Service) Added(ctx context.Context) ([]string, error) {
	all, err := project.Added(s.Root, s.Base)
	if err != nil || s.Repo == nil {
		return all, err
	}
	own, err := s.own(ctx)
	if err != nil {
		return all, nil
	}
	return slices.DeleteFunc(all, func(p string) bool { return !own[p] }), nil
}

// Ignored lists the record's files that git leaves out of commits, so that no clone would have them.
func (s *Service) Ignored(ctx context.Context) []string {
	if s.Repo == nil {
		return nil
	}
	own, err := s.own(ctx)
	if err != nil {
		return nil
	}
	kept, err := project.Own(s.Root)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(kept.Paths(), func(p string) bool { return own[p] || p == project.UndoPath })
}

// gitFault is an error of git, with what git itself knows against it.
func gitFault(doing string, err error) error {
	var distrusted *git.Distrusted
	mend := ""
	switch {
	case errors.As(err, &distrusted):
		mend = "if you trust it: git config --global --add safe.directory '" + distrusted.Dir + "'"
	case errors.Is(err, git.ErrMissing):
		mend = "install git 2.38 or newer"
	}
	return hint.Fail(mend, "cannot %s: %w", doing, err)
}

// Dirty are the files with uncommitted changes; nil outside a repository.
func (s *Service) Dirty(ctx context.Context) (map[string]bool, error) {
	if s.Repo == nil {
		return nil, nil
	}
	dirty, err := s.Repo.Dirty(ctx)
	if err != nil {
		return nil, gitFault("tell what is uncommitted", err)
	}
	return dirty, nil
}

// Pending is the error that says which conflicts an upgrade has left; nil where it left none.
func (s *Service) Pending() error {
	if s.Conflicts == nil {
		return nil
	}
	paths := make([]string, len(s.Conflicts.Paths))
	for i, c := range s.Conflicts.Paths {
		paths[i] = c.Path
	}
	return hint.New(hint.Conflicts, s.wayOut(),
		"the upgrade from %s to %s left %s: %s", s.Conflicts.From, s.Conflicts.To, hint.Count(len(paths), "conflict"), hint.Some(paths))
}

// wayOut is how a begun upgrade ends here: --abort needs what it replaced, which is only where it was begun.
func (s *Service) wayOut() string {
	if s.missing(project.UndoPath) {
		return "resolve them and run rustgen upgrade --continue"
	}
	return "resolve them and run rustgen upgrade --continue, or rustgen upgrade --abort"
}

// DirtyLater asks git what is uncommitted while something else is done.
func (s *Service) DirtyLater(ctx context.Context) func() (map[string]bool, error) {
	var dirty map[string]bool
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		dirty, err = s.Dirty(ctx)
	}()
	return func() (map[string]bool, error) {
		<-done
		return dirty, err
	}
}

// writeFault is an error of the writer in the service in dir, with what to do about it.
func writeFault(dir string, err error) error {
	var cut *apply.CutOff
	var changed *apply.Changed
	var damaged *apply.Damaged
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &cut):
		return hint.Fail(mendWrite(dir, err)+"; the next rustgen command here finishes it or takes it back", "%w", err)
	case errors.As(err, &changed):
		return hint.Fail("run it again", "%w; nothing was changed", err)
	case errors.As(err, &damaged):
		return hint.Fail("rustgen did not leave it so; removing .rustgen/tx forgets that run", "%w; nothing was changed", err)
	default:
		return hint.Fail(mendWrite(dir, err)+", and run it again", "%w; nothing was changed", err)
	}
}

// mendWrite is what helps where something could not be written.
func mendWrite(dir string, err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return "df " + hint.Quote(dir) + " shows how much room is left; make some"
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return "ls -lR " + hint.Quote(dir) + " shows who may write what; make it writable"
	default:
		return "mend the cause"
	}
}
