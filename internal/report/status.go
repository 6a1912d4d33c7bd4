package report

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/upgrade"
)

// Status is where a service stands.
type Status struct {
	Dir       string                 `json:"dir"`
	Template  string                 `json:"template"`
	Version   string                 `json:"version"`
	Newest    string                 `json:"newest,omitempty"`
	Behind    bool                   `json:"behind"`
	Decisions map[string]Answer      `json:"decisions"`
	Managed   int                    `json:"managed"`
	Owned     []string               `json:"owned"`
	Edited    []string               `json:"edited"`
	Deleted   []string               `json:"deleted"`
	Added     []string               `json:"added"`
	Drift     []string               `json:"drift"`
	Conflicts []project.ConflictPath `json:"conflicts"`
	Damaged   []string               `json:"damaged"`
	// Settled are edited and deleted files that no upgrade will change: only restore heals them.
	Settled []string `json:"settled"`
	// Ignored are files of the record that git leaves out of commits.
	Ignored []string `json:"ignored"`
	// Held is the @REF at which the set is held, Other says that the set has other content under the same version.
	Held  string `json:"held,omitempty"`
	Other bool   `json:"other_content"`
	// Unknown says why Newest is not known.
	Unknown string `json:"unknown,omitempty"`
	// Extends and NewestExtends name the set under each, with its version.
	Extends       string `json:"extends,omitempty"`
	NewestExtends string `json:"newest_extends,omitempty"`

	// Order is that of the decisions. Mend mends the damage, Unfinished says that an upgrade is to be continued.
	Order      []string `json:"-"`
	Mend       string   `json:"-"`
	Unfinished bool     `json:"-"`
	// On is what the service was rendered from, Different what of it the set has in another version; Follow is the
	// command that brings the newer one.
	On        string           `json:"-"`
	Different string           `json:"-"`
	Follow    string           `json:"-"`
	Relation  upgrade.Relation `json:"-"`
}

// Answer is a decision that is made, and how it came about.
type Answer struct {
	Value decision.Raw    `json:"value"`
	From  decision.Origin `json:"from"`
}

// Checks are what `rustgen status --check` looks for.
var Checks = []string{"behind", "drift", "damaged", "conflicts"}

// NewStatus is the status of a service of which nothing is known yet.
func NewStatus(dir string) *Status {
	return &Status{
		Dir: dir, Decisions: map[string]Answer{}, Owned: []string{}, Edited: []string{}, Deleted: []string{}, Added: []string{},
		Drift: []string{}, Conflicts: []project.ConflictPath{}, Damaged: []string{}, Settled: []string{}, Ignored: []string{},
	}
}

// Files takes over how the service's files stand.
func (r *Status) Files(st *upgrade.Standing) {
	r.Managed = st.Managed
	r.Owned, r.Edited, r.Deleted = append(r.Owned, st.Owned...), append(r.Edited, st.Edited...), append(r.Deleted, st.Deleted...)
	r.Added, r.Drift, r.Ignored = append(r.Added, st.Added...), append(r.Drift, st.Drift...), append(r.Ignored, st.Ignored...)
	r.Conflicts = append([]project.ConflictPath{}, st.Conflicts...)
}

// Text is the status for people.
func (r *Status) Text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("service", "%s", r.Dir)
	if r.Version != "" {
		line("template", "%s", r.standing())
		var decisions []string
		for _, id := range r.Order {
			if d, ok := r.Decisions[id]; ok && d.From == decision.Chosen {
				decisions = append(decisions, fmt.Sprintf("%s=%v", id, d.Value))
			}
		}
		line("chosen", "%s", strings.Join(decisions, " "))
		line("files", "%d managed, %d owned", r.Managed, len(r.Owned))
	}
	for _, list := range []struct {
		name  string
		paths []string
	}{{"edited", r.Edited}, {"deleted", r.Deleted}, {"added", r.Added}, {"drift", r.Drift}} {
		for _, p := range list.paths {
			line(list.name, "%s", p)
		}
	}
	if len(r.Settled) > 0 {
		line("settled", "%s: no upgrade changes them; rustgen restore PATH takes the template's again", hint.Some(r.Settled))
	}
	if len(r.Ignored) > 0 {
		line("ignored", "%s: an ignore rule keeps it out of git, and clones cannot upgrade; git add --force %s", hint.Some(r.Ignored), strings.Join(r.Ignored, " "))
	}
	for _, c := range r.Conflicts {
		line("conflict", "%s (%s)", c.Path, c.Kind)
	}
	for _, d := range r.Damaged {
		line("damaged", "%s", d)
	}
	return b.String()
}

// standing is how the service's version stands to the newest.
func (r *Status) standing() string {
	on := r.On
	if r.Held != "" {
		on += ", held at " + r.Held
	}
	switch {
	case r.Unknown != "":
		return fmt.Sprintf("%s; the newest is not known: %s", on, r.Unknown)
	case r.Other && r.Different == "":
		return fmt.Sprintf("%s; the set has other content under the same version: %s", on, r.Follow)
	case r.Behind:
		return fmt.Sprintf("%s; %s is newer: %s", on, r.Different, r.Follow)
	case r.Relation == upgrade.Older:
		return fmt.Sprintf("%s; this rustgen has the older %s", on, r.Different)
	case r.Different != "":
		return fmt.Sprintf("%s; this rustgen has %s", on, r.Different)
	case r.Held != "":
		return on + ", and nothing is newer"
	default:
		return on + ", the newest"
	}
}

// Check is the failure of the wanted checks that find something, or that were named and could not be made.
func (r *Status) Check(wanted []string) error {
	var found, hints []string
	add := func(check string, hit bool, what, mend string) {
		if hit && slices.Contains(wanted, check) {
			found, hints = append(found, what), append(hints, mend)
		}
	}
	resolve := "edit out the markers"
	if r.Unfinished {
		resolve = "resolve and rustgen upgrade --continue"
	}
	add("conflicts", len(r.Conflicts) > 0, hint.Count(len(r.Conflicts), "conflict")+" of an upgrade", resolve)
	add("damaged", len(r.Damaged) > 0, ".rustgen is damaged", r.Mend)
	behind := fmt.Sprintf("behind: %s, and %s is newer", r.On, r.Different)
	if r.Other && r.Different == "" {
		behind = fmt.Sprintf("behind: the set has other content under the same version, %s", r.On)
	}
	add("behind", r.Behind, behind, r.Follow)
	add("drift", len(r.Drift) > 0, fmt.Sprintf("drift in what the set reserves for itself: %s", hint.Some(r.Drift)), "rustgen restore PATH brings a file back")
	kind := hint.Found
	if len(found) == 0 {
		kind = hint.Failed
	}
	// All four are what a pipeline asks for, with no more said; the report says what is not known.
	add("behind", r.Unknown != "" && len(wanted) < len(Checks), "the newest version is not known: "+r.Unknown,
		"--template SOURCE names the set to compare with; --check=drift,damaged,conflicts leaves it out")
	if r.Version == "" && len(wanted) > 0 && !slices.Contains(wanted, "damaged") {
		found, hints = append(found, r.Damaged[len(r.Damaged)-1]), append(hints, r.Mend)
	}
	if len(found) == 0 {
		return nil
	}
	return hint.New(kind, strings.Join(hints, "; "), "%s", strings.Join(found, "; "))
}
