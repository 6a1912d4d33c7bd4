// Package serviceapi is how a service stands to its API: the protos where they lie, compared with the code, what would
// be added, and what is told of it.
package serviceapi

import (
	"context"
	"maps"

	"rustgen/internal/apidiff"
	"rustgen/internal/gostubs"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
)

// Comparison is a service beside its protos.
type Comparison struct {
	ours tree.Tree
	diff *apidiff.Diff
	// notes are what the protos and their stubs ask of a person.
	notes []string
}

// Compare reads the protos of a service and compares its code with them.
func Compare(ctx context.Context, s *upgrade.Service) (*Comparison, error) {
	declared, err := ReadOwn(ctx, s.Dir)
	if err != nil {
		return nil, err
	}
	ours, err := s.Worktree(ctx, nil, []string{"src", "rustfmt.toml", "clients/go"})
	if err != nil {
		return nil, err
	}
	stubs, err := gostubs.Of(declared, ours)
	if err != nil {
		return nil, err
	}
	after := ours.Clone()
	maps.Copy(after, stubs)
	notes := append([]string{}, declared.Notes...)
	if others := gostubs.Imports(declared, after); len(others) > 0 {
		notes = append(notes, OthersOf(others))
	}
	return &Comparison{ours: ours, diff: apidiff.Compare(declared, ours, stubs), notes: notes}, nil
}

// Report is what was found, before anything is done about it.
func (c *Comparison) Report(dryRun bool) *Report {
	return &Report{
		DryRun: dryRun, Report: c.diff.Report, Added: []apidiff.Added{}, Loose: []apidiff.Loose{}, Routes: []string{}, Notes: c.notes,
	}
}

// Add plans what is missing, and notes it in the report.
func (c *Comparison) Add(r *Report) *upgrade.Plan {
	added := c.diff.Add(c.ours)
	r.Added, r.Loose = added.Added, added.Loose
	r.Routes = append(r.Routes, added.Routes...)
	p := &upgrade.Plan{What: "rustgen api --write"}
	for _, path := range added.Files.Paths() {
		before, after := c.ours[path], added.Files[path]
		change := upgrade.Change{Path: path, After: &after}
		if _, ok := c.ours[path]; ok {
			change.Before = &before
		}
		p.Changes = append(p.Changes, change)
	}
	for _, path := range added.Removed {
		before := c.ours[path]
		p.Changes = append(p.Changes, upgrade.Change{Path: path, Before: &before})
	}
	return p
}
