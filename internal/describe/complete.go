package describe

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/decision"
	"rustgen/internal/report"
	"rustgen/internal/source"
)

// Values are the answers of a decision with their reasons; now is the one that a service has.
func Values(d *decision.Decision, now string) []string {
	var all []string
	add := func(value, why string) {
		if value == now {
			why = strings.TrimSuffix("now; "+why, "; ")
		}
		all = append(all, cobra.CompletionWithDesc(value, why))
	}
	if d.Type == decision.Bool {
		add("yes", "")
		add("no", "")
	}
	for _, o := range d.Options {
		add(o.Value, o.Why)
	}
	if len(all) == 0 && now != "" {
		add(now, "")
	}
	return all
}

// completeAnswers completes ID=VALUE: the ids with their questions, then the answers with their reasons.
func completeAnswers(set *source.Set) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		id, _, hasValue := strings.Cut(word, "=")
		if hasValue {
			d, ok := set.Catalog.Find(id)
			if !ok {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			now, _ := set.Now(d)
			values := Values(d, now)
			for i := range values {
				values[i] = id + "=" + values[i]
			}
			return values, cobra.ShellCompDirectiveNoFileComp
		}
		var ids []string
		for i := range set.Catalog.Decisions {
			d := &set.Catalog.Decisions[i]
			text := d.Question
			if now, ok := set.Now(d); ok {
				text = strings.TrimSpace(text + " (now: " + now + ")")
			}
			ids = append(ids, cobra.CompletionWithDesc(d.ID+"=", text))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// Completions tells the shell what each command's arguments and flags may be, as far as their commands have not.
func Completions(root *cobra.Command, set *source.Set) {
	directories := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	files := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveDefault
	}
	arguments := map[string]cobra.CompletionFunc{
		"rustgen set": completeAnswers(set), "rustgen man": completeCommands,
		"rustgen status": directories, "rustgen audit": directories, "rustgen template validate": directories,
		"rustgen template export": directories, "rustgen layer export": directories,
		"rustgen diff": files, "rustgen restore": files,
	}
	flags := map[string]cobra.CompletionFunc{
		"set": completeAnswers(set), "dir": directories, "template": directories,
		"answers": files, "settings": files, "baseline": files,
		"check": completeList(report.Checks), "format": cobra.FixedCompletions([]cobra.Completion{"text", "markdown"}, cobra.ShellCompDirectiveNoFileComp),
	}
	for _, c := range Below(root) {
		if f, ok := arguments[c.CommandPath()]; ok && c.ValidArgsFunction == nil {
			c.ValidArgsFunction = f
		}
		for name, f := range flags {
			if c.Flags().Lookup(name) == nil {
				continue
			}
			if _, has := c.GetFlagCompletionFunc(name); !has {
				_ = c.RegisterFlagCompletionFunc(name, f)
			}
		}
	}
}

// completeCommands completes the name of a command, one word after the other.
func completeCommands(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	at, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, c := range at.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeList completes items that commas separate, each at most once.
func completeList(items []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		before, _ := cutLast(word)
		given := strings.Split(before, ",")
		var all []string
		for _, item := range items {
			if !slices.Contains(given, item) {
				all = append(all, before+item)
			}
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// cutLast divides a list at its last comma, which stays with what is before it.
func cutLast(list string) (before, last string) {
	at := strings.LastIndex(list, ",") + 1
	return list[:at], list[at:]
}

// IDs completes one decision, with its question.
func IDs(set *source.Set) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var ids []string
		for i := range set.Catalog.Decisions {
			if d := &set.Catalog.Decisions[i]; len(args) == 0 {
				ids = append(ids, cobra.CompletionWithDesc(d.ID, d.Question))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}
