// Package prompt asks a person for the decisions of a template set, as forms on a terminal or line by line. It is the
// only importer of huh.
package prompt

import (
	"context"
	"errors"
	"io"

	"rustgen/internal/decision"
)

// ErrAborted says that the person ended the prompt.
var ErrAborted = errors.New("aborted")

// Options is what a prompt is made from.
type Options struct {
	// In and Out are the terminal.
	In  io.Reader
	Out io.Writer
	// Accessible asks line by line, for screen readers and for terminals that cannot draw.
	Accessible bool
	// Title names the set and its version.
	Title   string
	Catalog *decision.Catalog
	// Given are the answers that are there already; they are not asked.
	Given map[string]decision.Input
	// Resolve decides with the answers so far; an error is a fault of the set.
	Resolve func(given map[string]decision.Input) (*decision.Outcome, error)
	// Review describes what would be done: the plan, and the same run as a command line.
	Review func(given map[string]decision.Input, out *decision.Outcome) (plan, command string, err error)
	// Suggest holds values to offer for decisions that have no default of their own.
	Suggest map[string]string
}

// Ask asks for every decision that is not given and returns all answers, given and asked. A decision that was left at
// its default is not among them, unless it is deliberate.
func Ask(ctx context.Context, opts Options) (map[string]decision.Input, error) {
	return nil, errors.ErrUnsupported
}
