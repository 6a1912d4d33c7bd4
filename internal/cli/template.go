package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
)

func (a *app) templateCommand(set *openedSet) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "template",
		Short: "Work with template sets",
	}
	group(cmd)
	cmd.AddCommand(a.templateExportCommand(set), a.templateValidateCommand(), a.templateSchemaCommand(set))
	return cmd
}

func (a *app) templateExportCommand(set *openedSet) *cobra.Command {
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

func (a *app) exportSet(ctx context.Context, set *openedSet, dir string, dryRun bool) error {
	if _, err := os.Lstat(dir); err == nil {
		return failed("choose another DIR", "%s exists", dir)
	}
	t, err := tree.FromFS(set.files, ".git")
	if err == nil {
		err = t.CheckContained()
	}
	if err != nil {
		return setFault(set.source, err)
	}
	if dryRun {
		return a.printPlan(upgrade.Create(t), dir)
	}
	if err := apply.Fresh(ctx, dir, t, nil); err != nil {
		return err
	}
	a.written = true
	_, err = fmt.Fprintf(a.out, "exported %s %s to %s: %s\n", set.Name, set.Version, shown(dir), count(len(t), "file"))
	return err
}

func (a *app) templateSchemaCommand(set *openedSet) *cobra.Command {
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
		Short: "Check a template set: its declarations, and that every option renders",
		Long: `Check the template set in DIR (default: the embedded one): that template.yaml says nothing contradictory, that each
option of each decision renders, and that each file rule speaks of a file. Exits 4 where something was found.`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			source := ""
			if len(args) == 1 {
				source = args[0]
			}
			return a.validateSet(cmd.Context(), source, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

func (a *app) validateSet(ctx context.Context, source string, asJSON bool) error {
	findings := []string{}
	set, err := a.openSet(ctx, source)
	if err != nil {
		var wrong *hint.Error
		if errors.As(err, &wrong) && wrong.Kind == hint.Usage {
			return err
		}
		findings = append(findings, err.Error())
	} else {
		findings = append(findings, examine(set)...)
	}
	if asJSON {
		if err := a.writeJSON(map[string]any{"findings": findings}); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			fmt.Fprintln(a.out, f)
		}
	}
	if len(findings) > 0 {
		return hint.New(hint.Found, "", "%s in the template set", count(len(findings), "finding"))
	}
	if !asJSON {
		fmt.Fprintf(a.out, "%s %s is valid: %s, %s\n", set.Name, set.Version,
			count(len(set.Catalog.Decisions), "decision"), count(len(set.Sources), "file"))
	}
	return nil
}

// examine renders the set with its defaults, and with each option of each decision in turn. A list without options is
// tried empty and with two items.
func examine(set *openedSet) []string {
	var findings []string
	found := map[string]bool{}
	add := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if !found[text] {
			found[text] = true
			findings = append(findings, text)
		}
	}
	rendered := map[string]bool{}
	try := func(id, value string) {
		given := map[string]decision.Input{decision.NameID: decision.Text("example", decision.NameID, true)}
		if id != "" {
			given[id] = decision.Text(value, id, true)
		}
		out, err := resolve(set, given, true)
		if err != nil {
			add("%v", err)
			return
		}
		// A refusal is a rule at work; the other options are tried all the same.
		if !out.OK() {
			if id == "" && len(out.Problems) > 0 {
				add("the defaults are refused: %v", out.Problems[0].Err)
			}
			return
		}
		t, err := set.engine.Render(set.Set, out.Data)
		if err != nil {
			add("%v", err)
			return
		}
		for p := range t {
			rendered[p] = true
		}
	}
	try("", "")
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		values := d.Values()
		switch {
		case d.Type == decision.Bool:
			values = []string{"yes", "no"}
		case d.Type == decision.List && len(values) == 0:
			values = []string{"none", "one,two"}
		}
		for _, v := range values {
			if _, locked := set.Catalog.Locked[d.ID]; !locked {
				try(d.ID, v)
			}
		}
	}
	for _, r := range set.Rules {
		if !speaksOfSomething(r, set, rendered) {
			add("files: no file matches %q", r.Path)
		}
	}
	return findings
}

func speaksOfSomething(r templateset.FileRule, set *openedSet, rendered map[string]bool) bool {
	for _, s := range set.Sources {
		if r.Matches(s.Path) {
			return true
		}
	}
	for p := range rendered {
		if r.Matches(p) {
			return true
		}
	}
	return false
}
