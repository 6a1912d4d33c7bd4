package report

import (
	"rustgen/internal/templateset"
	"rustgen/internal/upgrade"
)

// Change is what became of files, or would.
type Change struct {
	DryRun bool           `json:"dry_run"`
	Files  []upgrade.Item `json:"files"`
}

// End is how an upgrade ended, or would.
type End struct {
	DryRun bool `json:"dry_run"`
	// One of them says whether it was done.
	Aborted   *bool          `json:"aborted,omitempty"`
	Continued *bool          `json:"continued,omitempty"`
	From      string         `json:"from"`
	To        string         `json:"to"`
	Files     []upgrade.Item `json:"files,omitempty"`
}

// Record is what became of the record, or would.
type Record struct {
	DryRun bool   `json:"dry_run"`
	Record string `json:"record"`
}

// Validation is what was found in a set: as lines, and in parts.
type Validation struct {
	Findings []string              `json:"findings"`
	Problems []templateset.Problem `json:"problems"`
}
