package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/lazyregexp"
)

// Settings are what a service says of its audit, in a file that lies in it.
type Settings struct {
	// Skip are checks that are left out; Severity, how much some weigh; FailOn, from where on a run fails.
	Skip     []string            `yaml:"skip"`
	Severity map[string]Severity `yaml:"severity"`
	FailOn   Severity            `yaml:"fail-on"`
	// Allow are findings that are as they should be.
	Allow []Allowance `yaml:"allow"`
}

// Allowance is a finding that is as it should be: its check, where, and why.
type Allowance struct {
	Check  string `yaml:"check"`
	Path   string `yaml:"path"`
	Reason string `yaml:"reason"`
}

// ParseSettings reads a file of settings.
//
// Errors: no YAML, a key or a check that does not exist, a severity that does not, an allowance without a reason.
func ParseSettings(data []byte) (Settings, error) {
	var s Settings
	d := yaml.NewDecoder(strings.NewReader(string(data)))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && err.Error() != "EOF" {
		return s, err
	}
	known := func(id string) bool { return slices.ContainsFunc(Checks(), func(c Check) bool { return c.ID == id }) }
	for _, id := range s.Skip {
		if !known(id) {
			return s, fmt.Errorf("skip: there is no check %q", id)
		}
	}
	for id, severity := range s.Severity {
		if !known(id) {
			return s, fmt.Errorf("severity: there is no check %q", id)
		}
		if !slices.Contains(Severities(), severity) {
			return s, fmt.Errorf("severity: %s: %q is none of fault, risk, advice", id, severity)
		}
	}
	if s.FailOn != "" && !slices.Contains(Severities(), s.FailOn) {
		return s, fmt.Errorf("fail-on: %q is none of fault, risk, advice", s.FailOn)
	}
	for _, a := range s.Allow {
		switch {
		case !known(a.Check):
			return s, fmt.Errorf("allow: there is no check %q", a.Check)
		case strings.TrimSpace(a.Reason) == "":
			return s, fmt.Errorf("allow: %s has no reason", a.Check)
		case !doublestar.ValidatePattern(a.Path):
			return s, fmt.Errorf("allow: %s: %q is no path pattern", a.Check, a.Path)
		}
	}
	return s, nil
}

// Baseline counts the findings that were there when a service adopted the audit, by check, path and words. Lines are no
// part of it: they move.
type Baseline map[string]int

// baselineKey is what a baseline knows a finding by.
func baselineKey(id string, f Finding) string {
	return id + " " + f.Path + " " + numbers.ReplaceAllString(f.What, "N")
}

var numbers = lazyregexp.New(`\d+`)

// BaselineOf is what a report found.
func BaselineOf(results []Result) Baseline {
	b := Baseline{}
	for _, r := range results {
		for _, f := range r.Findings {
			b[baselineKey(r.ID, f)]++
		}
	}
	return b
}

// allow is one thing that allows findings: a comment, a line of the settings, an entry of the baseline.
type allow struct {
	check  string
	place  Place
	reason string
	// comment is of the line that it stands in and the next; pattern is of a path; key is of the baseline.
	comment bool
	pattern string
	key     string
	left    int
	used    bool
}

// allowComment is: rustgen: allow(CHECK, reason).
var allowComment = lazyregexp.New(`rustgen:\s*allow\(\s*([\w-]+)\s*(?:,\s*([^)]*))?\)?`)

func (s *service) gatherAllows(settings Settings, b Baseline) {
	for _, f := range s.program.Files() {
		for _, c := range f.Comments {
			s.addComment(f.Path, c.Line, c.Text)
		}
	}
	for _, p := range s.paths {
		if strings.HasSuffix(p, ".rs") || !s.files[p].IsText() || !strings.Contains(string(s.files[p].Data), "rustgen:") {
			continue
		}
		for i, l := range strings.Split(string(s.files[p].Data), "\n") {
			if n := strings.Index(l, "#"); n >= 0 && strings.Contains(l[n:], "rustgen:") {
				s.addComment(p, i+1, l[n:])
			}
		}
	}
	for _, a := range settings.Allow {
		s.allows = append(s.allows, &allow{check: a.Check, pattern: a.Path, reason: a.Reason})
	}
	for _, key := range slices.Sorted(maps.Keys(b)) {
		n := b[key]
		s.allows = append(s.allows, &allow{key: key, left: n, reason: "it is in the baseline"})
	}
}

func (s *service) addComment(p string, line int, text string) {
	m := allowComment.FindStringSubmatch(text)
	if m == nil {
		return
	}
	reason := strings.TrimSpace(m[2])
	if reason == "" {
		s.notes = append(s.notes, at(Place{p, line}, "allow(%s) has no reason, so it allows nothing", m[1]))
		return
	}
	if !slices.ContainsFunc(Checks(), func(c Check) bool { return c.ID == m[1] }) {
		s.notes = append(s.notes, at(Place{p, line}, "allow(%s): there is no such check", m[1]))
		return
	}
	s.allows = append(s.allows, &allow{check: m[1], place: Place{p, line}, reason: reason, comment: true})
}

// allowing finds what allows a finding, and counts it as used.
func (s *service) allowing(id string, f Finding) *allow {
	for _, a := range s.allows {
		switch {
		case a.key != "" && a.left > 0 && a.key == baselineKey(id, f):
			a.left--
		case a.key != "" || a.check != id:
			continue
		case a.comment && (a.place.Path != f.Path || f.Line != a.place.Line && !s.next(a.place, f.Line)):
			continue
		case !a.comment && a.pattern != "" && !matchesPath(a.pattern, f.Path):
			continue
		}
		a.used = true
		return a
	}
	return nil
}

func matchesPath(pattern, p string) bool { ok, _ := doublestar.Match(pattern, p); return ok }

// next reports whether only comments, attributes and blank lines stand between a comment and a line.
func (s *service) next(comment Place, line int) bool {
	if line <= comment.Line || line > comment.Line+20 {
		return false
	}
	lines := strings.Split(s.text(comment.Path), "\n")
	for n := comment.Line + 1; n < line; n++ {
		if t := strings.TrimSpace(lines[n-1]); t != "" && !strings.HasPrefix(t, "//") && !strings.HasPrefix(t, "#") {
			return false
		}
	}
	return true
}

// unusedAllows says what allows nothing that was found, of the checks that ran.
func (s *service) unusedAllows(ran []Check) (all []Finding) {
	for _, a := range s.allows {
		if a.key != "" {
			all = append(all, outdated(a, ran)...)
			continue
		}
		if a.used || a.check != "" && !slices.ContainsFunc(ran, func(c Check) bool { return c.ID == a.check }) {
			continue
		}
		switch {
		case a.comment:
			all = append(all, at(a.place, "allow(%s) allows nothing: take it out", a.check))
		default:
			all = append(all, at(Place{SettingsFile, 0}, "the allowance of %s in %q allows nothing: take it out", a.check, a.pattern))
		}
	}
	return all
}

// outdated says what an entry of the baseline counts and no check that ran finds any more.
func outdated(a *allow, ran []Check) []Finding {
	id, _, _ := strings.Cut(a.key, " ")
	if a.left == 0 || !slices.ContainsFunc(ran, func(c Check) bool { return c.ID == id }) {
		return nil
	}
	return []Finding{at(Place{BaselineFile, 0}, "%q is found %d times less than it says: rustgen audit --format baseline prints a new one", a.key, a.left)}
}

// SettingsFile is where a service keeps its settings, and BaselineFile its baseline.
const (
	SettingsFile = ".rustgen-audit.yaml"
	BaselineFile = ".rustgen-audit-baseline.json"
)
