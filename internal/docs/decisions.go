// Package docs writes the pages of docs/ that follow from a template set. It is pure.
package docs

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/decision"
)

// Decisions is the reference page of a set's decisions, in Markdown. eval computes the set's expressions.
func Decisions(set, version string, c *decision.Catalog, eval decision.Evaluate) string {
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
		fmt.Fprintf(&b, "| [%s](#%s)%s | %s | %s |\n", d.ID, d.ID, mark, cell(d.Syntax()), cell(defaultText(c, d, eval)))
	}
	page := ""
	for i := range c.Decisions {
		d := &c.Decisions[i]
		if d.Page != "" && d.Page != page {
			page = d.Page
			fmt.Fprintf(&b, "\n## %s\n", page)
		}
		section(&b, c, d, eval)
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

func section(b *strings.Builder, c *decision.Catalog, d *decision.Decision, eval decision.Evaluate) {
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
	row(name, defaultText(c, d, eval))
	row("flag", "`"+flag+"`")
	row("environment", "`"+d.Env()+"`")
	row("applies", c.WhenWords(eval, d))
	for _, v := range d.Validate {
		row("refused with", v.Message)
	}
}

func defaultText(c *decision.Catalog, d *decision.Decision, eval decision.Evaluate) string {
	_, locked := c.Locked[d.ID]
	_, preset := c.Presets[d.ID]
	if !locked && !preset && d.Default != nil && d.Default.Expr != "" {
		return c.DefaultWords(eval, d)
	}
	if text := c.DefaultText(d); text != "" {
		return "`" + text + "`"
	}
	return ""
}

// Table is the table of decisions of the README: the answers, the recommended or default one first, and the question.
func Table(c *decision.Catalog, eval decision.Evaluate) string {
	var b strings.Builder
	b.WriteString("| decision | answers, the default first | question |\n|---|---|---|\n")
	for i := range c.Decisions {
		d := &c.Decisions[i]
		mark := ""
		if d.Deliberate {
			mark = " *"
		}
		fmt.Fprintf(&b, "| %s%s | %s | %s |\n", d.ID, mark, cell(answers(c, d, eval)), cell(d.Question))
	}
	return b.String()
}

// answers are those of a decision, the one that the set gives first.
func answers(c *decision.Catalog, d *decision.Decision, eval decision.Evaluate) string {
	first := c.DefaultText(d)
	if words := c.DefaultWords(eval, d); words != "" {
		first = words
	}
	values := d.Values()
	if d.Type == decision.Bool {
		values = []string{"yes", "no"}
	}
	switch at := slices.Index(values, first); {
	case d.ID == decision.NameID && first == "":
		return "NAME"
	case at >= 0:
		values = append([]string{first}, slices.Delete(slices.Clone(values), at, at+1)...)
		return strings.Join(values, ", ")
	case first == "":
		return d.Syntax()
	default:
		return first
	}
}

// cell keeps a text inside one cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", ` \| `) }
