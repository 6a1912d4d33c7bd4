package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
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
		flags.Var(&decisionValue{decision: d}, d.ID, describe(c, d))
		_ = cmd.RegisterFlagCompletionFunc(d.ID, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			if d.ID == ownapi.Paths || d.ID == ownapi.Includes {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return completeValues(d, ""), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// describe is a decision's line in --help: what it asks, and what the set answers.
func describe(c *decision.Catalog, d *decision.Decision) string {
	text := d.Question
	if text == "" {
		text = d.Title
	}
	switch value := c.DefaultText(d); {
	case value != "" && d.Deliberate:
		return fmt.Sprintf("%s (recommended: %s)", text, value)
	case value != "":
		return fmt.Sprintf("%s (default: %s)", text, value)
	default:
		return text
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
		if err := a.fromFile(given, c, f.file); err != nil {
			return nil, err
		}
	}
	if err := a.fromEnvironment(given, c); err != nil {
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

const envPrefix = "RUSTGEN_"

// fromEnvironment reads the variables of decisions. One that was nearly a decision's is refused rather than passed over.
func (a *app) fromEnvironment(given map[string]decision.Input, c *decision.Catalog) error {
	known := map[string]string{}
	var names []string
	for i := range c.Decisions {
		d := &c.Decisions[i]
		known[d.Env()] = d.ID
		names = append(names, d.Env())
	}
	for _, variable := range a.environ {
		name, value, _ := strings.Cut(variable, "=")
		// An empty variable is one that is not set, as a pipeline has it whose setting nobody has filled in.
		if !strings.HasPrefix(name, envPrefix) || value == "" {
			continue
		}
		if id, ok := known[name]; ok {
			given[id] = decision.Text(value, decision.Source{Way: decision.ByEnvironment, Name: name})
		} else if near := decision.Nearest(name, names); near != "" && decision.Nearest(strings.TrimPrefix(name, envPrefix), trimmed(names)) != "" {
			return usage(fmt.Sprintf("did you mean %s? else unset it", near), "%s: there is no decision of that name", name)
		}
	}
	return nil
}

func trimmed(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.TrimPrefix(n, envPrefix)
	}
	return out
}

// fromFile reads an answers file: a mapping of ids to values, in YAML or JSON, or the record of another service, of
// which it takes what was chosen.
func (a *app) fromFile(given map[string]decision.Input, c *decision.Catalog, file string) error {
	data, err := a.readAnswers(file)
	if err != nil {
		return usage("--answers takes a file, or - for standard input", "--answers %s: %w", file, bare(err))
	}
	where := file
	if file == "-" {
		where = "standard input"
	}
	hint := "write one `id: value` a line; rustgen template schema describes the file"
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return usage(hint, "%s: %s", where, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return usage(hint, "%s: more than one document", where)
	}
	answers, err := mapping(doc.Content[0])
	if err != nil {
		return usage(hint, "%s: %w", where, err)
	}
	if recorded, ok := answers["decisions"]; ok && !slices.Contains(c.IDs(), "decisions") {
		if answers, err = chosen(recorded); err != nil {
			return usage(hint, "%s: %w", where, err)
		}
	}
	for id, node := range answers {
		var raw decision.Raw
		if err := node.Decode(&raw); err != nil {
			return usage(hint, "%s: %w", where, err)
		}
		given[id] = decision.Input{Raw: raw, From: decision.Source{Way: decision.ByFile, Name: where}}
	}
	return nil
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

// mapping is a YAML mapping by key, each once.
func mapping(node *yaml.Node) (map[string]*yaml.Node, error) {
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: answers are a mapping of ids to values", node.Line)
	}
	out := map[string]*yaml.Node{}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if _, ok := out[key]; ok {
			return nil, fmt.Errorf("line %d: %s stands twice", node.Content[i].Line, key)
		}
		out[key] = node.Content[i+1]
	}
	return out, nil
}

// chosen takes what a person chose out of a record, and leaves what followed from it to follow again.
func chosen(node *yaml.Node) (map[string]*yaml.Node, error) {
	recorded, err := mapping(node)
	if err != nil {
		return nil, err
	}
	out := map[string]*yaml.Node{}
	for id, answer := range recorded {
		var r struct {
			Value yaml.Node       `yaml:"value"`
			From  decision.Origin `yaml:"from"`
		}
		if err := answer.Decode(&r); err != nil || r.From == "" {
			return nil, fmt.Errorf("line %d: %s is not {value: ..., from: ...}", answer.Line, id)
		}
		if r.From == decision.Chosen {
			out[id] = &r.Value
		}
	}
	return out, nil
}
