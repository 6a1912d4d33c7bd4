package prompt

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"rustgen/internal/decision"
)

// interview is a prompt without a terminal.
type interview struct {
	opts     Options
	sections []section
	// answers are what the person answered and did not leave at its default, as text.
	answers map[string]string
	// out is what follows from the answers.
	out *decision.Outcome
	// at is the step in front of the person, and editing says that it was reached from the review, or that the review
	// cannot be reached without it.
	at      step
	editing bool
	// through says that the decisions which nobody must make are gone through as well.
	through bool
}

// section is a page of decisions; must says that it holds one that somebody has to make.
type section struct {
	title string
	ids   []string
	must  bool
}

// step is one screen: a question, the offer to take the other defaults, or the review.
type step struct {
	kind stepKind
	id   string
}

type stepKind int

const (
	questionStep stepKind = iota
	offerStep
	reviewStep
)

func newInterview(opts Options) (*interview, error) {
	iv := &interview{opts: opts, answers: map[string]string{}}
	iv.sections = iv.paginate()
	var err error
	if iv.out, err = iv.try(iv.answers); err != nil {
		return nil, err
	}
	iv.at = iv.steps()[0]
	if iv.at.kind == reviewStep {
		iv.enterReview()
	}
	return iv, nil
}

// firstPage is the page of decisions that stand before any with a page.
const firstPage = "Service"

// paginate groups the decisions by page, pages with a decision that must be made first.
func (iv *interview) paginate() []section {
	var all []section
	title := firstPage
	for i := range iv.opts.Catalog.Decisions {
		d := &iv.opts.Catalog.Decisions[i]
		if d.Page != "" {
			title = d.Page
		}
		at := slices.IndexFunc(all, func(s section) bool { return s.title == title })
		if at < 0 {
			at = len(all)
			all = append(all, section{title: title})
		}
		all[at].ids = append(all[at].ids, d.ID)
		all[at].must = all[at].must || iv.must(d) && iv.askable(d.ID)
	}
	slices.SortStableFunc(all, func(a, b section) int {
		switch {
		case a.must == b.must:
			return 0
		case a.must:
			return -1
		default:
			return 1
		}
	})
	return all
}

// must reports whether somebody has to make a decision.
func (iv *interview) must(d *decision.Decision) bool {
	_, preset := iv.opts.Catalog.Presets[d.ID]
	return d.Deliberate || d.Default == nil && !preset
}

// askable reports whether a decision is neither given nor locked.
func (iv *interview) askable(id string) bool {
	_, given := iv.opts.Given[id]
	_, locked := iv.opts.Catalog.Locked[id]
	return !given && !locked
}

// find returns a decision that is known to exist.
func (iv *interview) find(id string) *decision.Decision {
	d, _ := iv.opts.Catalog.Find(id)
	return d
}

// given is what was given together with what was answered.
func (iv *interview) given(answers map[string]string) map[string]decision.Input {
	all := map[string]decision.Input{}
	maps.Copy(all, iv.opts.Given)
	for id, text := range answers {
		if !slices.Contains(iv.out.Inapplicable, id) {
			all[id] = decision.Text(text, id, false)
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
		all[id] = decision.Text(text, id, false)
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

// applies reports whether a decision is to be asked with these answers, as far as that can be known.
func (iv *interview) applies(id string, out *decision.Outcome) bool {
	if !iv.askable(id) || slices.Contains(out.Inapplicable, id) {
		return false
	}
	_, resolved := out.Answers[id]
	missing := slices.ContainsFunc(out.Missing, func(d *decision.Decision) bool { return d.ID == id })
	return iv.find(id).When == "" || resolved || missing || out.For(id) != nil
}

// questions lists what is asked in a section now.
func (iv *interview) questions(s section) []string {
	var ids []string
	for _, id := range s.ids {
		if iv.applies(id, iv.out) {
			ids = append(ids, id)
		}
	}
	return ids
}

// rest lists the questions that nobody must answer: those of the pages without one that somebody must.
func (iv *interview) rest() []string {
	var ids []string
	for _, s := range iv.sections {
		if !s.must {
			ids = append(ids, iv.questions(s)...)
		}
	}
	return ids
}

// order lists every question in the order of asking.
func (iv *interview) order() []string {
	var ids []string
	for _, s := range iv.sections {
		ids = append(ids, iv.questions(s)...)
	}
	return ids
}

// steps is the way through the prompt with the answers of now.
func (iv *interview) steps() []step {
	rest := iv.rest()
	offered := len(rest) == 0
	var all []step
	for _, id := range iv.order() {
		if slices.Contains(rest, id) {
			if !offered {
				all = append(all, step{kind: offerStep})
				offered = true
			}
			if !iv.through {
				continue
			}
		}
		all = append(all, step{questionStep, id})
	}
	return append(all, step{kind: reviewStep})
}

// section is the page that a question stands on.
func (iv *interview) section(id string) section {
	i := slices.IndexFunc(iv.sections, func(s section) bool { return slices.Contains(s.ids, id) })
	return iv.sections[i]
}

// next goes on from a step that is done.
func (iv *interview) next() {
	if iv.editing {
		iv.enterReview()
		return
	}
	steps := iv.steps()
	i := slices.Index(steps, iv.at)
	if i+1 >= len(steps)-1 {
		iv.enterReview()
		return
	}
	iv.at = steps[i+1]
}

// enterReview shows the review, or first what stands between it and the person.
func (iv *interview) enterReview() {
	iv.at, iv.editing = step{kind: reviewStep}, false
	if id := iv.open(); id != "" {
		iv.edit(id)
	}
}

// open is the first question that is unanswered or refused.
func (iv *interview) open() string {
	for _, id := range iv.order() {
		if iv.refusal(id, iv.out) != nil {
			return id
		}
		if slices.ContainsFunc(iv.out.Missing, func(d *decision.Decision) bool { return d.ID == id }) {
			return id
		}
	}
	return ""
}

// edit goes to one question, from which the review is next.
func (iv *interview) edit(id string) {
	iv.at, iv.editing = step{questionStep, id}, true
}

// back goes to the step before, and reports whether there is one.
func (iv *interview) back() bool {
	if iv.editing && iv.open() == "" {
		iv.enterReview()
		return true
	}
	iv.editing = false
	steps := iv.steps()
	i := slices.Index(steps, iv.at)
	if i < 0 {
		i = len(steps) - 1
	}
	if i == 0 {
		return false
	}
	iv.at = steps[i-1]
	return true
}

// answer takes an answer, or says why not. An answer that is also the default is not kept, so that it is derived again
// when what it follows from changes; one that must be made is kept in any case.
func (iv *interview) answer(id, text string) (*decision.Error, error) {
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
	if ok && !iv.must(d) && d.Format(before.Value) == d.Format(out.Answers[id].Value) {
		with, out = without, fallback
	}
	iv.answers, iv.out = with, out
	return nil, nil
}

// current is the text of a question's answer as it stands: given by the person, or what follows without them.
func (iv *interview) current(id string) string {
	if answer, ok := iv.out.Answers[id]; ok {
		return iv.find(id).Format(answer.Value)
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
		return d.Format(answer.Value), called, nil
	}
	return iv.opts.Suggest[id], "suggested", nil
}

// refusal is the first problem that a question is the place to mend.
func (iv *interview) refusal(id string, out *decision.Outcome) *decision.Error {
	for _, p := range out.Problems {
		if iv.place(p, out) == id {
			return p.Err
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

// field finds the values that an expression reads.
var field = regexp.MustCompile(`\.([a-z][a-z0-9_]*)`)

// mentioned are the keys that a problem's expressions speak of, those behind derived values as well.
func (iv *interview) mentioned(p decision.Problem) map[string]bool {
	var exprs []string
	for _, r := range iv.opts.Catalog.Rules {
		if p.ID == "" && r.Message == p.Err.What {
			exprs = append(exprs, r.Refuse)
		}
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
		for _, match := range field.FindAllStringSubmatch(expr, -1) {
			key := match[1]
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
		r := row{id: d.ID, title: title(d), value: d.Format(answer.Value), origin: string(answer.Origin)}
		if input, given := iv.opts.Given[d.ID]; given && answer.Origin == decision.Chosen && input.Where != d.ID {
			r.origin += " by " + input.Where
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

// hint is what mends a refusal, unless it is to run rustgen explain, which the prompt does by itself.
func hint(refused *decision.Error) string {
	if strings.Contains(refused.Hint, "rustgen explain") {
		return ""
	}
	return refused.Hint
}
