package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rustgen/internal/decision"
	"rustgen/internal/interview"
	"rustgen/internal/prompt"
	"rustgen/internal/report"
	"rustgen/internal/source"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
)

// changeOptions is what `rustgen upgrade` or `rustgen set` was asked to do.
type changeOptions struct {
	command    string
	dir        string
	yes        bool
	dryRun     bool
	json       bool
	accessible bool
	allowDirty bool
	downgrade  bool
	format     string
	answers    answerFlags
	given      map[string]decision.Input
}

func (o *changeOptions) add(cmd *cobra.Command, c *decision.Catalog) {
	flags := cmd.Flags()
	serviceFlag(cmd, &o.dir)
	flags.BoolVarP(&o.yes, "yes", "y", false, "ask nothing; take the recommended answers for new decisions")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be done, and do nothing")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.BoolVar(&o.accessible, "accessible", false, "ask line by line, for screen readers; answers may also be piped in")
	flags.BoolVar(&o.allowDirty, "allow-dirty", false, "merge into files with uncommitted changes too")
	addTemplateFlag(cmd, ownSet)
	o.answers.add(cmd, c)
}

func (a *app) upgradeCommand(set *source.Set) *cobra.Command {
	o := &changeOptions{command: "rustgen upgrade"}
	var abort, proceed bool
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Merge the newest template into a service",
		Long: `Merge the template of this rustgen (or of --template) into a service, whatever was edited in it.

The merge is between what the template wrote last, what the service is now, and what the template writes today. Changes
to different lines are joined; a file that both sides changed in the same lines gets conflict markers, and the index of
git the three sides, as with git merge. Then the exit code is 3, and --continue or --abort ends the upgrade.

New decisions are asked at a terminal and take their default elsewhere; --ID VALUE and --set answer any decision on the
way. Everything is applied, or nothing is.`,
		Example: `  rustgen upgrade --dry-run
  rustgen upgrade
  rustgen upgrade --set state=stateful
  rustgen upgrade --format markdown > body.md`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if abort && proceed {
				return usage("give one of them", "--abort and --continue exclude each other")
			}
			if o.format != "text" && o.format != "markdown" {
				return usage("--format text or --format markdown", "--format %s: there is no such format", o.format)
			}
			if abort || proceed {
				return a.endUpgrade(cmd, o, abort)
			}
			s, err := a.openService(cmd.Context(), o.dir, o.dryRun)
			if err != nil {
				return err
			}
			if err := set.Matches(s); err != nil {
				return err
			}
			if s.Compare(set.Set) == upgrade.Older && !o.downgrade {
				return failed(install(set)+"; --allow-downgrade takes the service back",
					"%s is older than the service's %s", set.Exact(), s.Origin())
			}
			if err := a.gather(cmd, set, s, o); err != nil {
				return err
			}
			return a.change(cmd, set, s, o)
		},
	}
	o.add(cmd, &set.Catalog)
	cmd.Flags().StringVar(&o.format, "format", "text", "print the result as `FORMAT`: text, or markdown for the body of a pull request")
	cmd.Flags().BoolVar(&o.downgrade, "allow-downgrade", false, "take the service back to an older version of the template")
	cmd.Flags().BoolVar(&abort, "abort", false, "bring back what was there before the last upgrade")
	cmd.Flags().BoolVar(&proceed, "continue", false, "end an upgrade whose conflicts are resolved")
	return cmd
}

// install is what brings a version of the set as new as the service's.
func install(set *source.Set) string {
	if set.Source == "" {
		return "install the rustgen of whoever upgraded the service last, or a newer one"
	}
	return "--template SOURCE names a newer version of the set"
}

// gather collects what was answered: by arguments and flags for any decision, by the environment only for those that the
// service has not made yet, lest a variable left in a shell change it.
func (a *app) gather(cmd *cobra.Command, set *source.Set, s *upgrade.Service, o *changeOptions) error {
	given, err := a.given(cmd, &set.Catalog, &o.answers, "")
	if err != nil {
		return err
	}
	for id, input := range given {
		_, recorded := s.Record.Decisions[id]
		if d, ok := set.Catalog.Find(id); ok && d.Was != nil && !recorded {
			_, recorded = s.Record.Decisions[d.Was.ID]
		}
		if recorded && input.From.Way == decision.ByEnvironment {
			delete(given, id)
		}
	}
	o.given = given
	return nil
}

// change merges what the set renders into the service.
func (a *app) change(cmd *cobra.Command, set *source.Set, s *upgrade.Service, o *changeOptions) error {
	if err := s.Pending(); err != nil {
		return err
	}
	ctx := cmd.Context()
	again := &interview.Change{
		Set: set, Service: s, Given: o.given, Command: o.command, Dir: o.dir, Confirm: confirmChange(o.dryRun),
		Silent: o.yes || o.dryRun || o.answers.file == "-" || !a.interactive() && !o.accessible,
		Face:   a.face(o.accessible),
	}
	out, err := again.Decide(ctx)
	if errors.Is(err, prompt.ErrAborted) {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	uncommitted := func() (map[string]bool, error) { return nil, nil }
	if !o.allowDirty && !o.dryRun {
		uncommitted = s.DirtyLater(ctx)
	}
	u, err := s.Merge(ctx, o.command, set.Template(s), out)
	if err != nil {
		return err
	}
	dirty, err := uncommitted()
	if err != nil {
		return err
	}
	if err := u.RefuseDirty(dirty); err != nil {
		return err
	}
	for _, w := range out.Warnings {
		a.say("warning: %s", w)
	}
	if err := a.sayHeld(ctx, set); err != nil {
		return err
	}
	if err := a.perform(cmd, s, u.Plan, o.dryRun); err != nil {
		return err
	}
	return a.reportUpgrade(set, s, out, u, o)
}

// sayHeld says that there is a newer version of a set that is held at a @REF.
func (a *app) sayHeld(ctx context.Context, set *source.Set) error {
	if set.Git == nil || set.Git.Held == "" {
		return nil
	}
	newest, err := set.NewerTag(ctx)
	if err == nil && newest.Tag != "" {
		a.say("held at %s, and %s is newer: rustgen upgrade --template %s", set.Git.Held, newest.Version, quote(vcs.WithoutSecret(set.HeldAt(newest.Tag))))
	}
	return err
}

func confirmChange(dryRun bool) string {
	if dryRun {
		return "Print what would change, and write nothing"
	}
	return "Change the service"
}

// face is how and where questions are asked.
func (a *app) face(accessible bool) prompt.Options {
	return prompt.Options{
		In: a.in, Out: a.terminal, Getenv: a.getenv,
		Accessible: accessible || a.getenv("ACCESSIBLE") != "" || a.getenv("TERM") == "dumb",
	}
}

// endUpgrade takes the last upgrade back, or ends one whose conflicts are resolved. Neither needs the template.
func (a *app) endUpgrade(cmd *cobra.Command, o *changeOptions, abort bool) error {
	s, err := a.openDir(cmd.Context(), o.dir, o.dryRun)
	if err != nil {
		return err
	}
	var p *upgrade.Plan
	if abort {
		p, err = s.Abort(cmd.Context(), o.allowDirty || o.dryRun)
	} else if err = s.Load(cmd.Context()); err == nil {
		p, err = s.Continue(cmd.Context())
	}
	if err != nil {
		return err
	}
	if err := a.perform(cmd, s, p, o.dryRun); err != nil {
		return err
	}
	done := !o.dryRun
	switch {
	case o.json && abort:
		return a.writeJSON(report.End{DryRun: o.dryRun, Aborted: &done, From: p.From, To: p.To, Files: p.Items()})
	case o.json:
		return a.writeJSON(report.End{DryRun: o.dryRun, Continued: &done, From: p.From, To: p.To})
	case abort && o.dryRun:
		return a.printRestored(p.Items(), true)
	case abort:
		_, err = fmt.Fprintf(a.out, "took back %s\n", ended(p))
	case o.dryRun:
		_, err = fmt.Fprintf(a.out, "%s would be complete\n", ended(p))
	default:
		_, err = fmt.Fprintf(a.out, "%s is complete; commit it\n", ended(p))
	}
	return err
}

// ended is what a run ends: an upgrade, or a change that leaves the version as it is.
func ended(p *upgrade.Plan) string {
	if p.From == p.To {
		return "the change at " + p.To
	}
	return fmt.Sprintf("the upgrade from %s to %s", p.From, p.To)
}
