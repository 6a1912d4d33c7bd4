package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"rustgen/internal/cargo"
	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
)

// newReport is what `rustgen new` did or would do.
type newReport struct {
	Name      string                    `json:"name"`
	Dir       string                    `json:"dir"`
	Template  templateReport            `json:"template"`
	DryRun    bool                      `json:"dry_run"`
	Decisions map[string]decisionReport `json:"decisions"`
	Warnings  []string                  `json:"warnings"`
	// Notes say where the service stands and what was done about it.
	Notes      []string         `json:"notes"`
	Files      []upgrade.Action `json:"files"`
	Repository string           `json:"repository,omitempty"`
	Command    string           `json:"command"`
	order      []string
}

type templateReport struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type decisionReport struct {
	Value decision.Value  `json:"value"`
	From  decision.Origin `json:"from"`
}

func makeNewReport(set *openedSet, o *newOptions, b *bootstrap) *newReport {
	r := &newReport{
		Name:      fmt.Sprint(b.out.Data[decision.NameID]),
		Dir:       b.dir,
		Template:  templateReport{set.Name, set.Version},
		DryRun:    o.dryRun,
		Decisions: decisionReports(&set.Catalog, b.out),
		Warnings:  append([]string{}, b.out.Warnings...),
		Notes:     b.place.notes(set, b, o.dryRun),
		Files:     upgrade.Create(b.tree),
		Command:   commandLine(set, o, b.out),
		order:     set.Catalog.IDs(),
	}
	return r
}

// decisionReports writes values as an answers file holds them.
func decisionReports(c *decision.Catalog, out *decision.Outcome) map[string]decisionReport {
	reports := map[string]decisionReport{}
	for i := range c.Decisions {
		d := &c.Decisions[i]
		answer, ok := out.Answers[d.ID]
		if !ok {
			continue
		}
		reports[d.ID] = decisionReport{answer.Value, answer.Origin}
	}
	return reports
}

// commandLine is the run as one line for a script: what was chosen, and where it goes. It gives the same bytes.
func commandLine(set *openedSet, o *newOptions, out *decision.Outcome) string {
	words := []string{"rustgen", "new"}
	if set.source != "" {
		words = append(words, "--template", vcs.WithoutSecret(set.source))
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

// summary is the plan in a few lines, by top-level entry.
func (r *newReport) summary() string {
	type group struct {
		name         string
		files, bytes int
	}
	var groups []group
	total := 0
	for _, f := range r.Files {
		name, _, nested := strings.Cut(f.Path, "/")
		if nested {
			name += "/"
		}
		if len(groups) == 0 || groups[len(groups)-1].name != name {
			groups = append(groups, group{name: name})
		}
		g := &groups[len(groups)-1]
		g.files++
		g.bytes += f.Size
		total += f.Size
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s in %s\n", count(len(r.Files), "file"), kib(total), shown(r.Dir))
	for _, g := range groups {
		fmt.Fprintf(&b, "  %-14s %8s %9s\n", g.name, count(g.files, "file"), kib(g.bytes))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "%s\n", n)
	}
	return strings.TrimRight(b.String(), "\n")
}

func count(n int, what string) string { return hint.Count(n, what) }

func kib(n int) string { return fmt.Sprintf("%.1f KiB", float64(n)/1024) }

// shown is a directory as a person would type it.
func shown(dir string) string {
	if filepath.IsAbs(dir) || dir == "." || strings.HasPrefix(dir, "..") {
		return dir
	}
	return "./" + dir
}

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
func (a *app) printReport(r *newReport) error {
	if r.DryRun {
		return a.printPlan(r.Files, r.Dir)
	}
	_, err := fmt.Fprintf(a.out, "created %s: %s from %s %s\n", shown(r.Dir), count(len(r.Files), "file"), r.Template.Name, r.Template.Version)
	enter := "cd " + quote(r.Dir) + " && "
	if r.Dir == "." {
		enter = ""
	}
	next := strings.TrimSuffix(enter, " && ")
	if r.has(cargo.ManifestName) {
		next = enter + "cargo run"
	}
	if next != "" {
		a.say("\nNext:\n  %s", next)
	}
	if r.has("README.md") {
		a.say("README.md says what was decided and why.")
	}
	return err
}

// has reports whether the service has a file of that path.
func (r *newReport) has(path string) bool {
	return slices.ContainsFunc(r.Files, func(f upgrade.Action) bool { return f.Path == path })
}
