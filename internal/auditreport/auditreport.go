// Package auditreport is what an audit has found, for people and for programs: text, JSON, SARIF, and whether it fails.
package auditreport

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/audit"
	"rustgen/internal/hint"
	"rustgen/internal/report"
)

// Report is what the production checklist found.
type Report struct {
	Dir     string          `json:"dir"`
	Passed  int             `json:"passed"`
	Failed  int             `json:"failed"`
	NotSeen int             `json:"not_seen"`
	Checks  []audit.Result  `json:"checks"`
	Notes   []audit.Finding `json:"notes,omitempty"`
}

// New makes the report of an audit of dir, as the user would name it.
func New(dir string, found *audit.Report) *Report {
	r := &Report{Dir: dir, Checks: found.Results, Notes: found.Notes}
	for _, result := range r.Checks {
		switch result.State {
		case audit.Passed:
			r.Passed++
		case audit.Failed:
			r.Failed++
		case audit.NotSeen:
			r.NotSeen++
		}
	}
	return r
}

// Verdict is the error of a run with findings of a severity or worse; "never" is none.
func (r *Report) Verdict(failOn string) error {
	if failOn == "never" || !slices.ContainsFunc(r.Checks, func(c audit.Result) bool {
		return c.State == audit.Failed && c.Severity.AtLeast(audit.Severity(failOn))
	}) {
		return nil
	}
	return hint.New(hint.Found, "rustgen audit --skip ID leaves a check out that does not hold on purpose; rustgen explain ID says more of it",
		"%d of %d checks failed", r.Failed, r.Failed+r.Passed)
}

// Text is the report for people: findings from a severity on, then what was not seen, then the rest in a few lines.
func (r *Report) Text(show audit.Severity) string {
	var b strings.Builder
	area := ""
	less := map[audit.Severity]int{}
	for _, result := range r.Checks {
		if result.State != audit.Failed {
			continue
		}
		if !result.Severity.AtLeast(show) {
			less[result.Severity]++
			continue
		}
		if result.Area != area {
			area = result.Area
			fmt.Fprintf(&b, "%s\n", area)
		}
		writeResult(&b, result)
	}
	r.writeUnseen(&b)
	r.writeRest(&b, show, less)
	return b.String()
}

// mostPlaces is how many places of one fault are printed; --json has them all.
const mostPlaces = 5

func writeResult(b *strings.Builder, result audit.Result) {
	fmt.Fprintf(b, "  %s (%s): %s\n", result.ID, result.Severity, result.Title)
	writeFindings(b, result.Findings)
	fmt.Fprintf(b, "%s\n", report.Fold("Why: "+result.Why+".", report.Width, "    "))
	fmt.Fprintf(b, "%s\n\n", report.Fold("Mend: "+result.Mend+".", report.Width, "    "))
}

func writeFindings(b *strings.Builder, findings []audit.Finding) {
	for i, f := range findings {
		if i == mostPlaces {
			fmt.Fprintf(b, "      and %d more\n", len(findings)-i)
			break
		}
		where := f.Place.String()
		if where != "" {
			where += ": "
		}
		fmt.Fprintf(b, "      %s\n", harmless(where+f.What))
	}
}

// harmless is text of the tree that is read, without what a terminal would obey.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// writeUnseen says which checks could not be judged, and what would have to be seen for each.
func (r *Report) writeUnseen(b *strings.Builder) {
	var order []string
	ids := map[string][]string{}
	for _, result := range r.Checks {
		if result.State != audit.NotSeen {
			continue
		}
		for _, f := range result.Unseen {
			what := harmless(f.What)
			if where := f.Place.String(); where != "" {
				what = harmless(where) + ": " + what
			}
			if ids[what] == nil {
				order = append(order, what)
			}
			ids[what] = append(ids[what], result.ID)
		}
	}
	if len(order) == 0 {
		return
	}
	b.WriteString("not seen\n")
	for _, what := range order {
		fmt.Fprintf(b, "  %s\n%s\n", what, report.Fold(strings.Join(ids[what], ", "), report.Width, "    "))
	}
}

// writeRest says what passed, what does not apply, what is allowed, what is only advice, and what was not read.
func (r *Report) writeRest(b *strings.Builder, show audit.Severity, less map[audit.Severity]int) {
	var passed, notes []string
	absent := map[string][]string{}
	allowed := 0
	for _, result := range r.Checks {
		allowed += len(result.Allowed)
		switch result.State {
		case audit.Passed:
			passed = append(passed, result.ID)
		case audit.NoMatch:
			if absent[result.Note] == nil {
				notes = append(notes, result.Note)
			}
			absent[result.Note] = append(absent[result.Note], result.ID)
		}
	}
	if len(passed) > 0 {
		fmt.Fprintf(b, "passed\n%s\n", report.Fold(strings.Join(passed, ", "), report.Width, "  "))
	}
	for _, note := range notes {
		fmt.Fprintf(b, "left out: %s\n%s\n", note, report.Fold(strings.Join(absent[note], ", "), report.Width, "  "))
	}
	if allowed > 0 {
		fmt.Fprintf(b, "allowed: %d findings, each with its reason in --json\n", allowed)
	}
	for _, severity := range audit.Severities() {
		if n := less[severity]; n > 0 && !severity.AtLeast(show) {
			fmt.Fprintf(b, "not shown: %d checks of severity %s failed (--show %s)\n", n, severity, severity)
		}
	}
	if len(r.Notes) > 0 {
		b.WriteString("notes\n")
		writeFindings(b, r.Notes)
	}
}

// List is the checklist by its areas.
func List(checks []audit.Check) string {
	var b strings.Builder
	area := ""
	for _, c := range checks {
		if c.Area != area {
			area = c.Area
			fmt.Fprintf(&b, "%s\n", area)
		}
		fmt.Fprintf(&b, "  %-20s %s\n", c.ID, c.Title)
	}
	return b.String()
}
