// Package decision is the catalog of a template set's decisions, and what becomes of them: from what a person or a
// script gave, through precedence, defaults and validation, to the answers that a service is rendered from. It is pure:
// expressions are evaluated by whoever calls it.
package decision

import (
	"slices"
	"strings"

	"rustgen/internal/hint"
)

// Decision is a question with an answer. One declaration gives its prompt, flag, environment variable, answers key,
// JSON Schema, explanation and documentation.
type Decision struct {
	// ID is kebab-case and names it everywhere.
	ID   string `yaml:"id"`
	Type Type   `yaml:"type"`
	// Page groups it in the prompt; a decision without one stands on the page of the decision before it.
	Page     string `yaml:"page"`
	Title    string `yaml:"title"`
	Question string `yaml:"question"`
	// Help says when to choose what, and why.
	Help    string   `yaml:"help"`
	Options []Option `yaml:"options"`
	Default *Default `yaml:"default"`
	// Deliberate decisions must be made on purpose: where nobody can be asked, not making one is an error.
	Deliberate bool `yaml:"deliberate"`
	// When is an expression; where it is false the decision is not asked and keeps its default.
	When     string  `yaml:"when"`
	Validate []Check `yaml:"validate"`
	// Nested is the answer, unless one is given, where the service is made below the root of a repository that exists.
	Nested *Lock `yaml:"nested"`
	// Then is an expression for what a team may write by hand once the answer has changed, with .added for the items that
	// are new in a list; empty where there is nothing to say.
	Then string `yaml:"then"`
	// Was is the decision's former id, under which older services have recorded their answer.
	Was *Was `yaml:"was"`
}

// Was is a decision's former id, with the answers of today for those of then, where they changed.
type Was struct {
	ID     string            `yaml:"id"`
	Values map[string]string `yaml:"values"`
}

// Option is one answer of a choice, or one item that a list may hold.
type Option struct {
	Value string `yaml:"value"`
	Title string `yaml:"title"`
	Why   string `yaml:"why"`
}

// Check is an expression that a valid answer makes true, and what a person sees where it does not.
type Check struct {
	Expr    string `yaml:"expr"`
	Message string `yaml:"message"`
}

// Default is a constant, or an expression over earlier decisions.
type Default struct {
	Constant Raw
	Expr     string
	// malformed says that it was written as neither.
	malformed bool
}

// UnmarshalYAML reads a constant, or a mapping with the one key expr. Decoders of YAML call it by its name. What is
// neither is a fault of the decision, which [Catalog.Faults] finds.
func (d *Default) UnmarshalYAML(decode func(any) error) error {
	*d = Default{}
	if err := decode(&d.Constant); err != nil || d.Constant.form != other {
		return err
	}
	var mapping map[string]string
	err := decode(&mapping)
	d.Expr = mapping["expr"]
	d.malformed = err != nil || len(mapping) != 1 || d.Expr == ""
	return nil
}

// Lock is an answer that a set gives in place of its users, and why.
type Lock struct {
	Value  Raw    `yaml:"value"`
	Reason string `yaml:"reason"`
}

// Rule refuses a combination of decisions, or warns of it, where its expression is true.
type Rule struct {
	Refuse  string `yaml:"refuse"`
	Warn    string `yaml:"warn"`
	Message string `yaml:"message"`
}

// Derived is a named value computed from decisions and from the derived values before it.
type Derived struct{ Name, Expr string }

// Catalog is every decision of a template set, in the order in which they are asked, and what the set says about them.
type Catalog struct {
	Decisions []Decision
	Presets   map[string]Raw
	Locked    map[string]Lock
	Derived   []Derived
	Rules     []Rule
}

// Evaluate computes an expression: a template pipeline without delimiters. A key that data lacks is an error.
type Evaluate func(expr string, data map[string]any) (any, error)

// Find returns the decision of that id.
func (c *Catalog) Find(id string) (*Decision, bool) {
	i := slices.IndexFunc(c.Decisions, func(d Decision) bool { return d.ID == id })
	if i < 0 {
		return nil, false
	}
	return &c.Decisions[i], true
}

// IDs lists the decisions in order.
func (c *Catalog) IDs() []string {
	ids := make([]string, len(c.Decisions))
	for i, d := range c.Decisions {
		ids[i] = d.ID
	}
	return ids
}

// Key is the decision's name in templates: snake_case.
func (d *Decision) Key() string { return Key(d.ID) }

// Key turns an id into its name in templates.
func Key(id string) string { return strings.ReplaceAll(id, "-", "_") }

// Flag is the decision's flag, with its dashes.
func (d *Decision) Flag() string { return "--" + d.ID }

// Env is the decision's environment variable.
func (d *Decision) Env() string {
	return "RUSTGEN_" + strings.ToUpper(Key(d.ID))
}

// Values lists the options' values.
func (d *Decision) Values() []string {
	values := make([]string, len(d.Options))
	for i, o := range d.Options {
		values[i] = o.Value
	}
	return values
}

// Syntax says in a few words what an answer looks like, for help texts and errors.
func (d *Decision) Syntax() string {
	switch d.Type {
	case Choice:
		return strings.Join(d.Values(), "|")
	case Bool:
		return "yes|no"
	case Int:
		return "NUMBER"
	case Size:
		return "SIZE"
	case Duration:
		return "DURATION"
	case List:
		return "A,B,..."
	default:
		return "TEXT"
	}
}

// Error is a wrong answer or a refused combination: what is wrong and where, and how to mend it.
type Error = hint.Error

// Refuse makes an [Error].
func Refuse(mend, format string, args ...any) *Error {
	return hint.New(hint.Usage, mend, format, args...)
}

// DefaultText is what the set answers by itself, for help texts. It is empty where nobody answers.
func (c *Catalog) DefaultText(d *Decision) string {
	if lock, ok := c.Locked[d.ID]; ok {
		return d.Show(lock.Value)
	}
	if preset, ok := c.Presets[d.ID]; ok {
		return d.Show(preset)
	}
	switch {
	case d.Default == nil:
		return ""
	case d.Default.Expr != "":
		return "computed from other decisions"
	default:
		return d.Show(d.Default.Constant)
	}
}

// NestedText is what the set answers below the root of a repository.
func (c *Catalog) NestedText(d *Decision) string {
	if d.Nested == nil {
		return ""
	}
	return d.Show(d.Nested.Value)
}
