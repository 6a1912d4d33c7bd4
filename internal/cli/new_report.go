package cli

import (
	"fmt"
	"io"
	"strings"

	"rustgen/internal/cargo"
	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/upgrade"
)

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
		next = enter + start(r)
	}
	if next != "" {
		a.say("\nNext:\n  %s", next)
	}
	if r.Has("README.md") {
		a.say("README.md says what was decided and why.")
	}
	return err
}

// start is the command that runs a new service. One that speaks TLS ends at once where it has no certificates.
func start(r *report.New) string {
	if tls, ok := r.Decisions["tls"]; ok && fmt.Sprint(tls.Value) != "none" {
		return "env $(cargo run --package loadtest -- certificates) cargo run"
	}
	return "cargo run"
}
