package cli

import (
	"context"
	"errors"
	"fmt"

	"rustgen/internal/apply"
	"rustgen/internal/decision"
	"rustgen/internal/project"
	"rustgen/internal/vcs"
)

// write puts the service in place, with a repository of its own where it stands outside one. repository says which.
func (a *app) write(ctx context.Context, set *openedSet, o *newOptions, b *bootstrap) (repository string, err error) {
	around, err := vcs.Repository(b.dir)
	if err != nil {
		return "", err
	}
	var finish func(context.Context, string) error
	switch {
	case o.vcs == "none":
		repository = repositoryNone
	case around != "":
		repository = repositoryAround
	default:
		message := fmt.Sprintf("Bootstrap %s from %s %s", b.out.Data[decision.NameID], set.Name, set.Version)
		finish = func(ctx context.Context, staged string) error {
			repository, err = a.initialise(ctx, staged, b, message)
			return err
		}
	}
	undo, err := b.place.exclude()
	if err != nil {
		return "", err
	}
	if err = put(ctx, b, finish); err != nil {
		undo()
		if !errors.Is(err, context.Canceled) {
			err = failed("nothing was written; choose a --dir that can be written to", "%w", err)
		}
		return repository, err
	}
	a.written = true
	if repository == repositoryCommitted {
		a.say("note: %s is a git repository on the branch %s, with all of it in a first commit", shown(b.dir), vcs.Branch)
	}
	if repository == repositoryAround {
		a.settle(ctx, b.place, b)
	}
	return repository, nil
}

// put writes the service, whole or not at all. No path is written that an upgrade would not write.
func put(ctx context.Context, b *bootstrap, finish apply.Finish) error {
	for _, p := range b.tree.Paths() {
		if err := project.CheckPath(p); err != nil {
			return err
		}
	}
	if absentDir(b.dir) {
		return apply.Fresh(ctx, b.dir, b.tree, finish)
	}
	return apply.Into(ctx, b.dir, "rustgen new", b.tree, finish)
}

// What became of version control.
const (
	repositoryNone      = "none"
	repositoryAround    = "existing"
	repositoryCommitted = "committed"
	repositoryEmpty     = "initialised"
)

// initialise makes the repository and its first commit. The service is worth having without either, so what git cannot
// do is said and not fatal.
func (a *app) initialise(ctx context.Context, staged string, b *bootstrap, message string) (string, error) {
	if err := vcs.Init(ctx, staged); err != nil {
		if errors.Is(err, context.Canceled) {
			return "", err
		}
		a.say("warning: no repository was made: %v", err)
		return repositoryNone, nil
	}
	if err := vcs.CommitAll(ctx, staged, message, executables(b.tree)); err != nil {
		if errors.Is(err, context.Canceled) {
			return "", err
		}
		git := "git -C " + quote(b.dir)
		a.say("warning: the repository has no first commit: %v", err)
		a.say("hint: %s config user.name 'Your Name' && %s config user.email you@example.com && %s commit --message %s",
			git, git, git, quote(message))
		return repositoryEmpty, nil
	}
	return repositoryCommitted, nil
}
