package prompt

import (
	"maps"
	"slices"

	"rustgen/internal/decision"
)

// given is what was given together with what was answered.
func (iv *interview) given(answers map[string]string) map[string]decision.Input {
	all := map[string]decision.Input{}
	maps.Copy(all, iv.opts.Given)
	for id, text := range answers {
		if !slices.Contains(iv.out.Inapplicable, id) {
			all[id] = decision.Text(text, decision.FromPrompt())
		}
	}
	return all
}

// try resolves with answers that may yet be refused. Answers to what no longer applies are left out of account and
// kept in mind, for when it applies again.
func (iv *interview) try(answers map[string]string) (*decision.Outcome, error) {
	all := map[string]decision.Input{}
	maps.Copy(all, iv.opts.Given)
	for id, text := range answers {
		all[id] = decision.Text(text, decision.FromPrompt())
	}
	out, err := iv.opts.Resolve(all)
	if err != nil {
		return nil, err
	}
	left := len(all)
	for _, id := range out.Inapplicable {
		if _, ok := answers[id]; ok {
			delete(all, id)
		}
	}
	if len(all) == left {
		return out, nil
	}
	return iv.opts.Resolve(all)
}

// answer takes an answer, or says why not. An answer that is also the default is not kept, so that it is derived again
// when what it follows from changes; one that must be made is kept in any case.
func (iv *interview) answer(id, text string) (*decision.Problem, error) {
	d := iv.find(id)
	without := maps.Clone(iv.answers)
	delete(without, id)
	fallback, err := iv.try(without)
	if err != nil {
		return nil, err
	}
	with := maps.Clone(without)
	with[id] = text
	out, err := iv.try(with)
	if err != nil {
		return nil, err
	}
	if refused := iv.refusal(id, out); refused != nil {
		return refused, nil
	}
	before, ok := fallback.Answers[id]
	if ok && !iv.must(d) && before.Value.Equal(out.Answers[id].Value) {
		with, out = without, fallback
	}
	iv.answers, iv.out = with, out
	return nil, nil
}

// current is the text of a question's answer as it stands: given by the person, or what follows without them.
func (iv *interview) current(id string) string {
	if answer, ok := iv.out.Answers[id]; ok {
		return answer.Value.String()
	}
	return iv.answers[id]
}

// fallback is what an empty answer stands for, and what to call it.
func (iv *interview) fallback(id string) (text, called string, err error) {
	d := iv.find(id)
	without := maps.Clone(iv.answers)
	delete(without, id)
	out, err := iv.try(without)
	if err != nil {
		return "", "", err
	}
	if answer, ok := out.Answers[id]; ok {
		called = "default"
		if d.Deliberate {
			called = "recommended"
		}
		return answer.Value.String(), called, nil
	}
	return iv.opts.Suggest[id], "suggested", nil
}

// refusal is the first problem that a question is the place to mend.
func (iv *interview) refusal(id string, out *decision.Outcome) *decision.Problem {
	for i, p := range out.Problems {
		if iv.place(p, out) == id {
			return &out.Problems[i]
		}
	}
	return nil
}

// place is the question at which a problem surfaces: its own, or the last one asked of those that it speaks of. It is
// empty where no question can mend it.
func (iv *interview) place(p decision.Problem, out *decision.Outcome) string {
	if p.ID != "" && iv.askable(p.ID) {
		return p.ID
	}
	spoken := iv.mentioned(p)
	last := ""
	for _, s := range iv.sections {
		for _, id := range s.ids {
			if iv.applies(id, out) && spoken[decision.Key(id)] {
				last = id
			}
		}
	}
	return last
}

// mentioned are the keys that a problem's expressions speak of, those behind derived values as well.
func (iv *interview) mentioned(p decision.Problem) map[string]bool {
	var exprs []string
	if p.Rule != nil {
		exprs = append(exprs, p.Rule.Refuse)
	}
	if d, ok := iv.opts.Catalog.Find(p.ID); ok {
		exprs = append(exprs, d.When)
		for _, v := range d.Validate {
			exprs = append(exprs, v.Expr)
		}
	}
	keys := map[string]bool{}
	for len(exprs) > 0 {
		expr := exprs[0]
		exprs = exprs[1:]
		for _, key := range decision.Reads(expr) {
			if keys[key] {
				continue
			}
			keys[key] = true
			for _, derived := range iv.opts.Catalog.Derived {
				if derived.Name == key {
					exprs = append(exprs, derived.Expr)
				}
			}
		}
	}
	return keys
}

// hint is what mends a refusal, unless it is to run rustgen explain, which the prompt does by itself.
func hint(refused *decision.Problem) string {
	if refused.Explained {
		return ""
	}
	return refused.Err.Hint
}
