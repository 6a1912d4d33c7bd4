package cli

import (
	"errors"
	"path/filepath"

	"rustgen/internal/bootstrap"
	"rustgen/internal/decision"
	"rustgen/internal/hint"
)

// refuseTaken refuses a name whose directory has no room for a service, where the name is still being asked for.
func refuseTaken(o *newOptions, out *decision.Outcome) {
	name, ok := out.Answers[decision.NameID]
	if !ok || o.dir != "" {
		return
	}
	var f *hint.Error
	dir, err := bootstrap.Target(o.dir, name)
	if err == nil {
		err = bootstrap.CheckTarget(dir, nil)
	}
	if errors.As(err, &f) {
		refused := decision.Refuse("choose another name, or start again with --dir", "name %q: %s", name.Value.String(), visible(f.Error()))
		out.Problems = append(out.Problems, decision.Problem{ID: decision.NameID, Err: refused})
	}
}

func directoryName(dir string) string {
	if dir == "" {
		return ""
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	return filepath.Base(abs)
}
