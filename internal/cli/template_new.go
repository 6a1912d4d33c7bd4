package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/bootstrap"
	"rustgen/internal/lazyregexp"
	"rustgen/internal/templateset"
	"rustgen/internal/upgrade"
	"rustgen/templates"
)

func (a *app) templateNewCommand() *cobra.Command {
	var dryRun bool
	var dir string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Start a template set of one's own that extends the embedded one",
		Long: `Write the start of a template set to ./NAME: a set that extends the embedded one, with a preset, a lock and a file of
its own to replace. rustgen template validate NAME checks it, and rustgen new SERVICE --template NAME uses it.`,
		Example: `  rustgen template new acme
  rustgen template validate acme
  rustgen new hello --template acme`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("rustgen template new NAME", "the set has no name")
			}
			if !setName.MatchString(args[0]) || args[0] == templates.Default {
				return usage("give another name", "a set's name is kebab-case and not %s, and this is %q", templates.Default, args[0])
			}
			if dir == "" {
				dir = args[0]
			}
			return a.startSet(cmd.Context(), args[0], filepath.Clean(dir), dryRun)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write it to `DIR` instead of ./NAME")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be written, and write nothing")
	return cmd
}

var setName = lazyregexp.New(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func (a *app) startSet(ctx context.Context, name, dir string, dryRun bool) error {
	if err := bootstrap.RefuseExisting(dir, "choose another name or --dir"); err != nil {
		return err
	}
	t := templateset.Start(name, templates.Default)
	if dryRun {
		return a.printPlan(upgrade.Create(t), dir)
	}
	if err := apply.Fresh(ctx, dir, t, nil); err != nil {
		return failed("choose a --dir that can be written to", "%w", err)
	}
	a.written = true
	if _, err := fmt.Fprintf(a.out, "created %s: %s\n", shown(dir), count(len(t), "file")); err != nil {
		return err
	}
	a.say("\nNext:\n  rustgen template validate %s\n  rustgen new hello --template %s", quote(dir), quote(dir))
	return nil
}
