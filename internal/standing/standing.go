// Package standing is where services stand: each beside the newest version of the set that it is from, one or many.
package standing

import (
	"context"
	"errors"
	"maps"
	"slices"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/report"
	"rustgen/internal/source"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
)

// Reader finds out where services stand. A set that several are from is opened once.
type Reader struct {
	Sets *source.Opener
	// Open opens the service around a directory, to be read only.
	Open func(ctx context.Context, dir string) (*upgrade.Service, error)
	// Say tells a person what could not be looked at.
	Say func(format string, args ...any)
	// Template names the set to compare with, "" each service's own. Wanted are the checks that were asked for.
	Template string
	Wanted   []string

	opened map[source.Place]*source.Set
}

// set opens a set, or gives the one that is open.
func (r *Reader) set(ctx context.Context, from source.Place) (*source.Set, error) {
	if set, ok := r.opened[from]; ok {
		return set, nil
	}
	set, err := r.Sets.Open(ctx, from)
	if err == nil {
		if r.opened == nil {
			r.opened = map[source.Place]*source.Set{}
		}
		r.opened[from] = set
	}
	return set, err
}

// All finds out where each of many services stands. One that cannot be read does not keep the others from it.
func (r *Reader) All(ctx context.Context, dirs []string) (*report.Fleet, error) {
	all := &report.Fleet{Services: []report.Service{}}
	for _, dir := range dirs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := r.One(ctx, dir)
		if err != nil {
			all.Unread++
			all.Services = append(all.Services, report.Service{Status: report.NewStatus(dir), Error: err.Error()})
			continue
		}
		one := report.Service{Status: found}
		if found.Behind {
			all.Behind++
		}
		if err := found.Check(r.Wanted); err != nil {
			all.Wrong++
			one.Found = err.Error()
		}
		all.Services = append(all.Services, one)
	}
	return all, nil
}

// One finds out where the service in dir stands, or the one around it.
func (r *Reader) One(ctx context.Context, dir string) (*report.Status, error) {
	s, err := r.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	found := report.NewStatus(report.Near(s.Dir))
	if pending, err := project.ReadConflicts(s.Root); err != nil {
		found.Damaged = append(found.Damaged, err.Error())
	} else if pending != nil {
		found.Conflicts, found.Unfinished = pending.Paths, true
	}
	if err := s.Load(ctx); err != nil {
		found.Damaged = append(found.Damaged, err.Error())
		var f *hint.Error
		if errors.As(err, &f) {
			found.Mend = f.Hint
		}
		return found, nil
	}
	r.Sets.RecallOwned(ctx, s)
	found.Template, found.Version, found.Extends, found.On = s.Record.Template, s.Record.Version, s.Record.Extends, s.Origin().String()
	for id, d := range s.Record.Decisions {
		found.Decisions[id] = report.Answer{Value: d.Value, From: d.Origin}
	}
	found.Order = slices.Sorted(maps.Keys(found.Decisions))
	st, err := s.Stand(ctx)
	if err != nil {
		return nil, err
	}
	if st.Blind != nil {
		r.Say("warning: git is left out: %v", st.Blind)
	}
	found.Files(st)
	from := source.PlaceOf(r.Template, s.Record)
	if from.Asks() && !slices.Contains(r.Wanted, "behind") {
		found.Unknown = "rustgen status --check=behind asks " + from.Source
	} else if err := r.compareVersions(ctx, found, s, from); err != nil {
		found.Unknown = err.Error()
	}
	return found, nil
}

// compareVersions finds out what the newest version is. A set that cannot be reached leaves the rest of the status.
func (r *Reader) compareVersions(ctx context.Context, found *report.Status, s *upgrade.Service, from source.Place) error {
	set, err := r.set(ctx, from)
	if err == nil {
		err = set.Matches(s)
	}
	if err != nil {
		return err
	}
	found.Order = set.Catalog.IDs()
	found.Newest, found.NewestExtends = set.Version, set.Base
	found.Relation, found.Different, found.Follow = s.Compare(set.Set), s.Difference(set.Set), "rustgen upgrade"
	found.Behind = found.Relation == upgrade.Newer
	if err := compareContent(found, s, set); err != nil {
		return err
	}
	if set.Git == nil || set.Git.Held == "" {
		return nil
	}
	found.Held = set.Git.Held
	newest, err := set.NewerTag(ctx)
	if err != nil || newest.Tag == "" {
		return err
	}
	found.Newest, found.Behind, found.Different = newest.Version, true, newest.Version
	found.Follow = "rustgen upgrade --template " + hint.Quote(vcs.WithoutSecret(set.HeldAt(newest.Tag)))
	return nil
}

// compareContent finds content that is new though the version is not, and edits that no upgrade will touch.
func compareContent(found *report.Status, s *upgrade.Service, set *source.Set) error {
	out, err := set.Catalog.Resolve(set.Engine.Eval, decision.Request{Recorded: s.Record.Decisions, AcceptDefaults: true})
	if err != nil {
		return source.Fault(set.Source, err)
	}
	if !out.OK() {
		// The upgrade will say which answer is wrong.
		return nil
	}
	differs, settled, err := s.Ahead(set.Template(s), out, slices.Concat(found.Edited, found.Deleted))
	if err != nil {
		return err
	}
	found.Settled = append(found.Settled, settled...)
	if differs && found.Relation == upgrade.Same {
		found.Other, found.Behind = true, true
	}
	return nil
}
