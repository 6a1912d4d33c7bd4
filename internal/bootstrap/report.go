package bootstrap

import (
	"fmt"
	"strings"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/source"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
)

// Report is what is told of the service. command is the run as one line.
func (b *Service) Report(set *source.Set, command string, dryRun bool) *report.New {
	return &report.New{
		Name:      fmt.Sprint(b.Out.Data[decision.NameID]),
		Dir:       b.Dir,
		Template:  report.Template{Name: set.Name, Version: set.Version},
		DryRun:    dryRun,
		Decisions: report.Answers(b.Out),
		Warnings:  append([]string{}, b.Out.Warnings...),
		Notes:     append(b.Notes(&set.Catalog, dryRun), b.APINotes...),
		Files:     upgrade.Create(b.Tree),
		Command:   command,
	}
}

// Call is what `rustgen new` was given beside the decisions.
type Call struct {
	Dir, VCS string
	Yes      bool
}

// CommandLine is the run as one line for a script: what was chosen, and where it goes. It gives the same bytes.
func (o Call) CommandLine(set *source.Set, out *decision.Outcome) string {
	words := []string{"rustgen", "new"}
	if set.Source != "" {
		words = append(words, "--template", vcs.WithoutSecret(set.Source))
	}
	var flags []string
	name := ""
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		answer, ok := out.Answers[d.ID]
		switch {
		case !ok || answer.Origin != decision.Chosen:
		case d.ID == decision.NameID:
			name = answer.Value.String()
		default:
			flags = append(flags, d.Flag(), answer.Value.String())
		}
	}
	if name != "" {
		words = append(words, name)
	}
	words = append(words, flags...)
	if o.Dir != "" {
		words = append(words, "--dir", o.Dir)
	}
	if o.VCS != "git" {
		words = append(words, "--vcs", o.VCS)
	}
	if len(out.Missing) > 0 || o.Yes {
		words = append(words, "--yes")
	}
	for i, w := range words {
		words[i] = hint.Quote(w)
	}
	return strings.Join(words, " ")
}
