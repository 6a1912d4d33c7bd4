package decision

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Origin is how an answer came about. Only what was derived is derived again when another decision changes.
type Origin string

// The origins.
const (
	Chosen    Origin = "chosen"  // by a person or a script
	Preset    Origin = "preset"  // by the set's other default
	Locked    Origin = "locked"  // by the set, for good
	Defaulted Origin = "default" // by nobody
)

// Answer is a decision's value and how it came about.
type Answer struct {
	Value  any
	Origin Origin
}

// Input is one answer as it was given, before anything is known about it.
type Input struct {
	// Node is a scalar, or a sequence for a list.
	Node yaml.Node
	// Where it was given, for errors: "--port", "RUSTGEN_PORT", "answers.yaml".
	Where string
	// Environment says that it is from a variable, which a shell keeps for more runs than one.
	Environment bool
	// Explicit input names this decision for this run (a flag); it is refused where the decision does not apply, while
	// input that may serve many services (a file, the environment) is passed over with a warning.
	Explicit bool
}

// Text makes an input of one scalar.
func Text(text, where string, explicit bool) Input {
	return Input{Node: yaml.Node{Kind: yaml.ScalarNode, Value: text}, Where: where, Explicit: explicit}
}

// Recorded is an answer as a service's record holds it.
type Recorded struct {
	Value  yaml.Node `yaml:"value"`
	Origin Origin    `yaml:"from"`
}

// Request is all that Resolve decides from.
type Request struct {
	// Given has the highest precedence.
	Given map[string]Input
	// Recorded are the answers of a service that exists; empty for a new one.
	Recorded map[string]Recorded
	// AcceptDefaults takes the default of a deliberate decision that nobody made.
	AcceptDefaults bool
}

// Problem is a wrong answer or a refused combination.
type Problem struct {
	// ID of the decision; empty for a combination, which Rule then refuses.
	ID   string
	Rule *Rule
	Err  *Error
}

// NewDefault is a default that changed since a service recorded it.
type NewDefault struct {
	ID, Recorded, Default string
}

// Outcome is what Resolve decided.
type Outcome struct {
	// Answers holds every decision that could be resolved.
	Answers map[string]Answer
	// Data is what templates see: decisions by key, and derived values. It is complete only where OK.
	Data map[string]any
	// Inapplicable decisions have a default, for templates, and are not recorded.
	Inapplicable []string
	Problems     []Problem
	Missing      []*Decision
	Warnings     []string
	// Added decisions are not in the record, Removed ones only there; both empty for a new service.
	Added, Removed []string
	// Recorded are the recorded answers by the ids that their decisions have now, Renamed maps those that had another to it.
	Recorded    map[string]Recorded
	Renamed     map[string]string
	NewDefaults []NewDefault
}

// OK reports whether every decision is made and none is refused.
func (o *Outcome) OK() bool { return len(o.Problems) == 0 && len(o.Missing) == 0 }

// Err is the first problem, or all missing decisions as one, or nil.
func (o *Outcome) Err() error {
	if len(o.Problems) > 0 {
		return o.Problems[0].Err
	}
	if len(o.Missing) == 0 {
		return nil
	}
	flags := make([]string, len(o.Missing))
	hint := "pass each"
	for i, d := range o.Missing {
		flags[i] = d.Flag() + " " + d.Syntax()
		if d.ID == NameID {
			flags[i] = "NAME"
		}
		if d.Default != nil {
			hint = "pass each, or --yes to take the recommended answers"
		}
	}
	if len(o.Missing) == 1 && o.Missing[0].Default == nil {
		hint = "pass it as the first argument: rustgen new NAME"
		if d := o.Missing[0]; d.ID != NameID {
			hint = "pass " + d.Flag()
		}
	}
	plural := "decision"
	if len(flags) > 1 {
		plural = "decisions"
	}
	return Refuse(hint, "%d %s to make on purpose: %s", len(flags), plural, strings.Join(flags, ", "))
}

// For returns the first problem of one decision.
func (o *Outcome) For(id string) *Error {
	for _, p := range o.Problems {
		if p.ID == id {
			return p.Err
		}
	}
	return nil
}
