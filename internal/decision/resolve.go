package decision

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"rustgen/internal/lazyregexp"
)

// Resolve decides every decision in order: given, recorded as chosen, locked, preset, default. It reports all that is
// wrong with the answers in the outcome; its error is a fault of the template set itself.
func (c *Catalog) Resolve(eval Evaluate, req Request) (*Outcome, error) {
	r := &resolver{catalog: c, eval: eval, req: req, out: &Outcome{Answers: map[string]Answer{}, Data: map[string]any{}}}
	r.req.Recorded, r.out.Renamed = c.moved(req.Recorded)
	r.out.Recorded = r.req.Recorded
	r.unknown()
	for i := range c.Decisions {
		if err := r.decide(&c.Decisions[i]); err != nil {
			return nil, err
		}
	}
	if err := r.derive(); err != nil {
		return nil, err
	}
	if err := r.rules(); err != nil {
		return nil, err
	}
	return r.out, nil
}

type resolver struct {
	catalog *Catalog
	eval    Evaluate
	req     Request
	out     *Outcome
}

func (r *resolver) problem(id string, err *Error) {
	r.out.Problems = append(r.out.Problems, Problem{ID: id, Err: err})
}

// wrong is a problem that the explanation of the decision helps with.
func (r *resolver) wrong(d *Decision, format string, args ...any) {
	r.out.Problems = append(r.out.Problems, Problem{
		ID: d.ID, Explained: true, Err: Refuse("rustgen explain "+d.ID, format, args...),
	})
}

// unknown refuses given keys that no decision has, and notes recorded ones.
func (r *resolver) unknown() {
	ids := r.catalog.IDs()
	for _, id := range slices.Sorted(maps.Keys(r.req.Given)) {
		if slices.Contains(ids, id) {
			continue
		}
		hint := "the decisions are " + strings.Join(ids, ", ")
		if now := r.catalog.nowCalled(id); now != "" {
			hint = fmt.Sprintf("it is called %q now", now)
		} else if near := Nearest(id, ids); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		r.problem(id, Refuse(hint, "%s: there is no decision %q", r.req.Given[id].From.place(id), id))
	}
	for _, id := range slices.Sorted(maps.Keys(r.req.Recorded)) {
		if !slices.Contains(ids, id) {
			r.out.Removed = append(r.out.Removed, id)
		}
	}
}

// incomplete reports whether an expression may fail for no fault of the set: something before it is unresolved.
func (r *resolver) incomplete() bool { return !r.out.OK() }

func (r *resolver) decide(d *Decision) error {
	applies, err := r.truth(d.When)
	if err != nil {
		if r.incomplete() {
			return nil
		}
		return fmt.Errorf("decision %s: when: %w", d.ID, err)
	}
	given, isGiven := r.req.Given[d.ID]
	if !applies {
		return r.inapplicable(d, given, isGiven)
	}
	if lock, ok := r.catalog.Locked[d.ID]; ok {
		return r.locked(d, lock, given, isGiven)
	}
	if isGiven {
		return r.accept(d, given.Raw, given.From)
	}
	if recorded, ok := r.req.Recorded[d.ID]; ok && recorded.Origin == Chosen {
		return r.accept(d, recorded.Value, fromRecord)
	}
	return r.fallback(d)
}

// Where answers come from that nobody gave in this run.
var (
	fromRecord  = Source{ByRecord, "the recorded answer"}
	fromDefault = Source{ByDefault, "the default"}
)

// accept takes an answer that somebody gave, if it is valid.
func (r *resolver) accept(d *Decision, raw Raw, from Source) error {
	value, err := d.Read(raw)
	if err != nil {
		r.wrong(d, "%s: %v", from.label(d.ID), err)
		return nil
	}
	valid, err := r.check(d, value, raw.String(), from)
	if valid {
		r.put(d, value, Chosen)
	}
	return err
}

// check reports whether a value is valid, and says what is wrong with it where it is not. said is how it was written. An
// error is the set's fault.
func (r *resolver) check(d *Decision, value Value, said string, from Source) (valid bool, err error) {
	refused, err := r.refused(d, value, said, from)
	if refused != nil {
		r.out.Problems = append(r.out.Problems, *refused)
	}
	return refused == nil && err == nil, err
}

// refused is what is wrong with a value; nil where it is valid.
func (r *resolver) refused(d *Decision, value Value, said string, from Source) (*Problem, error) {
	if d.ID == NameID && len(d.Validate) == 0 {
		if err := checkName(value.text); err != nil {
			return &Problem{ID: d.ID, Err: err}, nil
		}
		return nil, nil
	}
	data := maps.Clone(r.out.Data)
	data[d.Key()] = value.Data()
	for _, c := range d.Validate {
		got, err := r.eval(c.Expr, data)
		if err != nil {
			if r.incomplete() {
				continue
			}
			return nil, fmt.Errorf("decision %s: validate: %w", d.ID, err)
		}
		if ok, _ := template.IsTrue(got); !ok {
			err := Refuse("rustgen explain "+d.ID, "%s %s: %s", from.label(d.ID), said, c.Message)
			return &Problem{ID: d.ID, Explained: true, Err: err}, nil
		}
	}
	return nil, nil
}

func (r *resolver) put(d *Decision, value Value, origin Origin) {
	r.out.Answers[d.ID] = Answer{Value: value, Origin: origin}
	r.out.Data[d.Key()] = value.Data()
	if _, ok := r.req.Recorded[d.ID]; !ok && len(r.req.Recorded) > 0 {
		r.out.Added = append(r.out.Added, d.ID)
	}
}

func (r *resolver) inapplicable(d *Decision, given Input, isGiven bool) error {
	if isGiven {
		what := fmt.Sprintf("%s has no effect here: %s applies only when %s", given.From.label(d.ID), d.ID, d.When)
		if given.From.Explicit() {
			r.problem(d.ID, Refuse("leave it out", "%s", what))
		} else {
			r.out.Warnings = append(r.out.Warnings, what)
		}
	}
	value, found, err := r.setsValue(d)
	if err != nil && !r.incomplete() {
		return err
	}
	if !found || err != nil {
		value = zero(d.Type)
	}
	r.out.Inapplicable = append(r.out.Inapplicable, d.ID)
	r.out.Data[d.Key()] = value.Data()
	return nil
}

func (r *resolver) locked(d *Decision, lock Lock, given Input, isGiven bool) error {
	value, err := d.Read(lock.Value)
	if err != nil {
		return fmt.Errorf("locked %s: %w", d.ID, err)
	}
	if isGiven {
		wanted, err := d.Read(given.Raw)
		if err != nil || !wanted.Equal(value) {
			r.problem(d.ID, Refuse("leave it out", "%s: the platform has set %s to %s: %s",
				given.From.label(d.ID), d.ID, value, lock.Reason))
		}
	}
	r.put(d, value, Locked)
	return nil
}

// fallback decides what nobody gave: preset, then default; a recorded constant stays.
func (r *resolver) fallback(d *Decision) error {
	if preset, ok := r.catalog.Presets[d.ID]; ok {
		value, err := d.Read(preset)
		if err != nil {
			return fmt.Errorf("preset %s: %w", d.ID, err)
		}
		return r.settle(d, value, Preset)
	}
	value, found, err := r.defaultValue(d)
	if err != nil {
		if r.incomplete() {
			return nil
		}
		return err
	}
	_, recorded := r.req.Recorded[d.ID]
	if !found || d.Deliberate && !r.req.AcceptDefaults && !recorded {
		r.out.Missing = append(r.out.Missing, d)
	}
	if !found {
		return nil
	}
	return r.settle(d, value, Defaulted)
}

// settle takes the set's own answer, or the one it gave when the service recorded it. What an expression gives is
// derived again.
func (r *resolver) settle(d *Decision, value Value, origin Origin) error {
	constant := origin == Preset || d.Default.Expr == ""
	if recorded, ok := r.req.Recorded[d.ID]; ok && constant {
		kept, err := d.Read(recorded.Value)
		if err == nil && !kept.Equal(value) {
			refused, err := r.refused(d, kept, kept.String(), fromRecord)
			if err != nil {
				return err
			}
			if refused == nil {
				r.out.NewDefaults = append(r.out.NewDefaults, NewDefault{d.ID, kept.String(), value.String()})
				r.put(d, kept, recorded.Origin)
				return nil
			}
		}
	}
	valid, err := r.check(d, value, value.String(), fromDefault)
	if valid {
		r.put(d, value, origin)
	}
	return err
}

// setsValue is what the set answers by itself: locked, preset, default.
func (r *resolver) setsValue(d *Decision) (value Value, found bool, err error) {
	raw, found := r.catalog.Presets[d.ID]
	if lock, ok := r.catalog.Locked[d.ID]; ok {
		raw, found = lock.Value, true
	}
	if !found {
		return r.defaultValue(d)
	}
	value, err = d.Read(raw)
	return value, true, err
}

func (r *resolver) defaultValue(d *Decision) (value Value, found bool, err error) {
	switch {
	case d.Default == nil:
		return Value{}, false, nil
	case d.Default.Expr == "":
		value, err = d.Read(d.Default.Constant)
	default:
		var result any
		if result, err = r.eval(d.Default.Expr, r.out.Data); err == nil {
			value, err = d.coerce(result)
		}
	}
	if err != nil {
		return Value{}, false, fmt.Errorf("decision %s: default: %w", d.ID, err)
	}
	return value, true, nil
}

// derive computes the derived values, in order, as far as the decisions are resolved.
func (r *resolver) derive() error {
	for _, derived := range r.catalog.Derived {
		value, err := r.eval(derived.Expr, r.out.Data)
		if err != nil {
			if r.incomplete() {
				continue
			}
			return fmt.Errorf("derived %s: %w", derived.Name, err)
		}
		r.out.Data[derived.Name] = value
	}
	return nil
}

// rules refuses or warns of combinations. A rule over something unresolved waits for it.
func (r *resolver) rules() error {
	for i := range r.catalog.Rules {
		rule := &r.catalog.Rules[i]
		expr := rule.Refuse + rule.Warn
		hit, err := r.truth(expr)
		if err != nil {
			if r.incomplete() {
				continue
			}
			return fmt.Errorf("rule %q: %w", expr, err)
		}
		switch {
		case hit && rule.Refuse != "":
			r.refuse(rule)
		case hit:
			r.out.Warnings = append(r.out.Warnings, rule.Message)
		}
	}
	return nil
}

// refuse reports a rule at work: as a decision's own fault where it speaks of that one alone.
func (r *resolver) refuse(rule *Rule) {
	d := r.catalog.subject(rule.Refuse)
	if answer, ok := r.answer(d); ok {
		said := answer.Value.String()
		if given, ok := r.req.Given[d.ID]; ok {
			said = given.Raw.String()
		}
		r.problem(d.ID, Refuse("choose another", "%s %s: %s", d.ID, said, rule.Message))
		return
	}
	refused := Refuse("change one of them; rustgen explain says what each does", "%s", rule.Message)
	r.out.Problems = append(r.out.Problems, Problem{Rule: rule, Explained: true, Err: refused})
}

// answer is the answer to a decision; none where there is no decision, or it does not apply.
func (r *resolver) answer(d *Decision) (Answer, bool) {
	if d == nil {
		return Answer{}, false
	}
	answer, ok := r.out.Answers[d.ID]
	return answer, ok
}

var field = lazyregexp.New(`\.([a-z][a-z0-9_]*)`)

// Reads are the names of the values that an expression reads, as they stand there.
func Reads(expr string) []string {
	var keys []string
	for _, match := range field.FindAllStringSubmatch(expr, -1) {
		keys = append(keys, match[1])
	}
	return keys
}

// subject is the decision that an expression reads, where it reads one value only.
func (c *Catalog) subject(expr string) *Decision {
	var only *Decision
	for _, key := range Reads(expr) {
		at := slices.IndexFunc(c.Decisions, func(d Decision) bool { return d.Key() == key })
		if at < 0 || only != nil && only != &c.Decisions[at] {
			return nil
		}
		only = &c.Decisions[at]
	}
	return only
}

// truth evaluates a condition; an empty one is true.
func (r *resolver) truth(expr string) (bool, error) {
	if expr == "" {
		return true, nil
	}
	value, err := r.eval(expr, r.out.Data)
	if err != nil {
		return false, err
	}
	ok, _ := template.IsTrue(value)
	return ok, nil
}
