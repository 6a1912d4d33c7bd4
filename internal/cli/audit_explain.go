package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"rustgen/internal/audit"
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

// explainCheck says what a check of the audit is about.
func (a *app) explainCheck(c audit.Check, asJSON bool) error {
	if asJSON {
		return a.writeJSON(c)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", c.ID, c.Title)
	fmt.Fprintf(&b, "A check of rustgen audit (%s), of severity %s.\n\n", c.Area, c.Severity)
	fmt.Fprintf(&b, "%s\n%s\n\n", fold("Why: "+c.Why+".", explainWidth, ""), fold("Mend: "+c.Mend+".", explainWidth, ""))
	fmt.Fprintf(&b, "Where it is as it should be: // rustgen: allow(%s, the reason)\n", c.ID)
	_, err := io.WriteString(a.out, b.String())
	return err
}
