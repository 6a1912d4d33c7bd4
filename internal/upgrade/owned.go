// Package upgrade is the engine behind upgrade, set, restore, --continue and --abort.
package upgrade

import (
	"slices"
	"strings"

	"rustgen/internal/tree"
)

// Ownership is what a service's files are divided by into owned and managed ones. An owned file is the team's: the
// template writes it once. All others are managed: upgrades merge them.
type Ownership struct {
	// Base is what the template last wrote, Ours the working tree, Rendered what the template would write now.
	Base, Ours, Rendered tree.Tree
	// Was reports whether a path of Base was owned when it was written, Is whether the template declares a path of
	// Rendered as owned now.
	Was, Is func(path string) bool
	// Moves are the files of Base that the template has moved, as merge.Moves finds them.
	Moves map[string]string
	// Newer says that Rendered is of another version of the template than Base, and not only of other decisions.
	Newer bool
	// Elsewhere reports whether a path of Rendered that the base lacks is of a file that the template also has under the
	// decisions before: at another path, or an upgrade did not bring it. nil: of none.
	Elsewhere func(path string) bool
}

// Divided is the template's part of a merge, without what owned files would change.
type Divided struct {
	// Base and Theirs agree on every owned file that is the team's already: merging can only move it.
	Base, Theirs tree.Tree
	// Owned are the owned files among Theirs.
	Owned []string
	// Left are owned files that stay as they are, though the template has other content for them or none any more.
	Left []string
}

// Divide decides what an upgrade may do to owned files:
//
//   - An owned file stays as it is, whatever the template writes now.
//   - An owned file that the template moves is moved with the content that it has.
//   - A managed file that the template now declares as owned is updated one last time where nobody has edited it, and
//     stays as it is where somebody has.
//   - An owned file that the template no longer has stays, and is no longer the template's.
//   - A new owned file is not written where the team has a file of that path, nor where it comes with a newer template and
//     the team has edited any of its own: it may speak of a sample that the team has replaced. Nor is it written where only
//     its path is new: the team has that file.
func Divide(in Ownership) Divided {
	d := Divided{Base: in.Base.Clone(), Theirs: in.Rendered.Clone()}
	reached, edited := map[string]bool{}, false
	for p, was := range in.Base {
		to := p
		if moved, ok := in.Moves[p]; ok {
			to = moved
		}
		reached[to] = true
		ours, has := in.Ours[p]
		edited = edited || in.Is(to) && (!has || !SameText(ours, was))
		d.file(in, p, to)
	}
	for p := range in.Rendered {
		if _, has := in.Ours[p]; in.Is(p) && !reached[p] && (has || in.Newer && edited || in.Elsewhere != nil && in.Elsewhere(p)) {
			delete(d.Theirs, p)
			if has {
				d.Left = append(d.Left, p)
			}
		}
	}
	for p := range d.Theirs {
		if in.Is(p) {
			d.Owned = append(d.Owned, p)
		}
	}
	slices.Sort(d.Owned)
	slices.Sort(d.Left)
	return d
}

// file decides about one file that the template has written at p and has at to now.
func (d *Divided) file(in Ownership, p, to string) {
	was := in.Base[p]
	now, wanted := in.Rendered[to]
	ours, has := in.Ours[p]
	switch {
	case !wanted && in.Was(p):
		delete(d.Base, p)
		if has {
			d.Left = append(d.Left, p)
		}
	case !wanted || !in.Is(to):
		return
	case in.Was(p) || has && !SameText(ours, was):
		d.Theirs[to] = was
		if has && p == to && !now.Equal(was) {
			d.Left = append(d.Left, p)
		}
	}
}

// SameText reports whether two files are the same but for how their lines end: a checkout may change that.
func SameText(a, b tree.File) bool {
	if a.IsText() && b.IsText() {
		a.Data = []byte(strings.ReplaceAll(string(a.Data), "\r\n", "\n"))
		b.Data = []byte(strings.ReplaceAll(string(b.Data), "\r\n", "\n"))
	}
	return a.Equal(b)
}
