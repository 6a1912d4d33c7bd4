package bootstrap

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"rustgen/internal/apply"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/report"
	"rustgen/internal/vcs"
)

// Write puts the service in place, with a repository of its own where it stands outside one and wants one. repository
// says which. message is that of the first commit.
func (b *Service) Write(ctx context.Context, wantsGit bool, message string, say Say) (repository string, err error) {
	around, err := vcs.Repository(b.Dir)
	if err != nil {
		return "", err
	}
	var finish func(context.Context, string) error
	switch {
	case !wantsGit:
		repository = None
	case around != "":
		repository = Around
	default:
		finish = func(ctx context.Context, staged string) error {
			repository, err = b.initialise(ctx, staged, message, say)
			return err
		}
	}
	undo, err := b.Place.exclude()
	if err != nil {
		return "", err
	}
	if err = b.put(ctx, finish); err != nil {
		undo()
		if !errors.Is(err, context.Canceled) {
			err = hint.Fail("nothing was written; choose a --dir that can be written to", "%w", err)
		}
		return repository, err
	}
	b.Written = true
	if repository == Committed {
		say("note: %s is a git repository on the branch %s, with all of it in a first commit", report.Shown(b.Dir), vcs.Branch)
	}
	if repository == Around {
		b.settle(ctx, say)
	}
	return repository, nil
}

// put writes the service, whole or not at all. No path is written that an upgrade would not write.
func (b *Service) put(ctx context.Context, finish apply.Finish) error {
	for _, p := range b.Tree.Paths() {
		if err := project.CheckPath(p); err != nil {
			return err
		}
	}
	if Absent(b.Dir) {
		return apply.Fresh(ctx, b.Dir, b.Tree, finish)
	}
	return apply.Into(ctx, b.Dir, "rustgen new", b.Tree, finish)
}

// What became of version control: nothing, the repository around the service stays the only one, one was made with a first
// commit, or without.
const (
	None        = "none"
	Around      = "existing"
	Committed   = "committed"
	Initialised = "initialised"
)

// initialise makes the repository and its first commit. The service is worth having without either, so what git cannot
// do is said and not fatal.
func (b *Service) initialise(ctx context.Context, staged, message string, say Say) (string, error) {
	if err := vcs.Init(ctx, staged); err != nil {
		if errors.Is(err, context.Canceled) {
			return "", err
		}
		say("warning: no repository was made: %v", err)
		return None, nil
	}
	if err := vcs.CommitAll(ctx, staged, message, executables(b.Tree)); err != nil {
		if errors.Is(err, context.Canceled) {
			return "", err
		}
		command := "git -C " + hint.Quote(b.Dir)
		say("warning: the repository has no first commit: %v", err)
		say("hint: %s config user.name 'Your Name' && %s config user.email you@example.com && %s commit --message %s",
			command, command, command, hint.Quote(message))
		return Initialised, nil
	}
	return Committed, nil
}

// Absent reports whether a directory does not exist.
func Absent(dir string) bool {
	_, err := os.Lstat(dir)
	return errors.Is(err, fs.ErrNotExist)
}
