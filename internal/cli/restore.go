package cli

import (
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/project"
	"rustgen/internal/report"
	"rustgen/internal/upgrade"
)

// restoreOptions is what `rustgen restore` was asked to do.
type restoreOptions struct {
	dir, source              string
	dryRun, json, allowDirty bool
}

func (a *app) restoreCommand() *cobra.Command {
	o := &restoreOptions{}
	cmd := &cobra.Command{
		Use:   "restore PATH...",
		Short: "Restore files to what the template last wrote",
		Long: `Restore files, or all managed files in a directory, to what the template wrote last. An owned file is restored only where
it is named itself. An edit that is not committed anywhere is only overwritten with --allow-dirty.

rustgen restore .rustgen mends the record itself: the snapshot is rendered anew with the same version of the template,
and answers.yaml that was edited by hand is taken as it is, so that the next rustgen upgrade follows it.`,
		Example: `  rustgen restore Dockerfile
  rustgen restore crates/hotpath --dry-run`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				return usage("rustgen status lists what was edited", "rustgen restore needs a path")
			}
			if slices.Equal(paths, []string{project.Dir}) || slices.Equal(paths, []string{project.Dir + "/"}) {
				return a.restoreRecord(cmd, o)
			}
			return a.restore(cmd, o, paths)
		},
	}
	flags := cmd.Flags()
	serviceFlag(cmd, &o.dir)
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be done, and do nothing")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.BoolVar(&o.allowDirty, "allow-dirty", false, "overwrite edits that are not committed")
	flags.StringVar(&o.source, "template", "", "template set at `SOURCE`, to mend the record with (default: the service's own)")
	return cmd
}

func (a *app) restore(cmd *cobra.Command, o *restoreOptions, args []string) error {
	s, err := a.openService(cmd.Context(), o.dir, o.dryRun)
	if err != nil {
		return err
	}
	var paths []string
	for _, arg := range args {
		found, err := written(s, o.dir, arg)
		if err != nil {
			return err
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	p, err := s.Restore(cmd.Context(), slices.Compact(paths), o.allowDirty || o.dryRun)
	if err != nil {
		return err
	}
	if err := a.perform(cmd, s, p, o.dryRun); err != nil {
		return err
	}
	items := p.Items()
	if o.json {
		return a.writeJSON(report.Change{DryRun: o.dryRun, Files: items})
	}
	if len(items) == 0 {
		_, err := fmt.Fprintln(a.out, "nothing to restore: all is as the template wrote it")
		return err
	}
	return a.printRestored(items, o.dryRun)
}

// printRestored says what became of paths, or would.
func (a *app) printRestored(items []upgrade.Item, dryRun bool) error {
	var b strings.Builder
	for _, i := range items {
		if dryRun {
			b.WriteString("would be ")
		}
		fmt.Fprintf(&b, "%s  %s\n", i.Verdict, i.Path)
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}

// written finds the template's files that an argument names, from where the user stands.
func written(s *upgrade.Service, dir, arg string) ([]string, error) {
	abs, err := filepath.Abs(filepath.Join(dir, arg))
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(s.Dir, abs)
	if err != nil {
		return nil, err
	}
	found := s.Written(path.Clean(filepath.ToSlash(rel)))
	if len(found) == 0 {
		return nil, usage("rustgen status lists what was edited and deleted", "%s: the template wrote no such file", arg)
	}
	return found, nil
}

// restoreRecord mends .rustgen from what is left of it and the template set.
func (a *app) restoreRecord(cmd *cobra.Command, o *restoreOptions) error {
	s, err := a.openDir(cmd.Context(), o.dir, o.dryRun)
	if err != nil {
		return err
	}
	loaded := s.Load(cmd.Context())
	if loaded == nil {
		if o.json {
			return a.writeJSON(report.Record{DryRun: o.dryRun, Record: "unchanged"})
		}
		_, err = fmt.Fprintln(a.out, "nothing to restore: .rustgen is as rustgen wrote it")
		return err
	}
	p, record, err := a.sets.Mend(cmd.Context(), s, o.source, o.dryRun)
	if err != nil {
		return err
	}
	if err := a.perform(cmd, s, p, o.dryRun); err != nil {
		return err
	}
	if o.json {
		return a.writeJSON(report.Record{DryRun: o.dryRun, Record: "restored"})
	}
	done := "restored"
	if o.dryRun {
		done = "would restore"
	}
	_, err = fmt.Fprintf(a.out, "%s .rustgen: %s %s; rustgen upgrade makes the files follow\n", done, record.Template, record.Version)
	return err
}
