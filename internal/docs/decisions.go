// Package docs writes the pages of docs/ that follow from a template set. It is pure.
package docs

import (
	"fmt"
	"strings"

	"rustgen/internal/decision"
)

// Decisions is the reference page of a set's decisions, in Markdown.
func Decisions(set, version string, c *decision.Catalog) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The decisions of %s %s\n\n", set, version)
	b.WriteString("<!-- Written by `go test ./internal/docs -update` out of template.yaml. -->\n\n")
	b.WriteString(`Each decision is a flag, an environment variable, a key of an answers file, and ` + "`--set ID=VALUE`" + `; what was given
wins in that order. ` + "`rustgen explain ID`" + ` says the same at a terminal. Those marked with an asterisk are made on purpose:
where nobody can be asked, leaving one out is an error, and ` + "`--yes`" + ` takes the recommended answer.

`)
	b.WriteString("| decision | answers | default |\n|---|---|---|\n")
	for i := range c.Decisions {
		d := &c.Decisions[i]
		mark := ""
		if d.Deliberate {
			mark = " *"
		}
		fmt.Fprintf(&b, "| [%s](#%s)%s | %s | %s |\n", d.ID, d.ID, mark, cell(d.Syntax()), cell(defaultText(c, d)))
	}
	page := ""
	for i := range c.Decisions {
		d := &c.Decisions[i]
		if d.Page != "" && d.Page != page {
			page = d.Page
			fmt.Fprintf(&b, "\n## %s\n", page)
		}
		section(&b, c, d)
	}
	if len(c.Rules) > 0 {
		b.WriteString("\n## Combinations\n\n")
		for _, r := range c.Rules {
			verb := "Refused"
			if r.Warn != "" {
				verb = "Warned of"
			}
			fmt.Fprintf(&b, "- %s: %s.\n", verb, r.Message)
		}
	}
	return b.String()
}

func section(b *strings.Builder, c *decision.Catalog, d *decision.Decision) {
	fmt.Fprintf(b, "\n### %s\n\n", d.ID)
	if d.Question != "" {
		fmt.Fprintf(b, "**%s**\n\n", d.Question)
	}
	if d.Help != "" {
		fmt.Fprintf(b, "%s\n\n", strings.TrimSpace(d.Help))
	}
	for _, o := range d.Options {
		fmt.Fprintf(b, "- `%s`", o.Value)
		if o.Why != "" {
			fmt.Fprintf(b, ": %s", o.Why)
		}
		b.WriteString("\n")
	}
	if len(d.Options) > 0 {
		b.WriteString("\n")
	}
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "- %s: %s\n", name, text)
		}
	}
	flag := d.Flag() + " " + d.Syntax()
	if d.ID == decision.NameID {
		flag = "NAME"
	}
	name := "default"
	if d.Deliberate {
		name = "recommended"
	}
	if lock, ok := c.Locked[d.ID]; ok {
		name = "locked, because " + lock.Reason
	}
	row(name, defaultText(c, d))
	row("flag", "`"+flag+"`")
	row("environment", "`"+d.Env()+"`")
	if d.When != "" {
		row("applies when", "`"+d.When+"`")
	}
	for _, v := range d.Validate {
		row("refused with", v.Message)
	}
}

func defaultText(c *decision.Catalog, d *decision.Decision) string {
	_, locked := c.Locked[d.ID]
	_, preset := c.Presets[d.ID]
	if !locked && !preset && d.Default != nil && d.Default.Expr != "" {
		return "computed: `" + d.Default.Expr + "`"
	}
	if text := c.DefaultText(d); text != "" {
		return "`" + text + "`"
	}
	return ""
}

// cell keeps a text inside one cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", ` \| `) }
