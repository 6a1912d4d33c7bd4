// Package audit is the production checklist: what must hold in a Rust gRPC service before it meets load, looked for in
// any tree, whoever wrote it. It reads text and builds nothing, so it says what is there and what is not, and not whether
// it is enough. What its reasons say of tonic is of version 0.14; docs/benchmarks.md has the numbers.
package audit

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/tree"
)

// Check is one line of the checklist.
type Check struct {
	// ID names it on the command line, Area is what it is about.
	ID   string `json:"id"`
	Area string `json:"area"`
	// Title says what must hold, Why what happens otherwise, Mend what to do.
	Title string `json:"title"`
	Why   string `json:"why"`
	Mend  string `json:"mend"`
	look  func(*service) outcome
}

// State is how a check ended.
type State string

// The states: it holds, it does not, or the tree has nothing that it could hold for.
const (
	Passed  State = "passed"
	Failed  State = "failed"
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

// Finding is one reason why a check failed.
type Finding struct {
	Place
	What string `json:"what"`
}

// Result is a check and how it ended. Note says why it does not apply.
type Result struct {
	Check
	State    State     `json:"state"`
	Findings []Finding `json:"findings"`
	Note     string    `json:"note,omitempty"`
}

// outcome is what a check found; absent says that there is nothing to look at.
type outcome struct {
	findings []Finding
	absent   string
}

// Checks is the checklist, in the order of its areas.
func Checks() []Check {
	return slices.Concat(buildChecks, codeChecks, serverChecks, clientChecks, shipChecks)
}

// NotRust is the error of a tree without a Cargo.toml at its top.
type NotRust struct{}

func (NotRust) Error() string { return "there is no Cargo.toml" }

// Run looks for everything that the checks name in a tree: the top of a Cargo package or workspace.
//
// Errors: NotRust, or a Cargo.toml that is no TOML.
func Run(t tree.Tree, checks []Check) ([]Result, error) {
	s, err := read(t)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(checks))
	for i, c := range checks {
		found := c.look(s)
		r := Result{Check: c, State: Passed, Findings: found.findings, Note: found.absent}
		switch {
		case found.absent != "":
			r.State = NoMatch
		case len(found.findings) > 0:
			r.State = Failed
		}
		slices.SortStableFunc(r.Findings, func(a, b Finding) int {
			if c := strings.Compare(a.Path, b.Path); c != 0 {
				return c
			}
			return a.Line - b.Line
		})
		if r.Findings == nil {
			r.Findings = []Finding{}
		}
		results[i] = r
	}
	return results, nil
}

// found makes an outcome of findings.
func found(findings ...Finding) outcome { return outcome{findings: findings} }

// absent is the outcome of a check that has nothing to look at.
func absent(format string, args ...any) outcome { return outcome{absent: fmt.Sprintf(format, args...)} }

// at is a finding.
func at(p Place, format string, args ...any) Finding { return Finding{p, fmt.Sprintf(format, args...)} }
