package upgrade

import (
	"context"
	"errors"
	"maps"
	"slices"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/merge"
	"rustgen/internal/project"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
	"rustgen/internal/vcs"
)

// Template is a set to render a service from.
type Template struct {
	*templateset.Set
	Engine *render.Engine
	// Source and Commit are what the record keeps of where the set is from. Fault puts the set's name into an error in it.
	Source, Commit string
	Fault          func(error) error
}

// Upgrade is an upgrade, or a changed decision, that is worked out and not yet made.
type Upgrade struct {
	*Plan
	// Ours is what the service is, Result what it will be.
	Ours, Result tree.Tree
	// Record is what the service will be rendered from. Nothing is true where neither files nor record have anything new.
	Record  *project.Record
	Nothing bool
}

// Merge plans how what a template renders gets into the service.
func (s *Service) Merge(ctx context.Context, what string, t *Template, out *decision.Outcome) (*Upgrade, error) {
	rendered, err := t.Engine.Render(t.Set, out.Data)
	if err != nil {
		return nil, t.Fault(err)
	}
	m := &Upgrade{}
	if m.Record, err = project.New(t.Name, t.Version, t.Source, t.Base, &t.Catalog, out); err != nil {
		return nil, err
	}
	m.Record.Commit, m.Record.Rooms = t.Commit, t.Rooms()
	paths := tree.Tree{}
	maps.Copy(paths, s.Base)
	maps.Copy(paths, rendered)
	if m.Ours, err = s.Worktree(ctx, s.Base, paths.Paths()); err != nil {
		return nil, err
	}
	renames, err := t.renames(out.Data)
	if err != nil {
		return nil, err
	}
	elsewhere, err := s.elsewhere(t, out.Data)
	if err != nil {
		return nil, err
	}
	divided := Divide(Ownership{
		Base: s.Base, Ours: m.Ours, Rendered: rendered, Was: s.owned, Is: t.Once,
		Moves: merge.Moves(renames, s.Base, m.Ours, rendered), Newer: s.Record.Version != t.Version, Elsewhere: elsewhere,
	})
	m.Record.Owned = divided.Owned
	m.Nothing = s.Base.Equal(divided.Theirs) && s.Record.Same(m.Record)
	merged, err := merge.Merge(ctx, merge.Input{
		Base: divided.Base, Ours: m.Ours, Theirs: divided.Theirs,
		BaseVersion: s.Record.Version, Version: t.Version, Renames: renames,
	})
	if errors.Is(err, merge.ErrNoGit) {
		return nil, hint.Fail("install git 2.38 or newer", "%w", err)
	}
	if err != nil {
		return nil, err
	}
	m.Result = merged.Tree
	m.Plan = &Plan{What: what, From: s.Record.Version, To: t.Version}
	if m.Nothing {
		return m, nil
	}
	m.Changes = judged(m.Ours, m.Result, verdicts(divided, m.Ours, merged))
	for _, c := range merged.Conflicts {
		m.Conflicts = append(m.Conflicts, project.ConflictPath{Path: c.Path, Kind: string(c.Kind), Marked: c.Marked})
		if _, submodule := s.submodule(c.Path); !submodule {
			m.stages = append(m.stages, vcs.Conflict{Path: c.Path, Stages: c.Stages})
		}
	}
	if err := s.refuseAbsent(m.Plan); err != nil {
		return nil, err
	}
	return m, s.record(ctx, m, t.Catalog.IDs(), divided.Theirs)
}

// elsewhere finds the files that the template renders under the service's own decisions too: where these give them another
// path, or an upgrade has not brought them. Only the same version of the template can tell.
func (s *Service) elsewhere(t *Template, data map[string]any) (func(string) bool, error) {
	if s.Record.Version != t.Version {
		return nil, nil
	}
	own, err := t.Catalog.Resolve(t.Engine.Eval, decision.Request{Recorded: s.Record.Decisions, AcceptDefaults: true})
	if err != nil {
		return nil, err
	}
	before, err := t.Engine.Origins(t.Set, own.Data)
	if err != nil {
		return nil, t.Fault(err)
	}
	now, err := t.Engine.Origins(t.Set, data)
	if err != nil {
		return nil, t.Fault(err)
	}
	known := map[render.Origin]bool{}
	for _, origin := range before {
		known[origin] = true
	}
	return func(p string) bool { return known[now[p]] }, nil
}

// renames are the set's recorded ones; their paths may hold expressions, as those of files do.
func (t *Template) renames(data map[string]any) (map[string]string, error) {
	all := map[string]string{}
	for _, r := range t.Renames {
		each, err := t.Engine.Each(r.Each, data)
		if err != nil {
			return nil, t.Fault(err)
		}
		for _, data := range each {
			from, err := t.Engine.Path(r.From, data)
			if err != nil {
				return nil, t.Fault(err)
			}
			if all[from], err = t.Engine.Path(r.To, data); err != nil {
				return nil, t.Fault(err)
			}
		}
	}
	return all, nil
}

// verdicts are what is said of each path.
func verdicts(divided Divided, ours tree.Tree, merged *merge.Result) []Item {
	if divided.Base.Equal(divided.Theirs) {
		// What the user has changed is not worth saying where the template has nothing to merge.
		var items []Item
		for _, p := range divided.Left {
			items = append(items, Item{Path: p, Verdict: Skipped, Kind: Owned})
		}
		return items
	}
	kinds := map[string]string{}
	for _, c := range merged.Conflicts {
		kinds[c.Path] = string(c.Kind)
	}
	return Judged{
		Base: divided.Base, Ours: ours, Theirs: divided.Theirs, Result: merged.Tree, Conflicts: kinds,
		KeptDeleted: merged.KeptDeleted, Moved: merged.Moved, Renamed: merged.Renamed, Owned: divided.Left,
	}.Items()
}

func (s *Service) submodule(p string) (commit string, ok bool) {
	if s.index == nil {
		return "", false
	}
	entry, ok := s.index.Entries[p]
	return entry.Object, ok && entry.Submodule
}

// refuseAbsent refuses to change files that are not checked out: git would not take what is written there into a commit.
func (s *Service) refuseAbsent(p *Plan) error {
	if s.index == nil {
		return nil
	}
	absent := slices.DeleteFunc(p.Touched(), func(at string) bool { return !s.index.Entries[at].Skipped || !s.missing(at) })
	if len(absent) == 0 {
		return nil
	}
	return hint.Fail("git sparse-checkout disable brings them; then run it again",
		"what would be changed is not checked out here (sparse checkout): %s", hint.Some(absent))
}

// record adds to a plan what becomes of rustgen's own files: the new record, the list of conflicts, and how to take it
// all back. The answers come last, since they hold the version.
func (s *Service) record(ctx context.Context, m *Upgrade, order []string, written tree.Tree) error {
	files, err := m.Record.Files(order, written)
	if err != nil {
		return err
	}
	if len(m.Conflicts) > 0 {
		list := project.Conflicts{From: m.From, To: m.To, Paths: m.Conflicts}
		if files[project.ConflictsPath], err = list.File(); err != nil {
			return err
		}
		m.listed = tree.Tree{project.ConflictsPath: files[project.ConflictsPath]}
	}
	before, err := project.Own(s.Root)
	if err != nil {
		return s.damaged(ctx, err)
	}
	var own []Change
	for _, p := range append(slices.DeleteFunc(files.Paths(), func(p string) bool { return p == project.AnswersPath }), project.AnswersPath) {
		own = append(own, between(before, files, p))
	}
	undo := s.undone(m.From, m.To, append(slices.Clone(m.Changes), own...))
	if s.Repo != nil && len(m.stages) > 0 {
		staged := []string{project.ConflictsPath}
		for _, c := range m.stages {
			staged = append(staged, c.Path)
		}
		if undo.Index, err = s.Repo.Entries(ctx, staged); err != nil {
			return gitFault("read git's index", err)
		}
	}
	file, err := undo.File()
	if err != nil {
		return err
	}
	m.Changes = append(m.Changes, between(before, tree.Tree{project.UndoPath: file}, project.UndoPath))
	m.Changes = append(m.Changes, own...)
	return nil
}

// RefuseDirty refuses a plan that touches files whose content is nowhere but in the work tree, though git would have it.
func (p *Plan) RefuseDirty(dirty map[string]bool) error {
	both := slices.DeleteFunc(p.Touched(), func(at string) bool { return !dirty[at] })
	if len(both) > 0 {
		return hint.Fail("commit or stash them, or --allow-dirty", "uncommitted changes in what would be touched: %s", hint.Some(both))
	}
	return nil
}
