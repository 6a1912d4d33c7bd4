package cli

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/terminal"
)

// addTemplateFlag declares the flag by which findCall knows the set, and says which set is used without it.
func addTemplateFlag(cmd *cobra.Command, fallback string) {
	cmd.Flags().String("template", "", "use the template set at `SOURCE`: a directory, or a git URL with an optional @REF (default: "+fallback+")")
}

// What is used without --template: see setFor.
const (
	embeddedSet = "the embedded set"
	ownSet      = "the service's own"
)

func flagNames(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	slices.Sort(names)
	return names
}

// noArguments refuses arguments with the command's own words.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd.CommandPath()+" --help", "%s takes no argument, and got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// atMostOne refuses a second argument.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(cmd.CommandPath()+" --help", "%s takes one argument, and got a second: %q", cmd.CommandPath(), args[1])
	}
	return nil
}

// quote writes a word as a POSIX shell reads it back.
func quote(word string) string { return hint.Quote(word) }

// bare is the cause of a path error, which the message names itself.
func bare(err error) error { return hint.Cause(err) }

// near is a directory from here, and shown one as it was given, both as people write them.
func near(dir string) string  { return report.Near(dir) }
func shown(dir string) string { return report.Shown(dir) }

// visible is a text that commands no terminal.
func visible(text string) string { return terminal.Visible(text) }

// reservedFlags are rustgen's own; no decision may take them.
var reservedFlags = []string{
	"abort", "accessible", "allow-dirty", "allow-downgrade", "answers", "check", "continue", "dir", "dry-run", "format",
	"help", "json", "set", "template", "vcs", "version", "yes",
}
