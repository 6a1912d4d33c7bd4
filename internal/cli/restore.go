package cli

import (
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/decision"
	"rustgen/internal/plan"
	"rustgen/internal/project"
	"rustgen/internal/tree"
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
		Short: "Bring files back to what the template wrote",
		Long: `Bring files of a service, or all of the template's in a directory, back to what the template wrote last. An edit that
is not committed anywhere is only overwritten with --allow-dirty.

rustgen restore .rustgen mends the record itself: the snapshot is rendered anew with the same version of the template,
and answers.yaml that was edited by hand is taken as it is, so that the next rustgen upgrade follows it.`,
		Example: `  rustgen restore Dockerfile
  rustgen restore crates/hotpath --dry-run`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				return usage("rustgen status lists what was edited", "rustgen restore needs a path")
			}
			if slices.Equal(paths, []string{project.Dir}) || slices.Equal(paths, []string{project.Dir + "/"}) {
				return a.restoreRecord(cmd.Context(), o)
			}
			return a.restore(cmd.Context(), o, paths)
		},
	}
	flags := cmd.Flags()
	serviceFlag(cmd, &o.dir)
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be done, and do nothing")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	flags.BoolVar(&o.allowDirty, "allow-dirty", false, "overwrite edits that are not committed")
	flags.StringVar(&o.source, "template", "", "template set of the service, to mend the record with (default: the service's own)")
	return cmd
}

func (a *app) restore(ctx context.Context, o *restoreOptions, args []string) error {
	s, err := a.openOrRead(o.dir, o.dryRun)
	if err != nil {
		return err
	}
	var paths []string
	for _, arg := range args {
		found, err := s.written(o.dir, arg)
		if err != nil {
			return err
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	ours, err := project.Worktree(s.root, nil, paths)
	if err != nil {
		return failed("rustgen must be able to read what it replaces", "%w", err)
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return !plan.Writes(ours, s.Base, p) })
	if err := s.refuseLoss(ctx, o, ours, paths); err != nil {
		return err
	}
	var changes []apply.Change
	items := []plan.Item{}
	for _, p := range paths {
		changes = append(changes, change(ours, s.Base, p))
		items = append(items, plan.Item{Path: p, Verdict: plan.Restored})
	}
	if !o.dryRun && len(changes) > 0 {
		if err := a.transact(ctx, s, "rustgen restore", changes); err != nil {
			return err
		}
	}
	if o.json {
		return a.writeJSON(map[string]any{"dry_run": o.dryRun, "files": items})
	}
	if len(items) == 0 {
		_, err := fmt.Fprintln(a.out, "nothing to restore: all is as the template wrote it")
		return err
	}
	return a.printRestored(items, o.dryRun)
}

// printRestored says what became of paths, or would.
func (a *app) printRestored(items []plan.Item, dryRun bool) error {
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
func (s *service) written(dir, arg string) ([]string, error) {
	abs, err := filepath.Abs(filepath.Join(dir, arg))
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(s.dir, abs)
	if err != nil {
		return nil, err
	}
	p := path.Clean(filepath.ToSlash(rel))
	var found []string
	for _, b := range s.Base.Paths() {
		if b == p || p == "." || strings.HasPrefix(b, p+"/") {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		return nil, usage("rustgen status lists what was edited and deleted", "%s: the template wrote no such file", arg)
	}
	return found, nil
}

// refuseLoss refuses to overwrite an edit that is nowhere else.
func (s *service) refuseLoss(ctx context.Context, o *restoreOptions, ours tree.Tree, paths []string) error {
	if o.allowDirty || o.dryRun {
		return nil
	}
	edited := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { _, ok := ours[p]; return !ok })
	if s.repo != nil && len(edited) > 0 {
		dirty, err := s.repo.Dirty(ctx)
		if err != nil {
			return failed("--allow-dirty goes on without asking git", "cannot tell what is uncommitted: %w", err)
		}
		tracked, _, err := s.repo.Files(ctx)
		if err != nil {
			return failed("--allow-dirty goes on without asking git", "cannot tell what is committed: %w", err)
		}
		// A conflict in which the user's side stays is dirty by its index alone.
		edited = slices.DeleteFunc(edited, func(p string) bool {
			return tracked[p] && !dirty[p] || dirty[p] && s.repo.Committed(ctx, p, ours[p])
		})
	}
	if len(edited) > 0 {
		return failed("commit or copy them, or --allow-dirty", "the edits are not committed and would be lost: %s", some(edited))
	}
	return nil
}

// restoreRecord mends .rustgen from what is left of it and the template set.
func (a *app) restoreRecord(ctx context.Context, o *restoreOptions) error {
	s, err := a.openDirOrRead(o.dir, o.dryRun)
	if err != nil {
		return err
	}
	if _, err := project.Load(s.root); err == nil {
		if o.json {
			return a.writeJSON(map[string]any{"dry_run": o.dryRun, "record": "unchanged"})
		}
		_, err = fmt.Fprintln(a.out, "nothing to restore: .rustgen is as rustgen wrote it")
		return err
	}
	record, base, edited, err := project.Salvage(s.root)
	if err == nil && edited && base == nil {
		err = fmt.Errorf("answers.yaml was edited and base.tar.gz is not its snapshot: neither vouches for the other")
	}
	if err != nil {
		return failed("git restore .rustgen, or a copy of it, is the only way back", "%w", err)
	}
	source, open := o.source, a.openSet
	if source == "" {
		source, open = record.Source, a.openRecorded
	}
	set, err := open(ctx, source)
	if err != nil {
		return err
	}
	s.Service = &project.Service{Record: record}
	if err := s.matches(set); err != nil {
		return err
	}
	out, err := set.Catalog.Resolve(set.engine.Eval, decision.Request{Recorded: record.Decisions, AcceptDefaults: true})
	if err != nil {
		return setFault(set.source, err)
	}
	if err := out.Err(); err != nil {
		return err
	}
	if base == nil {
		if s.on() != set.exact() {
			hint := "--template DIR or URL@REF names that version; git restore .rustgen brings the committed record back"
			if record.Template == set.Name && record.Version == set.Version {
				hint = "the rustgen that embeds that version can; git restore .rustgen brings the committed record back"
			}
			return failed(hint, "the snapshot is of %s and can only be rendered with it; this is %s", s.on(), set.exact())
		}
		if base, err = set.engine.Render(set.Set, out.Data); err != nil {
			return setFault(set.source, err)
		}
	}
	files, err := record.Files(append(set.Catalog.IDs(), out.Removed...), base)
	if err != nil {
		return err
	}
	before, err := project.Own(s.root)
	if err != nil {
		return s.damaged(err)
	}
	if !o.dryRun {
		var changes []apply.Change
		for _, p := range files.Paths() {
			changes = append(changes, change(before, files, p))
		}
		if err := a.transact(ctx, s, "rustgen restore", changes); err != nil {
			return err
		}
	}
	if o.json {
		return a.writeJSON(map[string]any{"dry_run": o.dryRun, "record": "restored"})
	}
	done := "restored"
	if o.dryRun {
		done = "would restore"
	}
	_, err = fmt.Fprintf(a.out, "%s .rustgen: %s %s; rustgen upgrade makes the files follow\n", done, record.Template, record.Version)
	return err
}
