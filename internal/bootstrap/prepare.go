package bootstrap

import (
	"maps"
	"slices"

	"rustgen/internal/decision"
	"rustgen/internal/gostubs"
	"rustgen/internal/hint"
	"rustgen/internal/ownapi"
	"rustgen/internal/project"
	"rustgen/internal/proto"
	"rustgen/internal/serviceapi"
	"rustgen/internal/source"
)

// Prepare renders a service that is decided, around an API of its own unless api is nil, and checks that there is room for
// it. dir is where it goes; "" is the directory of its name.
func (b *Service) Prepare(set *source.Set, dir string, api *proto.API) error {
	if err := b.Out.Err(); err != nil {
		return err
	}
	var err error
	if b.Dir, err = Target(dir, b.Out.Answers[decision.NameID]); err != nil {
		return err
	}
	data := b.Out.Data
	if api != nil {
		b.APINotes = slices.Clone(api.Notes)
		data = ownapi.With(data, api)
	}
	written, err := set.Engine.Render(set.Set, data)
	if err != nil {
		return source.Fault(set.Source, err)
	}
	record, err := project.New(set.Name, set.Version, set.Kept, set.Base, &set.Catalog, ownapi.Recorded(b.Out, api))
	if err != nil {
		return err
	}
	record.Commit, record.Rooms, record.Owned = set.Commit(), set.Rooms(), set.Owned(written)
	files, err := record.Files(set.Catalog.IDs(), written)
	if err != nil {
		return err
	}
	b.Tree = written.Clone()
	maps.Copy(b.Tree, files)
	if api != nil {
		// Beside what the template wrote, and not part of it: no upgrade has a say in them.
		maps.Copy(b.Tree, ownapi.Files(api))
		stubs, err := gostubs.Of(api, written)
		if err != nil {
			return serviceapi.Fault(err)
		}
		maps.Copy(b.Tree, stubs)
		if others := gostubs.Imports(api, b.Tree); len(others) > 0 {
			b.APINotes = append(b.APINotes, serviceapi.OthersOf(others))
		}
	}
	if err := CheckTarget(b.Dir, b.Tree); err != nil {
		return err
	}
	if b.Place, err = FindPlace(b.Dir); err != nil {
		return hint.Fail("choose another --dir", "%s: %w", b.Dir, hint.Cause(err))
	}
	return b.Place.Claim(b.Tree)
}
