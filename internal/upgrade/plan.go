package upgrade

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"rustgen/internal/apply"
	"rustgen/internal/project"
	"rustgen/internal/tree"
	"rustgen/internal/vcs"
)

// Plan is what a run does to a service. It is printed and it is applied: nothing else says what is written.
type Plan struct {
	// What names the run for whoever finishes one that was cut off.
	What string
	// Changes are in the order in which they are made.
	Changes []Change
	// Conflicts are what is left to a person.
	Conflicts []project.ConflictPath
	// From and To are the versions.
	From, To string

	// stages, listed, cleared and entries are what becomes of git's index after the files: conflicts put into it with
	// the list of them, or taken out of it again.
	stages  []vcs.Conflict
	listed  tree.Tree
	cleared []string
	entries []string
}

// Change is what becomes of one path.
type Change struct {
	Path string
	// Before is what stands there, After what will; nil for nothing. They are the same where a path has a verdict and
	// stays as it is.
	Before, After *tree.File
	// Verdict is what is said of the path; none of rustgen's own files has one.
	Verdict Verdict
	// Perm are the permissions of the new file, where they are not to be those of what it replaces.
	Perm fs.FileMode
	// Kind says what a conflict is about, or why a path is skipped. From is where a moved file was, or the template's
	// name for a file that the user has renamed.
	Kind, From string
}

// Writes reports whether the path is to be changed on the disk.
func (c Change) Writes() bool {
	if c.Before == nil || c.After == nil {
		return c.Before != c.After
	}
	return !c.Before.Equal(*c.After)
}

// own reports whether the path is one of rustgen's own.
func (c Change) own() bool { return tree.CheckPath(c.Path) != nil }

// between is what turns the entry of one tree into that of another.
func between(from, to tree.Tree, p string) Change {
	c := Change{Path: p}
	if f, ok := from[p]; ok {
		c.Before = &f
	}
	if f, ok := to[p]; ok {
		c.After = &f
	}
	return c
}

// Items are the paths with a verdict, in the order of the paths.
func (p *Plan) Items() []Item {
	items := []Item{}
	for _, c := range p.Changes {
		if c.Verdict != "" {
			items = append(items, Item{Path: c.Path, Verdict: c.Verdict, Kind: c.Kind, From: c.From})
		}
	}
	return items
}

// Touched are the service's files that the plan writes or removes, without rustgen's own.
func (p *Plan) Touched() []string {
	var paths []string
	for _, c := range p.Changes {
		if c.Writes() && !c.own() {
			paths = append(paths, c.Path)
		}
	}
	return paths
}

// judged are the changes from one tree to another, each with its verdict, and the paths that have a verdict and do not
// change.
func judged(from, to tree.Tree, items []Item) []Change {
	verdicts := map[string]Item{}
	paths := map[string]bool{}
	for _, i := range items {
		verdicts[i.Path], paths[i.Path] = i, true
	}
	for _, t := range []tree.Tree{from, to} {
		for p := range t {
			paths[p] = true
		}
	}
	var changes []Change
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		c := between(from, to, p)
		item := verdicts[p]
		c.Verdict, c.Kind, c.From = item.Verdict, item.Kind, item.From
		if c.Verdict != "" || c.Writes() {
			changes = append(changes, c)
		}
	}
	return changes
}

// Apply does what a plan says, all or nothing. written is true where the disk is not as it was, whatever the error.
// Warnings are of git's index, without which the service is complete.
func (s *Service) Apply(ctx context.Context, p *Plan) (written bool, warnings []string, err error) {
	var changes []apply.Change
	for _, c := range p.Changes {
		if c.Writes() {
			changes = append(changes, apply.Change{
				Path: c.Path, File: c.After, Before: s.onDisk(c.Path, c.Before), Perm: s.perm(c),
			})
		}
	}
	if len(changes) == 0 {
		return false, nil, nil
	}
	if err := apply.Transact(ctx, s.Root, p.What, changes); err != nil {
		var cut *apply.CutOff
		return errors.As(err, &cut), nil, writeFault(s.Dir, err)
	}
	if s.Repo == nil {
		return true, nil, nil
	}
	// What was written is not to be left half-told to git.
	return true, s.tellGit(context.WithoutCancel(ctx), p), nil
}

// perm are the permissions of a new file that replaces none: a moved one keeps those that it had. What is kept to undo a
// run holds what others may not have been able to read.
func (s *Service) perm(c Change) fs.FileMode {
	switch {
	case c.Perm != 0 || c.After == nil:
		return c.Perm
	case c.Path == project.UndoPath:
		return 0o600
	case c.Before == nil && c.From != "":
		return s.unusual(c.From, *c.After)
	default:
		return 0
	}
}

// unusual are the permissions of a file on the disk, where they are not the usual ones of such a file; else 0.
func (s *Service) unusual(p string, f tree.File) fs.FileMode {
	info, _, err := s.Root.LstatIfPossible(p)
	if err != nil || !info.Mode().IsRegular() || tree.NormalMode(info.Mode()) != f.Mode || info.Mode().Perm() == f.Mode {
		return 0
	}
	return info.Mode().Perm()
}

// onDisk gives an entry the mode that the disk has, which is what the writer sees.
func (s *Service) onDisk(p string, f *tree.File) *tree.File {
	mode, ok := s.disk[p]
	if f == nil || !ok {
		return f
	}
	seen := *f
	seen.Mode = mode
	return &seen
}

// tellGit brings git's index to where the files are.
func (s *Service) tellGit(ctx context.Context, p *Plan) (warnings []string) {
	if len(p.stages) > 0 || len(p.listed) > 0 {
		if err := s.Repo.Stage(ctx, p.stages, p.listed); err != nil {
			warnings = append(warnings, "git's index does not show the conflicts: "+err.Error())
		}
	}
	if len(p.cleared) > 0 {
		if err := s.Repo.Restore(ctx, p.cleared, p.entries); err != nil {
			warnings = append(warnings, "git's index still shows the conflicts: "+err.Error())
		}
	}
	if s.index == nil || s.index.TrustsDisk {
		return warnings
	}
	var executable []string
	for _, c := range p.Changes {
		conflict := slices.ContainsFunc(p.stages, func(v vcs.Conflict) bool { return v.Path == c.Path })
		if c.Writes() && c.After != nil && c.After.Mode == tree.ModeExec && !conflict {
			executable = append(executable, c.Path)
		}
	}
	if len(executable) > 0 {
		if err := s.Repo.KeepModes(ctx, executable); err != nil {
			warnings = append(warnings, "git's index does not have what is executable: "+err.Error())
		}
	}
	return warnings
}

// undone notes what the changes of a plan replace, so that it can be taken back.
func (s *Service) undone(from, to string, changes []Change) *project.Undo {
	undo := &project.Undo{From: from, To: to, After: map[string]string{}, Before: tree.Tree{}, Modes: map[string]fs.FileMode{}}
	for _, c := range changes {
		if c.Writes() || c.own() {
			undo.Note(c.Path, c.Before, c.After)
			if c.Before != nil {
				if perm := s.unusual(c.Path, *c.Before); perm != 0 {
					undo.Modes[c.Path] = perm
				}
			}
		}
	}
	return undo
}
