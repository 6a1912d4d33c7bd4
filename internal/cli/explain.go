package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/decision"
)

func (a *app) explainCommand(set *openedSet) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [ID]",
		Short: "Explain a decision: which answer fits when, and why",
		Long: `Explain a decision: which answer fits when, and why. Without ID, list the decisions. In a service they are those of the
set that it was made from.`,
		Args:              atMostOne,
		ValidArgsFunction: completeIDs(set),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				if asJSON {
					return a.writeJSON(explanations(&set.Catalog))
				}
				return explainAll(a.out, set)
			}
			d, ok := set.Catalog.Find(args[0])
			if check, isCheck := findCheck(args[0]); !ok && isCheck {
				return a.explainCheck(check, asJSON)
			}
			if !ok {
				hint := "the decisions are " + strings.Join(set.Catalog.IDs(), ", ")
				if near := decision.Nearest(args[0], set.Catalog.IDs()); near != "" {
					hint = "rustgen explain " + near
				}
				return usage(hint, "there is no decision %q", args[0])
			}
			if asJSON {
				return a.writeJSON(explain(&set.Catalog, d))
			}
			return explainOne(a.out, set, d)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	addTemplateFlag(cmd, ownSet+", or "+embeddedSet)
	return cmd
}

// explanation is a decision as programs read it.
type explanation struct {
	ID         string              `json:"id"`
	Type       decision.Type       `json:"type"`
	Title      string              `json:"title"`
	Question   string              `json:"question"`
	Help       string              `json:"help"`
	Options    []optionExplanation `json:"options,omitempty"`
	Default    string              `json:"default,omitempty"`
	Expression string              `json:"default_expression,omitempty"`
	Deliberate bool                `json:"deliberate"`
	Locked     string              `json:"locked,omitempty"`
	When       string              `json:"when,omitempty"`
	Flag       string              `json:"flag"`
	Env        string              `json:"env"`
}

type optionExplanation struct {
	Value string `json:"value"`
	Title string `json:"title,omitempty"`
	Why   string `json:"why,omitempty"`
}

func explanations(c *decision.Catalog) []explanation {
	all := make([]explanation, len(c.Decisions))
	for i := range c.Decisions {
		all[i] = explain(c, &c.Decisions[i])
	}
	return all
}

func explain(c *decision.Catalog, d *decision.Decision) explanation {
	e := explanation{
		ID: d.ID, Type: d.Type, Title: d.Title, Question: d.Question, Help: d.Help, Deliberate: d.Deliberate,
		Locked: c.Locked[d.ID].Reason, When: d.When, Flag: d.Flag(), Env: d.Env(),
	}
	if d.Default != nil && d.Default.Expr != "" {
		e.Expression = d.Default.Expr
	} else {
		e.Default = c.DefaultText(d)
	}
	for _, o := range d.Options {
		e.Options = append(e.Options, optionExplanation(o))
	}
	return e
}

func explainAll(w io.Writer, set *openedSet) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The decisions of %s %s. An asterisk marks those to make on purpose.\n\n", set.Name, set.Version)
	width := 0
	for _, id := range set.Catalog.IDs() {
		width = max(width, len(id))
	}
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
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

// explainWidth is the line length of explanations.
const explainWidth = 80

func explainOne(w io.Writer, set *openedSet, d *decision.Decision) error {
	c := &set.Catalog
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", d.ID, d.Question)
	if d.Help != "" {
		fmt.Fprintf(&b, "\n%s\n", fold(d.Help, explainWidth, ""))
	}
	if len(d.Options) > 0 {
		b.WriteString("\n")
		for _, o := range d.Options {
			fmt.Fprintf(&b, "  %s\n%s\n", o.Value, fold(o.Why, explainWidth, "      "))
		}
	}
	b.WriteString("\n")
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-13s %s\n", name, strings.TrimSpace(fold(text, explainWidth, strings.Repeat(" ", 14))))
		}
	}
	fallback := c.DefaultText(d)
	if d.Default != nil && d.Default.Expr != "" {
		fallback = c.DefaultWords(set.engine.Eval, d)
	}
	if lock, ok := c.Locked[d.ID]; ok {
		row("locked", fallback+": "+lock.Reason)
	} else if d.Deliberate {
		row("recommended", fallback)
		row("", "to be made on purpose")
	} else {
		row("default", fallback)
	}
	row("applies", c.WhenWords(set.engine.Eval, d))
	if d.Nested != nil {
		row("in a monorepo", c.NestedText(d)+": "+d.Nested.Reason)
	}
	row("flag", d.Flag()+" "+d.Syntax())
	row("environment", d.Env())
	if now, ok := set.now(d); ok {
		row("here", now)
	}
	for _, check := range d.Validate {
		row("refused with", check.Message)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fold breaks a text into lines of at most width columns.
func fold(text string, width int, indent string) string {
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
