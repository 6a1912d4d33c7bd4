package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"rustgen/internal/decision"
	"rustgen/internal/merge"
	"rustgen/internal/ownapi"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
)

func (a *app) diffCommand(set *openedSet) *cobra.Command {
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
				return a.writeJSON(diffReport{differences(from, to, paths, future || owned)})
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
func comparedNow(ctx context.Context, _ *openedSet, s *upgrade.Service) (from, to tree.Tree, err error) {
	ours, err := s.Worktree(ctx, s.Base, s.Base.Paths())
	return s.Base, ours, err
}

// comparedFuture are the trees of what an upgrade would change.
func comparedFuture(ctx context.Context, set *openedSet, s *upgrade.Service) (from, to tree.Tree, err error) {
	out, err := ownAnswers(set, s)
	if err != nil {
		return nil, nil, err
	}
	u, err := s.Merge(ctx, "rustgen diff", set.template(s), out)
	if err != nil {
		return nil, nil, err
	}
	return u.Ours, u.Result, nil
}

// comparedOwned are the trees of what the template would write in owned files.
func comparedOwned(ctx context.Context, set *openedSet, s *upgrade.Service) (from, to tree.Tree, err error) {
	out, err := ownAnswers(set, s)
	if err != nil {
		return nil, nil, err
	}
	if out.Data[ownapi.Kind] == ownapi.Own {
		api, err := readOwnProtos(ctx, s.Dir)
		if err != nil {
			return nil, nil, err
		}
		out.Data = ownapi.With(out.Data, api)
	}
	return s.Owned(set.template(s), out)
}

// ownAnswers are a set's decisions as the service has made them.
func ownAnswers(set *openedSet, s *upgrade.Service) (*decision.Outcome, error) {
	if err := matches(s, set); err != nil {
		return nil, err
	}
	out, err := set.Catalog.Resolve(set.engine.Eval, decision.Request{Recorded: s.Record.Decisions, AcceptDefaults: true})
	if err != nil {
		return nil, setFault(set.source, err)
	}
	return out, out.Err()
}

// diffReport is what differs.
type diffReport struct {
	Files []difference `json:"files"`
}

// difference is a path that differs.
type difference struct {
	Path   string `json:"path"`
	Change string `json:"change"`
}

func differences(from, to tree.Tree, paths []string, withAdded bool) []difference {
	found := []difference{}
	all := tree.Tree{}
	for _, t := range []tree.Tree{from, to} {
		for p := range t {
			all[p] = tree.File{}
		}
	}
	for _, p := range all.Paths() {
		before, was := from[p]
		after, is := to[p]
		switch {
		case len(paths) > 0 && !slices.Contains(paths, p):
		case !was && withAdded:
			found = append(found, difference{p, "added"})
		case was && !is:
			found = append(found, difference{p, "deleted"})
		case was && is && !before.Equal(after):
			found = append(found, difference{p, "edited"})
		}
	}
	return found
}
