package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"rustgen/internal/decision"
	"rustgen/internal/merge"
	"rustgen/internal/plan"
	"rustgen/internal/project"
	"rustgen/internal/tree"
)

func (a *app) diffCommand(set *openedSet) *cobra.Command {
	var dir string
	var future, asJSON, names bool
	cmd := &cobra.Command{
		Use:   "diff [PATH...]",
		Short: "Show what was edited here against what the template wrote",
		Long: `Show as a patch what was edited in a service against what the template wrote last. With --upgrade, show what an
upgrade would change in the service. Paths limit it to these files.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			s, err := a.readService(dir)
			if err != nil {
				return err
			}
			from, to, err := a.compared(cmd.Context(), set, s, future)
			if err != nil {
				return err
			}
			if asJSON {
				return a.writeJSON(map[string]any{"files": differences(from, to, paths, future)})
			}
			text, err := merge.Diff(cmd.Context(), from, to, merge.Patch{Names: names, Added: future, Paths: paths})
			if err != nil {
				return err
			}
			return a.writePatch(text)
		},
	}
	flags := cmd.Flags()
	serviceFlag(cmd, &dir)
	flags.BoolVar(&future, "upgrade", false, "show what an upgrade would change")
	flags.BoolVar(&names, "name-status", false, "print names and what became of them, as git does")
	flags.BoolVar(&asJSON, "json", false, "print names and what became of them as JSON")
	addTemplateFlag(cmd, ownSet)
	return cmd
}

// compared are the two trees of a diff.
func (a *app) compared(ctx context.Context, set *openedSet, s *service, future bool) (from, to tree.Tree, err error) {
	if !future {
		ours, err := project.Worktree(s.root, s.Base, s.Base.Paths())
		if err != nil {
			return nil, nil, failed("rustgen must be able to read the service", "%w", err)
		}
		return s.Base, ours, nil
	}
	if err := s.matches(set); err != nil {
		return nil, nil, err
	}
	out, err := set.Catalog.Resolve(set.engine.Eval, decision.Request{Recorded: s.Record.Decisions, AcceptDefaults: true})
	if err != nil {
		return nil, nil, setFault(set.source, err)
	}
	if err := out.Err(); err != nil {
		return nil, nil, err
	}
	u, err := a.planUpgrade(ctx, set, s, out)
	if err != nil {
		return nil, nil, err
	}
	return u.ours, u.result, nil
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
		if len(paths) > 0 && !slices.Contains(paths, p) || !plan.Writes(from, to, p) {
			continue
		}
		change := "edited"
		if _, ok := from[p]; !ok && !withAdded {
			continue
		} else if !ok {
			change = "added"
		} else if _, ok := to[p]; !ok {
			change = "deleted"
		}
		found = append(found, difference{p, change})
	}
	return found
}
