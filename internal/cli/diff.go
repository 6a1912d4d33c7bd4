package cli

import (
	"context"

	"github.com/spf13/cobra"

	"rustgen/internal/merge"
	"rustgen/internal/ownapi"
	"rustgen/internal/report"
	"rustgen/internal/serviceapi"
	"rustgen/internal/source"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
)

func (a *app) diffCommand(set *source.Set) *cobra.Command {
	var dir string
	var future, owned, asJSON, names bool
	cmd := &cobra.Command{
		Use:   "diff [PATH...]",
		Short: "Show what was edited here against what the template wrote",
		Long: `Show as a patch what was edited in a service against what the template wrote last. With --upgrade, show what an
upgrade would change in the service; with --owned, what the template would write in owned files, which no upgrade
changes: take of it what you want. Paths limit it to these files.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			s, err := a.openService(cmd.Context(), dir, true)
			if err != nil {
				return err
			}
			if future && owned {
				return usage("give one of them", "--upgrade and --owned exclude each other")
			}
			compare := comparedNow
			switch {
			case future:
				compare = comparedFuture
			case owned:
				compare = comparedOwned
			}
			from, to, err := compare(cmd.Context(), set, s)
			if err != nil {
				return err
			}
			if asJSON {
				return a.writeJSON(report.Diff{Files: report.Differences(from, to, paths, future || owned)})
			}
			text, err := merge.Diff(cmd.Context(), from, to, merge.Patch{Names: names, Added: future || owned, Paths: paths})
			if err != nil {
				return err
			}
			return a.writePatch(text)
		},
	}
	flags := cmd.Flags()
	serviceFlag(cmd, &dir)
	flags.BoolVar(&future, "upgrade", false, "show what an upgrade would change")
	flags.BoolVar(&owned, "owned", false, "show what the template would write in owned files")
	flags.BoolVar(&names, "name-status", false, "print names and what became of them, as git does")
	flags.BoolVar(&asJSON, "json", false, "print names and what became of them as JSON")
	addTemplateFlag(cmd, ownSet)
	return cmd
}

// comparedNow are the trees of what the user changed.
func comparedNow(ctx context.Context, _ *source.Set, s *upgrade.Service) (from, to tree.Tree, err error) {
	ours, err := s.Worktree(ctx, s.Base, s.Base.Paths())
	return s.Base, ours, err
}

// comparedFuture are the trees of what an upgrade would change.
func comparedFuture(ctx context.Context, set *source.Set, s *upgrade.Service) (from, to tree.Tree, err error) {
	out, err := set.OwnAnswers(s)
	if err != nil {
		return nil, nil, err
	}
	u, err := s.Merge(ctx, "rustgen diff", set.Template(s), out)
	if err != nil {
		return nil, nil, err
	}
	return u.Ours, u.Result, nil
}

// comparedOwned are the trees of what the template would write in owned files.
func comparedOwned(ctx context.Context, set *source.Set, s *upgrade.Service) (from, to tree.Tree, err error) {
	out, err := set.OwnAnswers(s)
	if err != nil {
		return nil, nil, err
	}
	if out.Data[ownapi.Kind] == ownapi.Own {
		api, err := serviceapi.ReadOwn(ctx, s.Dir)
		if err != nil {
			return nil, nil, err
		}
		out.Data = ownapi.With(out.Data, api)
	}
	return s.Owned(set.Template(s), out)
}
