// Package merge brings a template's change into a tree that a user has changed too. It merges with git's own engine, in
// a store of its own, so that renames, modes, binaries and line endings behave as git users know; the user's repository
// is neither read nor written. It is the only caller of git for merging.
//
// Where rustgen's policy is another than git's: what the user deleted stays deleted, a file that both sides renamed
// keeps the user's name, a template's file never takes the place of a user's directory or the other way round, a
// directory's rename does not move files that the other side added, and line endings are never what conflicts.
package merge

import (
	"context"
	"maps"
	"slices"

	"rustgen/internal/tree"
)

// Tree is a tree of package tree.
type Tree = tree.Tree

// Input is what is merged.
type Input struct {
	// Base is what the template last wrote, Ours what the user made of it, Theirs what the template would write now.
	Base, Ours, Theirs Tree
	// BaseVersion and Version label the base's and the template's part of a conflict.
	BaseVersion, Version string
	// Renames are files that the template says it has moved, from the old path to the new one.
	Renames map[string]string
}

// Kind is what a conflict is about.
type Kind string

// The kinds of conflicts.
const (
	Content         Kind = "content"          // both changed the same lines
	Binary          Kind = "binary"           // both changed a file that has no lines
	Link            Kind = "link"             // both changed where a link leads
	BothAdded       Kind = "both-added"       // both have a new file of this path
	TemplateDeleted Kind = "template-deleted" // the template deleted what the user changed
	BothRenamed     Kind = "both-renamed"     // each moved the file to another path
	Type            Kind = "type"             // a file on one side, a link on the other
	Directory       Kind = "directory"        // a file on one side, a directory on the other
	Syntax          Kind = "syntax"           // merged line by line, and not well-formed any more
)

// Conflict is a path that a person has to look at.
type Conflict struct {
	Path string
	Kind Kind
	// Marked says that the file has markers in it.
	Marked bool
	// Stages are the base's, the user's and the template's entries, as an index holds them; nil where one has none.
	Stages [3]*tree.File
}

// Result is a merged tree and what is to be said about it.
type Result struct {
	Tree      Tree
	Conflicts []Conflict
	// KeptDeleted are paths that the template changed and the user has deleted.
	KeptDeleted []string
	// Moved maps a path of the result to the path that the user had it at; Renamed maps a user's own name for a file to
	// the template's.
	Moved, Renamed map[string]string
}

// Merge merges three trees.
func Merge(ctx context.Context, in Input) (*Result, error) {
	m := &merger{in: in, result: &Result{Tree: Tree{}, Moved: map[string]string{}, Renamed: map[string]string{}}}
	m.follow()
	if m.base.Equal(m.theirs) {
		m.result.Tree, m.result.Moved = m.ours.Clone(), m.followed
		return m.result, nil
	}
	m.prune()
	if err := m.run(ctx); err != nil {
		return nil, err
	}
	m.policy()
	m.keepUsers()
	m.malformed()
	m.finish()
	return m.result, nil
}

type merger struct {
	in Input
	// The three trees with the recorded renames done.
	base, ours, theirs Tree
	// followed maps the new path of a recorded rename to the user's old one.
	followed map[string]string
	sides    [3]side
	labels   labels
	out      *outcome
	// merged is git's result, made into ours step by step; its lines end in LF.
	merged Tree
	// moves are the renames that git saw: base to theirs, and base to ours.
	templateMoves, userMoves map[string]string
	result                   *Result
}

// follow does the template's recorded renames on the base and on the user's side, so that a file which moved and changed
// beyond recognition is still the same file.
func (m *merger) follow() {
	m.base, m.ours, m.theirs = m.in.Base.Clone(), m.in.Ours.Clone(), m.in.Theirs
	m.followed = map[string]string{}
	for from, to := range Moves(m.in.Renames, m.in.Base, m.in.Ours, m.in.Theirs) {
		m.base[to] = m.base[from]
		delete(m.base, from)
		if f, ok := m.ours[from]; ok {
			m.ours[to] = f
			delete(m.ours, from)
			m.followed[to] = from
		}
	}
}

// Moves are the recorded renames that are to be done, from the old path to the last one of its chain: the template had the
// file at one and has it at the other now, where nothing else is.
func Moves(renames map[string]string, base, ours, theirs Tree) map[string]string {
	moves := map[string]string{}
	for from := range renames {
		to := from
		for range renames {
			next, ok := renames[to]
			if !ok {
				break
			}
			to = next
		}
		if to != from && has(base, from) && !has(theirs, from) && has(theirs, to) && !has(base, to) && !has(ours, to) {
			moves[from] = to
		}
	}
	return moves
}

func has(t Tree, p string) bool {
	_, ok := t[p]
	return ok
}

// prune leaves to git only what is not the same on all sides.
func (m *merger) prune() {
	base, ours, theirs := Tree{}, Tree{}, Tree{}
	same := func(p string, f tree.File) bool {
		a, inBase := m.base[p]
		b, inOurs := m.ours[p]
		c, inTheirs := m.theirs[p]
		return inBase && inOurs && inTheirs && f.Equal(a) && f.Equal(b) && f.Equal(c)
	}
	for _, s := range []struct{ from, to Tree }{{m.base, base}, {m.ours, ours}, {m.theirs, theirs}} {
		for p, f := range s.from {
			if same(p, f) {
				m.result.Tree[p] = f
			} else {
				s.to[p] = f
			}
		}
	}
	m.sides = [3]side{newSide(base), newSide(ours), newSide(theirs)}
}

// run has git merge the three trees.
func (m *merger) run(ctx context.Context) error {
	s, err := newStore()
	if err != nil {
		return err
	}
	defer s.remove()
	var commits, tops [3]string
	for i, name := range []string{"base", "yours", "template"} {
		var parents []string
		if i > 0 {
			parents = commits[:1]
		}
		commits[i], tops[i] = s.commit(m.sides[i].unified, name, parents...)
	}
	if err := s.flush(); err != nil {
		return err
	}
	m.labels = newLabels(commits)
	if err := s.branch(m.labels.ours, commits[1]); err != nil {
		return err
	}
	if err := s.branch(m.labels.theirs, commits[2]); err != nil {
		return err
	}
	if m.out, err = s.mergeTree(ctx, m.labels.ours, m.labels.theirs); err != nil {
		return err
	}
	m.merged = Tree{}
	err = s.walk(m.out.top, "", func(p string, e entry) error {
		f, err := s.file(e)
		m.merged[p] = f
		return err
	})
	if err != nil {
		return err
	}
	return m.findMoves(ctx, s, tops)
}

// findMoves asks git for renames where there can be any.
func (m *merger) findMoves(ctx context.Context, s *store, tops [3]string) error {
	m.templateMoves, m.userMoves = map[string]string{}, map[string]string{}
	base, ours, theirs := m.sides[0].unified, m.sides[1].unified, m.sides[2].unified
	if !mayMove(base, theirs) && !mayMove(base, ours) {
		return nil
	}
	moves, err := s.renames(ctx, [2]string{tops[0], tops[2]}, [2]string{tops[0], tops[1]})
	if err != nil {
		return err
	}
	m.templateMoves, m.userMoves = moves[0], moves[1]
	if tops[1] == tops[2] {
		// Asked twice for the same pair, git's answers cannot be told apart.
		m.templateMoves = maps.Clone(m.userMoves)
	}
	return nil
}

// mayMove reports whether something went and something came.
func mayMove(from, to Tree) bool {
	gone := slices.ContainsFunc(from.Paths(), func(p string) bool { return !has(to, p) })
	return gone && slices.ContainsFunc(to.Paths(), func(p string) bool { return !has(from, p) })
}

// finish gives the merged files their line endings and labels, and notes what moved.
func (m *merger) finish() {
	marked := map[string]bool{}
	for i := range m.result.Conflicts {
		marked[m.result.Conflicts[i].Path] = true
	}
	for p, f := range m.merged {
		if marked[p] {
			var found bool
			if f.Data, found = m.labels.rename(f.Data, m.in.BaseVersion, m.in.Version); found {
				i := slices.IndexFunc(m.result.Conflicts, func(c Conflict) bool { return c.Path == p })
				m.result.Conflicts[i].Marked = true
			}
		}
		base, ours, theirs := m.origins(p)
		m.result.Tree[p] = restored(f, base, ours, theirs)
	}
	for from, to := range m.templateMoves {
		if has(m.result.Tree, to) && !has(m.result.Tree, from) && has(m.sides[1].raw, from) && !has(m.sides[1].raw, to) {
			m.result.Moved[to] = from
		}
	}
	// A path by which the user had it before the recorded rename was done.
	for to, from := range m.followed {
		if next, ok := keyOf(m.result.Moved, to); ok {
			m.result.Moved[next] = from
		} else if has(m.result.Tree, to) {
			m.result.Moved[to] = from
		}
	}
	for from, to := range m.userMoves {
		if has(m.result.Tree, to) && !has(m.result.Tree, from) {
			m.result.Renamed[to] = from
		}
	}
	slices.SortFunc(m.result.Conflicts, func(a, b Conflict) int { return compare(a.Path, b.Path) })
	slices.Sort(m.result.KeptDeleted)
	m.result.KeptDeleted = slices.Compact(m.result.KeptDeleted)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// keyOf finds the key of a value.
func keyOf(moves map[string]string, value string) (string, bool) {
	for k, v := range moves {
		if v == value {
			return k, true
		}
	}
	return "", false
}

// origins are the entries that a path of the result came from, as they stand on each side.
func (m *merger) origins(p string) (base, ours, theirs *tree.File) {
	at := func(i int, p string) *tree.File {
		if f, ok := m.sides[i].raw[p]; ok {
			return &f
		}
		return nil
	}
	base, ours, theirs = at(0, p), at(1, p), at(2, p)
	if was, ok := keyOf(m.templateMoves, p); ok && ours == nil {
		base, ours = at(0, was), at(1, was)
	}
	if was, ok := keyOf(m.userMoves, p); ok && theirs == nil {
		base, theirs = at(0, was), at(2, was)
		if to, ok := m.templateMoves[was]; ok && theirs == nil {
			theirs = at(2, to)
		}
	}
	return base, ours, theirs
}
