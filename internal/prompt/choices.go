package prompt

import "rustgen/internal/decision"

// choice is one line that can be picked.
type choice struct {
	value, title, tag, why string
}

// choices are the answers of a question that has only so many.
func (iv *interview) choices(id string) ([]choice, error) {
	d := iv.find(id)
	fallback, called, err := iv.fallback(id)
	if err != nil {
		return nil, err
	}
	var all []choice
	if d.Type == decision.Bool {
		all = []choice{{value: "yes", title: "Yes"}, {value: "no", title: "No"}}
	}
	for _, o := range d.Options {
		title := o.Title
		if title == "" {
			title = o.Value
		}
		all = append(all, choice{value: o.Value, title: title, why: o.Why})
	}
	for i := range all {
		if d.Type != decision.List && all[i].value == fallback {
			all[i].tag = called
		}
	}
	return all, nil
}

// row is a decision in a list of them.
type row struct {
	id, title, value, origin, reason string
}

// rows are the decisions that apply and are not settled, in the set's order.
func (iv *interview) rows() []row {
	var all []row
	for i := range iv.opts.Catalog.Decisions {
		d := &iv.opts.Catalog.Decisions[i]
		answer, ok := iv.out.Answers[d.ID]
		if !ok || iv.opts.Settled[d.ID] {
			continue
		}
		r := row{id: d.ID, title: title(d), value: answer.Value.String(), origin: string(answer.Origin)}
		if input, given := iv.opts.Given[d.ID]; given && answer.Origin == decision.Chosen && input.From.String() != "" {
			r.origin += " by " + input.From.String()
		}
		if answer.Origin == decision.Locked {
			r.reason = iv.opts.Catalog.Locked[d.ID].Reason
		}
		all = append(all, r)
	}
	return all
}

func title(d *decision.Decision) string {
	if d.Title == "" {
		return d.ID
	}
	return d.Title
}
