// Package bootstrap makes a new service and puts it in place: what it consists of, where it may stand, what is around it
// and what that means for it, and how it is written, whole or not at all.
package bootstrap

import (
	"rustgen/internal/decision"
	"rustgen/internal/tree"
)

// Service is one that is decided and rendered, and not yet written.
type Service struct {
	Given map[string]decision.Input
	Out   *decision.Outcome
	Dir   string
	Place *Place
	// Tree is all of it, with the record.
	Tree tree.Tree
	// APINotes are what an API of its own asks of a person.
	APINotes []string
	// Written says that it is in place.
	Written bool
}

// Say tells a person something while a service is written.
type Say func(format string, args ...any)
