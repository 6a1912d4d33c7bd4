package upgrade

import (
	"context"
	"maps"
	"slices"

	"rustgen/internal/decision"
	"rustgen/internal/merge"
	"rustgen/internal/project"
	"rustgen/internal/tree"
)

// Standing is how a service's files stand to what the template wrote.
type Standing struct {
	// Owned are the team's own files among those that the template wrote, Managed counts all others.
	Owned   []string
	Managed int
	// Edited and Deleted are managed files, Added ones that the template has not written.
	Edited, Deleted, Added []string
	// Drift are the edited and deleted ones that the set reserves for the template.
	Drift []string
	// Conflicts are what an upgrade left, or markers where nothing lists them.
	Conflicts []project.ConflictPath
	// Ignored are files of the record that git leaves out of commits.
	Ignored []string
	// Blind is why git's part is left out; nil where it is not.
	Blind error
}

// Stand compares the service's files with what the template wrote.
func (s *Service) Stand(ctx context.Context) (*Standing, error) {
	st := &Standing{Ignored: s.Ignored(ctx)}
	if s.Conflicts != nil {
		st.Conflicts = slices.Clone(s.Conflicts.Paths)
	}
	ours, err := s.Worktree(ctx, nil, s.Base.Paths())
	if err != nil && s.Repo != nil {
		st.Blind, s.Repo = err, nil
		ours, err = s.Worktree(ctx, nil, s.Base.Paths())
	}
	if err != nil {
		return nil, err
	}
	for _, p := range s.Base.Paths() {
		f, ok := ours[p]
		st.findMarkers(p, f)
		switch {
		case s.owned(p):
			st.Owned = append(st.Owned, p)
		case !ok:
			st.Deleted = append(st.Deleted, p)
		case !SameText(f, s.Base[p]):
			st.Edited = append(st.Edited, p)
		}
	}
	st.Managed = len(s.Base) - len(st.Owned)
	for _, p := range slices.Concat(st.Edited, st.Deleted) {
		if slices.ContainsFunc(s.Record.Rooms, func(room string) bool { return tree.Match(room, p) }) {
			st.Drift = append(st.Drift, p)
		}
	}
	st.Added, err = s.Added(ctx)
	return st, err
}

// findMarkers counts a file with markers as a conflict also where the list of them was not committed with it.
func (st *Standing) findMarkers(p string, f tree.File) {
	listed := slices.ContainsFunc(st.Conflicts, func(c project.ConflictPath) bool { return c.Path == p })
	if !listed && project.Markers(f.Data) {
		st.Conflicts = append(st.Conflicts, project.ConflictPath{Path: p, Kind: string(merge.Content), Marked: true})
	}
}

// Ahead reports whether a template writes anything else than the service's snapshot has, with the service's own answers.
// settled are those of the given paths for which it does not: no upgrade will change them.
func (s *Service) Ahead(t *Template, out *decision.Outcome, paths []string) (differs bool, settled []string, err error) {
	rendered, err := t.Engine.Render(t.Set, out.Data)
	if err != nil {
		return false, nil, t.Fault(err)
	}
	divided := Divide(Ownership{
		Base: s.Base, Ours: s.Base, Rendered: rendered, Was: s.owned, Is: t.Once,
		// With the same answers an owned file that the snapshot lacks is one that an upgrade did not bring, and none will.
		Elsewhere: func(string) bool { return true },
	})
	for _, p := range paths {
		if now, ok := divided.Theirs[p]; ok && now.Equal(s.Base[p]) {
			settled = append(settled, p)
		}
	}
	return !divided.Base.Equal(divided.Theirs), settled, nil
}

// Owned are the owned files as the template last wrote them, and as it would write them now: what a team may want to
// take over by hand.
func (s *Service) Owned(t *Template, out *decision.Outcome) (written, now tree.Tree, err error) {
	rendered, err := t.Engine.Render(t.Set, out.Data)
	if err != nil {
		return nil, nil, t.Fault(err)
	}
	written, now = s.Base.Clone(), rendered.Clone()
	maps.DeleteFunc(written, func(p string, _ tree.File) bool { return !s.owned(p) })
	maps.DeleteFunc(now, func(p string, _ tree.File) bool { return !t.Once(p) })
	return written, now, nil
}
