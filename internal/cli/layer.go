package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/bootstrap"
	"rustgen/internal/layer"
	"rustgen/internal/source"
	"rustgen/internal/upgrade"
	"rustgen/templates"
)

func (a *app) layerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "layer",
		Short: "Work with the server layer that services are built on",
	}
	group(cmd)
	cmd.AddCommand(a.layerExportCommand())
	return cmd
}

// layerExport is what `rustgen layer export` was called with.
type layerExport struct {
	registry       string
	dryRun, asJSON bool
}

func (a *app) layerExportCommand() *cobra.Command {
	var o layerExport
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write the crates of the server layer to a directory, to publish them",
		Long: `Write the crates of the server layer to DIR, which must not exist, as a Cargo workspace to publish. Services with
layer=registry are built on what a company has published from there. DIR/publish.sh publishes it, and leaves out what
the registry has already. See docs/layer.md.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("rustgen layer export --help", "rustgen layer export takes one argument, the directory to write")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.exportLayer(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().StringVar(&o.registry, "registry", "", "the `NAME` of the registry that the crates are for, as cargo's configuration has it")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be written, and write nothing")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	return cmd
}

func (a *app) exportLayer(ctx context.Context, dir string, o layerExport) error {
	if err := bootstrap.RefuseExisting(dir, "choose another DIR"); err != nil {
		return err
	}
	set, err := source.Embedded(templates.Default)
	if err != nil {
		return err
	}
	export, err := layer.New(set, o.registry)
	if err != nil {
		return usage("rustgen layer export --help", "%w", err)
	}
	switch {
	case o.dryRun && !o.asJSON:
		return a.printPlan(upgrade.Create(export.Tree), dir)
	case !o.dryRun:
		if err := apply.Fresh(ctx, dir, export.Tree, nil); err != nil {
			return failed("choose a DIR that can be written to", "%w", err)
		}
		a.written = true
	}
	if o.asJSON {
		return a.writeJSON(map[string]any{
			"dir": dir, "version": export.Version, "crates": export.Crates, "files": export.Tree.Paths(), "written": !o.dryRun,
		})
	}
	_, err = fmt.Fprintf(a.out, "exported the server layer %s to %s: %s; %s/publish.sh publishes them\n",
		export.Version, shown(dir), count(len(export.Crates), "crate"), shown(dir))
	return err
}
