package report

import (
	"fmt"
	"io"
	"strings"

	"rustgen/internal/decision"
)

// Explanation is a decision as programs read it.
type Explanation struct {
	ID         string              `json:"id"`
	Type       decision.Type       `json:"type"`
	Title      string              `json:"title"`
	Question   string              `json:"question"`
	Help       string              `json:"help"`
	Options    []OptionExplanation `json:"options,omitempty"`
	Default    string              `json:"default,omitempty"`
	Expression string              `json:"default_expression,omitempty"`
	Deliberate bool                `json:"deliberate"`
	Locked     string              `json:"locked,omitempty"`
	When       string              `json:"when,omitempty"`
	Flag       string              `json:"flag"`
	Env        string              `json:"env"`
}

// OptionExplanation is one answer of it.
type OptionExplanation struct {
	Value string `json:"value"`
	Title string `json:"title,omitempty"`
	Why   string `json:"why,omitempty"`
}

// Explanations are those of all decisions.
func Explanations(c *decision.Catalog) []Explanation {
	all := make([]Explanation, len(c.Decisions))
	for i := range c.Decisions {
		all[i] = Explain(c, &c.Decisions[i])
	}
	return all
}

// Explain is the explanation of one decision.
func Explain(c *decision.Catalog, d *decision.Decision) Explanation {
	e := Explanation{
		ID: d.ID, Type: d.Type, Title: d.Title, Question: d.Question, Help: d.Help, Deliberate: d.Deliberate,
		Locked: c.Locked[d.ID].Reason, When: d.When, Flag: d.Flag(), Env: d.Env(),
	}
	if d.Default != nil && d.Default.Expr != "" {
		e.Expression = d.Default.Expr
	} else {
		e.Default = c.DefaultText(d)
	}
	for _, o := range d.Options {
		e.Options = append(e.Options, OptionExplanation(o))
	}
	return e
}

// ExplainAll lists the decisions of a set for people.
func ExplainAll(w io.Writer, c *decision.Catalog, set string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The decisions of %s. An asterisk marks those to make on purpose.\n\n", set)
	width := 0
	for _, id := range c.IDs() {
		width = max(width, len(id))
	}
	for i := range c.Decisions {
		d := &c.Decisions[i]
		mark := " "
		if d.Deliberate {
			mark = "*"
		}
		fmt.Fprintf(&b, "%s %-*s  %s\n", mark, width, d.ID, d.Question)
	}
	b.WriteString("\nrustgen explain ID says which answer fits when, and why.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Width is the line length of explanations.
const Width = 80

// ExplainOne explains a decision to people; now is the answer of the service at hand, and empty where there is none.
func ExplainOne(w io.Writer, c *decision.Catalog, eval decision.Evaluate, d *decision.Decision, now string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", d.ID, d.Question)
	if d.Help != "" {
		fmt.Fprintf(&b, "\n%s\n", Fold(d.Help, Width, ""))
	}
	if len(d.Options) > 0 {
		b.WriteString("\n")
		for _, o := range d.Options {
			fmt.Fprintf(&b, "  %s\n%s\n", o.Value, Fold(o.Why, Width, "      "))
		}
	}
	b.WriteString("\n")
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-13s %s\n", name, strings.TrimSpace(Fold(text, Width, strings.Repeat(" ", 14))))
		}
	}
	fallback := c.DefaultText(d)
	if d.Default != nil && d.Default.Expr != "" {
		fallback = c.DefaultWords(eval, d)
	}
	if lock, ok := c.Locked[d.ID]; ok {
		row("locked", fallback+": "+lock.Reason)
	} else if d.Deliberate {
		row("recommended", fallback)
		row("", "to be made on purpose")
	} else {
		row("default", fallback)
	}
	row("applies", c.WhenWords(eval, d))
	if d.Nested != nil {
		row("in a monorepo", c.NestedText(d)+": "+d.Nested.Reason)
	}
	row("flag", d.Flag()+" "+d.Syntax())
	row("environment", d.Env())
	row("here", now)
	for _, check := range d.Validate {
		row("refused with", check.Message)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Fold breaks a text into lines of at most width columns.
func Fold(text string, width int, indent string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+len([]rune(word)) > width:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += len([]rune(word))
	}
	return b.String()
}
