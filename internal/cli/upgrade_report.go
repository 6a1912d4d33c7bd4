package cli

import (
	"io"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/source"
	"rustgen/internal/upgrade"
)

// reportUpgrade says what happened, on standard output, and gives conflicts their exit code.
func (a *app) reportUpgrade(set *source.Set, s *upgrade.Service, out *decision.Outcome, u *upgrade.Upgrade, o *changeOptions) error {
	changed, err := s.ChangedDecisions(set.Template(s), out)
	if err != nil {
		return err
	}
	r := &report.Upgrade{
		Dir: near(s.Dir), Template: u.Record.Template, From: u.From, To: u.To,
		DryRun: o.dryRun, Decisions: changed, Warnings: append([]string{}, out.Warnings...),
		Files: u.Items(), Conflicts: len(u.Conflicts), FromExtends: s.Record.Extends, ToExtends: u.Record.Extends,
		Changelog: s.Changelog(set.Set), Title: s.Title(set.Set), Moved: s.Origin() != upgrade.OriginOf(set.Set),
	}
	switch {
	case o.json:
		err = a.writeJSON(r)
	case o.format == "markdown":
		_, err = io.WriteString(a.out, r.Markdown())
	default:
		_, err = io.WriteString(a.out, r.Text())
		if summary := r.Summary(); err == nil && !o.dryRun && summary != "" && len(u.Changes) > 0 && len(u.Conflicts) == 0 {
			a.say("\n%s. Nothing is committed: look at it, run the checks, and commit it with .rustgen.", summary)
		}
	}
	if err != nil || o.dryRun || len(u.Conflicts) == 0 {
		return err
	}
	paths := make([]string, len(u.Conflicts))
	for i, c := range u.Conflicts {
		paths[i] = c.Path
	}
	return hint.New(hint.Conflicts, "resolve them, then rustgen upgrade --continue; rustgen upgrade --abort goes back",
		"%s left: %s", count(len(paths), "conflict"), hint.Some(paths))
}
