package cli

import (
	"context"
	"fmt"
	"slices"

	"rustgen/internal/apply"
	"rustgen/internal/plan"
	"rustgen/internal/project"
	"rustgen/internal/tree"
	"rustgen/internal/vcs"
)

// writeUpgrade puts the merged tree and the new record in place, all or nothing.
func (a *app) writeUpgrade(ctx context.Context, u *upgrade, o *changeOptions) error {
	if u.same {
		return nil
	}
	s := u.service
	undo := &project.Undo{From: s.Record.Version, To: u.record.Version, After: map[string]string{}, Before: tree.Tree{}}
	var changes []apply.Change
	for _, p := range u.touched() {
		changes = append(changes, change(u.ours, u.result, p))
	}
	own, err := u.record.Files(u.set.Catalog.IDs(), u.theirs)
	if err != nil {
		return err
	}
	if len(u.conflicts) > 0 {
		if own[project.ConflictsPath], err = u.pending().File(); err != nil {
			return err
		}
	}
	before, err := project.Own(s.root)
	if err != nil {
		return s.damaged(err)
	}
	// The answers come last: they hold the version.
	order := slices.DeleteFunc(own.Paths(), func(p string) bool { return p == project.AnswersPath })
	var ownChanges []apply.Change
	for _, p := range append(order, project.AnswersPath) {
		ownChanges = append(ownChanges, change(before, own, p))
	}
	for _, c := range append(slices.Clone(changes), ownChanges...) {
		undo.Note(c.Path, c.Before, c.File)
	}
	if s.repo != nil && len(u.conflicts) > 0 {
		if undo.Index, err = s.repo.Entries(ctx, append(conflictPaths(u), project.ConflictsPath)); err != nil {
			return failed("", "read git's index: %w", err)
		}
	}
	undoFile, err := undo.File()
	if err != nil {
		return err
	}
	kept := change(before, tree.Tree{project.UndoPath: undoFile}, project.UndoPath)
	// It holds what files were that others may not have been able to read.
	kept.Private = true
	changes = append(changes, kept)
	changes = append(changes, ownChanges...)
	changes = slices.DeleteFunc(changes, func(c apply.Change) bool {
		return c.Before != nil && c.File != nil && c.Before.Equal(*c.File)
	})
	if err := a.transact(ctx, s, o.command, changes); err != nil {
		return err
	}
	if s.repo != nil && len(u.conflicts) > 0 {
		a.stageConflicts(context.WithoutCancel(ctx), u, own[project.ConflictsPath])
	}
	return nil
}

// change is what turns an entry of one tree into that of another.
func change(from, to tree.Tree, p string) apply.Change {
	c := apply.Change{Path: p}
	if f, ok := from[p]; ok {
		c.Before = &f
	}
	if f, ok := to[p]; ok {
		c.File = &f
	}
	return c
}

func conflictPaths(u *upgrade) []string {
	paths := make([]string, len(u.conflicts))
	for i, c := range u.conflicts {
		paths[i] = c.Path
	}
	return paths
}

func (u *upgrade) pending() *project.Conflicts {
	c := &project.Conflicts{From: u.service.Record.Version, To: u.record.Version}
	for _, conflict := range u.conflicts {
		c.Paths = append(c.Paths, project.ConflictPath{Path: conflict.Path, Kind: string(conflict.Kind), Marked: conflict.Marked})
	}
	return c
}

// stageConflicts shows git the conflicts as a merge's. The list of them goes into the index, too: git commit -a leaves
// out what git does not track, and the markers would be committed without it. The service is complete without either,
// so that git's refusal is said and not fatal.
func (a *app) stageConflicts(ctx context.Context, u *upgrade, list tree.File) {
	var staged []vcs.Conflict
	for _, c := range u.conflicts {
		staged = append(staged, vcs.Conflict{Path: c.Path, Stages: c.Stages})
	}
	if err := u.service.repo.Stage(ctx, staged, tree.Tree{project.ConflictsPath: list}); err != nil {
		a.say("warning: git's index does not show the conflicts: %v", err)
	}
}

// abortUpgrade brings back what was there before the last upgrade.
func (a *app) abortUpgrade(ctx context.Context, o *changeOptions) error {
	s, err := a.openDirOrRead(o.dir, o.dryRun)
	if err != nil {
		return err
	}
	undo, err := project.ReadUndo(s.root)
	if absent(err) {
		return failed("git restore brings back what was committed", "there is no upgrade to abort")
	}
	if err != nil {
		return failed("git restore brings back what was committed", "%w", err)
	}
	pending, err := project.ReadConflicts(s.root)
	if err != nil {
		return s.damaged(err)
	}
	conflicted := map[string]bool{}
	if pending != nil {
		for _, c := range pending.Paths {
			conflicted[c.Path] = true
		}
	}
	now, err := undo.Now(s.root)
	if err != nil {
		return err
	}
	var edited []string
	var changes, own []apply.Change
	items := []plan.Item{}
	for _, p := range undo.Paths() {
		c := change(now, undo.Before, p)
		if c.Before == nil && c.File == nil || c.Before != nil && c.File != nil && c.Before.Equal(*c.File) {
			// Taken back by other means, as by git reset.
			continue
		}
		if !conflicted[p] && !undo.AsWritten(p, now) {
			edited = append(edited, p)
		}
		switch {
		case tree.CheckPath(p) != nil:
			own = append(own, c)
			continue
		case c.File == nil:
			items = append(items, plan.Item{Path: p, Verdict: plan.Deleted})
		default:
			items = append(items, plan.Item{Path: p, Verdict: plan.Restored})
		}
		changes = append(changes, c)
	}
	own = append(own, change(now, nil, project.UndoPath))
	if len(edited) > 0 && !o.allowDirty {
		return failed("commit or copy them and give --allow-dirty to lose the edits here",
			"changed since the upgrade, and abort would undo that too: %s", some(edited))
	}
	if !o.dryRun {
		if err := a.transact(ctx, s, "rustgen upgrade --abort", append(changes, own...)); err != nil {
			return err
		}
	}
	if s.repo != nil && pending != nil && !o.dryRun {
		paths := []string{project.ConflictsPath}
		for _, c := range pending.Paths {
			paths = append(paths, c.Path)
		}
		if err := s.repo.Restore(context.WithoutCancel(ctx), paths, undo.Index); err != nil {
			a.say("warning: git's index still shows the conflicts: %v", err)
		}
	}
	if o.json {
		return a.writeJSON(map[string]any{"dry_run": o.dryRun, "aborted": !o.dryRun, "from": undo.From, "to": undo.To, "files": items})
	}
	if o.dryRun {
		return a.printRestored(items, true)
	}
	_, err = fmt.Fprintf(a.out, "took back the upgrade from %s to %s\n", undo.From, undo.To)
	return err
}

// continueUpgrade ends an upgrade whose conflicts are resolved.
func (a *app) continueUpgrade(ctx context.Context, o *changeOptions) error {
	s, err := a.openOrRead(o.dir, o.dryRun)
	if err != nil {
		return err
	}
	if s.Conflicts == nil {
		return failed("rustgen status says where the service stands", "there is no upgrade to continue")
	}
	before, err := project.Own(s.root)
	if err != nil {
		return s.damaged(err)
	}
	if s.Record.Version != s.Conflicts.To {
		hint := "rustgen upgrade --abort takes back what is left of it"
		if _, ok := before[project.UndoPath]; !ok {
			hint = "remove " + project.ConflictsPath
		}
		return failed(hint, "the upgrade to %s was taken back by other means: .rustgen is of %s", s.Conflicts.To, s.Record.Version)
	}
	open, err := s.unresolved(ctx)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		hint := "edit out the markers"
		if s.repo != nil {
			hint = "edit out the markers, then git add (or git rm) each"
		}
		return &failure{exitConflicts, fmt.Errorf("%s not resolved: %s", count(len(open), "conflict"), some(open)), hint}
	}
	var changes []apply.Change
	for _, p := range []string{project.UndoPath, project.ConflictsPath} {
		if _, ok := before[p]; ok {
			changes = append(changes, change(before, nil, p))
		}
	}
	if !o.dryRun {
		if err := a.transact(ctx, s, "rustgen upgrade --continue", changes); err != nil {
			return err
		}
		if s.repo != nil {
			if err := s.repo.Restore(context.WithoutCancel(ctx), []string{project.ConflictsPath}, nil); err != nil {
				a.say("warning: git's index still has %s: %v", project.ConflictsPath, err)
			}
		}
	}
	if o.json {
		return a.writeJSON(map[string]any{
			"dry_run": o.dryRun, "continued": !o.dryRun, "from": s.Conflicts.From, "to": s.Conflicts.To,
		})
	}
	is := "is complete; commit it"
	if o.dryRun {
		is = "would be complete"
	}
	_, err = fmt.Fprintf(a.out, "the upgrade from %s to %s %s\n", s.Conflicts.From, s.Conflicts.To, is)
	return err
}

// unresolved lists the conflicts that are still open: with markers in the file, or unmerged in git's index.
func (s *service) unresolved(ctx context.Context) ([]string, error) {
	unmerged := map[string]bool{}
	if s.repo != nil {
		var err error
		if unmerged, err = s.repo.Unmerged(ctx); err != nil {
			return nil, failed("", "read git's index: %w", err)
		}
	}
	var open []string
	for _, c := range s.Conflicts.Paths {
		marked, err := s.Conflicts.Marked(s.root, c)
		if err != nil {
			return nil, err
		}
		if marked || unmerged[c.Path] {
			open = append(open, c.Path)
		}
	}
	return open, nil
}
