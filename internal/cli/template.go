package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/bootstrap"
	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/setcheck"
	"rustgen/internal/source"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
)

func (a *app) templateCommand(set *source.Set) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "template",
		Short: "Work with template sets",
	}
	group(cmd)
	cmd.AddCommand(a.templateNewCommand(), a.templateExportCommand(set), a.templateValidateCommand(), a.templateSchemaCommand(set))
	return cmd
}

func (a *app) templateExportCommand(set *source.Set) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "export [DIR]",
		Short: "Write a template set to a directory, to read it or to start one's own from it",
		Long: `Write a template set to DIR (default: a directory of the set's name), which must not exist. The directory works as
--template DIR. A company's own set is better a small one that extends this: see docs/template-sets.md.`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := set.Name
			if len(args) == 1 {
				dir = args[0]
			}
			return a.exportSet(cmd.Context(), set, dir, dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be written, and write nothing")
	addTemplateFlag(cmd, embeddedSet)
	return cmd
}

func (a *app) exportSet(ctx context.Context, set *source.Set, dir string, dryRun bool) error {
	if err := bootstrap.RefuseExisting(dir, "choose another DIR"); err != nil {
		return err
	}
	t, err := tree.FromFS(set.Files, ".git")
	if err == nil {
		err = t.CheckContained()
	}
	if err != nil {
		return source.Fault(set.Source, err)
	}
	if dryRun {
		return a.printPlan(upgrade.Create(t), dir)
	}
	if err := apply.Fresh(ctx, dir, t, nil); err != nil {
		return failed("choose a DIR that can be written to", "%w", err)
	}
	a.written = true
	_, err = fmt.Fprintf(a.out, "exported %s %s to %s: %s\n", set.Name, set.Version, shown(dir), count(len(t), "file"))
	return err
}

func (a *app) templateSchemaCommand(set *source.Set) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of an answers file",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			return a.writeJSON(set.Catalog.Schema(set.Name, set.Version))
		},
	}
	addTemplateFlag(cmd, embeddedSet)
	return cmd
}

func (a *app) templateValidateCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check a template set, and list every mistake with its file and line",
		Long: `Check the template set in DIR (default: the embedded one), and list every mistake with its file and line: what
template.yaml contradicts, what does not render with some option, rules that speak of no file, conditions that can never
be true, renames that lead nowhere, names that Windows cannot hold, and files whose counterpart in the extended set has
moved. Exits 4 where something was found.`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) == 1 {
				dir = args[0]
			}
			return a.validateSet(cmd.Context(), dir, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

func (a *app) validateSet(ctx context.Context, dir string, asJSON bool) error {
	var problems []templateset.Problem
	set, err := a.sets.Open(ctx, source.Place{Source: dir})
	var wrong templateset.Problems
	switch {
	case errors.As(err, &wrong):
		problems = wrong
	case err != nil:
		return err
	default:
		problems = setcheck.Check(set.Set, set.Engine)
	}
	if asJSON {
		findings := []string{}
		for _, p := range problems {
			findings = append(findings, p.String())
		}
		if err := a.writeJSON(report.Validation{Findings: findings, Problems: append([]templateset.Problem{}, problems...)}); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			fmt.Fprintln(a.out, p)
		}
	}
	if len(problems) > 0 {
		return hint.New(hint.Found, "", "%s in the template set", count(len(problems), "finding"))
	}
	if !asJSON {
		fmt.Fprintf(a.out, "%s %s is valid: %s, %s\n", set.Name, set.Version,
			count(len(set.Catalog.Decisions), "decision"), count(len(set.Sources), "file"))
	}
	return nil
}
