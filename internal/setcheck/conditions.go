package setcheck

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"rustgen/internal/decision"
	"rustgen/internal/lazyregexp"
)

// mostCases bounds the combinations of answers that one condition is tried with.
const mostCases = 512

// conditions finds conditions that no answers make true.
func (c *checker) conditions() {
	for i := range c.set.Catalog.Decisions {
		d := &c.set.Catalog.Decisions[i]
		if c.never(d.When) {
			c.manifest([]any{"decisions", d.ID, "when"}, "decision %s: when: %q is never true", d.ID, d.When)
		}
	}
	for i, r := range c.ownRules() {
		if c.never(r.Refuse + r.Warn) {
			c.manifest([]any{"rules", i}, "rule %d: %q is never true", i+1, r.Refuse+r.Warn)
		}
	}
	for i, r := range c.ownFileRules() {
		if c.never(r.When) {
			c.manifest([]any{"files", i}, "files: %s: when: %q is never true", r.Path, r.When)
		}
	}
}

// never reports whether a condition is false with all answers that it can see. One that reads a text, a number or the
// item of a list could be true for an answer that is not tried.
func (c *checker) never(expr string) bool {
	if expr == "" {
		return false
	}
	reads, finite := c.reads(expr)
	if !finite {
		return false
	}
	cases := []map[string]string{{}}
	for _, d := range reads {
		if _, locked := c.set.Catalog.Locked[d.ID]; locked {
			continue
		}
		var more []map[string]string
		for _, so := range cases {
			for _, v := range trials(d) {
				with := map[string]string{d.ID: v}
				for id, value := range so {
					with[id] = value
				}
				more = append(more, with)
			}
		}
		if cases = more; len(cases) > mostCases {
			return false
		}
	}
	for _, answers := range cases {
		out, err := c.resolve(answers)
		if err != nil {
			return false
		}
		got, err := c.engine.Eval(expr, out.Data)
		if err != nil {
			return false
		}
		if truth, _ := template.IsTrue(got); truth {
			return false
		}
	}
	return true
}

var value = lazyregexp.New(`\.([a-z][a-z0-9_]*)`)

// reads are the decisions that an expression reads, through derived values and computed defaults too. finite says that
// each has only so many answers.
func (c *checker) reads(expr string) (reads []*decision.Decision, finite bool) {
	todo, seen := []string{expr}, map[string]bool{}
	finite = true
	for len(todo) > 0 {
		expr, todo = todo[0], todo[1:]
		for _, m := range value.FindAllStringSubmatch(expr, -1) {
			if seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			if i := slices.IndexFunc(c.set.Catalog.Derived, func(d decision.Derived) bool { return d.Name == m[1] }); i >= 0 {
				todo = append(todo, c.set.Catalog.Derived[i].Expr)
				continue
			}
			i := slices.IndexFunc(c.set.Catalog.Decisions, func(d decision.Decision) bool { return d.Key() == m[1] })
			if i < 0 {
				return nil, false
			}
			d := &c.set.Catalog.Decisions[i]
			reads = append(reads, d)
			finite = finite && len(trials(d)) > 0
		}
	}
	return reads, finite
}

var (
	comparison = lazyregexp.New(`\b(?:eq|ne) \.([a-z][a-z0-9_]*)((?: "[^"]*")+)`)
	literal    = lazyregexp.New(`"([^"]*)"`)
	pattern    = lazyregexp.New(`\b(?:must)?[rR]egex\w+ ("(?:[^"\\]|\\.)*")`)
)

// comparisons finds comparisons of a choice with a value that it cannot have, and patterns that are none.
func (c *checker) comparisons() {
	for i := range c.set.Catalog.Decisions {
		d := &c.set.Catalog.Decisions[i]
		exprs := []string{d.When}
		if d.Default != nil {
			exprs = append(exprs, d.Default.Expr)
		}
		for _, v := range d.Validate {
			exprs = append(exprs, v.Expr)
		}
		c.suspect(exprs, func(text string) { c.manifest([]any{"decisions", d.ID}, "decision %s: %s", d.ID, text) })
	}
	for _, v := range c.set.Catalog.Derived {
		c.suspect([]string{v.Expr}, func(text string) { c.manifest([]any{"derived", v.Name}, "derived %s: %s", v.Name, text) })
	}
	for i, r := range c.ownRules() {
		c.suspect([]string{r.Refuse, r.Warn}, func(text string) { c.manifest([]any{"rules", i}, "rule %d: %s", i+1, text) })
	}
	for i, r := range c.ownFileRules() {
		c.suspect([]string{r.When, r.Each}, func(text string) { c.manifest([]any{"files", i}, "files: %s: %s", r.Path, text) })
	}
	for _, s := range c.set.Own {
		if !s.Render {
			continue
		}
		for n, line := range strings.Split(string(s.Data), "\n") {
			if strings.Contains(line, "<%") {
				c.suspect([]string{line}, func(text string) { c.file(s.Origin, n+1, "%s", text) })
			}
		}
	}
}

// suspect says what is wrong with the literals of expressions.
func (c *checker) suspect(exprs []string, say func(text string)) {
	for _, expr := range exprs {
		for _, m := range comparison.FindAllStringSubmatch(expr, -1) {
			i := slices.IndexFunc(c.set.Catalog.Decisions, func(d decision.Decision) bool { return d.Key() == m[1] && d.Type == decision.Choice })
			if i < 0 {
				continue
			}
			d := &c.set.Catalog.Decisions[i]
			for _, l := range literal.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(d.Values(), l[1]) {
					say(strconv.Quote(l[1]) + " is no answer of " + d.ID + ", which is one of " + strings.Join(d.Values(), ", "))
				}
			}
		}
		for _, m := range pattern.FindAllStringSubmatch(expr, -1) {
			text, err := strconv.Unquote(m[1])
			if err != nil {
				continue
			}
			if _, err := regexp.Compile(text); err != nil {
				say("the pattern " + m[1] + " is none: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			}
		}
	}
}
