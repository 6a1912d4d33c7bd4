package report

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/upgrade"
)

// New is what `rustgen new` did or would do.
type New struct {
	Name      string            `json:"name"`
	Dir       string            `json:"dir"`
	Template  Template          `json:"template"`
	DryRun    bool              `json:"dry_run"`
	Decisions map[string]Answer `json:"decisions"`
	Warnings  []string          `json:"warnings"`
	// Notes say where the service stands and what was done about it.
	Notes      []string         `json:"notes"`
	Files      []upgrade.Action `json:"files"`
	Repository string           `json:"repository,omitempty"`
	Command    string           `json:"command"`
}

// Template names a set and its version.
type Template struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Answers are the decisions that an outcome has made.
func Answers(out *decision.Outcome) map[string]Answer {
	all := map[string]Answer{}
	for id, answer := range out.Answers {
		all[id] = Answer{answer.Value.Raw(), answer.Origin}
	}
	return all
}

// Summary is the plan in a few lines, by top-level entry; dir is the directory as people write it.
func (r *New) Summary(dir string) string {
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
	fmt.Fprintf(&b, "%s, %s in %s\n", hint.Count(len(r.Files), "file"), kib(total), dir)
	for _, g := range groups {
		fmt.Fprintf(&b, "  %-14s %8s %9s\n", g.name, hint.Count(g.files, "file"), kib(g.bytes))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "%s\n", n)
	}
	return strings.TrimRight(b.String(), "\n")
}

func kib(n int) string { return fmt.Sprintf("%.1f KiB", float64(n)/1024) }

// Has reports whether the service has a file of that path.
func (r *New) Has(path string) bool {
	return slices.ContainsFunc(r.Files, func(f upgrade.Action) bool { return f.Path == path })
}
