package source

import (
	"context"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
)

// Matches refuses a set that the service was not made from.
func (s *Set) Matches(service *upgrade.Service) error {
	was, is := service.Origin(), upgrade.OriginOf(s.Set)
	if was.Set.Name == is.Set.Name || was.Set.Name == is.Under.Name {
		return nil
	}
	return hint.Refuse("--template DIR or URL names its set", "the service was made from the set %s, and this is %s", was.Set.Name, is.Set.Name)
}

// OwnAnswers are the decisions of the set as a service has made them.
func (s *Set) OwnAnswers(service *upgrade.Service) (*decision.Outcome, error) {
	if err := s.Matches(service); err != nil {
		return nil, err
	}
	out, err := s.Catalog.Resolve(s.Engine.Eval, decision.Request{Recorded: service.Record.Decisions, AcceptDefaults: true})
	if err != nil {
		return nil, Fault(s.Source, err)
	}
	return out, out.Err()
}

// RecallOwned finds out which files of a service were owned whose record does not list them: the set knows that it was
// rendered from, where its release is kept.
func (o *Opener) RecallOwned(ctx context.Context, s *upgrade.Service) {
	if s.Record.Owned != nil || s.Record.Source != "" {
		return
	}
	own, err := o.OpenOwn(ctx, "", s.Record)
	if err == nil && s.Origin() == upgrade.OriginOf(own.Set) {
		s.WasOwned = own.Once
	}
}

// Mend plans a good record for a service whose record is damaged, with the set that template names, or its own. A run that
// only tells what it would do fetches nothing unasked.
func (o *Opener) Mend(ctx context.Context, s *upgrade.Service, template string, dryRun bool) (*upgrade.Plan, *project.Record, error) {
	record, err := s.Salvaged(ctx)
	if err != nil {
		return nil, nil, err
	}
	if from := PlaceOf(template, record); dryRun && from.Asks() {
		return nil, nil, hint.Fail("rustgen restore .rustgen --dry-run --template "+hint.Quote(from.Source)+" fetches it",
			"the template set is at %s, as the service's record says, and is not fetched unasked", from.Source)
	}
	set, err := o.OpenOwn(ctx, template, record)
	if err != nil {
		// Another version knows the decisions as well; only a snapshot that is lost needs the very one.
		if set, err = o.Open(ctx, PlaceOf(template, record)); err != nil {
			return nil, nil, err
		}
	}
	if err := set.Matches(s); err != nil {
		return nil, nil, err
	}
	out, err := set.Catalog.Resolve(set.Engine.Eval, decision.Request{Recorded: record.Decisions, AcceptDefaults: true})
	if err != nil {
		return nil, nil, Fault(set.Source, err)
	}
	if err := out.Err(); err != nil {
		return nil, nil, err
	}
	p, err := s.Mend(append(set.Catalog.IDs(), out.Removed...), func() (tree.Tree, error) {
		if s.Origin() != upgrade.OriginOf(set.Set) {
			return nil, hint.Fail("--template DIR or URL@REF names that version",
				"the snapshot is of %s and can only be rendered with it; this is %s", s.Origin(), set.Exact())
		}
		files, err := set.Engine.Render(set.Set, out.Data)
		if err != nil {
			return nil, Fault(set.Source, err)
		}
		return files, nil
	})
	return p, record, err
}
