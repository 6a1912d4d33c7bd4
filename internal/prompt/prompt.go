// Package prompt asks a person for the decisions of a template set. It is the only importer of huh.
//
// An [interview] is the prompt without a terminal: which questions there are now, what was answered, what follows from
// it, where a refusal belongs, what comes next. Two faces show it:
//
//   - form draws one question at a time with huh's fields, under a header of the pages. It makes a field when its
//     question is reached, so that a default is always derived from the answers of that moment, and it keeps the keys
//     for moving to itself, so that going back never asks for a valid answer first.
//   - lines asks line by line for screen readers, terminals that cannot draw, and pipes. It is not huh's accessible
//     mode, which loses piped lines to a reader for each field, takes the end of the input for an answer and knows no
//     way back.
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
	// In and Out are the terminal; line by line they may be anything.
	In  io.Reader
	Out io.Writer
	// Accessible asks line by line, for screen readers and for terminals that cannot draw.
	Accessible bool
	// Getenv looks up NO_COLOR and the locale.
	Getenv func(name string) string
	// Command heads the prompt: what is being run.
	Command string
	// Title names the set and its version.
	Title string
	// Confirm is what agreeing at the end does, as in "Create the service".
	Confirm string
	Catalog *decision.Catalog
	// Given are the answers that are there already; they are not asked.
	Given map[string]decision.Input
	// Settled are those of them that the review need not list: what a service has decided before.
	Settled map[string]bool
	// Resolve decides with the answers so far; an error is a fault of the set.
	Resolve func(given map[string]decision.Input) (*decision.Outcome, error)
	// Review describes what would be done: the plan, and the same run as a command line.
	Review func(given map[string]decision.Input, out *decision.Outcome) (plan, command string, err error)
	// Suggest holds values to offer for decisions that have no default of their own.
	Suggest map[string]string
}

// Ask asks for every decision that is not given and returns all answers, given and asked. A decision that was left at
// its default is not among them, unless it is deliberate. A prompt that is left halfway gives those so far with
// ErrAborted.
func Ask(ctx context.Context, opts Options) (map[string]decision.Input, error) {
	iv, err := newInterview(opts)
	if err != nil {
		return nil, err
	}
	ask := runForm
	if opts.Accessible {
		ask = runLines
	}
	if err := ask(ctx, iv); err != nil {
		if ctx.Err() != nil {
			err = ErrAborted
		}
		if errors.Is(err, ErrAborted) {
			return iv.given(iv.answers), err
		}
		return nil, err
	}
	return iv.given(iv.answers), nil
}
