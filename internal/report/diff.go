package report

import (
	"slices"

	"rustgen/internal/tree"
)

// Diff is what differs.
type Diff struct {
	Files []Difference `json:"files"`
}

// Difference is a path that differs.
type Difference struct {
	Path   string `json:"path"`
	Change string `json:"change"`
}

// Differences are the paths that differ between two trees, those alone that are named where any are.
func Differences(from, to tree.Tree, paths []string, withAdded bool) []Difference {
	found := []Difference{}
	all := tree.Tree{}
	for _, t := range []tree.Tree{from, to} {
		for p := range t {
			all[p] = tree.File{}
		}
	}
	for _, p := range all.Paths() {
		before, was := from[p]
		after, is := to[p]
		switch {
		case len(paths) > 0 && !slices.Contains(paths, p):
		case !was && withAdded:
			found = append(found, Difference{p, "added"})
		case was && !is:
			found = append(found, Difference{p, "deleted"})
		case was && is && !before.Equal(after):
			found = append(found, Difference{p, "edited"})
		}
	}
	return found
}
