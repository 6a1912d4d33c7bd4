package cli

import (
	"context"

	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/source"
)

// statusOfAll says where each of many services stands. One that cannot be read does not keep the others from it, and
// each set is fetched once.
func (a *app) statusOfAll(ctx context.Context, o *statusOptions, dirs []string) error {
	sets := map[source.Place]*source.Set{}
	open := func(ctx context.Context, from source.Place) (*source.Set, error) {
		if set, ok := sets[from]; ok {
			return set, nil
		}
		set, err := a.sets.Open(ctx, from)
		if err == nil {
			sets[from] = set
		}
		return set, err
	}
	all := &report.Fleet{Services: []report.Service{}}
	for _, dir := range dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := a.status(ctx, dir, o, open)
		if err != nil {
			all.Unread++
			all.Services = append(all.Services, report.Service{Status: report.NewStatus(dir), Error: err.Error()})
			continue
		}
		one := report.Service{Status: r}
		if r.Behind {
			all.Behind++
		}
		if err := r.Check(o.wanted); err != nil {
			all.Wrong++
			one.Found = err.Error()
		}
		all.Services = append(all.Services, one)
	}
	var err error
	if o.json {
		err = a.writeJSON(all)
	} else {
		err = all.Print(a.out)
	}
	switch {
	case err != nil:
		return err
	case all.Unread > 0:
		return failed("rustgen status DIR says more of one", "%s of %d cannot be read", count(all.Unread, "service"), len(dirs))
	case all.Wrong > 0:
		return hint.New(hint.Found, "rustgen status DIR --check says more of one", "the checks find something in %s of %d",
			count(all.Wrong, "service"), len(dirs))
	default:
		return nil
	}
}
