package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"rustgen/internal/audit"
	"rustgen/internal/report"
)

// findCheck is the check of the production checklist with an id.
func findCheck(id string) (audit.Check, bool) {
	checks := audit.Checks()
	i := slices.IndexFunc(checks, func(c audit.Check) bool { return c.ID == id })
	if i < 0 {
		return audit.Check{}, false
	}
	return checks[i], true
}

// explainedCheck is a check with its explanation, for programs.
type explainedCheck struct {
	audit.Check
	audit.Explanation
}

// explainCheck says what a check of the audit is about.
func (a *app) explainCheck(c audit.Check, asJSON bool) error {
	e, _ := audit.Explain(c)
	if asJSON {
		return a.writeJSON(explainedCheck{c, e})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", c.ID, c.Title)
	fmt.Fprintf(&b, "A check of rustgen audit (%s), of severity %s.\n\n", c.Area, c.Severity)
	fmt.Fprintf(&b, "%s\n\n", report.Fold("Why: "+c.Why+".", report.Width, ""))
	fmt.Fprintf(&b, "The fault, in %s:\n\n%s\n", e.File, indented(e.Fault))
	fmt.Fprintf(&b, "Mended:\n\n%s\n", indented(e.Mended))
	fmt.Fprintf(&b, "%s\n", report.Fold("Mend: "+c.Mend+".", report.Width, ""))
	fmt.Fprintf(&b, "%s\n%s\n\n", report.Fold("Harm: "+e.Harm+".", report.Width, ""), report.Fold("Source: "+e.Source+".", report.Width, ""))
	fmt.Fprintf(&b, "Where it is as it should be: // rustgen: allow(%s, the reason)\n", c.ID)
	_, err := io.WriteString(a.out, b.String())
	return err
}

// indented is code as the text around it shows it.
func indented(code string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(code, "\n"), "\n", "\n    ") + "\n"
}
