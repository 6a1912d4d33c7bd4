// Package describe is how commands describe themselves: their help, their manual pages and what a shell completes, made
// from the commands and from the decisions of a set.
package describe

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/manual"
	"rustgen/internal/source"
	"rustgen/internal/vcs"
)

// Help is a command's description and its usage.
func Help(cmd *cobra.Command, set *source.Set) string {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	return strings.TrimSpace(text) + "\n\n" + Usage(cmd, set)
}

// Usage is how a command is called.
func Usage(cmd *cobra.Command, set *source.Set) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	b.WriteString("Usage:\n")
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s COMMAND\n", cmd.CommandPath())
	} else {
		fmt.Fprintf(&b, "  %s\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		var rows []manual.Row
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() || c.Name() == "help" {
				rows = append(rows, manual.Row{Name: c.Name(), Text: c.Short})
			}
		}
		manual.Columns(&b, rows)
	}
	if rows := ownFlags(cmd); len(rows) > 0 {
		b.WriteString("\nFlags:\n")
		manual.Columns(&b, rows)
	}
	if rows := decisionFlags(cmd, set); len(rows) > 0 {
		b.WriteString("\nDecisions (rustgen explain ID says which answer fits when, and why):\n")
		manual.Columns(&b, rows)
	}
	if set.Unread && cmd.Flags().Lookup("set") != nil {
		fmt.Fprintf(&b, "\nHelp does not fetch the set %s; rustgen explain --template %s lists its decisions.\n",
			vcs.WithoutSecret(set.Source), hint.Quote(vcs.WithoutSecret(set.Source)))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%s COMMAND --help says more.\n", cmd.CommandPath())
	}
	return b.String()
}

// Answer is the value of a flag that answers a decision.
type Answer interface {
	pflag.Value
	Answers() *decision.Decision
}

// ownFlags are the flags of a command that are not a decision's.
func ownFlags(cmd *cobra.Command) []manual.Row {
	var rows []manual.Row
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, answers := f.Value.(Answer); answers || f.Hidden {
			return
		}
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		value, text := pflag.UnquoteUsage(f)
		if f.Name == "help" {
			text = "print this help"
		}
		if f.Value.Type() != "bool" && value != "" {
			name += " " + value
		}
		rows = append(rows, manual.Row{Name: name, Text: text})
	})
	return rows
}

// decisionFlags are the flags of a command that answer decisions, in the order of the set. In a service, what it has
// decided stands in place of the set's own answers.
func decisionFlags(cmd *cobra.Command, set *source.Set) []manual.Row {
	var rows []manual.Row
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		f := cmd.Flags().Lookup(d.ID)
		if f == nil {
			continue
		}
		if _, ok := f.Value.(Answer); !ok {
			continue
		}
		text := f.Usage
		if words := computed(set, d); words != "" {
			text = fmt.Sprintf("%s (default: %s)", d.Question, words)
		}
		if now, ok := set.Now(d); ok && takesService(cmd) {
			text = strings.TrimSpace(d.Question + " (now: " + now + ")")
		}
		rows = append(rows, manual.Row{Name: "--" + d.ID + " " + d.Syntax(), Text: text})
	}
	return rows
}

// computed tells what a computed default comes to, where the set answers with it.
func computed(s *source.Set, d *decision.Decision) string {
	_, locked := s.Catalog.Locked[d.ID]
	_, preset := s.Catalog.Presets[d.ID]
	if locked || preset || s.Engine == nil {
		return ""
	}
	return s.Catalog.DefaultWords(s.Engine.Eval, d)
}

// takesService reports whether a command works on a service that exists.
func takesService(cmd *cobra.Command) bool {
	return cmd.Name() == "set" || cmd.Name() == "upgrade"
}

// Flag is a decision's line in --help: what it asks, and what the set answers.
func Flag(c *decision.Catalog, d *decision.Decision) string {
	text := d.Question
	if text == "" {
		text = d.Title
	}
	switch value := c.DefaultText(d); {
	case value != "" && d.Deliberate:
		return fmt.Sprintf("%s (recommended: %s)", text, value)
	case value != "":
		return fmt.Sprintf("%s (default: %s)", text, value)
	default:
		return text
	}
}
