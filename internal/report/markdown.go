package report

import (
	"fmt"
	"strings"

	"rustgen/internal/hint"
	"rustgen/internal/lazyregexp"
	"rustgen/internal/upgrade"
)

// meanings explain the verdicts to who reads a pull request.
var meanings = map[upgrade.Verdict]string{
	upgrade.Conflicted:  "Conflicts, to be resolved by hand",
	upgrade.Created:     "Created",
	upgrade.Updated:     "Updated (not edited here)",
	upgrade.Merged:      "Merged with edits made here",
	upgrade.Moved:       "Moved, with edits made here",
	upgrade.Deleted:     "Deleted (not edited here)",
	upgrade.Kept:        "Kept as edited here",
	upgrade.KeptDeleted: "Changed by the template, and still deleted here",
	upgrade.Skipped:     "Owned, and left as they are",
}

// What a forge takes for a command in the text of a proposal, or of the commit that it is squashed to: not to run the
// checks, to close an issue, to call somebody, and GitLab's quick actions.
var (
	skipsChecks = lazyregexp.New(`(?i)\[(skip|ci|no|actions)[ -](skip|ci|actions)\]|\*\*\*NO_CI\*\*\*|\bskip-checks:`)
	refersTo    = lazyregexp.New(`([#!])([0-9])|\b(GH)-([0-9])`)
	// An issue or a proposal by its whole address, which a word such as "Fixes" before it would close.
	addresses   = lazyregexp.New(`(?i)\b(https?):(//[^\s]+/(issues|pull|merge_requests|work_items)/[0-9])`)
	calls       = lazyregexp.New("(^|[^0-9A-Za-z_`/.])@([0-9A-Za-z])")
	quickAction = lazyregexp.New(`(?m)^([ \t]*)/([a-z])`)
)

// inert is Markdown that reads the same and commands nothing.
func inert(text string) string {
	text = refersTo.ReplaceAllStringFunc(text, func(s string) string {
		return strings.NewReplacer("#", "&#35;", "!", "&#33;", "-", "&#45;").Replace(s)
	})
	text = addresses.ReplaceAllString(text, "$1&#58;$2")
	text = skipsChecks.ReplaceAllStringFunc(text, func(s string) string {
		return strings.NewReplacer(" ", "&#32;", "-", "&#45;", "_", "&#95;").Replace(s)
	})
	text = calls.ReplaceAllString(text, "$1&#64;$2")
	return quickAction.ReplaceAllString(text, "$1&#47;$2")
}

// Markdown is the body of a pull request.
func (r *Upgrade) Markdown() string {
	var b strings.Builder
	if r.nothing() {
		fmt.Fprintf(&b, "The service is on %s.\n", r.Title)
		return b.String()
	}
	fmt.Fprintf(&b, "Merges the template %s into this service.\n", strings.Replace(r.Title, "->", "→", 1))
	if r.Conflicts > 0 {
		fmt.Fprintf(&b, "\n> [!WARNING]\n> %s left. Check the branch out, resolve, and run `rustgen upgrade --continue`; `rustgen status --check` fails until then.\n",
			hint.Count(r.Conflicts, "conflict"))
	}
	if lines := r.decisionLines(); len(lines) > 0 {
		b.WriteString("\n### Decisions\n\n")
		for _, line := range lines {
			fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	if len(r.Changelog) > 0 {
		b.WriteString("\n### What changed in the template\n")
		for _, s := range r.Changelog {
			fmt.Fprintf(&b, "\n#### %s\n\n%s\n", s.Heading(), inert(strings.ReplaceAll(s.Text, "\n### ", "\n##### ")))
		}
	}
	if r.skips() {
		fmt.Fprintf(&b, "\nBy hand: %s.\n", strings.Replace(ownedHint, "rustgen diff --owned", "`rustgen diff --owned`", 1))
	}
	b.WriteString("\n### Files\n")
	for _, v := range upgrade.Verdicts {
		first := true
		for _, i := range r.Files {
			if i.Verdict != v {
				continue
			}
			if first {
				fmt.Fprintf(&b, "\n%s:\n\n", meanings[v])
				first = false
			}
			path := "`" + i.Path + "`"
			if i.From != "" {
				path = "`" + i.From + "` → " + path
			}
			if i.Kind != "" && v == upgrade.Conflicted {
				path += " (" + i.Kind + ")"
			}
			fmt.Fprintf(&b, "- %s\n", path)
		}
	}
	return b.String()
}
