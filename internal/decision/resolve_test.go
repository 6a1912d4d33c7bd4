package decision

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// catalog reads decisions, presets, locks, derived values and rules from YAML.
func catalog(t *testing.T, text string) *Catalog {
	t.Helper()
	var doc struct {
		Decisions []Decision
		Presets   map[string]Raw
		Locked    map[string]Lock
		Derived   []struct{ Name, Expr string }
		Rules     []Rule
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	c := &Catalog{Decisions: doc.Decisions, Presets: doc.Presets, Locked: doc.Locked, Rules: doc.Rules}
	for _, d := range doc.Derived {
		c.Derived = append(c.Derived, Derived(d))
	}
	return c
}

// equals is a language of one form, "key=value", so that these tests need no template engine.
func equals(expr string, data map[string]any) (any, error) {
	key, want, comparison := strings.Cut(expr, "=")
	value, ok := data[key]
	if !ok {
		return nil, fmt.Errorf("there is no value named %q", key)
	}
	if !comparison {
		return value, nil
	}
	return fmt.Sprint(value) == want, nil
}

func given(pairs ...string) map[string]Input {
	all := map[string]Input{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = Text(pairs[i+1], FromFlag(pairs[i]))
	}
	return all
}

// show writes the answers in order, each with its origin.
func show(c *Catalog, out *Outcome) string {
	var all []string
	for i := range c.Decisions {
		d := &c.Decisions[i]
		if answer, ok := out.Answers[d.ID]; ok {
			all = append(all, fmt.Sprintf("%s=%s %s", d.ID, answer.Value, answer.Origin))
		}
	}
	return strings.Join(all, ", ")
}

const small = `
decisions:
  - {id: state, type: choice, options: [{value: no}, {value: full}], default: no, deliberate: true}
  - {id: panic, type: string, default: {expr: state}}
  - {id: level, type: int, default: 1}
  - {id: room, type: size, default: 1MiB, when: state=full}
  - {id: wait, type: duration, when: state=full}
`

func TestResolve(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, catalog string
		req           Request
		want          string
		problem       string
		missing       int
	}{
		{"nothing is given", small, Request{}, "state=no default, panic=no default, level=1 default", "", 1},
		{"defaults are accepted", small, Request{AcceptDefaults: true}, "state=no default, panic=no default, level=1 default", "", 0},
		{"what follows is derived", small, Request{Given: given("state", "full", "wait", "1s")},
			"state=full chosen, panic=full default, level=1 default, room=1MiB default, wait=1s chosen", "", 0},
		{"a decision without a default is missing", small, Request{Given: given("state", "full"), AcceptDefaults: true},
			"state=full chosen, panic=full default, level=1 default, room=1MiB default", "", 1},
		{"one that does not apply is refused by flag", small, Request{Given: given("state", "no", "room", "2MiB")},
			"state=no chosen, panic=no default, level=1 default", "--room has no effect here: room applies only when state=full", 0},
		{"a preset is another default", small + "presets: {state: full, wait: 2s}", Request{},
			"state=full preset, panic=full default, level=1 default, room=1MiB default, wait=2s preset", "", 0},
		{"a lock holds", small + "locked: {state: {value: no, reason: because}}", Request{Given: given("state", "full")},
			"state=no locked, panic=no default, level=1 default", "--state: the platform has set state to no: because", 0},
		{"the locked value may be said again", small + "locked: {state: {value: no, reason: because}}", Request{Given: given("state", "no")},
			"state=no locked, panic=no default, level=1 default", "", 0},
		{"a rule refuses", small + "rules: [{refuse: level=3, message: three is taken}]", Request{Given: given("state", "no", "level", "3")},
			"state=no chosen, panic=no default, level=3 chosen", "three is taken", 0},
		{"an unknown key has a hint", small, Request{Given: given("state", "no", "levle", "3")},
			"state=no chosen, panic=no default, level=1 default", `--levle: there is no decision "levle" (did you mean "level"?)`, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cat := catalog(t, c.catalog)
			if err := cat.Check(nil); err != nil {
				t.Fatal(err)
			}
			out, err := cat.Resolve(equals, c.req)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(cat, out); got != c.want {
				t.Errorf("resolved to %s\nwant        %s", got, c.want)
			}
			problem := ""
			if len(out.Problems) > 0 {
				problem = out.Problems[0].Err.Error()
				if strings.Contains(c.problem, "(") {
					problem += " (" + out.Problems[0].Err.Hint + ")"
				}
			}
			if problem != c.problem {
				t.Errorf("the problem is %q, want %q", problem, c.problem)
			}
			if len(out.Missing) != c.missing {
				t.Errorf("%d are missing, want %d", len(out.Missing), c.missing)
			}
			if out.OK() {
				for i := range cat.Decisions {
					if _, ok := out.Data[cat.Decisions[i].Key()]; !ok {
						t.Errorf("templates do not see %s", cat.Decisions[i].ID)
					}
				}
			}
		})
	}
}

// A recorded answer that was chosen stays; a recorded default that changed stays and is reported; what was derived is
// derived again.
func TestResolveWithRecord(t *testing.T) {
	t.Parallel()
	record := map[string]Recorded{
		"state": {Value: RawText("no"), Origin: Chosen},
		"panic": {Value: RawText("no"), Origin: Defaulted},
		"level": {Value: RawText("0"), Origin: Defaulted},
		"gone":  {Value: RawText("x"), Origin: Chosen},
	}
	cat := catalog(t, small)
	out, err := cat.Resolve(equals, Request{Recorded: record, Given: given("wait", "1s", "state", "full")})
	if err != nil {
		t.Fatal(err)
	}
	want := "state=full chosen, panic=full default, level=0 default, room=1MiB default, wait=1s chosen"
	if got := show(cat, out); got != want {
		t.Errorf("resolved to %s\nwant        %s", got, want)
	}
	if got := fmt.Sprint(out.NewDefaults, out.Added, out.Removed); got != "[{level 0 1}] [room wait] [gone]" {
		t.Errorf("it reports %s", got)
	}
	if len(out.Missing) > 0 {
		t.Errorf("it asks again for what is recorded: %v", out.Missing)
	}
}

// A decision that does not apply has a value of its type, so that templates need not care.
func TestInapplicableHasItsType(t *testing.T) {
	t.Parallel()
	for _, kind := range Types {
		text := fmt.Sprintf("decisions:\n  - {id: on, type: bool, default: false}\n  - {id: x, type: %s, when: on", kind)
		if kind == Choice {
			text += ", options: [{value: a}]"
		}
		cat := catalog(t, text+"}\n")
		out, err := cat.Resolve(func(expr string, data map[string]any) (any, error) { return data[expr], nil }, Request{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprintf("%T", out.Data["x"]), map[Type]string{
			String: "string", Choice: "string", Bool: "bool", Int: "int", Size: "int64", Duration: "time.Duration", List: "[]string",
		}[kind]; got != want {
			t.Errorf("%s: templates see a %s, want a %s", kind, got, want)
		}
	}
}

func TestCheckRefusesContradictions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`decisions: [{id: a, type: int}, {id: a, type: int}]`:                             "decision a is declared twice",
		`decisions: [{id: A, type: int}]`:                                                 "decision A: an id is kebab-case",
		`decisions: [{id: a--b, type: int}]`:                                              "an id is kebab-case",
		`decisions: [{id: a, type: float}]`:                                               `type "float" is not one of`,
		`decisions: [{id: a, type: choice}]`:                                              "a choice needs options",
		`decisions: [{id: a, type: int, options: [{value: x}]}]`:                          "only a choice or a list has options",
		`decisions: [{id: a, type: choice, options: [{value: x}, {value: x}]}]`:           "stands twice",
		`decisions: [{id: a, type: choice, options: [{value: x}], default: y}]`:           `default: "y" is not one of x`,
		`decisions: [{id: a, type: int, default: x}]`:                                     `default: "x" is not a whole number`,
		`decisions: [{id: a, type: int, validate: [{expr: a}]}]`:                          "a validation has an expr and a message",
		`decisions: [{id: yes, type: int}]`:                                               "rustgen's own flag",
		`{decisions: [{id: port, type: int}], presets: {prot: 1}}`:                        `did you mean "port"?`,
		`{decisions: [{id: port, type: int}], presets: {port: x}}`:                        "not a whole number",
		`{decisions: [{id: port, type: int}], locked: {port: {value: 1}}}`:                "a lock needs a reason",
		`{decisions: [{id: a-b, type: int}], derived: [{name: a_b, expr: x}]}`:            "there is already a value of that name",
		`{decisions: [{id: a, type: int}], rules: [{refuse: a, warn: a, message: both}]}`: "either refuse or warn",
		`{decisions: [{id: a, type: int}], rules: [{refuse: a}]}`:                         "rule 1",
	} {
		err := catalog(t, text).Check([]string{"yes"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v\nwant  %s", text, err, want)
		}
	}
}
