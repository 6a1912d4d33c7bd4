package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
)

// checks are what `rustgen status --check` looks for.
var checks = []string{"behind", "drift", "damaged", "conflicts"}

// statusReport is where a service stands.
type statusReport struct {
	Dir       string                 `json:"dir"`
	Template  string                 `json:"template"`
	Version   string                 `json:"version"`
	Newest    string                 `json:"newest,omitempty"`
	Behind    bool                   `json:"behind"`
	Decisions map[string]recorded    `json:"decisions"`
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

	order []string
	// hint mends the damage, unfinished says that an upgrade is to be continued.
	hint       string
	unfinished bool
	// on is what the service was rendered from, different what of it the set has in another version; follow is the
	// command that brings the newer one.
	on, different, follow string
	relation              upgrade.Relation
}

type recorded struct {
	Value decision.Raw    `json:"value"`
	From  decision.Origin `json:"from"`
}

// statusOptions is what `rustgen status` was asked to do.
type statusOptions struct {
	dir, source string
	json        bool
	wanted      []string
}

func (a *app) statusCommand() *cobra.Command {
	o := &statusOptions{}
	cmd := &cobra.Command{
		Use:   "status [DIR...]",
		Short: "Say where services stand: version, decisions, edits, conflicts",
		Long: `Say which template and version a service is on, how far behind, its decisions, how many files are managed (the template's,
merged by upgrades) and owned (yours: written once), which of the managed ones were edited or deleted here and what was
added, which conflicts an upgrade left, and whether .rustgen is as rustgen wrote it. Of several services it says a line each.
A template set on another machine is only asked for its newest version with --check=behind, or where --template names it.

--check exits 4 where something is wrong: behind (there is a newer version), drift (an edit where the set allows none,
such as in crates/hotpath), damaged (.rustgen was changed by hand) or conflicts (of an upgrade, markers committed or not).
--check=drift,conflicts looks for these alone. A check that is named and cannot be made fails with exit code 1: behind
where the newest version is not known, and all but damaged where .rustgen cannot be read.`,
		Example: `  rustgen status
  rustgen status --check
  rustgen status services/* --check=damaged,conflicts --json`,
		RunE: func(cmd *cobra.Command, dirs []string) error {
			for _, w := range o.wanted {
				if !slices.Contains(checks, w) {
					return usage("the checks are "+strings.Join(checks, ", "), "--check %s: there is no such check", w)
				}
			}
			if len(dirs) > 0 && cmd.Flags().Changed("dir") {
				return usage("rustgen status DIR...", "give the services as arguments or one as --dir, not both")
			}
			if len(dirs) == 1 {
				o.dir = dirs[0]
			}
			if len(dirs) > 1 {
				return a.statusOfAll(cmd.Context(), o, dirs)
			}
			return a.statusOfOne(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	serviceFlag(cmd, &o.dir)
	flags.StringVar(&o.source, "template", "", "template set at `SOURCE` to compare with: a directory, or a git URL with an optional @REF (default: the service's own)")
	flags.BoolVar(&o.json, "json", false, "print as JSON")
	flags.StringSliceVar(&o.wanted, "check", nil, "exit 4 where one of `CHECKS` finds something: "+strings.Join(checks, ","))
	flags.Lookup("check").NoOptDefVal = strings.Join(checks, ",")
	return cmd
}

func (a *app) statusOfOne(ctx context.Context, o *statusOptions) error {
	r, err := a.status(ctx, o.dir, o, a.openPlace)
	if err != nil {
		return err
	}
	if o.json {
		err = a.writeJSON(r)
	} else {
		_, err = io.WriteString(a.out, r.text())
	}
	if err != nil {
		return err
	}
	return r.check(o.wanted)
}

// opener opens a template set.
type opener func(ctx context.Context, from setPlace) (*openedSet, error)

func (a *app) status(ctx context.Context, dir string, o *statusOptions, open opener) (*statusReport, error) {
	s, err := a.openUnclosed(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r := newStatusReport(near(s.Dir))
	if pending, err := project.ReadConflicts(s.Root); err != nil {
		r.Damaged = append(r.Damaged, err.Error())
	} else if pending != nil {
		r.Conflicts, r.unfinished = pending.Paths, true
	}
	if err := s.Load(ctx); err != nil {
		r.Damaged = append(r.Damaged, err.Error())
		var f *hint.Error
		if errors.As(err, &f) {
			r.hint = f.Hint
		}
		return r, nil
	}
	a.recallOwned(ctx, s)
	r.Template, r.Version, r.Extends, r.on = s.Record.Template, s.Record.Version, s.Record.Extends, s.Origin().String()
	for id, d := range s.Record.Decisions {
		r.Decisions[id] = recorded{d.Value, d.Origin}
	}
	r.order = slices.Sorted(maps.Keys(r.Decisions))
	st, err := s.Stand(ctx)
	if err != nil {
		return nil, err
	}
	if st.Blind != nil {
		a.say("warning: git is left out: %v", st.Blind)
	}
	r.files(st)
	from := placeOf(o.source, s.Record)
	if from.asks() && !slices.Contains(o.wanted, "behind") {
		r.Unknown = "rustgen status --check=behind asks " + from.source
	} else if err := r.compareVersions(ctx, s, from, open); err != nil {
		r.Unknown = err.Error()
	}
	return r, nil
}

func newStatusReport(dir string) *statusReport {
	return &statusReport{
		Dir: dir, Decisions: map[string]recorded{}, Owned: []string{}, Edited: []string{}, Deleted: []string{}, Added: []string{},
		Drift: []string{}, Conflicts: []project.ConflictPath{}, Damaged: []string{}, Settled: []string{}, Ignored: []string{},
	}
}

func (r *statusReport) files(st *upgrade.Standing) {
	r.Managed = st.Managed
	r.Owned, r.Edited, r.Deleted = append(r.Owned, st.Owned...), append(r.Edited, st.Edited...), append(r.Deleted, st.Deleted...)
	r.Added, r.Drift, r.Ignored = append(r.Added, st.Added...), append(r.Drift, st.Drift...), append(r.Ignored, st.Ignored...)
	r.Conflicts = append([]project.ConflictPath{}, st.Conflicts...)
}

// compareVersions finds out what the newest version is. A set that cannot be reached leaves the rest of the status.
func (r *statusReport) compareVersions(ctx context.Context, s *upgrade.Service, from setPlace, open opener) error {
	set, err := open(ctx, from)
	if err == nil {
		err = matches(s, set)
	}
	if err != nil {
		return err
	}
	r.order = set.Catalog.IDs()
	r.Newest, r.NewestExtends = set.Version, set.Base
	r.relation, r.different, r.follow = s.Compare(set.Set), s.Difference(set.Set), "rustgen upgrade"
	r.Behind = r.relation == upgrade.Newer
	if err := r.compareContent(s, set); err != nil {
		return err
	}
	if set.git == nil || set.git.Held == "" {
		return nil
	}
	r.Held = set.git.Held
	newest, err := set.newerTag(ctx)
	if err != nil || newest.Tag == "" {
		return err
	}
	r.Newest, r.Behind, r.different = newest.Version, true, newest.Version
	r.follow = "rustgen upgrade --template " + quote(vcs.WithoutSecret(set.held(newest.Tag)))
	return nil
}

// compareContent finds content that is new though the version is not, and edits that no upgrade will touch.
func (r *statusReport) compareContent(s *upgrade.Service, set *openedSet) error {
	out, err := set.Catalog.Resolve(set.engine.Eval, decision.Request{Recorded: s.Record.Decisions, AcceptDefaults: true})
	if err != nil {
		return setFault(set.source, err)
	}
	if !out.OK() {
		// The upgrade will say which answer is wrong.
		return nil
	}
	differs, settled, err := s.Ahead(set.template(s), out, slices.Concat(r.Edited, r.Deleted))
	if err != nil {
		return err
	}
	r.Settled = append(r.Settled, settled...)
	if differs && r.relation == upgrade.Same {
		r.Other, r.Behind = true, true
	}
	return nil
}

func (r *statusReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("service", "%s", r.Dir)
	if r.Version != "" {
		line("template", "%s", r.standing())
		var decisions []string
		for _, id := range r.order {
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
		line("settled", "%s: no upgrade changes them; rustgen restore PATH takes the template's again", some(r.Settled))
	}
	if len(r.Ignored) > 0 {
		line("ignored", "%s: an ignore rule keeps it out of git, and clones cannot upgrade; git add --force %s", some(r.Ignored), strings.Join(r.Ignored, " "))
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
func (r *statusReport) standing() string {
	on := r.on
	if r.Held != "" {
		on += ", held at " + r.Held
	}
	switch {
	case r.Unknown != "":
		return fmt.Sprintf("%s; the newest is not known: %s", on, r.Unknown)
	case r.Other && r.different == "":
		return fmt.Sprintf("%s; the set has other content under the same version: %s", on, r.follow)
	case r.Behind:
		return fmt.Sprintf("%s; %s is newer: %s", on, r.different, r.follow)
	case r.relation == upgrade.Older:
		return fmt.Sprintf("%s; this rustgen has the older %s", on, r.different)
	case r.different != "":
		return fmt.Sprintf("%s; this rustgen has %s", on, r.different)
	case r.Held != "":
		return on + ", and nothing is newer"
	default:
		return on + ", the newest"
	}
}

// check is the failure of the wanted checks that find something, or that were named and could not be made.
func (r *statusReport) check(wanted []string) error {
	var found, hints []string
	add := func(check string, hit bool, what, mend string) {
		if hit && slices.Contains(wanted, check) {
			found, hints = append(found, what), append(hints, mend)
		}
	}
	resolve := "edit out the markers"
	if r.unfinished {
		resolve = "resolve and rustgen upgrade --continue"
	}
	add("conflicts", len(r.Conflicts) > 0, count(len(r.Conflicts), "conflict")+" of an upgrade", resolve)
	add("damaged", len(r.Damaged) > 0, ".rustgen is damaged", r.hint)
	behind := fmt.Sprintf("behind: %s, and %s is newer", r.on, r.different)
	if r.Other && r.different == "" {
		behind = fmt.Sprintf("behind: the set has other content under the same version, %s", r.on)
	}
	add("behind", r.Behind, behind, r.follow)
	add("drift", len(r.Drift) > 0, fmt.Sprintf("drift in what the set reserves for itself: %s", some(r.Drift)), "rustgen restore PATH brings a file back")
	kind := hint.Found
	if len(found) == 0 {
		kind = hint.Failed
	}
	// All four are what a pipeline asks for, with no more said; the report says what is not known.
	add("behind", r.Unknown != "" && len(wanted) < len(checks), "the newest version is not known: "+r.Unknown,
		"--template SOURCE names the set to compare with; --check=drift,damaged,conflicts leaves it out")
	if r.Version == "" && len(wanted) > 0 && !slices.Contains(wanted, "damaged") {
		found, hints = append(found, r.Damaged[len(r.Damaged)-1]), append(hints, r.hint)
	}
	if len(found) == 0 {
		return nil
	}
	return hint.New(kind, strings.Join(hints, "; "), "%s", strings.Join(found, "; "))
}
