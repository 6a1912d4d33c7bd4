package cli

import (
	"fmt"
	"path"
	"strings"

	"rustgen/internal/audit"
	"rustgen/internal/report"
)

// text is the report for people: findings from a severity on, then what was not seen, then the rest in a few lines.
func (r *auditReport) text(show audit.Severity) string {
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
func (r *auditReport) writeUnseen(b *strings.Builder) {
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
func (r *auditReport) writeRest(b *strings.Builder, show audit.Severity, less map[audit.Severity]int) {
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

// sarif is a report as SARIF 2.1.0 has it.
type sarif struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	InformationURI string      `json:"informationUri,omitempty"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string       `json:"id"`
	ShortDescription sarifMessage `json:"shortDescription"`
	FullDescription  sarifMessage `json:"fullDescription"`
	Help             sarifMessage `json:"help"`
	Configuration    sarifLevel   `json:"defaultConfiguration"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Level        string             `json:"level"`
	Kind         string             `json:"kind,omitempty"`
	Message      sarifMessage       `json:"message"`
	Locations    []sarifLocation    `json:"locations,omitempty"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

// sarifLevels are the words that SARIF has for the severities.
var sarifLevels = map[audit.Severity]string{audit.Fault: "error", audit.Risk: "warning", audit.Advice: "note"}

func sarifOf(r *auditReport) sarif {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "rustgen", Rules: []sarifRule{}}}, Results: []sarifResult{}}
	for i, c := range r.Checks {
		level := sarifLevels[c.Severity]
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			c.ID, sarifMessage{c.Title}, sarifMessage{c.Why}, sarifMessage{c.Mend}, sarifLevel{level},
		})
		for _, f := range c.Findings {
			run.Results = append(run.Results, sarifFinding(c.ID, i, level, "", f))
		}
		for _, f := range c.Allowed {
			run.Results = append(run.Results, sarifFinding(c.ID, i, level, "", f))
		}
		for _, f := range c.Unseen {
			run.Results = append(run.Results, sarifFinding(c.ID, i, "none", "open", f))
		}
	}
	return sarif{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}

func sarifFinding(id string, index int, level, kind string, f audit.Finding) sarifResult {
	result := sarifResult{RuleID: id, RuleIndex: index, Level: level, Kind: kind, Message: sarifMessage{f.What}}
	p := f.Path
	if p == "" {
		p = "Cargo.toml" // a result without a location is not shown by code scanning
	}
	physical := sarifPhysical{Artifact: sarifArtifact{path.Clean(p)}}
	if f.Line > 0 {
		physical.Region = &sarifRegion{f.Line}
	}
	result.Locations = []sarifLocation{{physical}}
	if f.Allowed != "" {
		kind := "external"
		if f.InSource {
			kind = "inSource"
		}
		result.Suppressions = []sarifSuppression{{kind, f.Allowed}}
	}
	return result
}
