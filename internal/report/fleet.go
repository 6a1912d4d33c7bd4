package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"rustgen/internal/hint"
)

// Fleet is where many services stand.
type Fleet struct {
	Services []Service `json:"services"`
	// Behind, Wrong and Unread count the services that are behind, that a check has found something in, and that could
	// not be read.
	Behind int `json:"behind"`
	Wrong  int `json:"wrong"`
	Unread int `json:"unread"`
}

// Service is one of many. Error says why there is no more of it.
type Service struct {
	*Status
	Error string `json:"error,omitempty"`
	// Found is what the wanted checks have found.
	Found string `json:"found,omitempty"`
}

// Print writes a line for each service.
func (all *Fleet) Print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, s := range all.Services {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Dir, s.version(), s.summary())
	}
	return w.Flush()
}

func (s Service) version() string {
	if s.Version == "" {
		return "-"
	}
	return s.On
}

// summary is what is worth knowing of one service among many.
func (s Service) summary() string {
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
	add(len(s.Conflicts) > 0, "%s", hint.Count(len(s.Conflicts), "conflict"))
	add(s.Held != "", "held at %s", s.Held)
	add(s.Other && s.Different == "", "other content under the same version")
	add(s.Behind && s.Different != "", "behind: %s is newer", s.Different)
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
