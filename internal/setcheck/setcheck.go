// Package setcheck finds the mistakes of a template set that can be loaded: what does not render, what no disk or forge
// takes, and what says nothing. It is pure.
package setcheck

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rustgen/internal/decision"
	"rustgen/internal/lazyregexp"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
)

// checker gathers what is found in one set.
type checker struct {
	set      *templateset.Set
	engine   *render.Engine
	problems []templateset.Problem
	found    map[string]bool
	// rendered are the paths that some answers give.
	rendered map[string]bool
}

// Check finds all mistakes, in the order of files and lines.
func Check(set *templateset.Set, engine *render.Engine) []templateset.Problem {
	c := &checker{set: set, engine: engine, found: map[string]bool{}, rendered: map[string]bool{}}
	c.render()
	c.fileRules()
	c.paths()
	c.renames()
	c.moved()
	c.changelog()
	c.conditions()
	c.comparisons()
	slices.SortStableFunc(c.problems, func(a, b templateset.Problem) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return c.problems
}

// add takes a problem once.
func (c *checker) add(p templateset.Problem) {
	if !c.found[p.String()] {
		c.found[p.String()] = true
		c.problems = append(c.problems, p)
	}
}

// manifest is a problem in what a path of template.yaml leads to.
func (c *checker) manifest(path []any, format string, args ...any) {
	c.add(c.set.Problem(path, format, args...))
}

// file is a problem in a file of the set.
func (c *checker) file(name string, line int, format string, args ...any) {
	c.add(templateset.Problem{File: name, Line: line, Text: fmt.Sprintf(format, args...)})
}

// render renders the set with its defaults, and with each option of each decision in turn.
func (c *checker) render() {
	c.try("", "")
	for i := range c.set.Catalog.Decisions {
		d := &c.set.Catalog.Decisions[i]
		if _, locked := c.set.Catalog.Locked[d.ID]; locked {
			continue
		}
		for _, v := range trials(d) {
			c.try(d.ID, v)
		}
	}
}

// trials are the answers that a decision is tried with beside its default. A list without options is tried empty and
// with two items.
func trials(d *decision.Decision) []string {
	switch values := d.Values(); {
	case d.Type == decision.Bool:
		return []string{"yes", "no"}
	case d.Type == decision.List && len(values) == 0:
		return []string{"none", "one,two"}
	default:
		return values
	}
}

// exampleName is the service that sets are tried with.
const exampleName = "example"

func (c *checker) resolve(answers map[string]string) (*decision.Outcome, error) {
	given := map[string]decision.Input{decision.NameID: decision.Text(exampleName, decision.FromArgument())}
	for id, value := range answers {
		given[id] = decision.Text(value, decision.FromPrompt())
	}
	return c.set.Catalog.Resolve(c.engine.Eval, decision.Request{Given: given, AcceptDefaults: true})
}

func (c *checker) try(id, value string) {
	answers := map[string]string{}
	if id != "" {
		answers[id] = value
	}
	out, err := c.resolve(answers)
	if err != nil {
		c.declaration(err)
		return
	}
	// A refusal is a rule at work; the other options are tried all the same.
	if !out.OK() {
		if id == "" && len(out.Problems) > 0 {
			c.manifest([]any{"decisions", out.Problems[0].ID}, "the defaults are refused: %v", out.Problems[0].Err)
		}
		return
	}
	t, faults := c.engine.RenderAll(c.set, out.Data)
	for _, fault := range faults {
		c.located(fault)
	}
	for p := range t {
		c.rendered[p] = true
	}
}

var (
	inFile      = lazyregexp.New(`^(?:path of )?([^:]+?)(?::(\d+))?: (.*)$`)
	inDecision  = lazyregexp.New(`^decision (\S+): (\w+): `)
	inDerived   = lazyregexp.New(`^derived (\S+): `)
	inRule      = lazyregexp.New(`^rule "(.*)": "`)
	inConstants = lazyregexp.New(`^(preset|locked) (\S+): `)
)

// located is a fault of rendering, which names its file and line.
func (c *checker) located(fault error) {
	m := inFile.FindStringSubmatch(fault.Error())
	if m == nil {
		c.file("files", 0, "%v", fault)
		return
	}
	line, _ := strconv.Atoi(m[2])
	c.file(m[1], line, "%s", m[3])
}

// declaration is a fault of an expression in template.yaml.
func (c *checker) declaration(fault error) {
	text := fault.Error()
	path := []any{}
	if m := inDecision.FindStringSubmatch(text); m != nil {
		path = []any{"decisions", m[1], m[2]}
	} else if m := inDerived.FindStringSubmatch(text); m != nil {
		path = []any{"derived", m[1]}
	} else if m := inConstants.FindStringSubmatch(text); m != nil {
		path = []any{strings.Replace(m[1], "preset", "presets", 1), m[2]}
	} else if m := inRule.FindStringSubmatch(text); m != nil {
		if i := slices.IndexFunc(c.ownRules(), func(r decision.Rule) bool { return r.Refuse+r.Warn == m[1] }); i >= 0 {
			path = []any{"rules", i}
		}
	}
	c.manifest(path, "%s", text)
}

// ownRules are the set's rules without those of the set that it extends.
func (c *checker) ownRules() []decision.Rule {
	if c.set.Under == nil {
		return c.set.Catalog.Rules
	}
	return c.set.Catalog.Rules[len(c.set.Under.Catalog.Rules):]
}

// ownFileRules are the set's rules for files without those of the set that it extends.
func (c *checker) ownFileRules() []templateset.FileRule {
	if c.set.Under == nil {
		return c.set.Rules
	}
	return c.set.Rules[len(c.set.Under.Rules):]
}

// ownRenames are the set's renames without those of the set that it extends.
func (c *checker) ownRenames() []templateset.Rename {
	if c.set.Under == nil {
		return c.set.Renames
	}
	return c.set.Renames[len(c.set.Under.Renames):]
}

// fileRules finds rules that speak of no file.
func (c *checker) fileRules() {
	for i, r := range c.ownFileRules() {
		speaks := slices.ContainsFunc(c.set.Sources, func(s templateset.Source) bool { return r.Matches(s.Path) })
		for p := range c.rendered {
			speaks = speaks || r.Matches(p)
		}
		if !speaks {
			c.manifest([]any{"files", i}, "files: no file matches %q", r.Path)
		}
	}
}

// changelog finds a changelog without a section for the version.
func (c *checker) changelog() {
	if c.set.Changelog == "" {
		return
	}
	section := regexp.MustCompile(`(?m)^##? +\[?v?` + regexp.QuoteMeta(c.set.Version) + `\]?( .*)?$`)
	if !section.MatchString(c.set.Changelog) {
		c.file("CHANGELOG.md", 1, "there is no section \"## %s\", which upgrades show", c.set.Version)
	}
}

// paths finds files that cannot stand on every disk.
func (c *checker) paths() {
	lower := map[string]string{}
	for _, s := range c.set.Own {
		if err := tree.CheckPortable(s.Path); err != nil {
			c.file(s.Origin, 0, "%v", err)
		}
		if other, ok := lower[strings.ToLower(s.Path)]; ok && other != s.Path {
			c.file(s.Origin, 0, "differs from %s by case alone, which Windows and macOS take for the same", other)
		}
		lower[strings.ToLower(s.Path)] = s.Path
	}
	for p := range c.rendered {
		if slices.ContainsFunc(c.set.Sources, func(s templateset.Source) bool { return s.Path == p }) {
			continue
		}
		if err := tree.CheckPortable(p); err != nil {
			c.file("files", 0, "%s is rendered: %v", p, err)
		}
	}
}
