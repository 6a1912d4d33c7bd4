package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/decision"
)

// completeValues are the answers of a decision with their reasons; now is the one that a service has.
func completeValues(d *decision.Decision, now string) []string {
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
func completeAnswers(set *openedSet) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		id, _, hasValue := strings.Cut(word, "=")
		if hasValue {
			d, ok := set.Catalog.Find(id)
			if !ok {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			now, _ := set.now(d)
			values := completeValues(d, now)
			for i := range values {
				values[i] = id + "=" + values[i]
			}
			return values, cobra.ShellCompDirectiveNoFileComp
		}
		var ids []string
		for i := range set.Catalog.Decisions {
			d := &set.Catalog.Decisions[i]
			text := d.Question
			if now, ok := set.now(d); ok {
				text = strings.TrimSpace(text + " (now: " + now + ")")
			}
			ids = append(ids, cobra.CompletionWithDesc(d.ID+"=", text))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// completeIDs completes one decision, with its question.
func completeIDs(set *openedSet) cobra.CompletionFunc {
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
