package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/prompt"
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

func (a *app) upgradeCommand(set *openedSet) *cobra.Command {
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
way. All is done or nothing.`,
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
			if abort {
				return a.abortUpgrade(cmd.Context(), o)
			}
			if proceed {
				return a.continueUpgrade(cmd.Context(), o)
			}
			s, err := a.openOrRead(o.dir, o.dryRun)
			if err != nil {
				return err
			}
			if err := s.matches(set); err != nil {
				return err
			}
			if err := a.gather(cmd, set, s, o, nil); err != nil {
				return err
			}
			return a.change(cmd.Context(), set, s, o)
		},
	}
	o.add(cmd, &set.Catalog)
	cmd.Flags().StringVar(&o.format, "format", "text", "print the result as `FORMAT`: text, or markdown for the body of a pull request")
	cmd.Flags().BoolVar(&abort, "abort", false, "bring back what was there before the last upgrade")
	cmd.Flags().BoolVar(&proceed, "continue", false, "end an upgrade whose conflicts are resolved")
	return cmd
}

func (a *app) setCommand(set *openedSet) *cobra.Command {
	o := &changeOptions{command: "rustgen set", format: "text"}
	cmd := &cobra.Command{
		Use:   "set ID=VALUE...",
		Short: "Change decisions of a service that exists",
		Long: `Change decisions of a service, and merge what follows from them into it, as rustgen upgrade does.

What nobody chose is derived again from the changed decisions; what somebody chose stays.`,
		Example: `  rustgen set state=stateful
  rustgen set allocator=jemalloc memory=1GiB --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.openOrRead(o.dir, o.dryRun)
			if err != nil {
				return err
			}
			if err := s.matches(set); err != nil {
				return err
			}
			if err := a.gather(cmd, set, s, o, args); err != nil {
				return err
			}
			if len(o.given) == 0 {
				return usage("rustgen explain lists the decisions", "nothing to set: give ID=VALUE")
			}
			if s.on() != set.exact() {
				return failed("rustgen upgrade --set ID=VALUE does both at once",
					"the service is on %s, and this is %s", s.on(), set.exact())
			}
			return a.change(cmd.Context(), set, s, o)
		},
	}
	o.add(cmd, &set.Catalog)
	return cmd
}

// gather collects what was answered: by arguments and flags for any decision, by the environment only for those that the
// service has not made yet, lest a variable left in a shell change it.
func (a *app) gather(cmd *cobra.Command, set *openedSet, s *service, o *changeOptions, sets []string) error {
	o.answers.sets = append(slices.Clone(sets), o.answers.sets...)
	given, err := a.given(cmd, &set.Catalog, &o.answers, "")
	if err != nil {
		return err
	}
	for id, input := range given {
		_, recorded := s.Record.Decisions[id]
		if d, ok := set.Catalog.Find(id); ok && recorded && input.Where == d.Env() {
			delete(given, id)
		}
	}
	o.given = given
	return nil
}

// change merges what the set renders into the service.
func (a *app) change(ctx context.Context, set *openedSet, s *service, o *changeOptions) error {
	if s.Conflicts != nil {
		return &failure{exitConflicts, pendingError(s),
			"resolve them and run rustgen upgrade --continue, or rustgen upgrade --abort"}
	}
	out, err := a.decideAgain(ctx, set, s, o)
	if err != nil {
		return err
	}
	dirty := s.dirtyLater(ctx, o)
	u, err := a.planUpgrade(ctx, set, s, out)
	if err != nil {
		return err
	}
	if err := u.refuseDirty(dirty); err != nil {
		return err
	}
	for _, w := range out.Warnings {
		a.say("warning: %s", w)
	}
	if !o.dryRun {
		if err := a.writeUpgrade(ctx, u, o); err != nil {
			return err
		}
	}
	return a.reportUpgrade(u, o)
}

func confirmChange(dryRun bool) string {
	if dryRun {
		return "Print what would change, and write nothing"
	}
	return "Change the service"
}

// decideAgain resolves the service's decisions with the set: new ones are asked where somebody can be, else they take
// their default. Without one they are missing.
func (a *app) decideAgain(ctx context.Context, set *openedSet, s *service, o *changeOptions) (*decision.Outcome, error) {
	resolve := func(given map[string]decision.Input, defaults bool) (*decision.Outcome, error) {
		out, err := set.Catalog.Resolve(set.engine.Eval, decision.Request{Given: given, Recorded: s.Record.Decisions, AcceptDefaults: defaults})
		if err != nil {
			return nil, setFault(set.source, err)
		}
		return out, nil
	}
	out, err := resolve(o.given, true)
	if err != nil {
		return nil, err
	}
	asked := slices.DeleteFunc(slices.Clone(out.Added), func(id string) bool { _, given := o.given[id]; return given })
	for _, d := range out.Missing {
		asked = append(asked, d.ID)
	}
	silent := o.yes || o.dryRun || o.answers.file == "-" || !a.interactive() && !o.accessible
	if len(asked) == 0 || silent || len(out.Problems) > 0 {
		if err := out.Err(); err != nil {
			return nil, outdated(out, o, err)
		}
		return out, nil
	}
	given, settled := maps.Clone(o.given), map[string]bool{}
	settle := func(id string, node yaml.Node) {
		if _, now := given[id]; !now && !slices.Contains(asked, id) {
			given[id], settled[id] = decision.Input{Node: node, Where: "the service"}, true
		}
	}
	for id, answer := range out.Answers {
		if d, ok := set.Catalog.Find(id); ok {
			settle(id, d.Node(answer.Value))
		}
	}
	// What depends on a missing decision has no answer yet, and may have been chosen all the same.
	for id, recorded := range s.Record.Decisions {
		if _, ok := set.Catalog.Find(id); ok && recorded.Origin == decision.Chosen && !slices.Contains(out.Inapplicable, id) {
			settle(id, recorded.Value)
		}
	}
	answers, err := prompt.Ask(ctx, prompt.Options{
		In: a.in, Out: a.terminal, Getenv: a.getenv,
		Accessible: o.accessible || a.getenv("ACCESSIBLE") != "" || a.getenv("TERM") == "dumb",
		Command:    o.command,
		Confirm:    confirmChange(o.dryRun),
		Title:      set.Name + " " + set.Version,
		Catalog:    &set.Catalog,
		Given:      given,
		Settled:    settled,
		Resolve: func(given map[string]decision.Input) (*decision.Outcome, error) {
			return resolve(given, false)
		},
		Review: func(given map[string]decision.Input, out *decision.Outcome) (string, string, error) {
			// --yes takes the defaults of what was left to them.
			command := o.command + " --yes"
			if o.dir != "." {
				command += " --dir " + quote(o.dir)
			}
			if set.source != "" {
				command += " --template " + quote(vcs.WithoutSecret(set.source))
			}
			for _, id := range set.Catalog.IDs() {
				if _, chosen := given[id]; chosen && !settled[id] {
					d, _ := set.Catalog.Find(id)
					command += " --set " + quote(id+"="+d.Format(out.Answers[id].Value))
				}
			}
			return title(s, set), command, nil
		},
	})
	if errors.Is(err, prompt.ErrAborted) {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, err
	}
	final := maps.Clone(answers)
	maps.DeleteFunc(final, func(id string, _ decision.Input) bool { return settled[id] })
	out, err = resolve(final, true)
	if err != nil {
		return nil, err
	}
	return out, out.Err()
}

// outdated tells how to choose again where it is the service's own answer that the set no longer allows.
func outdated(out *decision.Outcome, o *changeOptions, err error) error {
	if len(out.Problems) == 0 || out.Problems[0].ID == "" {
		return err
	}
	id := out.Problems[0].ID
	if _, given := o.given[id]; given {
		return err
	}
	return usage(fmt.Sprintf("rustgen upgrade --set %s=VALUE chooses another; rustgen explain %s says when to choose what", id, id), "%v", err)
}
