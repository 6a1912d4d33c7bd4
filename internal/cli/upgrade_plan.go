package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"rustgen/internal/decision"
	"rustgen/internal/merge"
	"rustgen/internal/plan"
	"rustgen/internal/project"
	"rustgen/internal/tree"
	upgrading "rustgen/internal/upgrade"
)

// upgrade is a change to a service that is merged and not yet written.
type upgrade struct {
	set     *openedSet
	service *service
	out     *decision.Outcome
	record  *project.Record
	// ours is what the service is, theirs what the template writes, result what both make.
	ours, theirs, result tree.Tree
	conflicts            []merge.Conflict
	items                []plan.Item
	// same says that neither the template nor the record has anything new.
	same bool
}

func (a *app) planUpgrade(ctx context.Context, set *openedSet, s *service, out *decision.Outcome) (*upgrade, error) {
	u := &upgrade{set: set, service: s, out: out}
	rendered, err := set.engine.Render(set.Set, out.Data)
	if err != nil {
		return nil, setFault(set.source, err)
	}
	source := set.recorded
	if source == "" && set.source == "" {
		source = s.Record.Source
	}
	if u.record, err = project.New(set.Name, set.Version, source, set.Base, &set.Catalog, out); err != nil {
		return nil, err
	}
	u.record.Rooms = set.Rooms()
	paths := map[string]bool{}
	for _, t := range []tree.Tree{s.Base, rendered} {
		for p := range t {
			paths[p] = true
		}
	}
	if u.ours, err = project.Worktree(s.root, s.Base, slices.Sorted(maps.Keys(paths))); err != nil {
		return nil, failed("rustgen must be able to read what it merges", "%w", err)
	}
	moved, err := renames(set, out.Data)
	if err != nil {
		return nil, err
	}
	divided := upgrading.Divide(upgrading.Ownership{
		Base: s.Base, Ours: u.ours, Rendered: rendered, Was: s.Record.Owns, Is: set.Once,
		Moves: merge.Moves(moved, s.Base, u.ours, rendered),
	})
	u.theirs, u.record.Owned = divided.Theirs, divided.Owned
	u.same = s.Base.Equal(u.theirs) && s.Record.Same(u.record)
	merged, err := merge.Merge(ctx, merge.Input{
		Base: divided.Base, Ours: u.ours, Theirs: u.theirs,
		BaseVersion: s.Record.Version, Version: set.Version, Renames: moved,
	})
	if errors.Is(err, merge.ErrNoGit) {
		return nil, failed("install git 2.38 or newer", "%w", err)
	}
	if err != nil {
		return nil, err
	}
	u.result, u.conflicts = merged.Tree, merged.Conflicts
	if u.same {
		return u, nil
	}
	if divided.Base.Equal(u.theirs) {
		for _, p := range divided.Left {
			u.items = append(u.items, plan.Item{Path: p, Verdict: plan.Skipped, Kind: plan.Owned})
		}
		return u, nil
	}
	kinds := map[string]string{}
	for _, c := range merged.Conflicts {
		kinds[c.Path] = string(c.Kind)
	}
	u.items = plan.Upgrade{
		Base: divided.Base, Ours: u.ours, Theirs: u.theirs, Result: u.result, Conflicts: kinds,
		KeptDeleted: merged.KeptDeleted, Moved: merged.Moved, Renamed: merged.Renamed, Owned: divided.Left,
	}.Items()
	return u, nil
}

// renames are the set's recorded ones; their paths may hold expressions, as those of files do.
func renames(set *openedSet, data map[string]any) (map[string]string, error) {
	all := map[string]string{}
	for _, r := range set.Renames {
		from, err := set.engine.Path(r.From, data)
		if err != nil {
			return nil, setFault(set.source, err)
		}
		if all[from], err = set.engine.Path(r.To, data); err != nil {
			return nil, setFault(set.source, err)
		}
	}
	return all, nil
}

// touched are the paths whose entries change.
func (u *upgrade) touched() []string {
	paths := map[string]bool{}
	for _, t := range []tree.Tree{u.ours, u.result} {
		for p := range t {
			if plan.Writes(u.ours, u.result, p) {
				paths[p] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

// dirtyLater asks git what is uncommitted while something else is done. It is nil where that does not matter.
func (s *service) dirtyLater(ctx context.Context, o *changeOptions) func() (map[string]bool, error) {
	if s.repo == nil || o.allowDirty || o.dryRun {
		return nil
	}
	var dirty map[string]bool
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		dirty, err = s.repo.Dirty(ctx)
	}()
	return func() (map[string]bool, error) {
		<-done
		return dirty, err
	}
}

// refuseDirty refuses to touch files whose content is nowhere but in the work tree, though git would have it.
func (u *upgrade) refuseDirty(uncommitted func() (map[string]bool, error)) error {
	touched := u.touched()
	if uncommitted == nil || len(touched) == 0 {
		return nil
	}
	dirty, err := uncommitted()
	if err != nil {
		return failed("--allow-dirty goes on without asking git", "cannot tell what is uncommitted: %w", err)
	}
	both := slices.DeleteFunc(touched, func(p string) bool { return !dirty[p] })
	if len(both) > 0 {
		return failed("commit or stash them, or --allow-dirty", "uncommitted changes in what would be touched: %s", some(both))
	}
	return nil
}

// sections are the parts of a changelog for the versions after one and up to another, newest first.
func sections(changelog, after, upTo string) []section {
	from, errFrom := semver.StrictNewVersion(after)
	to, errTo := semver.StrictNewVersion(upTo)
	if errFrom != nil || errTo != nil {
		return nil
	}
	var found []section
	var current *section
	for line := range strings.Lines(changelog) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			if current != nil {
				found = append(found, *current)
				current = nil
			}
			word, _, _ := strings.Cut(strings.Trim(strings.TrimSpace(title), "[]"), " ")
			v, err := semver.StrictNewVersion(strings.Trim(word, "[]"))
			if err == nil && v.GreaterThan(from) && !v.GreaterThan(to) {
				current = &section{Version: v.String()}
			}
			continue
		}
		if current != nil {
			current.Text += line
		}
	}
	if current != nil {
		found = append(found, *current)
	}
	for i := range found {
		found[i].Text = strings.TrimSpace(found[i].Text)
	}
	return found
}

// section is what a changelog says of one version.
type section struct {
	// Set is the extended set, where the section is not the set's own.
	Set     string `json:"set,omitempty"`
	Version string `json:"version"`
	Text    string `json:"text"`
}

func (s section) heading() string {
	if s.Set == "" {
		return s.Version
	}
	return s.Set + " " + s.Version
}

// changelog is what the set, and then the one that it extends, say of the versions that the service comes to.
func (u *upgrade) changelog() []section {
	record, set := u.service.Record, u.set
	under, version, _ := strings.Cut(set.Base, " ")
	was, before, _ := strings.Cut(record.Extends, " ")
	all := []section{}
	if record.Template == set.Name {
		all = append(all, sections(set.Changelog, record.Version, set.Version)...)
	} else {
		// The service was made from the extended set.
		was, before = record.Template, record.Version
	}
	if was != under {
		return all
	}
	for _, s := range sections(set.BaseChangelog, before, version) {
		s.Set = under
		all = append(all, s)
	}
	return all
}

// pendingError names the conflicts that an upgrade left.
func pendingError(s *service) error {
	paths := make([]string, len(s.Conflicts.Paths))
	for i, c := range s.Conflicts.Paths {
		paths[i] = c.Path
	}
	return fmt.Errorf("the upgrade from %s to %s left %s: %s", s.Conflicts.From, s.Conflicts.To, count(len(paths), "conflict"), some(paths))
}
