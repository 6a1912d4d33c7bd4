// Package cli is the command line: one file a command, and in this one what they share: streams, exit codes, errors.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitConflicts   = 3
	exitFound       = 4
	exitInterrupted = 130
)

// exitCodes are the exit codes of the kinds of errors.
var exitCodes = map[hint.Kind]int{
	hint.Failed: exitFailed, hint.Usage: exitUsage, hint.Conflicts: exitConflicts, hint.Found: exitFound,
}

// usage is a wrong call.
func usage(mend, format string, args ...any) error { return hint.Refuse(mend, format, args...) }

// failed is a run that could not be done.
func failed(mend, format string, args ...any) error { return hint.Fail(mend, format, args...) }

// interrupted is a run that the user ended.
var errInterrupted = errors.New("interrupted")

// app is what the commands share.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	// atExit runs when the run ends, last first.
	atExit []func()
	// written says that something on the disk is not as this run has found it.
	written bool
}

// Main runs the command line and returns its exit code.
func Main(args []string) int {
	// A run is short: collecting less often costs memory that is given back at its end.
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	return a.run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	defer func() {
		for _, f := range slices.Backward(a.atExit) {
			f()
		}
	}()
	root, err := a.rootCommand(ctx, args)
	if err == nil {
		root.SetIn(a.in)
		root.SetOut(a.out)
		root.SetErr(a.err)
		err = root.ExecuteContext(ctx)
	}
	// Whatever went wrong on the way out of an interrupted run, but what was written is not to be hidden.
	if ctx.Err() != nil && err != nil && !a.written {
		err = errInterrupted
	}
	return a.report(err)
}

// report writes an error as one line and its hint as another, and gives the exit code.
func (a *app) report(err error) int {
	var f *hint.Error
	code, mend := exitFailed, ""
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled):
		code, err = exitInterrupted, errInterrupted
		if !a.written {
			err = fmt.Errorf("%w; nothing was written", err)
		}
	case errors.As(err, &f):
		code, mend = exitCodes[f.Kind], f.Hint
	}
	fmt.Fprintf(a.err, "error: %s\n", strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
	if mend != "" {
		fmt.Fprintf(a.err, "hint: %s\n", mend)
	}
	return code
}

// getenv looks a variable up in the app's environment.
func (a *app) getenv(name string) string {
	for i := len(a.environ) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(a.environ[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// interactive reports whether somebody can be asked: standard input and standard error are terminals.
func (a *app) interactive() bool { return isTerminal(a.in) && isTerminal(a.err) }

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// writeJSON writes a report for programs.
func (a *app) writeJSON(value any) error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := a.out.Write(out.Bytes())
	return err
}

// say talks to the person, on standard error.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

func (a *app) rootCommand(ctx context.Context, args []string) (*cobra.Command, error) {
	root := &cobra.Command{
		Use:   "rustgen",
		Short: "Bootstrap Rust gRPC services for the hot path, and keep them current",
		Long: `rustgen asks for the decisions that make or break a Rust service's latency (panic strategy, allocator, runtime,
bounds), explains each, and renders a Tokio/Tonic service in which they hold.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	group(root)
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetArgs(args)
	root.AddCommand(a.versionCommand())
	if len(args) > 0 && args[0] == "--version" {
		root.SetArgs(append([]string{"version"}, args[1:]...))
		return root, nil
	}
	if len(args) > 0 && args[0] == "version" {
		return root, nil
	}
	root.AddCommand(a.statusCommand(), a.restoreCommand(), a.auditCommand(), a.apiCommand())
	if len(args) > 0 && slices.Contains([]string{"status", "restore", "audit", "api"}, args[0]) {
		return root, nil
	}
	source, err := templateArgument(args)
	if err != nil {
		return nil, err
	}
	opened, err := a.openFor(ctx, args, source)
	if err != nil {
		return nil, err
	}
	root.SetArgs(joinBools(args, &opened.Catalog))
	root.AddCommand(
		a.newCommand(opened),
		a.upgradeCommand(opened),
		a.setCommand(opened),
		a.diffCommand(opened),
		a.explainCommand(opened),
		a.layerCommand(),
		a.templateCommand(opened),
		a.manCommand(root),
	)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			group(c)
		case "help":
			c.Args, c.RunE = cobra.ArbitraryArgs, help
		}
	}
	return root, nil
}

// group makes a command that has commands below it and does nothing itself.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownCommand(cmd, args[0])
	}
}

// help is cobra's own, but a command that there is not is an error.
func help(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return unknownCommand(found, rest[0])
	}
	found.InitDefaultHelpFlag()
	return found.Help()
}

func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	hint := cmd.CommandPath() + " --help lists the commands"
	if near := decision.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return usage(hint, "there is no command %q", name)
}

// flagError is pflag's own, with a hint.
func flagError(cmd *cobra.Command, err error) error {
	hint := cmd.CommandPath() + " --help lists the flags"
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		if near := decision.Nearest(name, flagNames(cmd)); near != "" {
			hint = fmt.Sprintf("did you mean --%s?", near)
		}
	}
	return usage(hint, "%w", err)
}
