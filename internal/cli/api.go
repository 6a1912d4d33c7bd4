package cli

import (
	"io"

	"github.com/spf13/cobra"

	"rustgen/internal/serviceapi"
)

// apiOptions is what `rustgen api` was asked to do.
type apiOptions struct {
	dir                 string
	write, dryRun, json bool
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
	found, err := serviceapi.Compare(cmd.Context(), s)
	if err != nil {
		return err
	}
	r := found.Report(o.dryRun)
	if o.write {
		if err := a.perform(cmd, s, found.Add(r), o.dryRun); err != nil {
			return err
		}
	}
	for _, note := range r.Notes {
		a.say("note: %s", note)
	}
	if o.json {
		err = a.writeJSON(r)
	} else {
		_, err = io.WriteString(a.out, r.Text(o.write))
	}
	if err != nil {
		return err
	}
	return r.Verdict(o.write)
}
