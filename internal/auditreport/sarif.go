package auditreport

import (
	"path"

	"rustgen/internal/audit"
)

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

// SARIF is the report for code scanning.
func (r *Report) SARIF() any {
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
