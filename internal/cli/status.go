package cli

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/standing"
	"rustgen/internal/upgrade"
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
	r, err := a.standing(o).One(ctx, o.dir)
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

// statusOfAll says where each of many services stands.
func (a *app) statusOfAll(ctx context.Context, o *statusOptions, dirs []string) error {
	all, err := a.standing(o).All(ctx, dirs)
	if err != nil {
		return err
	}
	if o.json {
		err = a.writeJSON(all)
	} else {
		err = all.Print(a.out)
	}
	switch {
	case err != nil:
		return err
	case all.Unread > 0:
		return failed("rustgen status DIR says more of one", "%s of %d cannot be read", count(all.Unread, "service"), len(dirs))
	case all.Wrong > 0:
		return hint.New(hint.Found, "rustgen status DIR --check says more of one", "the checks find something in %s of %d",
			count(all.Wrong, "service"), len(dirs))
	default:
		return nil
	}
}

func (a *app) standing(o *statusOptions) *standing.Reader {
	open := func(ctx context.Context, dir string) (*upgrade.Service, error) { return a.openUnclosed(ctx, dir, true) }
	return &standing.Reader{Sets: a.sets, Open: open, Say: a.say, Template: o.source, Wanted: o.wanted}
}
