package cli

import (
	"fmt"
	"io"
	"strings"

	"rustgen/internal/cargo"
	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/source"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
)

func makeNewReport(set *source.Set, o *newOptions, b *newService) *report.New {
	r := &report.New{
		Name:      fmt.Sprint(b.Out.Data[decision.NameID]),
		Dir:       b.Dir,
		Template:  report.Template{Name: set.Name, Version: set.Version},
		DryRun:    o.dryRun,
		Decisions: report.Answers(b.Out),
		Warnings:  append([]string{}, b.Out.Warnings...),
		Notes:     b.Notes(&set.Catalog, o.dryRun),
		Files:     upgrade.Create(b.Tree),
		Command:   commandLine(set, o, b.Out),
	}
	return r
}

// commandLine is the run as one line for a script: what was chosen, and where it goes. It gives the same bytes.
func commandLine(set *source.Set, o *newOptions, out *decision.Outcome) string {
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
	if o.dir != "" {
		words = append(words, "--dir", o.dir)
	}
	if o.vcs != "git" {
		words = append(words, "--vcs", o.vcs)
	}
	if len(out.Missing) > 0 || o.yes {
		words = append(words, "--yes")
	}
	for i, w := range words {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

func count(n int, what string) string { return hint.Count(n, what) }

// printPlan says what would be written to a directory that there is not yet.
func (a *app) printPlan(files []upgrade.Action, dir string) error {
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "%s %s %s\n", f.Verb, f.Mode, f.Path)
	}
	_, err := io.WriteString(a.out, b.String())
	a.say("%s would be written to %s; nothing was", count(len(files), "file"), shown(dir))
	return err
}

// printReport tells a person what happened: the plan as a result, what to do next as talk.
func (a *app) printReport(r *report.New) error {
	if r.DryRun {
		return a.printPlan(r.Files, r.Dir)
	}
	_, err := fmt.Fprintf(a.out, "created %s: %s from %s %s\n", shown(r.Dir), count(len(r.Files), "file"), r.Template.Name, r.Template.Version)
	enter := "cd " + quote(r.Dir) + " && "
	if r.Dir == "." {
		enter = ""
	}
	next := strings.TrimSuffix(enter, " && ")
	if r.Has(cargo.ManifestName) {
		next = enter + "cargo run"
	}
	if next != "" {
		a.say("\nNext:\n  %s", next)
	}
	if r.Has("README.md") {
		a.say("README.md says what was decided and why.")
	}
	return err
}
