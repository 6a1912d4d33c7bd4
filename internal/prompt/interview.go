package prompt

import (
	"slices"

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
