package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/auditreport"
	"rustgen/internal/decision"
	"rustgen/internal/project"
	"rustgen/internal/source"
	"rustgen/internal/templateset"
	"rustgen/internal/vcs"
)

// call is what of a command line decides which template set there is, and so which flags.
type call struct {
	command string
	// template is the value of --template; given says that it was there.
	template string
	given    bool
	dir      string
	// argument is the first one behind the command.
	argument string
	// dryRun says that the run only tells what it would do.
	dryRun bool
	// setless says that the run needs no set: it ends an upgrade, or compares with what the template wrote last.
	setless bool
	// describes says that the run only describes commands: help and completion.
	describes bool
}

// findCall lets the flag library read the arguments with the flags that are there whatever the set is. What is wrong
// with them is left for the run that knows all flags.
func (a *app) findCall(args []string) call {
	c := call{dir: "."}
	if len(args) > 0 {
		switch args[0] {
		case "help":
			args, c.describes = args[1:], true
		case cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
			args, c.describes = args[1:], true
		}
	}
	cmd, rest, err := a.commands(nil).Find(args)
	if err != nil {
		return c
	}
	cmd.InitDefaultHelpFlag()
	cmd.FParseErrWhitelist.UnknownFlags = true
	_ = cmd.ParseFlags(rest)
	flags := cmd.Flags()
	c.command = strings.TrimPrefix(cmd.CommandPath(), "rustgen ")
	if f := flags.Lookup("template"); f != nil {
		c.template, c.given = f.Value.String(), f.Changed
	}
	if f := flags.Lookup("dir"); f != nil && f.Value.String() != "" {
		c.dir = f.Value.String()
	}
	on := func(name string) bool { f := flags.Lookup(name); return f != nil && f.Value.String() == "true" }
	c.setless = on("abort") || on("continue") || c.command == "diff" && !c.given && !on("upgrade") && !on("owned")
	c.dryRun = on("dry-run")
	c.argument = flags.Arg(0)
	c.describes = c.describes || on("help")
	return c
}

// setFor opens the set of a call: the one that --template names, the one that the service was made from, or the
// embedded one; nil where the command needs none.
func (a *app) setFor(ctx context.Context, c call) (*source.Set, error) {
	if c.given && c.template == "" && !c.describes {
		return nil, usage("leave --template out to use the embedded set", "--template is empty")
	}
	var record *project.Record
	switch c.command {
	case "new", "template export", "template schema":
	case "upgrade", "set", "diff", "explain":
		record = recordIn(c.dir)
	default:
		return nil, nil
	}
	if c.setless && !c.describes {
		return nil, nil
	}
	from := source.PlaceOf(c.template, record)
	if from.Asks() && !c.describes {
		if _, isCheck := auditreport.Find(c.argument); c.command == "explain" && isCheck && record.Decisions[c.argument].Origin == "" {
			// It is one of the audit, whatever the set is.
			return &source.Set{Set: &templateset.Set{}, Place: from, Unread: true}, nil
		}
		if err := c.refuseUnasked(from, record); err != nil {
			return nil, err
		}
	}
	open := func() (*source.Set, error) { return a.sets.Open(ctx, from) }
	if c.command == "set" && record != nil {
		open = func() (*source.Set, error) { return a.sets.OpenOwn(ctx, c.template, record) }
	}
	set, err := openDescribed(from, c.describes, record, open)
	if err != nil {
		return nil, err
	}
	if record != nil {
		set.Current = record.Decisions
	}
	return set, nil
}

// refuseUnasked refuses to fetch the set that a service's record names, which may come from anybody, for a run that only
// tells something. Whoever gives the set by --template has asked for it.
func (c *call) refuseUnasked(from source.Place, record *project.Record) error {
	again := "rustgen " + c.command
	switch {
	case c.command == "diff":
		again += " --upgrade"
	case c.command == "set" && c.dryRun:
		// What set changes is decided by the set that the service was rendered from.
		if url, _ := vcs.SplitRef(from.Source); record.Commit != "" {
			from.Source = url + "@" + record.Commit
		}
		again += " ID=VALUE --dry-run"
	case c.dryRun:
		again += " --dry-run"
	case c.command != "explain":
		return nil
	}
	return failed(again+" --template "+quote(from.Source)+" fetches it",
		"the template set is at %s, as the service's record says, and is not fetched unasked", from.Source)
}

// openDescribed opens a set. Where it is only to be described, nothing is fetched, and what cannot be read is passed over.
func openDescribed(from source.Place, describes bool, record *project.Record, open func() (*source.Set, error)) (*source.Set, error) {
	if !describes {
		return open()
	}
	if !vcs.IsURL(from.Source) {
		if set, err := open(); err == nil {
			return set, nil
		}
	}
	set := &source.Set{Set: &templateset.Set{}, Place: from, Unread: true}
	if record != nil {
		set.Catalog = recordedCatalog(record)
	}
	return set, nil
}

// recordedCatalog is what a service's record tells of decisions: their ids, in an order of no meaning.
func recordedCatalog(record *project.Record) decision.Catalog {
	var c decision.Catalog
	for _, id := range slices.Sorted(maps.Keys(record.Decisions)) {
		c.Decisions = append(c.Decisions, decision.Decision{ID: id, Type: decision.String})
	}
	return c
}
