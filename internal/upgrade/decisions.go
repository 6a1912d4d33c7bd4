package upgrade

import (
	"fmt"
	"maps"
	"slices"

	"rustgen/internal/decision"
)

// DecisionChanges are what became of the service's decisions.
type DecisionChanges struct {
	Added       []DecisionChange `json:"added"`
	Removed     []DecisionChange `json:"removed"`
	Changed     []DecisionChange `json:"changed"`
	NewDefaults []DecisionChange `json:"new_defaults"`
}

// DecisionChange is what became of one decision.
type DecisionChange struct {
	ID   string          `json:"id"`
	From string          `json:"from,omitempty"`
	To   string          `json:"to,omitempty"`
	How  decision.Origin `json:"how,omitempty"`
	// Was is the decision's former id, Reason that of a lock.
	Was    string `json:"was,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Then is what the team may write by hand now, in the files that it owns.
	Then string `json:"then,omitempty"`
}

// thenText is what a decision's set has to say of its changed answer.
func thenText(t *Template, out *decision.Outcome, d *decision.Decision, before decision.Value, answer decision.Answer) (string, error) {
	if d.Then == "" {
		return "", nil
	}
	data := maps.Clone(out.Data)
	old := before.Items()
	data["added"] = slices.DeleteFunc(answer.Value.Items(), func(item string) bool { return slices.Contains(old, item) })
	value, err := t.Engine.Eval(d.Then, data)
	if err != nil {
		return "", fmt.Errorf("decision %s: then: %w", d.ID, err)
	}
	return fmt.Sprint(value), nil
}

// ChangedDecisions are what becomes of the service's decisions with an outcome.
func (s *Service) ChangedDecisions(t *Template, out *decision.Outcome) (DecisionChanges, error) {
	d := noChanges()
	recorded := out.Recorded
	for i := range t.Set.Catalog.Decisions {
		c := &t.Set.Catalog.Decisions[i]
		before, was := recorded[c.ID]
		answer, is := out.Answers[c.ID]
		former, renamed := out.Renamed[c.ID]
		if renamed {
			before = s.Record.Decisions[former]
		}
		switch {
		case is && !was:
			d.Added = append(d.Added, DecisionChange{ID: c.ID, To: answer.Value.String(), How: answer.Origin})
		case was && !is:
			d.Removed = append(d.Removed, DecisionChange{ID: c.ID, From: c.Show(before.Value)})
		case was && is && (renamed || c.Show(before.Value) != answer.Value.String()):
			change := DecisionChange{ID: c.ID, From: c.Show(before.Value), To: answer.Value.String(), How: answer.Origin, Was: former}
			if answer.Origin == decision.Locked {
				change.Reason = t.Set.Catalog.Locked[c.ID].Reason
			}
			// What a former version of the set took for a value may be none any more.
			value, _ := c.Read(before.Value)
			var err error
			if change.Then, err = thenText(t, out, c, value, answer); err != nil {
				return d, t.Fault(err)
			}
			d.Changed = append(d.Changed, change)
		}
	}
	for _, id := range out.Removed {
		d.Removed = append(d.Removed, DecisionChange{ID: id, From: recorded[id].Value.String()})
	}
	for _, n := range out.NewDefaults {
		d.NewDefaults = append(d.NewDefaults, DecisionChange{ID: n.ID, From: n.Recorded, To: n.Default})
	}
	return d, nil
}

// noChanges are those of an upgrade that changes no decision: empty lists, which JSON tells from none.
func noChanges() DecisionChanges {
	return DecisionChanges{[]DecisionChange{}, []DecisionChange{}, []DecisionChange{}, []DecisionChange{}}
}
