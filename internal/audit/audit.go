// Package audit is the production checklist: what must hold in a Rust gRPC service before it meets load, looked for in
// any tree, whoever wrote it. It reads text and builds nothing. What its reasons say of tonic is of version 0.14 unless
// they name another; docs/benchmarks.md has the numbers.
package audit

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Severity says how much a finding weighs.
type Severity string

// The severities: it will fail under load, it may, or it is better otherwise.
const (
	Fault  Severity = "fault"
	Risk   Severity = "risk"
	Advice Severity = "advice"
)

// Severities are all of them, the heaviest first.
func Severities() []Severity { return []Severity{Fault, Risk, Advice} }

// AtLeast reports whether a severity weighs as much as another.
func (s Severity) AtLeast(least Severity) bool {
	all := Severities()
	return slices.Index(all, s) <= slices.Index(all, least)
}

// Check is one line of the checklist.
type Check struct {
	// ID names it on the command line, Area is what it is about.
	ID       string   `json:"id"`
	Area     string   `json:"area"`
	Severity Severity `json:"severity"`
	// Title says what must hold, Why what happens otherwise, Mend what to do.
	Title string `json:"title"`
	Why   string `json:"why"`
	Mend  string `json:"mend"`
	look  func(*service) outcome
	// since is the version of tonic that has what Mend names; empty is any.
	since string
}

// State is how a check ended.
type State string

// The states: it holds, it does not, what would have to be seen was not, or the tree has nothing that it could hold for.
const (
	Passed  State = "passed"
	Failed  State = "failed"
	NotSeen State = "not-seen"
	NoMatch State = "not-applicable"
)

// Place is where something stands. Line counts from 1; 0 is the whole file, and an empty path the whole tree.
type Place struct {
	Path string `json:"path"`
	Line int    `json:"line,omitempty"`
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.Path
	}
	return fmt.Sprintf("%s:%d", p.Path, p.Line)
}

// Finding is one reason why a check failed, or why it could not be judged.
type Finding struct {
	Place
	What string `json:"what"`
	// Allowed is the reason that the service gives for it; InSource says that a comment beside it does.
	Allowed  string `json:"allowed,omitempty"`
	InSource bool   `json:"in_source,omitempty"`
}

// Result is a check and how it ended. Note says why it does not apply; Unseen, what would have to be seen.
type Result struct {
	Check
	State    State     `json:"state"`
	Findings []Finding `json:"findings"`
	Unseen   []Finding `json:"unseen,omitempty"`
	// Allowed are findings that the service, its settings or its baseline allow.
	Allowed []Finding `json:"allowed,omitempty"`
	Note    string    `json:"note,omitempty"`
}

// Report is what a run found. Notes are what was not read, and what is allowed but was not found.
type Report struct {
	Results []Result
	Notes   []Finding
}

// outcome is what a check found; absent says that there is nothing to look at.
type outcome struct {
	findings []Finding
	unseen   []Finding
	absent   string
}

// Checks is the checklist, in the order of its areas.
func Checks() []Check {
	return slices.Concat(buildChecks, codeChecks, hotChecks, serverChecks, clientChecks, imageChecks, kubernetesChecks, pipelineChecks)
}

// NotRust is the error of a tree without a Cargo.toml at its top.
type NotRust struct{}

func (NotRust) Error() string { return "there is no Cargo.toml" }

// Run looks for everything that the checks name.
//
// Errors: NotRust, a Cargo.toml at the top that is no TOML, settings that are wrong, or the context's.
func Run(ctx context.Context, in Input, checks []Check) (*Report, error) {
	s, err := read(ctx, in)
	if err != nil {
		return nil, err
	}
	report := &Report{Results: make([]Result, len(checks))}
	outcomes := make([]outcome, len(checks))
	each(ctx, len(checks), func(i int) { outcomes[i] = checks[i].look(s) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i, c := range checks {
		report.Results[i] = s.judge(c, outcomes[i])
	}
	report.Notes = slices.Concat(s.notes, s.unusedAllows(checks))
	return report, nil
}

// each calls a function for 0 to n-1, on all CPUs, until the context ends.
func each(ctx context.Context, n int, do func(int)) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	group.Wait()
}

// judge makes a result of what a check found.
func (s *service) judge(c Check, found outcome) Result {
	c.Mend = s.fitting(c)
	if severity, ok := s.settings.Severity[c.ID]; ok {
		c.Severity = severity
	}
	r := Result{Check: c, State: Passed, Findings: []Finding{}, Unseen: distinct(found.unseen), Note: found.absent}
	for _, f := range distinct(found.findings) {
		if a := s.allowing(c.ID, f); a != nil {
			f.Allowed, f.InSource = a.reason, a.comment
			r.Allowed = append(r.Allowed, f)
			continue
		}
		r.Findings = append(r.Findings, f)
	}
	r.Unseen = slices.DeleteFunc(r.Unseen, func(f Finding) bool { return s.allowing(c.ID, f) != nil })
	switch {
	case found.absent != "":
		r.State = NoMatch
	case len(r.Findings) > 0:
		r.State = Failed
	case len(r.Unseen) > 0:
		r.State = NotSeen
	}
	return r
}

// distinct sorts findings by their place, and drops what is there twice.
func distinct(all []Finding) []Finding {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
	return slices.Compact(all)
}

// found makes an outcome of findings.
func found(findings ...Finding) outcome { return outcome{findings: findings} }

// absent is the outcome of a check that has nothing to look at.
func absent(why string) outcome { return outcome{absent: why} }

// unseen is the outcome of a check that could not see what it is about.
func unseen(p Place, format string, args ...any) outcome {
	return outcome{unseen: []Finding{at(p, format, args...)}}
}

// at is a finding.
func at(p Place, format string, args ...any) Finding {
	return Finding{Place: p, What: fmt.Sprintf(format, args...)}
}
