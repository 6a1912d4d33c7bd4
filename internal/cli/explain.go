package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/auditreport"
	"rustgen/internal/decision"
	"rustgen/internal/describe"
	"rustgen/internal/report"
	"rustgen/internal/source"
)

func (a *app) explainCommand(set *source.Set) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [ID]",
		Short: "Explain a decision: which answer fits when, and why",
		Long: `Explain a decision: which answer fits when, and why. Without ID, list the decisions. In a service they are those of the
set that it was made from.`,
		Args:              atMostOne,
		ValidArgsFunction: describe.IDs(set),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				if asJSON {
					return a.writeJSON(report.Explanations(&set.Catalog))
				}
				return report.ExplainAll(a.out, &set.Catalog, set.Name+" "+set.Version)
			}
			d, ok := set.Catalog.Find(args[0])
			if check, isCheck := auditreport.Find(args[0]); !ok && isCheck {
				explained := auditreport.Explain(check)
				if asJSON {
					return a.writeJSON(explained)
				}
				_, err := io.WriteString(a.out, explained.Text())
				return err
			}
			if !ok {
				hint := "the decisions are " + strings.Join(set.Catalog.IDs(), ", ")
				if near := decision.Nearest(args[0], set.Catalog.IDs()); near != "" {
					hint = "rustgen explain " + near
				}
				return usage(hint, "there is no decision %q", args[0])
			}
			if asJSON {
				return a.writeJSON(report.Explain(&set.Catalog, d))
			}
			now, _ := set.Now(d)
			return report.ExplainOne(a.out, &set.Catalog, set.Engine.Eval, d, now)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	addTemplateFlag(cmd, ownSet+", or "+embeddedSet)
	return cmd
}
