package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/bootstrap"
	"rustgen/internal/describe"
	"rustgen/internal/manual"
	"rustgen/internal/source"
	"rustgen/internal/tree"
)

func (a *app) manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man [COMMAND...]",
		Short: "Print a manual page, or write all of them to a directory",
		Long: `Print the manual page of rustgen or of one of its commands, to read with rustgen man | man -l -. With --dir it writes
all pages, one a command, to install under a man1 directory.`,
		Example: `  rustgen man upgrade | man -l -
  rustgen man --dir ~/.local/share/man/man1`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			// The pages are those of the embedded set.
			set, err := a.sets.Open(cmd.Context(), source.Place{Source: ""})
			if err != nil {
				return err
			}
			root := a.commands(set)
			if cmd.Flags().Changed("dir") {
				if dir == "" || len(args) > 0 {
					return usage("rustgen man --dir DIR", "--dir takes a directory, and then all pages are written")
				}
				return a.writePages(cmd.Context(), root, set, dir)
			}
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(found, args[len(args)-max(len(rest), 1)])
			}
			_, err = io.WriteString(a.out, describe.Page(found, set, exitStatus()))
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write all pages to `DIR`; those that are there are replaced")
	return cmd
}

// writePages writes every page to a directory, which need not exist.
func (a *app) writePages(ctx context.Context, root *cobra.Command, set *source.Set, dir string) error {
	pages := tree.Tree{}
	for _, c := range append([]*cobra.Command{root}, describe.Below(root)...) {
		pages[describe.PageName(c)+".1"] = tree.File{Mode: tree.ModeFile, Data: []byte(describe.Page(c, set, exitStatus()))}
	}
	if bootstrap.Absent(dir) {
		if err := apply.Fresh(ctx, filepath.Clean(dir), pages, nil); err != nil {
			return failed("choose a --dir that can be written to", "%w", err)
		}
		return nil
	}
	for _, name := range pages.Paths() {
		if err := apply.Replace(dir, name, pages[name].Data); err != nil {
			return failed("choose a --dir that can be written to", "%s: %w", dir, err)
		}
	}
	return nil
}

// exitStatus are what every command ends with.
func exitStatus() []manual.Row {
	return []manual.Row{
		{Name: fmt.Sprint(exitDone), Text: "done"},
		{Name: fmt.Sprint(exitFailed), Text: "failed"},
		{Name: fmt.Sprint(exitUsage), Text: "a wrong call or a wrong answer"},
		{Name: fmt.Sprint(exitConflicts), Text: "conflicts are left"},
		{Name: fmt.Sprint(exitFound), Text: "a check found something"},
		{Name: fmt.Sprint(exitInterrupted), Text: "interrupted"},
	}
}
