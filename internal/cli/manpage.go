package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// manPage is the manual page of a command, in the man macros.
func manPage(c *cobra.Command, set *openedSet) string {
	c.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" rustgen \"rustgen manual\"\n", strings.ToUpper(roff(pageName(c))))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(c)), roff(c.Short))
	b.WriteString(".SH SYNOPSIS\n")
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, ".B %s\nCOMMAND\n", roff(c.CommandPath()))
	} else {
		fmt.Fprintf(&b, ".B %s\n", roff(c.UseLine()))
	}
	b.WriteString(".SH DESCRIPTION\n")
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	manText(&b, text)
	var rows []row
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			rows = append(rows, row{below.CommandPath(), below.Short})
		}
	}
	manRows(&b, "COMMANDS", rows)
	manRows(&b, "OPTIONS", ownFlags(c))
	manRows(&b, "DECISIONS", decisionFlags(c, set))
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(strings.TrimRight(c.Example, "\n")))
	}
	manRows(&b, "EXIT STATUS", exitStatus())
	manRows(&b, "ENVIRONMENT", environment(c, set))
	manRows(&b, "FILES", serviceFiles())
	b.WriteString(".SH SEE ALSO\n")
	var others []string
	for _, other := range append([]*cobra.Command{c.Root()}, commandsBelow(c.Root())...) {
		if other != c && (other == c.Parent() || other.Parent() == c || c.HasParent() && other.Parent() == c.Parent()) {
			others = append(others, fmt.Sprintf(".BR %s (1)", roff(pageName(other))))
		}
	}
	b.WriteString(strings.Join(others, ",\n") + "\n")
	return b.String()
}

// exitStatus are what every command ends with.
func exitStatus() []row {
	return []row{
		{fmt.Sprint(exitDone), "done"},
		{fmt.Sprint(exitFailed), "failed"},
		{fmt.Sprint(exitUsage), "a wrong call or a wrong answer"},
		{fmt.Sprint(exitConflicts), "conflicts are left"},
		{fmt.Sprint(exitFound), "a check found something"},
		{fmt.Sprint(exitInterrupted), "interrupted"},
	}
}

// environment are the variables that a command reads.
func environment(c *cobra.Command, set *openedSet) []row {
	var rows []row
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		if c.Flags().Lookup(d.ID) != nil {
			rows = append(rows, row{d.Env(), "the answer to " + d.ID + " where neither a flag nor --set gives one"})
		}
	}
	if c.Flags().Lookup("accessible") != nil {
		rows = append(rows,
			row{"CI", "where it is set, and is not 0, no or false, nothing is asked"},
			row{"ACCESSIBLE", "where it is set, questions are asked line by line; so they are where TERM is dumb"},
			row{"NO_COLOR", "where it is set, the prompt has no colours"})
	}
	return append(rows, row{"PATH", "where git is looked for"})
}

// serviceFiles are what rustgen keeps in a service.
func serviceFiles() []row {
	return []row{
		{".rustgen/answers.yaml", "the decisions of a service, and the template and version that it is on"},
		{".rustgen/base.tar.gz", "what the template wrote last: the base of the next merge"},
	}
}

func manRows(b *strings.Builder, title string, rows []row) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for _, r := range rows {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(r.name)), roff(r.text))
	}
}

// manText writes paragraphs; lines that are indented keep their form.
func manText(b *strings.Builder, text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, " ") {
			fmt.Fprintf(b, ".nf\n%s\n.fi\n", roff(paragraph))
			continue
		}
		fmt.Fprintf(b, "%s\n", roff(paragraph))
	}
}

// roff keeps a text from being read as macros and escapes.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
