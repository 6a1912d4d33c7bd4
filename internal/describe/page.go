package describe

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/manual"
	"rustgen/internal/source"
)

// Page is the manual page of a command, in the man macros. exits are what it ends with.
func Page(c *cobra.Command, set *source.Set, exits []manual.Row) string {
	c.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" rustgen \"rustgen manual\"\n", strings.ToUpper(manual.Roff(PageName(c))))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", manual.Roff(PageName(c)), manual.Roff(c.Short))
	b.WriteString(".SH SYNOPSIS\n")
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, ".B %s\nCOMMAND\n", manual.Roff(c.CommandPath()))
	} else {
		fmt.Fprintf(&b, ".B %s\n", manual.Roff(c.UseLine()))
	}
	b.WriteString(".SH DESCRIPTION\n")
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	manual.Text(&b, text)
	var rows []manual.Row
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			rows = append(rows, manual.Row{Name: below.CommandPath(), Text: below.Short})
		}
	}
	manual.Section(&b, "COMMANDS", rows)
	manual.Section(&b, "OPTIONS", ownFlags(c))
	manual.Section(&b, "DECISIONS", decisionFlags(c, set))
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", manual.Roff(strings.TrimRight(c.Example, "\n")))
	}
	manual.Section(&b, "EXIT STATUS", exits)
	manual.Section(&b, "ENVIRONMENT", environment(c, set))
	manual.Section(&b, "FILES", serviceFiles())
	b.WriteString(".SH SEE ALSO\n")
	var others []string
	for _, other := range append([]*cobra.Command{c.Root()}, Below(c.Root())...) {
		if other != c && (other == c.Parent() || other.Parent() == c || c.HasParent() && other.Parent() == c.Parent()) {
			others = append(others, fmt.Sprintf(".BR %s (1)", manual.Roff(PageName(other))))
		}
	}
	b.WriteString(strings.Join(others, ",\n") + "\n")
	return b.String()
}

// environment are the variables that a command reads.
func environment(c *cobra.Command, set *source.Set) []manual.Row {
	var rows []manual.Row
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		if c.Flags().Lookup(d.ID) != nil {
			rows = append(rows, manual.Row{Name: d.Env(), Text: "the answer to " + d.ID + " where neither a flag nor --set gives one"})
		}
	}
	if c.Flags().Lookup("accessible") != nil {
		rows = append(rows,
			manual.Row{Name: "CI", Text: "where it is set, and is not 0, no or false, nothing is asked"},
			manual.Row{Name: "ACCESSIBLE", Text: "where it is set, questions are asked line by line; so they are where TERM is dumb"},
			manual.Row{Name: "NO_COLOR", Text: "where it is set, the prompt has no colours"})
	}
	return append(rows, manual.Row{Name: "PATH", Text: "where git is looked for"})
}

// serviceFiles are what rustgen keeps in a service.
func serviceFiles() []manual.Row {
	return []manual.Row{
		{Name: ".rustgen/answers.yaml", Text: "the decisions of a service, and the template and version that it is on"},
		{Name: ".rustgen/base.tar.gz", Text: "what the template wrote last: the base of the next merge"},
	}
}

// Below are the commands under root that have something to say, depth first.
func Below(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && !c.IsAdditionalHelpTopicCommand() {
			all = append(all, c)
			all = append(all, Below(c)...)
		}
	}
	return all
}

// PageName is what the manual page of a command is called, without its section.
func PageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }
