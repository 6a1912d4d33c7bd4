package upgrade

import (
	"maps"
	"slices"

	"rustgen/internal/tree"
)

// Verdict is what an upgrade makes of a path.
type Verdict string

// The verdicts. Every path that either side has changed gets one of them.
const (
	Created     Verdict = "created"
	Updated     Verdict = "updated"      // the template's change; the user had none
	Merged      Verdict = "merged"       // both sides' changes
	Kept        Verdict = "kept"         // the user's change; the template has nothing to add to it
	Moved       Verdict = "moved"        // to the template's new path, with the user's changes
	Deleted     Verdict = "deleted"      // by the template; the user had not changed it
	KeptDeleted Verdict = "kept-deleted" // by the user, though the template changed it
	Conflicted  Verdict = "conflict"     // left to a person
	Skipped     Verdict = "skipped"      // an owned file: the team's, whatever the template has for it
)

// Owned is the kind of what is skipped.
const Owned = "owned"

// Restored is the verdict on a path that is brought back as it was; an upgrade has none of it.
const Restored Verdict = "restored"

// Verdicts lists them in the order in which a report groups them.
var Verdicts = []Verdict{Conflicted, Created, Updated, Merged, Moved, Deleted, Kept, KeptDeleted, Skipped}

// Item is one path with its verdict.
type Item struct {
	Path    string  `json:"path"`
	Verdict Verdict `json:"verdict"`
	// Kind says what a conflict is about, or why a path is skipped.
	Kind string `json:"kind,omitempty"`
	// From is where a moved file was, or the template's name for a file that the user has renamed.
	From string `json:"from,omitempty"`
}

// Judged is what verdicts are found from.
type Judged struct {
	Base, Ours, Theirs, Result tree.Tree
	// Conflicts maps paths to kinds.
	Conflicts   map[string]string
	KeptDeleted []string
	// Moved and Renamed map paths of the result to their old ones.
	Moved, Renamed map[string]string
	// Owned are owned files that stay as they are, where the template has other content by now, or none.
	Owned []string
}

// Items gives every changed path its verdict.
func (u Judged) Items() []Item {
	paths := map[string]bool{}
	for _, t := range []tree.Tree{u.Base, u.Ours, u.Theirs, u.Result} {
		for p := range t {
			paths[p] = true
		}
	}
	for _, p := range u.KeptDeleted {
		paths[p] = true
	}
	left := map[string]bool{}
	for to, from := range u.Moved {
		left[from] = to != from
	}
	for to, from := range u.Renamed {
		left[from] = to != from
	}
	var items []Item
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if kind, ok := u.Conflicts[p]; ok {
			items = append(items, Item{Path: p, Verdict: Conflicted, Kind: kind, From: u.from(p)})
			continue
		}
		if slices.Contains(u.Owned, p) {
			items = append(items, Item{Path: p, Verdict: Skipped, Kind: Owned})
			continue
		}
		if slices.Contains(u.KeptDeleted, p) {
			items = append(items, Item{Path: p, Verdict: KeptDeleted})
			continue
		}
		if verdict := u.verdict(p, left[p]); verdict != "" {
			items = append(items, Item{Path: p, Verdict: verdict, From: u.from(p)})
		}
	}
	return items
}

func (u Judged) from(p string) string {
	if from, ok := u.Moved[p]; ok {
		return from
	}
	return u.Renamed[p]
}

func (u Judged) verdict(p string, left bool) Verdict {
	base, inBase := u.Base[p]
	ours, inOurs := u.Ours[p]
	theirs, inTheirs := u.Theirs[p]
	result, inResult := u.Result[p]
	_, moved := u.Moved[p]
	switch {
	case inResult && !inOurs && moved:
		return Moved
	case inResult && !inOurs:
		return Created
	case inOurs && !inResult && left:
		return ""
	case inOurs && !inResult:
		return Deleted
	case !inResult && inBase && inTheirs && !left:
		return KeptDeleted
	case !inResult:
		return ""
	case result.Equal(ours):
		if inBase && !ours.Equal(base) {
			return Kept
		}
		return ""
	case inTheirs && inBase && ours.Equal(base) && result.Equal(theirs):
		return Updated
	default:
		return Merged
	}
}
