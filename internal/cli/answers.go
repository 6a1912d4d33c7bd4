package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rustgen/internal/answers"
	"rustgen/internal/decision"
	"rustgen/internal/describe"
	"rustgen/internal/ownapi"
)

// answerFlags are the flags by which decisions are given: one for each, --set for any, --answers for many.
type answerFlags struct {
	file string
	sets []string
	// arguments are those of the form ID=VALUE.
	arguments []string
}

// add declares the flags on a command.
func (f *answerFlags) add(cmd *cobra.Command, c *decision.Catalog) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "answers", "", "read answers from a YAML or JSON `FILE` (- for standard input)")
	flags.StringArrayVar(&f.sets, "set", nil, "answer any decision as `ID=VALUE`; may be repeated")
	for i := range c.Decisions {
		d := &c.Decisions[i]
		flags.Var(&decisionValue{decision: d}, d.ID, describe.Flag(c, d))
		_ = cmd.RegisterFlagCompletionFunc(d.ID, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			if d.ID == ownapi.Paths || d.ID == ownapi.Includes {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return describe.Values(d, ""), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// decisionValue holds what a decision's flag was given; it is parsed with everything else. The flag of a list may be
// repeated.
type decisionValue struct {
	text     string
	given    bool
	decision *decision.Decision
}

func (v *decisionValue) String() string { return v.text }
func (v *decisionValue) Type() string   { return v.decision.Syntax() }

// Answers is the decision that the flag answers.
func (v *decisionValue) Answers() *decision.Decision { return v.decision }

// Set takes the value for now. A flag in the place of yes or no is a yes or no that is missing.
func (v *decisionValue) Set(s string) error {
	if v.decision.Type == decision.Bool && strings.HasPrefix(s, "-") {
		return errNeedsValue
	}
	if v.decision.Type == decision.List && v.given {
		s = v.text + "," + s
	}
	v.text, v.given = s, true
	return nil
}

// errNeedsValue says that a decision's flag has no value.
var errNeedsValue = errors.New("the flag needs a value")

// given gathers what was answered, by precedence: flag and --set, environment, answers file.
func (a *app) given(cmd *cobra.Command, c *decision.Catalog, f *answerFlags, name string) (map[string]decision.Input, error) {
	given := map[string]decision.Input{}
	if f.file != "" {
		data, err := a.readAnswers(f.file)
		if err != nil {
			return nil, usage("--answers takes a file, or - for standard input", "--answers %s: %w", f.file, bare(err))
		}
		where := f.file
		if where == "-" {
			where = "standard input"
		}
		if err := answers.FromFile(given, c, data, where); err != nil {
			return nil, err
		}
	}
	if err := answers.FromEnvironment(given, c, a.environ); err != nil {
		return nil, err
	}
	return given, fromFlags(given, cmd, f, name)
}

func fromFlags(given map[string]decision.Input, cmd *cobra.Command, f *answerFlags, name string) error {
	explicit := map[string]decision.Input{}
	put := func(id, text string, from decision.Source) error {
		if before, ok := explicit[id]; ok && before.Raw.String() != text {
			return usage("give it once", "%s says %q and %s says %q", said(before.From, id), before.Raw, said(from, id), text)
		}
		explicit[id] = decision.Text(text, from)
		return nil
	}
	var errs error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if v, ok := flag.Value.(*decisionValue); ok {
			errs = errors.Join(errs, put(flag.Name, v.text, decision.FromFlag(flag.Name)))
		}
	})
	if name != "" {
		errs = errors.Join(errs, put(decision.NameID, name, decision.FromArgument()))
	}
	for _, argument := range f.arguments {
		id, value, ok := strings.Cut(argument, "=")
		if !ok {
			return usage("write ID=VALUE", "%s: there is no =", argument)
		}
		errs = errors.Join(errs, put(id, value, decision.FromArgument()))
	}
	for _, set := range f.sets {
		id, value, ok := strings.Cut(set, "=")
		if !ok {
			return usage("write --set ID=VALUE", "--set %s: there is no =", set)
		}
		errs = errors.Join(errs, put(id, value, decision.Source{Way: decision.ByAssignment, Name: "--set"}))
	}
	maps.Copy(given, explicit)
	return errs
}

// said names the source of an answer where two contradict each other.
func said(from decision.Source, id string) string {
	if from.Name == "" {
		return id
	}
	return from.Name
}

func (a *app) readAnswers(file string) ([]byte, error) {
	const most = 1 << 20
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("more than 1 MiB is not an answers file")
	}
	return data, err
}
