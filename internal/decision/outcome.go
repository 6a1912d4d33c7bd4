package decision

import "strings"

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
	Value  Value
	Origin Origin
}

// Input is one answer as it was given, before anything is known about it.
type Input struct {
	Raw  Raw
	From Source
}

// Text makes an input of one text.
func Text(text string, from Source) Input { return Input{RawText(text), from} }

// Recorded is an answer as a service's record holds it.
type Recorded struct {
	Value  Raw    `yaml:"value"`
	Origin Origin `yaml:"from"`
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
	// Explained says that the explanation of decisions is all that the hint has to offer, as a prompt shows it anyhow.
	Explained bool
	Err       *Error
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

// Err is all problems as one, or all missing decisions as one, or nil.
func (o *Outcome) Err() error {
	switch len(o.Problems) {
	case 0:
	case 1:
		return o.Problems[0].Err
	default:
		texts := make([]string, len(o.Problems))
		for i, p := range o.Problems {
			texts[i] = p.Err.Error()
		}
		return Refuse("mend each; rustgen explain ID says what a decision takes", "%s", strings.Join(texts, "; "))
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
