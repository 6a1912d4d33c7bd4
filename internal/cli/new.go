package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/bootstrap"
	"rustgen/internal/decision"
	"rustgen/internal/prompt"
	"rustgen/internal/proto"
	"rustgen/internal/source"
)

// newOptions is what `rustgen new` was asked to do.
type newOptions struct {
	name       string
	dir        string
	vcs        string
	yes        bool
	dryRun     bool
	json       bool
	accessible bool
	answers    answerFlags
	given      map[string]decision.Input
	// api is what the protos of --proto declare, read from apiFrom; nil for the sample.
	api     *proto.API
	apiFrom []string
}

func (a *app) newCommand(set *source.Set) *cobra.Command {
	o := &newOptions{}
	cmd := &cobra.Command{
		Use:   "new [NAME]",
		Short: "Bootstrap a service in ./NAME",
		Long: `Bootstrap a service in ./NAME.

At a terminal it asks for the decisions that were not given, each with the reasons for each answer. Without one, the
deliberate decisions must be given; --yes takes the recommended answers for them. Every decision is also read from an
environment variable (RUSTGEN_STATE for --state) and from --answers.

Nothing is written before every answer is checked, and then the directory appears whole or not at all.`,
		Example: `  rustgen new hello
  rustgen new hello --yes
  rustgen new hello --state stateful --allocator jemalloc --runtime multi-thread --memory 1GiB
  rustgen new hello --answers answers.yaml --dry-run --json
  rustgen new rides --proto ../apis/ride --include ../apis/third_party`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if o.name = args[0]; o.name == "" {
					return usage("rustgen new NAME", "the name is empty")
				}
				if err := refusePath(o); err != nil {
					return err
				}
			}
			if cmd.Flags().Changed("dir") && o.dir == "" {
				return usage("leave --dir out to make the service in ./NAME", "--dir is empty")
			}
			var err error
			if o.given, err = a.given(cmd, &set.Catalog, &o.answers, o.name); err != nil {
				return err
			}
			impliedAPI(set, o.given)
			return a.makeService(cmd.Context(), set, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "", "make the service in `DIR` instead of ./NAME; \".\" for a repository that exists and is empty")
	flags.StringVar(&o.vcs, "vcs", "git", "`git|none`: make a repository and its first commit where there is none, or leave version control alone")
	_ = cmd.RegisterFlagCompletionFunc("vcs", cobra.FixedCompletions([]cobra.Completion{"git", "none"}, cobra.ShellCompDirectiveNoFileComp))
	flags.BoolVarP(&o.yes, "yes", "y", false, "ask nothing; take the recommended answers for what is left")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be written, and write nothing")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.BoolVar(&o.accessible, "accessible", false, "ask line by line, for screen readers; answers may also be piped in")
	addTemplateFlag(cmd, embeddedSet)
	o.answers.add(cmd, &set.Catalog)
	return cmd
}

func (a *app) makeService(ctx context.Context, set *source.Set, o *newOptions) error {
	if o.vcs != "git" && o.vcs != "none" {
		return usage("--vcs git or --vcs none", "--vcs %s: there is no such version control", o.vcs)
	}
	var err error
	if o.given, err = bootstrap.AnswersAround(&set.Catalog, o.given, set.Name, o.dir); err != nil {
		return err
	}
	out, err := a.decided(ctx, set, o)
	if err != nil {
		return err
	}
	b := &bootstrap.Service{Given: o.given, Out: out}
	asked := len(out.Missing) > 0
	if asked {
		if b.Given, err = a.ask(ctx, set, o); err != nil {
			return err
		}
		if b.Out, err = resolve(set, b.Given, o.yes); err != nil {
			return err
		}
	}
	if err := a.readAPI(ctx, set, o, b.Out); err != nil {
		return err
	}
	if err := b.Prepare(set, o.dir, o.api); err != nil {
		return err
	}
	result := b.Report(set, o.call().CommandLine(set, b.Out), o.dryRun)
	if asked {
		a.say("The same from a script:\n  %s", result.Command)
	}
	if !o.dryRun {
		message := fmt.Sprintf("Bootstrap %s from %s %s", result.Name, set.Name, set.Version)
		result.Repository, err = b.Write(ctx, o.vcs == "git", message, a.say)
		a.written = a.written || b.Written
		if err != nil {
			return err
		}
	}
	for _, w := range result.Warnings {
		a.say("warning: %s", w)
	}
	for _, n := range result.Notes {
		a.say("note: %s", n)
	}
	if o.json {
		return a.writeJSON(result)
	}
	return a.printReport(result)
}

// refusePath refuses a path in the place of a name, which says where as well as what.
func refusePath(o *newOptions) error {
	if !strings.ContainsAny(o.name, "/\\") && o.name != "." {
		return nil
	}
	name := directoryName(o.name)
	if decision.CheckName(name) != nil {
		name = "NAME"
	}
	dir := o.dir
	if dir == "" {
		dir = filepath.Clean(o.name)
	}
	return usage(fmt.Sprintf("rustgen new %s --dir %s", name, quote(dir)), "name %q: it is a path, and the argument is what the service is called", o.name)
}

// decided resolves what was given. Wrong answers are refused here, before anything is asked; missing ones are left
// where somebody can be asked.
func (a *app) decided(ctx context.Context, set *source.Set, o *newOptions) (*decision.Outcome, error) {
	out, err := resolve(set, o.given, o.yes)
	if err != nil {
		return nil, err
	}
	if len(out.Problems) > 0 || len(out.Missing) > 0 && !a.canAsk(o) {
		return nil, out.Err()
	}
	if err := a.readAPI(ctx, set, o, out); err != nil {
		return nil, err
	}
	if name, ok := out.Answers[decision.NameID]; ok || o.dir != "" {
		dir, err := bootstrap.Target(o.dir, name)
		if err != nil {
			return nil, err
		}
		if err := a.resume(ctx, o, dir); err != nil {
			return nil, err
		}
		return out, bootstrap.CheckTarget(dir, nil)
	}
	return out, nil
}

// canAsk reports whether a missing answer can be asked for: at a terminal, or line by line from whatever standard input
// is, where that was asked for by its flag. The variables say how somebody reads and not that somebody is there.
func (a *app) canAsk(o *newOptions) bool {
	return !o.yes && o.answers.file != "-" && (a.interactive() || o.accessible)
}

func resolve(set *source.Set, given map[string]decision.Input, yes bool) (*decision.Outcome, error) {
	out, err := set.Catalog.Resolve(set.Engine.Eval, decision.Request{Given: given, AcceptDefaults: yes})
	if err != nil {
		return nil, source.Fault(set.Source, err)
	}
	return out, nil
}

// call is what the run was given beside the decisions.
func (o *newOptions) call() bootstrap.Call { return bootstrap.Call{Dir: o.dir, VCS: o.vcs, Yes: o.yes} }

func confirmNew(dryRun bool) string {
	if dryRun {
		return "Print the plan, and write nothing"
	}
	return "Create the service"
}

// ask prompts for what is missing.
func (a *app) ask(ctx context.Context, set *source.Set, o *newOptions) (map[string]decision.Input, error) {
	opts := a.face(o.accessible)
	opts.Command, opts.Confirm, opts.Title, opts.Catalog = "rustgen new", confirmNew(o.dryRun), set.Name+" "+set.Version, &set.Catalog
	opts.Given, opts.Suggest = o.given, map[string]string{}
	opts.Resolve = func(given map[string]decision.Input) (*decision.Outcome, error) {
		out, err := resolve(set, given, false)
		if err != nil {
			return nil, err
		}
		refuseTaken(o, out)
		a.refuseProtos(ctx, set, o, out)
		return out, nil
	}
	opts.Review = func(given map[string]decision.Input, out *decision.Outcome) (string, string, error) {
		b := &bootstrap.Service{Given: given, Out: out}
		if err := b.Prepare(set, o.dir, o.api); err != nil {
			return "", "", err
		}
		plan := b.Report(set, o.call().CommandLine(set, out), o.dryRun)
		// The form draws them as they are.
		return visible(plan.Summary(shown(plan.Dir))), visible(plan.Command), nil
	}
	if name := directoryName(o.dir); decision.CheckName(name) == nil {
		opts.Suggest[decision.NameID] = name
	}
	given, err := prompt.Ask(ctx, opts)
	if errors.Is(err, prompt.ErrAborted) {
		a.sayGoOn(set, o, given)
		return nil, errInterrupted
	}
	return given, err
}

// sayGoOn prints the answers of a prompt that was left halfway as the command line that goes on from there.
func (a *app) sayGoOn(set *source.Set, o *newOptions, given map[string]decision.Input) {
	out, err := resolve(set, given, false)
	if err != nil || len(given) <= len(o.given) {
		return
	}
	so := *o
	so.yes = false
	a.say("Go on from the answers so far:\n  %s", strings.TrimSuffix(so.call().CommandLine(set, out), " --yes"))
}

// resume completes what a killed run had begun to put into dir.
func (a *app) resume(ctx context.Context, o *newOptions, dir string) error {
	if o.dryRun {
		return nil
	}
	finished, err := bootstrap.Resume(ctx, dir)
	if finished {
		a.written = true
		a.say("warning: a run that was killed had begun a service in %s; it is complete now", dir)
	}
	return err
}
