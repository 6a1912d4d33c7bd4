package auditreport

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/audit"
	"rustgen/internal/report"
)

// Find is the check of the production checklist with an id.
func Find(id string) (audit.Check, bool) {
	checks := audit.Checks()
	i := slices.IndexFunc(checks, func(c audit.Check) bool { return c.ID == id })
	if i < 0 {
		return audit.Check{}, false
	}
	return checks[i], true
}

// Explained is a check with its explanation, for programs.
type Explained struct {
	audit.Check
	audit.Explanation
}

// Explain says what a check of the audit is about.
func Explain(c audit.Check) Explained {
	e, _ := audit.Explain(c)
	return Explained{c, e}
}

// Text is the explanation for people.
func (e Explained) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", e.ID, e.Title)
	fmt.Fprintf(&b, "A check of rustgen audit (%s), of severity %s.\n\n", e.Area, e.Severity)
	fmt.Fprintf(&b, "%s\n\n", report.Fold("Why: "+e.Why+".", report.Width, ""))
	fmt.Fprintf(&b, "The fault, in %s:\n\n%s\n", e.File, indented(e.Fault))
	fmt.Fprintf(&b, "Mended:\n\n%s\n", indented(e.Mended))
	fmt.Fprintf(&b, "%s\n", report.Fold("Mend: "+e.Mend+".", report.Width, ""))
	fmt.Fprintf(&b, "%s\n%s\n\n", report.Fold("Harm: "+e.Harm+".", report.Width, ""), report.Fold("Source: "+e.Source+".", report.Width, ""))
	fmt.Fprintf(&b, "Where it is as it should be: // rustgen: allow(%s, the reason)\n", e.ID)
	return b.String()
}

// indented is code as the text around it shows it.
func indented(code string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(code, "\n"), "\n", "\n    ") + "\n"
}
