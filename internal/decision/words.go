package decision

import (
	"fmt"
	"slices"
	"strings"
)

// exampleName is the service that examples of computed answers are given for.
const exampleName = "hello"

// DefaultWords tells what a decision's computed default comes to: an answer for each of another decision's, or an
// example. It is empty where the default is not computed.
func (c *Catalog) DefaultWords(eval Evaluate, d *Decision) string {
	if d.Default == nil || d.Default.Expr == "" {
		return ""
	}
	answer := func(out *Outcome) (string, bool) {
		a, ok := out.Answers[d.ID]
		return a.Value.String(), ok
	}
	reads := c.reads(d.Default.Expr)
	if len(reads) == 1 && len(reads[0].finite()) > 0 {
		if cases := c.cases(eval, reads[0], answer); cases != "" {
			return cases
		}
	}
	out, err := c.example(eval, nil)
	if err != nil {
		return ""
	}
	text, ok := answer(out)
	switch {
	case !ok:
		return ""
	case slices.ContainsFunc(reads, func(r *Decision) bool { return r.ID == NameID }):
		return fmt.Sprintf("%s for a service called %s", text, exampleName)
	default:
		return text + " where all else is left at its default"
	}
}

// WhenWords tells where a decision applies. It is empty where it always does.
func (c *Catalog) WhenWords(eval Evaluate, d *Decision) string {
	if d.When == "" {
		return ""
	}
	reads := c.reads(d.When)
	if len(reads) == 1 {
		var values []string
		for _, v := range reads[0].finite() {
			out, err := c.example(eval, map[string]string{reads[0].ID: v})
			if err == nil && !slices.Contains(out.Inapplicable, d.ID) {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			return fmt.Sprintf("where %s is %s", reads[0].ID, strings.Join(values, " or "))
		}
	}
	return "where this holds: " + d.When
}

// cases tells an answer for each answer of another decision.
func (c *Catalog) cases(eval Evaluate, other *Decision, answer func(*Outcome) (string, bool)) string {
	var cases []string
	for _, v := range other.finite() {
		out, err := c.example(eval, map[string]string{other.ID: v})
		if err != nil {
			return ""
		}
		if text, ok := answer(out); ok {
			cases = append(cases, fmt.Sprintf("%s where %s is %s", text, other.ID, v))
		}
	}
	return strings.Join(cases, ", ")
}

// example resolves with a few answers, and the defaults for the rest.
func (c *Catalog) example(eval Evaluate, answers map[string]string) (*Outcome, error) {
	given := map[string]Input{NameID: Text(exampleName, FromArgument())}
	for id, text := range answers {
		given[id] = Text(text, FromPrompt())
	}
	return c.Resolve(eval, Request{Given: given, AcceptDefaults: true})
}

// finite are the answers of a decision that has only so many.
func (d *Decision) finite() []string {
	switch d.Type {
	case Bool:
		return []string{"yes", "no"}
	case Choice:
		return d.Values()
	default:
		return nil
	}
}

// reads are the decisions that an expression reads, each once.
func (c *Catalog) reads(expr string) []*Decision {
	var all []*Decision
	for _, key := range Reads(expr) {
		at := slices.IndexFunc(c.Decisions, func(d Decision) bool { return d.Key() == key })
		if at >= 0 && !slices.Contains(all, &c.Decisions[at]) {
			all = append(all, &c.Decisions[at])
		}
	}
	return all
}
