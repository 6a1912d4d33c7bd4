// Package interview decides again for a service that exists: what was given, what the service has recorded, and what is
// left to ask a person.
package interview

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/prompt"
	"rustgen/internal/source"
	"rustgen/internal/terminal"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
)

// Change is a run that decides again for a service that exists.
type Change struct {
	Set     *source.Set
	Service *upgrade.Service
	// Given are the answers of this run.
	Given map[string]decision.Input
	// Silent says that nobody can be asked, or that nobody wants to be.
	Silent bool
	// Command is the run's own, Dir where it was told that the service is; Confirm is what the person agrees to.
	Command, Dir, Confirm string
	// Face is how and where questions are asked.
	Face prompt.Options
}

// Decide resolves the service's decisions with the set: new ones are asked where somebody can be, else they take their
// default. Without one they are missing. An interview that is left is [prompt.ErrAborted].
func (c *Change) Decide(ctx context.Context) (*decision.Outcome, error) {
	set, s := c.Set, c.Service
	resolve := func(given map[string]decision.Input, defaults bool) (*decision.Outcome, error) {
		out, err := set.Catalog.Resolve(set.Engine.Eval, decision.Request{Given: given, Recorded: s.Record.Decisions, AcceptDefaults: defaults})
		if err != nil {
			return nil, source.Fault(set.Source, err)
		}
		return out, nil
	}
	out, err := resolve(c.Given, true)
	if err != nil {
		return nil, err
	}
	asked := slices.DeleteFunc(slices.Clone(out.Added), func(id string) bool { _, given := c.Given[id]; return given })
	for _, d := range out.Missing {
		asked = append(asked, d.ID)
	}
	if len(asked) == 0 || c.Silent || len(out.Problems) > 0 {
		if err := out.Err(); err != nil {
			return nil, c.outdated(out, err)
		}
		return out, nil
	}
	given, settled := c.known(out, asked)
	ask := c.Face
	ask.Command, ask.Confirm, ask.Title, ask.Catalog = c.Command, c.Confirm, set.Name+" "+set.Version, &set.Catalog
	ask.Given, ask.Settled = given, settled
	ask.Resolve = func(given map[string]decision.Input) (*decision.Outcome, error) { return resolve(given, false) }
	ask.Review = func(given map[string]decision.Input, out *decision.Outcome) (string, string, error) {
		return s.Title(set.Set), terminal.Visible(c.commandLine(given, settled, out)), nil
	}
	answers, err := prompt.Ask(ctx, ask)
	if err != nil {
		return nil, err
	}
	final := maps.Clone(answers)
	maps.DeleteFunc(final, func(id string, _ decision.Input) bool { return settled[id] })
	out, err = resolve(final, true)
	if err != nil {
		return nil, err
	}
	return out, out.Err()
}

// known are the answers that nobody is asked for: those of this run, and those that the service has, which are settled.
func (c *Change) known(out *decision.Outcome, asked []string) (given map[string]decision.Input, settled map[string]bool) {
	given, settled = maps.Clone(c.Given), map[string]bool{}
	settle := func(id string, raw decision.Raw) {
		if _, now := given[id]; !now && !slices.Contains(asked, id) {
			given[id], settled[id] = decision.Input{Raw: raw, From: decision.Source{Way: decision.ByRecord, Name: "the service"}}, true
		}
	}
	for id, answer := range out.Answers {
		settle(id, answer.Value.Raw())
	}
	// What depends on a missing decision has no answer yet, and may have been chosen all the same.
	for id, recorded := range out.Recorded {
		if _, ok := c.Set.Catalog.Find(id); ok && recorded.Origin == decision.Chosen && !slices.Contains(out.Inapplicable, id) {
			settle(id, recorded.Value)
		}
	}
	return given, settled
}

// commandLine is the run as one line for a script.
func (c *Change) commandLine(given map[string]decision.Input, settled map[string]bool, out *decision.Outcome) string {
	// --yes takes the defaults of what was left to them.
	command := c.Command + " --yes"
	if c.Dir != "." {
		command += " --dir " + hint.Quote(c.Dir)
	}
	if c.Set.Source != "" {
		command += " --template " + hint.Quote(vcs.WithoutSecret(c.Set.Source))
	}
	for _, id := range c.Set.Catalog.IDs() {
		if _, chosen := given[id]; chosen && !settled[id] {
			command += " --set " + hint.Quote(id+"="+out.Answers[id].Value.String())
		}
	}
	return command
}

// outdated tells how to choose again where it is the service's own answer that the set no longer allows.
func (c *Change) outdated(out *decision.Outcome, err error) error {
	if len(out.Problems) == 0 || out.Problems[0].ID == "" {
		return err
	}
	id := out.Problems[0].ID
	if _, given := c.Given[id]; given {
		return err
	}
	return hint.Refuse(fmt.Sprintf("rustgen upgrade --set %s=VALUE chooses another; rustgen explain %s says when to choose what", id, id), "%v", err)
}
