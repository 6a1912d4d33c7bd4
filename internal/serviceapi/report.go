package serviceapi

import (
	"fmt"
	"strings"

	"rustgen/internal/apidiff"
	"rustgen/internal/gostubs"
	"rustgen/internal/hint"
)

// Report is how a service differs from its protos, and what was done about it.
type Report struct {
	DryRun bool `json:"dry_run"`
	apidiff.Report
	Added  []apidiff.Added `json:"added"`
	Loose  []apidiff.Loose `json:"loose"`
	Routes []string        `json:"routes"`
	Notes  []string        `json:"notes"`
}

// Verdict is exit code 4 where a person has something to do. After --write that is code that found no place; what the
// write cannot mend is for the next run of the check.
func (r *Report) Verdict(wrote bool) error {
	if wrote {
		if len(r.Loose) == 0 {
			return nil
		}
		return hint.New(hint.Found, "put it into the service; rustgen api looks again", "%s found no place, and was printed instead",
			hint.Count(len(r.Loose), "piece"))
	}
	if r.Empty() {
		return nil
	}
	return hint.New(hint.Found, r.mend(), "the service is not as its protos are")
}

// mend is the command that does most about what was found.
func (r *Report) mend() string {
	mend := "change or remove what is listed; rustgen api looks again"
	if len(r.Stubs) > 0 {
		mend = "rustgen api --write writes the Go stubs"
	}
	for _, m := range r.Missing {
		if len(m.Parts) > 1 || m.Parts[0] != apidiff.GoStub {
			return "rustgen api --write adds the handlers and policies"
		}
		if len(r.Stubs) == 0 {
			mend = gostubs.Command + " writes the Go stubs"
		}
	}
	return mend
}

// Text is the report for people.
func (r *Report) Text(wrote bool) string {
	var b strings.Builder
	if r.Empty() {
		return "nothing is missing: every method has its handler and its policy\n"
	}
	stubs := r.writeMissing(&b, wrote)
	verb := "added"
	if r.DryRun {
		verb = "would be added"
	}
	for i, one := range r.Added {
		if i == 0 {
			fmt.Fprintf(&b, "%s\n", verb)
		}
		fmt.Fprintf(&b, "  %s: %s in %s\n", one.Method, one.Part, one.Path)
	}
	r.writeStubs(&b, wrote)
	for _, one := range r.Loose {
		fmt.Fprintf(&b, "to put in by hand: %s\n\n%s\n", one.What, one.Code)
	}
	if len(r.Routes) > 0 {
		fmt.Fprintf(&b, "to route by hand, after Routes::default() in the `start` of the handlers\n")
		for _, line := range r.Routes {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	if stubs && wrote && len(r.Stubs) == 0 {
		fmt.Fprintf(&b, "to write with the Go tools\n  %s\n", gostubs.Command)
	}
	r.writeRest(&b)
	return b.String()
}

// writeMissing lists what is missing, unless it was just added, and reports whether Go stubs are among it.
func (r *Report) writeMissing(b *strings.Builder, wrote bool) (stubs bool) {
	for i, m := range r.Missing {
		parts := strings.Join(m.Parts, ", ")
		stubs = stubs || strings.Contains(parts, apidiff.GoStub)
		if wrote {
			continue
		}
		if i == 0 {
			b.WriteString("missing\n")
		}
		fmt.Fprintf(b, "  %s (%s): %s\n", m.Method, m.Kind, parts)
	}
	return stubs
}

// writeStubs lists the files of Go stubs that are not what the protos give, or what became of them.
func (r *Report) writeStubs(b *strings.Builder, wrote bool) {
	for i, s := range r.Stubs {
		switch {
		case i > 0:
		case !wrote:
			b.WriteString("Go stubs\n")
		case r.DryRun:
			b.WriteString("Go stubs that would be written\n")
		default:
			b.WriteString("Go stubs written\n")
		}
		state := s.State
		if wrote && s.State == apidiff.StubGone {
			state = "removed"
		} else if wrote {
			state = "as the protos give it"
		}
		fmt.Fprintf(b, "  %s: %s\n", s.Path, state)
	}
}

// writeRest lists what only a person can mend.
func (r *Report) writeRest(b *strings.Builder) {
	for i, c := range r.Changed {
		if i == 0 {
			b.WriteString("changed, and left as it is\n")
		}
		fmt.Fprintf(b, "  %s: %s -> %s, handler in %s\n", c.Method, c.Was, c.Is, c.Place)
	}
	for i, g := range r.Gone {
		if i == 0 {
			b.WriteString("gone from the proto, and left as it is\n")
		}
		fmt.Fprintf(b, "  %s: %s in %s\n", g.Method, g.Part, g.Place)
	}
	for i, one := range r.Ambiguous {
		if i == 0 {
			b.WriteString("policies that could mean several methods: write the one that is meant in full\n")
		}
		fmt.Fprintf(b, "  %q in %s: %s\n", one.Key, one.Place, strings.Join(one.Methods, ", "))
	}
}
