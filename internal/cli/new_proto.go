package cli

import (
	"context"
	"errors"
	"slices"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/ownapi"
	"rustgen/internal/serviceapi"
	"rustgen/internal/source"
)

// takesProtos reports whether a set can make a service around an API that exists.
func takesProtos(s *source.Set) bool {
	_, kind := s.Catalog.Find(ownapi.Kind)
	_, paths := s.Catalog.Find(ownapi.Paths)
	return kind && paths
}

// impliedAPI takes the protos that were given for what they say: the API is one's own.
func impliedAPI(set *source.Set, given map[string]decision.Input) {
	paths, ok := given[ownapi.Paths]
	if _, said := given[ownapi.Kind]; ok && !said && takesProtos(set) {
		given[ownapi.Kind] = decision.Text(ownapi.Own, paths.From)
	}
}

// readAPI reads the protos that were decided on; nil for the sample. The same ones are read once.
func (a *app) readAPI(ctx context.Context, set *source.Set, o *newOptions, out *decision.Outcome) error {
	if !takesProtos(set) || out.Data[ownapi.Kind] != ownapi.Own {
		o.api, o.apiFrom = nil, nil
		return nil
	}
	paths, _ := out.Data[ownapi.Paths].([]string)
	includes, _ := out.Data[ownapi.Includes].([]string)
	from := slices.Concat(paths, []string{""}, includes)
	if len(paths) == 0 || slices.Equal(from, o.apiFrom) {
		return nil
	}
	api, err := serviceapi.ReadPaths(ctx, paths, includes)
	if err != nil {
		return err
	}
	o.api, o.apiFrom = api, from
	return nil
}

// refuseProtos refuses protos where they are still being asked for.
func (a *app) refuseProtos(ctx context.Context, set *source.Set, o *newOptions, out *decision.Outcome) {
	var f *hint.Error
	if err := a.readAPI(ctx, set, o, out); errors.As(err, &f) {
		out.Problems = append(out.Problems, decision.Problem{ID: ownapi.Paths, Err: decision.Refuse(visible(f.Hint), "%s", visible(f.Error()))})
	}
}
