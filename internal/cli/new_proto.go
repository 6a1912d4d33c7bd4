package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/ownapi"
	"rustgen/internal/proto"
)

// takesProtos reports whether a set can make a service around an API that exists.
func (s *openedSet) takesProtos() bool {
	_, kind := s.Catalog.Find(ownapi.Kind)
	_, paths := s.Catalog.Find(ownapi.Paths)
	return kind && paths
}

// impliedAPI takes the protos that were given for what they say: the API is one's own.
func impliedAPI(set *openedSet, given map[string]decision.Input) {
	paths, ok := given[ownapi.Paths]
	if _, said := given[ownapi.Kind]; ok && !said && set.takesProtos() {
		given[ownapi.Kind] = decision.Text(ownapi.Own, paths.From)
	}
}

// readAPI reads the protos that were decided on; nil for the sample. The same ones are read once.
func (a *app) readAPI(ctx context.Context, set *openedSet, o *newOptions, out *decision.Outcome) error {
	if !set.takesProtos() || out.Data[ownapi.Kind] != ownapi.Own {
		o.api, o.apiFrom = nil, nil
		return nil
	}
	paths, _ := out.Data[ownapi.Paths].([]string)
	includes, _ := out.Data[ownapi.Includes].([]string)
	from := slices.Concat(paths, []string{""}, includes)
	if len(paths) == 0 || slices.Equal(from, o.apiFrom) {
		return nil
	}
	api, err := readProtos(ctx, paths, includes)
	if err != nil {
		return err
	}
	o.api, o.apiFrom = api, from
	return nil
}

// readProtos reads protos by paths of this machine.
func readProtos(ctx context.Context, paths, includes []string) (*proto.API, error) {
	here, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	top := filepath.VolumeName(here) + string(filepath.Separator)
	files := proto.Files{FS: os.DirFS(top), Shown: func(p string) string {
		full := filepath.Join(top, filepath.FromSlash(p))
		if rel, err := filepath.Rel(here, full); err == nil && strings.Count(rel, "..") <= 2 {
			return filepath.ToSlash(rel)
		}
		return full
	}}
	below := func(given []string) []string {
		var all []string
		for _, p := range given {
			if abs, err := filepath.Abs(p); err == nil {
				p = abs
			}
			rel, err := filepath.Rel(top, p)
			if err != nil || !fs.ValidPath(filepath.ToSlash(rel)) {
				rel = p
			}
			all = append(all, filepath.ToSlash(rel))
		}
		return all
	}
	source, err := proto.Locate(files, below(paths), below(includes))
	if err != nil {
		return nil, protoFault(err)
	}
	api, err := proto.Read(ctx, files, source)
	if err == nil {
		err = ownapi.Check(api)
	}
	return api, protoFault(err)
}

// protoFault is a fault of protos that somebody gave: a wrong answer.
func protoFault(err error) error {
	var fault *proto.Fault
	if errors.As(err, &fault) {
		return usage(fault.Hint, "%w", err)
	}
	return err
}

// refuseProtos refuses protos where they are still being asked for.
func (a *app) refuseProtos(ctx context.Context, set *openedSet, o *newOptions, out *decision.Outcome) {
	var f *hint.Error
	if err := a.readAPI(ctx, set, o, out); errors.As(err, &f) {
		out.Problems = append(out.Problems, decision.Problem{ID: ownapi.Paths, Err: decision.Refuse(visible(f.Hint), "%s", visible(f.Error()))})
	}
}

// withAPI is the data of the decisions with what the templates have of the API.
func withAPI(o *newOptions, data map[string]any) map[string]any {
	if o.api == nil {
		return data
	}
	return ownapi.With(data, o.api)
}
