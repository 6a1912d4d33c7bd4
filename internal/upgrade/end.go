package upgrade

import (
	"context"

	"rustgen/internal/hint"
	"rustgen/internal/merge"
	"rustgen/internal/project"
	"rustgen/internal/tree"
)

// Abort plans how what was there before the last upgrade comes back. What was edited since is only lost with force.
func (s *Service) Abort(ctx context.Context, force bool) (*Plan, error) {
	pending, err := project.ReadConflicts(s.Root)
	if err != nil {
		return nil, s.damaged(ctx, err)
	}
	undo, err := project.ReadUndo(s.Root)
	if Absent(err) && pending != nil {
		return nil, hint.Fail("drop the branch it is on, or git revert its commit; or resolve and rustgen upgrade --continue",
			"the upgrade to %s was begun in another clone, and what it replaced is there", pending.To)
	}
	if Absent(err) {
		return nil, hint.Fail("rustgen status says where the service stands", "there is no upgrade to abort")
	}
	if err != nil {
		return nil, hint.Fail("git restore brings back what was committed", "%w", err)
	}
	view, err := s.view(ctx, undo.Paths())
	if err != nil {
		return nil, err
	}
	now, err := undo.Now(s.Root, view)
	if err != nil {
		return nil, err
	}
	conflicted := map[string]bool{}
	p := &Plan{What: "rustgen upgrade --abort", From: undo.From, To: undo.To}
	if pending != nil {
		for _, c := range pending.Paths {
			conflicted[c.Path] = true
			p.cleared = append(p.cleared, c.Path)
		}
		p.cleared, p.entries = append(p.cleared, project.ConflictsPath), undo.Index
	}
	var edited []string
	var own []Change
	for _, at := range undo.Paths() {
		c := between(now, undo.Before, at)
		c.Perm = undo.Modes[at]
		if !c.Writes() {
			// Taken back by other means, as by git reset.
			continue
		}
		if !conflicted[at] && !undo.AsWritten(at, now) {
			edited = append(edited, at)
		}
		switch {
		case c.own():
			own = append(own, c)
			continue
		case c.After == nil:
			c.Verdict = Deleted
		default:
			c.Verdict = Restored
		}
		p.Changes = append(p.Changes, c)
	}
	if len(edited) > 0 && !force {
		return nil, hint.Fail("commit or copy them and give --allow-dirty to lose the edits here",
			"changed since the upgrade, and abort would undo that too: %s", hint.Some(edited))
	}
	p.Changes = append(append(p.Changes, own...), between(now, nil, project.UndoPath))
	return p, nil
}

// Continue plans the end of an upgrade whose conflicts are resolved.
func (s *Service) Continue(ctx context.Context) (*Plan, error) {
	if s.Conflicts == nil {
		return nil, hint.Fail("rustgen status says where the service stands", "there is no upgrade to continue")
	}
	before, err := project.Own(s.Root)
	if err != nil {
		return nil, s.damaged(ctx, err)
	}
	if s.Record.Version != s.Conflicts.To {
		mend := "rustgen upgrade --abort takes back what is left of it"
		if _, ok := before[project.UndoPath]; !ok {
			mend = "remove " + project.ConflictsPath
		}
		return nil, hint.Fail(mend, "the upgrade to %s was taken back by other means: .rustgen is of %s", s.Conflicts.To, s.Record.Version)
	}
	open, err := s.unresolved(ctx)
	if err != nil {
		return nil, err
	}
	if len(open) > 0 {
		mend := "edit out the markers"
		if s.Repo != nil {
			mend = "edit out the markers, then git add (or git rm) each"
		}
		return nil, hint.New(hint.Conflicts, mend, "%s not resolved: %s", hint.Count(len(open), "conflict"), hint.Some(open))
	}
	p := &Plan{What: "rustgen upgrade --continue", From: s.Conflicts.From, To: s.Conflicts.To, cleared: []string{project.ConflictsPath}}
	for _, at := range []string{project.UndoPath, project.ConflictsPath} {
		if _, ok := before[at]; ok {
			p.Changes = append(p.Changes, between(before, tree.Tree{}, at))
		}
	}
	return p, nil
}

// malformed reports whether a file is still not well-formed that the merge has left so.
func (s *Service) malformed(c project.ConflictPath) (bool, error) {
	if c.Kind != string(merge.Syntax) {
		return false, nil
	}
	t, err := project.Worktree(s.Root, nil, nil, []string{c.Path})
	if err != nil {
		return false, err
	}
	f, ok := t[c.Path]
	return ok && !merge.Parses(c.Path, f), nil
}

// unresolved lists the conflicts that are still open: with markers in the file, no longer
// well-formed, or unmerged in git's index.
func (s *Service) unresolved(ctx context.Context) ([]string, error) {
	unmerged := map[string]bool{}
	if s.Repo != nil {
		var err error
		if unmerged, err = s.Repo.Unmerged(ctx); err != nil {
			return nil, gitFault("read git's index", err)
		}
	}
	var open []string
	for _, c := range s.Conflicts.Paths {
		marked, err := s.Conflicts.Marked(s.Root, c)
		if err != nil {
			return nil, err
		}
		malformed, err := s.malformed(c)
		if err != nil {
			return nil, err
		}
		if marked || malformed || unmerged[c.Path] {
			open = append(open, c.Path)
		}
	}
	return open, nil
}
