package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rustgen/internal/decision"
	"rustgen/internal/vcs"
)

// helpWidth is the line length of help.
const helpWidth = 110

// helpOf writes a command's description and its usage.
func (a *app) helpOf(set *openedSet) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, _ []string) {
		text := cmd.Long
		if text == "" {
			text = cmd.Short + "."
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s", strings.TrimSpace(text), usageText(cmd, set))
	}
}

// usageOf writes how a command is called.
func (a *app) usageOf(set *openedSet) func(*cobra.Command) error {
	return func(cmd *cobra.Command) error {
		_, err := io.WriteString(cmd.OutOrStderr(), usageText(cmd, set))
		return err
	}
}

func usageText(cmd *cobra.Command, set *openedSet) string {
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
		var rows []row
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() || c.Name() == "help" {
				rows = append(rows, row{c.Name(), c.Short})
			}
		}
		writeRows(&b, rows)
	}
	if rows := ownFlags(cmd); len(rows) > 0 {
		b.WriteString("\nFlags:\n")
		writeRows(&b, rows)
	}
	if rows := decisionFlags(cmd, set); len(rows) > 0 {
		b.WriteString("\nDecisions (rustgen explain ID says which answer fits when, and why):\n")
		writeRows(&b, rows)
	}
	if set.unread && cmd.Flags().Lookup("set") != nil {
		fmt.Fprintf(&b, "\nHelp does not fetch the set %s; rustgen explain --template %s lists its decisions.\n",
			vcs.WithoutSecret(set.source), quote(vcs.WithoutSecret(set.source)))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%s COMMAND --help says more.\n", cmd.CommandPath())
	}
	return b.String()
}

// row is a name and what it means.
type row struct{ name, text string }

// writeRows writes names and texts in two columns. A name that is too long for its column has a line of its own.
func writeRows(b *strings.Builder, rows []row) {
	const most = 30
	width := 0
	for _, r := range rows {
		if len(r.name) <= most {
			width = max(width, len(r.name))
		}
	}
	indent := strings.Repeat(" ", width+5)
	for _, r := range rows {
		text := strings.TrimSpace(fold(r.text, helpWidth, indent))
		if len(r.name) > width {
			fmt.Fprintf(b, "  %s\n%s%s\n", r.name, indent, text)
			continue
		}
		fmt.Fprintf(b, "  %-*s   %s\n", width, r.name, text)
	}
}

// ownFlags are the flags of a command that are not a decision's.
func ownFlags(cmd *cobra.Command) []row {
	var rows []row
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, decision := f.Value.(*decisionValue); decision || f.Hidden {
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
		rows = append(rows, row{name, text})
	})
	return rows
}

// decisionFlags are the flags of a command that answer decisions, in the order of the set. In a service, what it has
// decided stands in place of the set's own answers.
func decisionFlags(cmd *cobra.Command, set *openedSet) []row {
	var rows []row
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		f := cmd.Flags().Lookup(d.ID)
		if f == nil {
			continue
		}
		if _, ok := f.Value.(*decisionValue); !ok {
			continue
		}
		text := f.Usage
		if words := set.computed(d); words != "" {
			text = fmt.Sprintf("%s (default: %s)", d.Question, words)
		}
		if now, ok := set.now(d); ok && takesService(cmd) {
			text = strings.TrimSpace(d.Question + " (now: " + now + ")")
		}
		rows = append(rows, row{"--" + d.ID + " " + d.Syntax(), text})
	}
	return rows
}

// computed tells what a computed default comes to, where the set answers with it.
func (s *openedSet) computed(d *decision.Decision) string {
	_, locked := s.Catalog.Locked[d.ID]
	_, preset := s.Catalog.Presets[d.ID]
	if locked || preset || s.engine == nil {
		return ""
	}
	return s.Catalog.DefaultWords(s.engine.Eval, d)
}

// takesService reports whether a command works on a service that exists.
func takesService(cmd *cobra.Command) bool {
	return cmd.Name() == "set" || cmd.Name() == "upgrade"
}

// now is the answer of the service that the set is opened for.
func (s *openedSet) now(d *decision.Decision) (string, bool) {
	recorded, ok := s.current[d.ID]
	if !ok {
		return "", false
	}
	value, err := d.Read(recorded.Value)
	if err != nil {
		return "", false
	}
	return value.String(), true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
