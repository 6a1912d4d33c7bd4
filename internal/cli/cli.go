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
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"rustgen/internal/decision"
	"rustgen/internal/describe"
	"rustgen/internal/hint"
	"rustgen/internal/source"
	"rustgen/internal/templateset"
	"rustgen/internal/terminal"
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
	in io.Reader
	// out and err are for what people read, and clean it; see plain. raw is standard output as it is, for what a program
	// reads, and terminal standard error, for whoever asks questions there.
	out, err, raw, terminal io.Writer
	environ                 []string
	// sets opens template sets.
	sets *source.Opener
	// atExit runs when the run ends, last first.
	atExit []func()
	// settling says that files are written, and what belongs to them is not.
	settling atomic.Bool
	// written says that something on the disk is not as this run has found it.
	written bool
}

// Main runs the command line and returns its exit code.
func Main(args []string) int {
	// A run is short: collecting less often costs memory that is given back at its end.
	debug.SetGCPercent(400)
	a := newApp(os.Stdin, os.Stdout, os.Stderr, os.Environ())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go a.obey(signals, cancel)
	// A reader that goes away is an error of writing, and not the end of the process: temporary files are to go.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return a.run(ctx, args)
}

// obey ends the run at the first signal, and the process at the second, unless what is written by then is being brought
// to its end.
func (a *app) obey(signals <-chan os.Signal, cancel func()) {
	<-signals
	cancel()
	for s := range signals {
		if a.settling.Load() {
			continue
		}
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Signal(s)
		}
	}
}

func newApp(in io.Reader, out, err io.Writer, environ []string) *app {
	a := &app{in: in, out: terminal.Plain{To: out}, err: terminal.Plain{To: err}, raw: out, terminal: err, environ: environ}
	a.sets = &source.Opener{Reserved: reservedFlags, Version: readBuild().Version, Say: a.say}
	a.atExit = append(a.atExit, a.sets.Close)
	return a
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
	case errors.Is(err, syscall.EPIPE):
		// Whoever read the output has gone, and has no need of an error.
		return exitFailed
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

// interactive reports whether somebody can be asked: standard input and standard error are terminals, and this is not
// a pipeline, some of which have a terminal and nobody at it.
func (a *app) interactive() bool {
	return isTerminal(a.in) && isTerminal(a.terminal) && !a.pipeline()
}

// pipeline reports whether the variable by which pipelines make themselves known is set.
func (a *app) pipeline() bool {
	switch strings.ToLower(a.getenv("CI")) {
	case "", "0", "false", "no":
		return false
	default:
		return true
	}
}

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
	_, err := a.raw.Write(terminal.Escaped(out.Bytes()))
	return err
}

// writePatch writes what programs apply: as it is to them, and clean to a terminal.
func (a *app) writePatch(text string) error {
	to := a.raw
	if isTerminal(a.raw) {
		to = a.out
	}
	_, err := io.WriteString(to, text)
	return err
}

// say talks to the person, on standard error.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// rootCommand makes the commands with the flags of the decisions of the set that args ask for.
func (a *app) rootCommand(ctx context.Context, args []string) (*cobra.Command, error) {
	set, err := a.setFor(ctx, a.findCall(args))
	if err != nil {
		return nil, err
	}
	root := a.commands(set)
	root.SetArgs(args)
	return root, nil
}

// commands makes every command. A nil set has no decisions.
func (a *app) commands(set *source.Set) *cobra.Command {
	if set == nil {
		set = &source.Set{Set: &templateset.Set{}}
	}
	var version bool
	root := &cobra.Command{
		Use:   "rustgen",
		Short: "Bootstrap Rust gRPC services for the hot path, and keep them current",
		Long: `rustgen asks for the decisions that make or break a Rust service's latency (panic strategy, allocator, runtime,
bounds), explains each, and renders a Tokio/Tonic service in which they hold.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	group(root)
	list := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if version {
			return a.printVersion(false)
		}
		return list(cmd, args)
	}
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := io.WriteString(cmd.OutOrStderr(), describe.Usage(cmd, set))
		return err
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), describe.Help(cmd, set)) })
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(
		a.newCommand(set),
		a.upgradeCommand(set),
		a.setCommand(set),
		a.statusCommand(),
		a.diffCommand(set),
		a.restoreCommand(),
		a.auditCommand(),
		a.apiCommand(),
		a.explainCommand(set),
		a.layerCommand(),
		a.templateCommand(set),
		a.manCommand(),
		a.versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Short = "Print the completion script of a shell"
			c.Long = "Print the script by which a shell completes commands, flags, decisions and their answers. Each shell's own --help says\nhow it is loaded."
			group(c)
		case "help":
			c.Short, c.Long = "Say more of a command", "Say more of a command, as its --help does."
			c.Use = "help [COMMAND...]"
			c.Args, c.RunE = cobra.ArbitraryArgs, help
		}
	}
	describe.Completions(root, set)
	return root
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
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		if near := decision.Nearest(unknown.GetSpecifiedName(), flagNames(cmd)); near != "" {
			hint = fmt.Sprintf("did you mean --%s?", near)
		}
	case errors.As(err, &bare):
		hint = writeFlag(bare.GetFlag())
	case errors.As(err, &invalid):
		hint = writeFlag(invalid.GetFlag())
		if errors.Is(err, errNeedsValue) {
			err = fmt.Errorf("flag needs an argument: --%s", invalid.GetFlag().Name)
		}
	}
	return usage(hint, "%w", err)
}

// writeFlag says how a flag is written.
func writeFlag(f *pflag.Flag) string {
	value, _ := pflag.UnquoteUsage(f)
	if v, ok := f.Value.(*decisionValue); ok {
		value = v.decision.Syntax()
	}
	if f.Value.Type() == "bool" {
		return fmt.Sprintf("write --%s alone, or --%s=false", f.Name, f.Name)
	}
	return fmt.Sprintf("write --%s %s", f.Name, value)
}
