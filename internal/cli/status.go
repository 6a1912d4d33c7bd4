package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/spf13/cobra"

	"rustgen/internal/merge"
	"rustgen/internal/project"
	"rustgen/internal/tree"
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
	Edited    []string               `json:"edited"`
	Deleted   []string               `json:"deleted"`
	Added     []string               `json:"added"`
	Drift     []string               `json:"drift"`
	Conflicts []project.ConflictPath `json:"conflicts"`
	Damaged   []string               `json:"damaged"`
	// Unknown says why Newest is not known.
	Unknown string `json:"unknown,omitempty"`
	// Extends and NewestExtends name the set under each, with its version.
	Extends       string `json:"extends,omitempty"`
	NewestExtends string `json:"newest_extends,omitempty"`

	order []string
	// hint mends the damage, unfinished says that an upgrade is to be continued.
	hint       string
	unfinished bool
	// on is what the service was rendered from, other what of it the set has in another version.
	on, other string
}

type recorded struct {
	Value any    `json:"value"`
	From  string `json:"from"`
}

func (a *app) statusCommand() *cobra.Command {
	var dir, source string
	var asJSON bool
	var wanted []string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say where a service stands: version, decisions, edits, conflicts",
		Long: `Say which template and version a service is on, how far behind, its decisions, which of the template's files were
edited or deleted here and what was added, which conflicts an upgrade left, and whether .rustgen is as rustgen wrote it.
A template set on another machine is only asked for its newest version with --check=behind, or where --template names it.

--check exits 4 where something is wrong: behind (there is a newer version), drift (an edit in the template's own room,
such as crates/hotpath), damaged (.rustgen was changed by hand) or conflicts (of an upgrade, markers committed or not).
--check=drift,conflicts looks for these alone. A check that is named and cannot be made fails with exit code 1: behind
where the newest version is not known, and all but damaged where .rustgen cannot be read.`,
		Example: `  rustgen status
  rustgen status --check
  rustgen status --check=damaged,conflicts --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, w := range wanted {
				if !slices.Contains(checks, w) {
					return usage("the checks are "+strings.Join(checks, ", "), "--check %s: there is no such check", w)
				}
			}
			r, err := a.status(cmd.Context(), dir, source, slices.Contains(wanted, "behind"))
			if err != nil {
				return err
			}
			if asJSON {
				err = a.writeJSON(r)
			} else {
				_, err = io.WriteString(a.out, r.text())
			}
			if err != nil {
				return err
			}
			return r.check(wanted)
		},
	}
	flags := cmd.Flags()
	serviceFlag(cmd, &dir)
	flags.StringVar(&source, "template", "", "template set to compare with: a directory, or a git URL with an optional @REF (default: the service's own)")
	flags.BoolVar(&asJSON, "json", false, "print as JSON")
	flags.StringSliceVar(&wanted, "check", nil, "exit 4 where one of `CHECKS` finds something: "+strings.Join(checks, ","))
	flags.Lookup("check").NoOptDefVal = strings.Join(checks, ",")
	return cmd
}

func (a *app) status(ctx context.Context, dir, source string, asked bool) (*statusReport, error) {
	s, err := a.readDir(dir)
	if err != nil {
		return nil, err
	}
	r := &statusReport{
		Dir: s.shown(), Decisions: map[string]recorded{}, Edited: []string{}, Deleted: []string{}, Added: []string{}, Drift: []string{},
		Conflicts: []project.ConflictPath{}, Damaged: []string{},
	}
	if pending, err := project.ReadConflicts(s.root); err != nil {
		r.Damaged = append(r.Damaged, err.Error())
	} else if pending != nil {
		r.Conflicts, r.unfinished = pending.Paths, true
	}
	if s.Service, err = project.Load(s.root); err != nil {
		r.Damaged = append(r.Damaged, err.Error())
		if f, ok := s.damaged(err).(*failure); ok {
			r.hint = f.hint
		}
		return r, nil
	}
	r.Template, r.Version, r.Extends, r.on = s.Record.Template, s.Record.Version, s.Record.Extends, s.on()
	a.compareVersions(ctx, r, s, source, asked)
	return r, r.compareFiles(ctx, s)
}

// compareVersions finds out what the newest version is. A set that cannot be reached leaves the rest of the status. One on
// another machine that the record alone names is left in peace, unless somebody asks what is newest.
func (a *app) compareVersions(ctx context.Context, r *statusReport, s *service, source string, asked bool) {
	open := a.openSet
	if source == "" {
		source, open = s.Record.Source, a.openRecorded
		asked = asked || !vcs.Remote(source)
	} else {
		asked = true
	}
	var set *openedSet
	err := fmt.Errorf("rustgen status --check=behind asks %s", source)
	if asked {
		set, err = open(ctx, source)
	}
	if err == nil {
		err = s.matches(set)
	}
	for id, d := range s.Record.Decisions {
		r.Decisions[id] = recorded{valueText(nil, d.Value), string(d.Origin)}
	}
	if err != nil {
		r.Unknown = err.Error()
		r.order = slices.Sorted(maps.Keys(r.Decisions))
		return
	}
	r.order = set.Catalog.IDs()
	r.Newest, r.NewestExtends = set.Version, set.Base
	r.Behind, r.other = s.behind(set), s.other(set)
}

// behind reports whether a set, or else the one that it extends, is newer than what the service was rendered from.
func (s *service) behind(set *openedSet) bool {
	under, version, _ := strings.Cut(set.Base, " ")
	if s.Record.Template != set.Name {
		// The service was made from the extended set, and this one is a step further.
		return compareVersion(s.Record.Version, version) >= 0
	}
	if c := compareVersion(s.Record.Version, set.Version); c != 0 {
		return c > 0
	}
	was, before, _ := strings.Cut(s.Record.Extends, " ")
	return was == under && compareVersion(before, version) > 0
}

// compareVersion is 1 where the second version is newer, -1 where it is older, 0 where that cannot be said.
func compareVersion(was, is string) int {
	before, errBefore := semver.StrictNewVersion(was)
	now, errNow := semver.StrictNewVersion(is)
	if errBefore != nil || errNow != nil {
		return 0
	}
	return now.Compare(before)
}

// other is what a set has in another version than the service; "" for nothing.
func (s *service) other(set *openedSet) string {
	if s.Record.Template != set.Name {
		return set.exact()
	}
	var parts []string
	if set.Version != s.Record.Version {
		parts = append(parts, set.Version)
	}
	if set.Base != s.Record.Extends && set.Base != "" {
		parts = append(parts, set.Base)
	}
	return strings.Join(parts, " on ")
}

// compareFiles finds what was changed against what the template wrote.
func (r *statusReport) compareFiles(ctx context.Context, s *service) error {
	ours, err := project.Worktree(s.root, nil, s.Base.Paths())
	if err != nil {
		return failed("rustgen must be able to read the service", "%w", err)
	}
	for _, p := range s.Base.Paths() {
		f, ok := ours[p]
		switch {
		case !ok:
			r.Deleted = append(r.Deleted, p)
		case !sameText(f, s.Base[p]):
			r.Edited = append(r.Edited, p)
			r.findMarkers(p, f)
		}
	}
	for _, p := range slices.Concat(r.Edited, r.Deleted) {
		if slices.ContainsFunc(s.Record.Rooms, func(room string) bool { return tree.Match(room, p) }) {
			r.Drift = append(r.Drift, p)
		}
	}
	added, err := s.added(ctx)
	r.Added = append(r.Added, added...)
	return err
}

// findMarkers counts a file with markers as a conflict also where the list of them was not committed with it.
func (r *statusReport) findMarkers(p string, f tree.File) {
	listed := slices.ContainsFunc(r.Conflicts, func(c project.ConflictPath) bool { return c.Path == p })
	// From which version it came is not known here; every conflict has a marker of the user's side, which names none.
	if !listed && project.Markers(f.Data, r.Version, r.Version) {
		r.Conflicts = append(r.Conflicts, project.ConflictPath{Path: p, Kind: string(merge.Content), Marked: true})
	}
}

// sameText reports whether two files are the same but for how lines end: a checkout may change that.
func sameText(a, b tree.File) bool {
	if a.IsText() && b.IsText() {
		a.Data = []byte(strings.ReplaceAll(string(a.Data), "\r\n", "\n"))
		b.Data = []byte(strings.ReplaceAll(string(b.Data), "\r\n", "\n"))
	}
	return a.Equal(b)
}

// added lists the user's own files: what git does not ignore, or without git all but what tools make.
func (s *service) added(ctx context.Context) ([]string, error) {
	all, err := project.Added(s.root, s.Base)
	if err != nil || s.repo == nil {
		return all, err
	}
	tracked, untracked, err := s.repo.Files(ctx)
	if err != nil {
		return all, nil
	}
	return slices.DeleteFunc(all, func(p string) bool { return !tracked[p] && !untracked[p] }), nil
}

func (r *statusReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("service", "%s", r.Dir)
	if r.Version != "" {
		switch {
		case r.Unknown != "":
			line("template", "%s; the newest is not known: %s", r.on, r.Unknown)
		case r.Behind:
			line("template", "%s; %s is newer: rustgen upgrade", r.on, r.other)
		case r.other != "":
			line("template", "%s; this rustgen has the older %s", r.on, r.other)
		default:
			line("template", "%s, the newest", r.on)
		}
		var decisions []string
		for _, id := range r.order {
			if d, ok := r.Decisions[id]; ok && d.From == "chosen" {
				decisions = append(decisions, fmt.Sprintf("%s=%v", id, d.Value))
			}
		}
		line("chosen", "%s", strings.Join(decisions, " "))
	}
	for _, list := range []struct {
		name  string
		paths []string
	}{{"edited", r.Edited}, {"deleted", r.Deleted}, {"added", r.Added}, {"drift", r.Drift}} {
		for _, p := range list.paths {
			line(list.name, "%s", p)
		}
	}
	for _, c := range r.Conflicts {
		line("conflict", "%s (%s)", c.Path, c.Kind)
	}
	for _, d := range r.Damaged {
		line("damaged", "%s", d)
	}
	return b.String()
}

// check is the failure of the wanted checks that find something, or that were named and could not be made.
func (r *statusReport) check(wanted []string) error {
	var found, hints []string
	add := func(check string, hit bool, what, hint string) {
		if hit && slices.Contains(wanted, check) {
			found, hints = append(found, what), append(hints, hint)
		}
	}
	resolve := "edit out the markers"
	if r.unfinished {
		resolve = "resolve and rustgen upgrade --continue"
	}
	add("conflicts", len(r.Conflicts) > 0, count(len(r.Conflicts), "conflict")+" of an upgrade", resolve)
	add("damaged", len(r.Damaged) > 0, ".rustgen is damaged", r.hint)
	add("behind", r.Behind, fmt.Sprintf("behind: %s, and %s is newer", r.on, r.other), "rustgen upgrade")
	add("drift", len(r.Drift) > 0, fmt.Sprintf("drift in the template's room: %s", some(r.Drift)), "rustgen restore PATH brings a file back")
	code := exitFound
	if len(found) == 0 {
		code = exitFailed
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
	return &failure{code, errors.New(strings.Join(found, "; ")), strings.Join(hints, "; ")}
}
