package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"rustgen/internal/hint"
)

// fleetReport is where many services stand.
type fleetReport struct {
	Services []serviceReport `json:"services"`
	// Behind, Wrong and Unread count the services that are behind, that a check has found something in, and that could
	// not be read.
	Behind int `json:"behind"`
	Wrong  int `json:"wrong"`
	Unread int `json:"unread"`
}

// serviceReport is one of many. Error says why there is no more of it.
type serviceReport struct {
	*statusReport
	Error string `json:"error,omitempty"`
	// Found is what the wanted checks have found.
	Found string `json:"found,omitempty"`
}

// statusOfAll says where each of many services stands. One that cannot be read does not keep the others from it, and
// each set is fetched once.
func (a *app) statusOfAll(ctx context.Context, o *statusOptions, dirs []string) error {
	sets := map[setPlace]*openedSet{}
	open := func(ctx context.Context, from setPlace) (*openedSet, error) {
		if set, ok := sets[from]; ok {
			return set, nil
		}
		set, err := a.openPlace(ctx, from)
		if err == nil {
			sets[from] = set
		}
		return set, err
	}
	all := &fleetReport{Services: []serviceReport{}}
	for _, dir := range dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := a.status(ctx, dir, o, open)
		if err != nil {
			all.Unread++
			all.Services = append(all.Services, serviceReport{statusReport: newStatusReport(dir), Error: err.Error()})
			continue
		}
		one := serviceReport{statusReport: r}
		if r.Behind {
			all.Behind++
		}
		if err := r.check(o.wanted); err != nil {
			all.Wrong++
			one.Found = err.Error()
		}
		all.Services = append(all.Services, one)
	}
	var err error
	if o.json {
		err = a.writeJSON(all)
	} else {
		err = all.print(a.out)
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

// print writes a line for each service.
func (all *fleetReport) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, s := range all.Services {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Dir, s.version(), s.summary())
	}
	return w.Flush()
}

func (s serviceReport) version() string {
	if s.Version == "" {
		return "-"
	}
	return s.on
}

// summary is what is worth knowing of one service among many.
func (s serviceReport) summary() string {
	if s.Error != "" {
		return s.Error
	}
	var parts []string
	add := func(hit bool, format string, args ...any) {
		if hit {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(len(s.Damaged) > 0, "damaged: %s", strings.Join(s.Damaged, "; "))
	add(len(s.Conflicts) > 0, "%s", count(len(s.Conflicts), "conflict"))
	add(s.Held != "", "held at %s", s.Held)
	add(s.Other && s.different == "", "other content under the same version")
	add(s.Behind && s.different != "", "behind: %s is newer", s.different)
	add(s.Unknown != "", "the newest is not known")
	add(len(s.Edited) > 0, "%d edited", len(s.Edited))
	add(len(s.Deleted) > 0, "%d deleted", len(s.Deleted))
	add(len(s.Drift) > 0, "%d drifted", len(s.Drift))
	add(len(s.Ignored) > 0, "the record is ignored by git")
	if len(parts) == 0 {
		return "the newest, as the template wrote it"
	}
	return strings.Join(parts, ", ")
}
