package report

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/decision"
	"rustgen/internal/upgrade"
)

// Upgrade is what `rustgen upgrade` or `rustgen set` did or would do.
type Upgrade struct {
	Dir      string `json:"dir"`
	Template string `json:"template"`
	From     string `json:"from"`
	To       string `json:"to"`
	// FromExtends and ToExtends name the set under each, with its version.
	FromExtends string                  `json:"from_extends,omitempty"`
	ToExtends   string                  `json:"to_extends,omitempty"`
	DryRun      bool                    `json:"dry_run"`
	Decisions   upgrade.DecisionChanges `json:"decisions"`
	Warnings    []string                `json:"warnings"`
	Files       []upgrade.Item          `json:"files"`
	Conflicts   int                     `json:"conflicts"`
	Changelog   []upgrade.Section       `json:"changelog"`
	// Title is the whole change in one line; Moved says that it is to another version.
	Title string `json:"-"`
	Moved bool   `json:"-"`
}

// nothing reports whether nothing was to be done.
func (r *Upgrade) nothing() bool {
	d := r.Decisions
	return len(r.Files) == 0 && !r.Moved && len(d.Added)+len(d.Removed)+len(d.Changed) == 0
}

// Text is the report for people.
func (r *Upgrade) Text() string {
	var b strings.Builder
	switch {
	case r.nothing():
		fmt.Fprintf(&b, "%s: nothing to do in %s\n", r.Title, r.Dir)
	case r.DryRun:
		fmt.Fprintf(&b, "%s in %s: would be\n", r.Title, r.Dir)
	default:
		fmt.Fprintf(&b, "%s in %s\n", r.Title, r.Dir)
	}
	for _, i := range byVerdict(r.Files) {
		fmt.Fprintf(&b, "  %-12s  %s\n", i.Verdict, detail(i))
	}
	for _, line := range r.decisionLines() {
		fmt.Fprintf(&b, "decision %s\n", line)
	}
	if r.skips() {
		fmt.Fprintf(&b, "by hand  %s\n", ownedHint)
	}
	if len(r.Changelog) > 0 {
		fmt.Fprintf(&b, "\nWhat changed in the template:\n")
		for _, s := range r.Changelog {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.Heading(), s.Text)
		}
	}
	return b.String()
}

// Summary counts what became of files, in the order of the report.
func (r *Upgrade) Summary() string {
	counts := map[upgrade.Verdict]int{}
	for _, i := range r.Files {
		counts[i.Verdict]++
	}
	var parts []string
	for _, v := range upgrade.Verdicts {
		if counts[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[v], v))
		}
	}
	return strings.Join(parts, ", ")
}

// ownedHint says what is left to do where the template has news for owned files.
const ownedHint = "owned files are as you left them: rustgen diff --owned shows what the template would write in them"

// skips reports whether the template has news for owned files.
func (r *Upgrade) skips() bool {
	return slices.ContainsFunc(r.Files, func(i upgrade.Item) bool { return i.Verdict == upgrade.Skipped })
}

// byVerdict groups items by verdict.
func byVerdict(items []upgrade.Item) []upgrade.Item {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b upgrade.Item) int {
		return slices.Index(upgrade.Verdicts, a.Verdict) - slices.Index(upgrade.Verdicts, b.Verdict)
	})
	return items
}

func detail(i upgrade.Item) string {
	text := i.Path
	if i.From != "" {
		text = i.From + " -> " + i.Path
	}
	if i.Kind != "" {
		text += " (" + i.Kind + ")"
	}
	return text
}

func (r *Upgrade) decisionLines() []string {
	var lines []string
	for _, d := range r.Decisions.Added {
		line := fmt.Sprintf("%s is new: %s", d.ID, d.To)
		if d.How != decision.Chosen {
			line += fmt.Sprintf(" (%s); rustgen set %s=VALUE changes it", d.How, d.ID)
		}
		lines = append(lines, line)
	}
	for _, d := range r.Decisions.Changed {
		name, how := d.ID, string(d.How)
		if d.Was != "" {
			name += ", formerly " + d.Was
		}
		if d.Reason != "" {
			how += ": " + d.Reason
		}
		lines = append(lines, fmt.Sprintf("%s: %s -> %s (%s)", name, d.From, d.To, how))
		if d.Then != "" {
			lines = append(lines, d.ID+": now yours to write: "+d.Then)
		}
	}
	for _, d := range r.Decisions.Removed {
		lines = append(lines, fmt.Sprintf("%s is gone; it was %s", d.ID, d.From))
	}
	for _, d := range r.Decisions.NewDefaults {
		lines = append(lines, fmt.Sprintf("%s stays %s; the template's answer is now %s: rustgen set %s=%s takes it", d.ID, d.From, d.To, d.ID, d.To))
	}
	return lines
}
