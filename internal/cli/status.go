package cli

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/report"
	"rustgen/internal/source"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
)

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
				if !slices.Contains(report.Checks, w) {
					return usage("the checks are "+strings.Join(report.Checks, ", "), "--check %s: there is no such check", w)
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
	flags.StringSliceVar(&o.wanted, "check", nil, "exit 4 where one of `CHECKS` finds something: "+strings.Join(report.Checks, ","))
	flags.Lookup("check").NoOptDefVal = strings.Join(report.Checks, ",")
	return cmd
}

func (a *app) statusOfOne(ctx context.Context, o *statusOptions) error {
	r, err := a.status(ctx, o.dir, o, a.sets.Open)
	if err != nil {
		return err
	}
	if o.json {
		err = a.writeJSON(r)
	} else {
		_, err = io.WriteString(a.out, r.Text())
	}
	if err != nil {
		return err
	}
	return r.Check(o.wanted)
}

// opener opens a template set.
type opener func(ctx context.Context, from source.Place) (*source.Set, error)

func (a *app) status(ctx context.Context, dir string, o *statusOptions, open opener) (*report.Status, error) {
	s, err := a.openUnclosed(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r := report.NewStatus(near(s.Dir))
	if pending, err := project.ReadConflicts(s.Root); err != nil {
		r.Damaged = append(r.Damaged, err.Error())
	} else if pending != nil {
		r.Conflicts, r.Unfinished = pending.Paths, true
	}
	if err := s.Load(ctx); err != nil {
		r.Damaged = append(r.Damaged, err.Error())
		var f *hint.Error
		if errors.As(err, &f) {
			r.Mend = f.Hint
		}
		return r, nil
	}
	a.recallOwned(ctx, s)
	r.Template, r.Version, r.Extends, r.On = s.Record.Template, s.Record.Version, s.Record.Extends, s.Origin().String()
	for id, d := range s.Record.Decisions {
		r.Decisions[id] = report.Answer{Value: d.Value, From: d.Origin}
	}
	r.Order = slices.Sorted(maps.Keys(r.Decisions))
	st, err := s.Stand(ctx)
	if err != nil {
		return nil, err
	}
	if st.Blind != nil {
		a.say("warning: git is left out: %v", st.Blind)
	}
	r.Files(st)
	from := source.PlaceOf(o.source, s.Record)
	if from.Asks() && !slices.Contains(o.wanted, "behind") {
		r.Unknown = "rustgen status --check=behind asks " + from.Source
	} else if err := compareVersions(ctx, r, s, from, open); err != nil {
		r.Unknown = err.Error()
	}
	return r, nil
}

// compareVersions finds out what the newest version is. A set that cannot be reached leaves the rest of the status.
func compareVersions(ctx context.Context, r *report.Status, s *upgrade.Service, from source.Place, open opener) error {
	set, err := open(ctx, from)
	if err == nil {
		err = matches(s, set)
	}
	if err != nil {
		return err
	}
	r.Order = set.Catalog.IDs()
	r.Newest, r.NewestExtends = set.Version, set.Base
	r.Relation, r.Different, r.Follow = s.Compare(set.Set), s.Difference(set.Set), "rustgen upgrade"
	r.Behind = r.Relation == upgrade.Newer
	if err := compareContent(r, s, set); err != nil {
		return err
	}
	if set.Git == nil || set.Git.Held == "" {
		return nil
	}
	r.Held = set.Git.Held
	newest, err := set.NewerTag(ctx)
	if err != nil || newest.Tag == "" {
		return err
	}
	r.Newest, r.Behind, r.Different = newest.Version, true, newest.Version
	r.Follow = "rustgen upgrade --template " + quote(vcs.WithoutSecret(set.HeldAt(newest.Tag)))
	return nil
}

// compareContent finds content that is new though the version is not, and edits that no upgrade will touch.
func compareContent(r *report.Status, s *upgrade.Service, set *source.Set) error {
	out, err := set.Catalog.Resolve(set.Engine.Eval, decision.Request{Recorded: s.Record.Decisions, AcceptDefaults: true})
	if err != nil {
		return source.Fault(set.Source, err)
	}
	if !out.OK() {
		// The upgrade will say which answer is wrong.
		return nil
	}
	differs, settled, err := s.Ahead(set.Template(s), out, slices.Concat(r.Edited, r.Deleted))
	if err != nil {
		return err
	}
	r.Settled = append(r.Settled, settled...)
	if differs && r.Relation == upgrade.Same {
		r.Other, r.Behind = true, true
	}
	return nil
}
