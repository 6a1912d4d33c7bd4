package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/apidiff"
	"rustgen/internal/gostubs"
	"rustgen/internal/hint"
	"rustgen/internal/ownapi"
	"rustgen/internal/proto"
	"rustgen/internal/source"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
)

// apiOptions is what `rustgen api` was asked to do.
type apiOptions struct {
	dir                 string
	write, dryRun, json bool
}

// apiReport is how a service differs from its protos, and what was done about it.
type apiReport struct {
	DryRun bool `json:"dry_run"`
	apidiff.Report
	Added  []apidiff.Added `json:"added"`
	Loose  []apidiff.Loose `json:"loose"`
	Routes []string        `json:"routes"`
	Notes  []string        `json:"notes"`
}

func (a *app) apiCommand() *cobra.Command {
	o := &apiOptions{}
	cmd := &cobra.Command{
		Use:   "api",
		Short: "What the proto has and the service has not",
		Long: `Compare the protos of a service with its code: which methods have no handler, no policy line and no stub in the Go
client, whose kind has changed, and which handlers and policies are of methods that are gone. The protos are read by a
compiler, and what the Rust build could not take is refused with its place. proto/foreign holds the protos that the
service calls or imports; they need no handlers.

It exits 4 where something was found. --write adds handlers, which answer UNIMPLEMENTED, and policy lines, and writes the
Go stubs as the generators of the Go client do. Of what a person wrote it changes nothing, and a second run adds nothing; a method whose kind has changed or that is gone is said, and left to you. Where no
impl block or no table of policies is found, the code is printed.`,
		Example: `  rustgen api
  rustgen api --write --dry-run
  rustgen api --json --dir services/pay`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.api(cmd, o) },
	}
	flags := cmd.Flags()
	serviceFlag(cmd, &o.dir)
	flags.BoolVar(&o.write, "write", false, "add the handlers and policy lines that are missing, and write the Go stubs")
	flags.BoolVar(&o.dryRun, "dry-run", false, "with --write: print what would be added, and write nothing")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func (a *app) api(cmd *cobra.Command, o *apiOptions) error {
	if o.dryRun && !o.write {
		return usage("rustgen api --write --dry-run; rustgen api alone writes nothing either", "--dry-run goes with --write")
	}
	s, err := a.openDir(cmd.Context(), o.dir, !o.write || o.dryRun)
	if err != nil {
		return err
	}
	declared, err := readOwnProtos(cmd.Context(), s.Dir)
	if err != nil {
		return err
	}
	ours, err := s.Worktree(cmd.Context(), nil, []string{"src", "rustfmt.toml", "clients/go"})
	if err != nil {
		return err
	}
	stubs, err := gostubs.Of(declared, ours)
	if err != nil {
		return err
	}
	diff := apidiff.Compare(declared, ours, stubs)
	after := ours.Clone()
	maps.Copy(after, stubs)
	if others := gostubs.Imports(declared, after); len(others) > 0 {
		declared.Notes = append(declared.Notes, othersOf(others))
	}
	r := &apiReport{
		DryRun: o.dryRun, Report: diff.Report, Added: []apidiff.Added{}, Loose: []apidiff.Loose{}, Routes: []string{},
		Notes: append([]string{}, declared.Notes...),
	}
	if o.write {
		if err := a.addToAPI(cmd, s, o, diff, ours, r); err != nil {
			return err
		}
	}
	for _, note := range r.Notes {
		a.say("note: %s", note)
	}
	if o.json {
		err = a.writeJSON(r)
	} else {
		_, err = io.WriteString(a.out, r.text(o.write))
	}
	if err != nil {
		return err
	}
	return r.verdict(o.write)
}

// addToAPI writes what is missing, and notes it in the report.
func (a *app) addToAPI(cmd *cobra.Command, s *upgrade.Service, o *apiOptions, diff *apidiff.Diff, ours tree.Tree, r *apiReport) error {
	added := diff.Add(ours)
	r.Added, r.Loose = added.Added, added.Loose
	r.Routes = append(r.Routes, added.Routes...)
	p := &upgrade.Plan{What: "rustgen api --write"}
	for _, path := range added.Files.Paths() {
		before, after := ours[path], added.Files[path]
		change := upgrade.Change{Path: path, After: &after}
		if _, ok := ours[path]; ok {
			change.Before = &before
		}
		p.Changes = append(p.Changes, change)
	}
	for _, path := range added.Removed {
		before := ours[path]
		p.Changes = append(p.Changes, upgrade.Change{Path: path, Before: &before})
	}
	return a.perform(cmd, s, p, o.dryRun)
}

// othersOf says which Go packages of others the stubs import.
func othersOf(packages []string) string {
	return fmt.Sprintf("the Go stubs import %s, as protos of others say: %s fetches what is missing", some(packages), gostubs.Tidy)
}

// readOwnProtos reads the API of a service. A foreign proto is found by its path below proto/foreign, as the build has it.
func readOwnProtos(ctx context.Context, dir string) (*proto.API, error) {
	files, err := source.Rooted(dir)
	if err != nil {
		return nil, err
	}
	own, err := proto.Within(files, ownapi.Folder, ownapi.ForeignFolder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(own) == 0 {
		return nil, failed("put the API of the service there", "%s: there is no .proto file in it", ownapi.Folder)
	}
	if err != nil {
		return nil, failed("rustgen must be able to read the protos", "%w", err)
	}
	source := &proto.Source{Roots: []string{ownapi.Folder}, Own: own}
	if _, err := fs.Stat(files, ownapi.ForeignFolder); err == nil {
		source.Roots = []string{ownapi.ForeignFolder, ownapi.Folder}
	}
	api, err := proto.Read(ctx, proto.Files{FS: files}, source)
	var fault *proto.Fault
	if errors.As(err, &fault) {
		mend := fault.Hint
		if strings.Contains(mend, "--include") {
			mend = "put it, and what it imports in turn, below " + ownapi.ForeignFolder
		}
		return nil, failed(mend, "%w", err)
	}
	return api, err
}

// verdict is exit code 4 where a person has something to do. After --write that is code that found no place; what the
// write cannot mend is for the next run of the check.
func (r *apiReport) verdict(wrote bool) error {
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
func (r *apiReport) mend() string {
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

func (r *apiReport) text(wrote bool) string {
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
func (r *apiReport) writeMissing(b *strings.Builder, wrote bool) (stubs bool) {
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
func (r *apiReport) writeStubs(b *strings.Builder, wrote bool) {
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
func (r *apiReport) writeRest(b *strings.Builder) {
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
