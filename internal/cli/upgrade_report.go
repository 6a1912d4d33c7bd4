package cli

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/upgrade"
)

// upgradeReport is what `rustgen upgrade` or `rustgen set` did or would do.
type upgradeReport struct {
	Dir      string `json:"dir"`
	Template string `json:"template"`
	From     string `json:"from"`
	To       string `json:"to"`
	// FromExtends and ToExtends name the set under each, with its version.
	FromExtends string            `json:"from_extends,omitempty"`
	ToExtends   string            `json:"to_extends,omitempty"`
	DryRun      bool              `json:"dry_run"`
	Decisions   decisionChanges   `json:"decisions"`
	Warnings    []string          `json:"warnings"`
	Files       []upgrade.Item    `json:"files"`
	Conflicts   int               `json:"conflicts"`
	Changelog   []upgrade.Section `json:"changelog"`
	// title is the whole change in one line; moved says that it is to another version.
	title string
	moved bool
}

// decisionChanges are what became of the service's decisions.
type decisionChanges struct {
	Added       []decisionChange `json:"added"`
	Removed     []decisionChange `json:"removed"`
	Changed     []decisionChange `json:"changed"`
	NewDefaults []decisionChange `json:"new_defaults"`
}

type decisionChange struct {
	ID   string          `json:"id"`
	From string          `json:"from,omitempty"`
	To   string          `json:"to,omitempty"`
	How  decision.Origin `json:"how,omitempty"`
	// Was is the decision's former id, Reason that of a lock.
	Was    string `json:"was,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Then is what the team may write by hand now, in the files that it owns.
	Then string `json:"then,omitempty"`
}

// thenText is what a decision's set has to say of its changed answer.
func thenText(set *openedSet, out *decision.Outcome, d *decision.Decision, before any, answer decision.Answer) (string, error) {
	if d.Then == "" {
		return "", nil
	}
	data := maps.Clone(out.Data)
	now, _ := answer.Value.([]string)
	old, _ := before.([]string)
	data["added"] = slices.DeleteFunc(slices.Clone(now), func(item string) bool { return slices.Contains(old, item) })
	value, err := set.engine.Eval(d.Then, data)
	if err != nil {
		return "", fmt.Errorf("decision %s: then: %w", d.ID, err)
	}
	return fmt.Sprint(value), nil
}

func changedDecisions(set *openedSet, s *upgrade.Service, out *decision.Outcome) (decisionChanges, error) {
	d := decisionChanges{[]decisionChange{}, []decisionChange{}, []decisionChange{}, []decisionChange{}}
	recorded := out.Recorded
	for i := range set.Catalog.Decisions {
		c := &set.Catalog.Decisions[i]
		before, was := recorded[c.ID]
		answer, is := out.Answers[c.ID]
		former, renamed := out.Renamed[c.ID]
		if renamed {
			before = s.Record.Decisions[former]
		}
		switch {
		case is && !was:
			d.Added = append(d.Added, decisionChange{ID: c.ID, To: c.Format(answer.Value), How: answer.Origin})
		case was && !is:
			d.Removed = append(d.Removed, decisionChange{ID: c.ID, From: valueText(c, before.Value)})
		case was && is && (renamed || valueText(c, before.Value) != c.Format(answer.Value)):
			change := decisionChange{ID: c.ID, From: valueText(c, before.Value), To: c.Format(answer.Value), How: answer.Origin, Was: former}
			if answer.Origin == decision.Locked {
				change.Reason = set.Catalog.Locked[c.ID].Reason
			}
			// What a former version of the set took for a value may be none any more.
			value, _ := c.ParseNode(&before.Value)
			var err error
			if change.Then, err = thenText(set, out, c, value, answer); err != nil {
				return d, setFault(set.source, err)
			}
			d.Changed = append(d.Changed, change)
		}
	}
	for _, id := range out.Removed {
		d.Removed = append(d.Removed, decisionChange{ID: id, From: valueText(nil, recorded[id].Value)})
	}
	for _, n := range out.NewDefaults {
		d.NewDefaults = append(d.NewDefaults, decisionChange{ID: n.ID, From: n.Recorded, To: n.Default})
	}
	return d, nil
}

// valueText writes a recorded value as the decision does, or as it stands where there is no such decision any more.
func valueText(d *decision.Decision, node yaml.Node) string {
	if d != nil {
		if value, err := d.ParseNode(&node); err == nil {
			return d.Format(value)
		}
	}
	if node.Kind == yaml.SequenceNode {
		var items []string
		for _, item := range node.Content {
			items = append(items, item.Value)
		}
		return strings.Join(items, ",")
	}
	return node.Value
}

// reportUpgrade says what happened, on standard output, and gives conflicts their exit code.
func (a *app) reportUpgrade(set *openedSet, s *upgrade.Service, out *decision.Outcome, u *upgrade.Upgrade, o *changeOptions) error {
	changed, err := changedDecisions(set, s, out)
	if err != nil {
		return err
	}
	r := &upgradeReport{
		Dir: near(s.Dir), Template: u.Record.Template, From: u.From, To: u.To,
		DryRun: o.dryRun, Decisions: changed, Warnings: append([]string{}, out.Warnings...),
		Files: u.Items(), Conflicts: len(u.Conflicts), FromExtends: s.Record.Extends, ToExtends: u.Record.Extends,
		Changelog: s.Changelog(set.Set), title: s.Title(set.Set), moved: s.Origin() != upgrade.OriginOf(set.Set),
	}
	switch {
	case o.json:
		err = a.writeJSON(r)
	case o.format == "markdown":
		_, err = io.WriteString(a.out, r.markdown())
	default:
		_, err = io.WriteString(a.out, r.text())
	}
	if err != nil || o.dryRun || len(u.Conflicts) == 0 {
		return err
	}
	paths := make([]string, len(u.Conflicts))
	for i, c := range u.Conflicts {
		paths[i] = c.Path
	}
	return hint.New(hint.Conflicts, "resolve them, then rustgen upgrade --continue; rustgen upgrade --abort goes back",
		"%s left: %s", count(len(paths), "conflict"), some(paths))
}

func (r *upgradeReport) nothing() bool {
	d := r.Decisions
	return len(r.Files) == 0 && !r.moved && len(d.Added)+len(d.Removed)+len(d.Changed) == 0
}

func (r *upgradeReport) text() string {
	var b strings.Builder
	switch {
	case r.nothing():
		fmt.Fprintf(&b, "%s: nothing to do in %s\n", r.title, r.Dir)
	case r.DryRun:
		fmt.Fprintf(&b, "%s in %s: would be\n", r.title, r.Dir)
	default:
		fmt.Fprintf(&b, "%s in %s\n", r.title, r.Dir)
	}
	for _, i := range sorted(r.Files) {
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

// ownedHint says what is left to do where the template has news for owned files.
const ownedHint = "owned files are as you left them: rustgen diff --owned shows what the template would write in them"

// skips reports whether the template has news for owned files.
func (r *upgradeReport) skips() bool {
	return slices.ContainsFunc(r.Files, func(i upgrade.Item) bool { return i.Verdict == upgrade.Skipped })
}

// sorted groups items by verdict.
func sorted(items []upgrade.Item) []upgrade.Item {
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

func (r *upgradeReport) decisionLines() []string {
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
	skipsChecks = regexp.MustCompile(`(?i)\[(skip|ci|no|actions)[ -](skip|ci|actions)\]|\*\*\*NO_CI\*\*\*|\bskip-checks:`)
	refersTo    = regexp.MustCompile(`([#!])([0-9])|\b(GH)-([0-9])`)
	// An issue or a proposal by its whole address, which a word such as "Fixes" before it would close.
	addresses   = regexp.MustCompile(`(?i)\b(https?):(//[^\s]+/(issues|pull|merge_requests|work_items)/[0-9])`)
	calls       = regexp.MustCompile("(^|[^0-9A-Za-z_`/.])@([0-9A-Za-z])")
	quickAction = regexp.MustCompile(`(?m)^([ \t]*)/([a-z])`)
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

// markdown is the body of a pull request.
func (r *upgradeReport) markdown() string {
	var b strings.Builder
	if r.nothing() {
		fmt.Fprintf(&b, "The service is on %s.\n", r.title)
		return b.String()
	}
	fmt.Fprintf(&b, "Merges the template %s into this service.\n", strings.Replace(r.title, "->", "→", 1))
	if r.Conflicts > 0 {
		fmt.Fprintf(&b, "\n> [!WARNING]\n> %s left. Check the branch out, resolve, and run `rustgen upgrade --continue`; `rustgen status --check` fails until then.\n",
			count(r.Conflicts, "conflict"))
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
