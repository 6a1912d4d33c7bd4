package cli

import (
	"context"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/project"
	"rustgen/internal/upgrade"
)

// serviceFlag declares where the service is.
func serviceFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", ".", "the service in `DIR`, or the one around it")
}

// openDir opens the service around dir until the run ends.
func (a *app) openDir(ctx context.Context, dir string, reports bool) (*upgrade.Service, error) {
	s, err := a.openUnclosed(ctx, dir, reports)
	if err == nil {
		a.atExit = append(a.atExit, s.Close)
	}
	return s, err
}

// openUnclosed opens the service around dir, which the caller closes, and says what became of an earlier run that was
// cut off. A run that only reports leaves it as it is.
func (a *app) openUnclosed(ctx context.Context, dir string, reports bool) (*upgrade.Service, error) {
	if dir == "" {
		dir = "."
	}
	if reports {
		s, pending, err := upgrade.OpenToRead(dir)
		if err == nil && pending != "" {
			a.say("warning: an earlier `%s` was cut off: the next rustgen upgrade, set or restore here finishes it or takes it back", pending)
		}
		return s, err
	}
	s, recovered, err := upgrade.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	if recovered != nil {
		a.written = true
		done := "took back"
		if recovered.Finished {
			done = "finished"
		}
		a.say("%s an earlier `%s`, which was cut off", done, recovered.What)
	}
	return s, nil
}

// openService is openDir with the record and the snapshot, which must be as rustgen wrote them.
func (a *app) openService(ctx context.Context, dir string, reports bool) (*upgrade.Service, error) {
	s, err := a.openDir(ctx, dir, reports)
	if err != nil {
		return nil, err
	}
	if err := s.Load(ctx); err != nil {
		return nil, err
	}
	a.sets.RecallOwned(ctx, s)
	return s, nil
}

// perform applies a plan, unless it is only to be printed.
func (a *app) perform(cmd *cobra.Command, s *upgrade.Service, p *upgrade.Plan, dryRun bool) error {
	if dryRun {
		return nil
	}
	a.settling.Store(true)
	written, warnings, err := s.Apply(cmd.Context(), p)
	a.written = a.written || written
	for _, w := range warnings {
		a.say("warning: %s", w)
	}
	return err
}

// recordIn is the record of the service around dir; nil where there is none to be read.
func recordIn(dir string) *project.Record {
	at, err := project.Find(dir)
	if err != nil {
		return nil
	}
	root, err := apply.OpenRoot(at)
	if err != nil {
		return nil
	}
	defer root.Close()
	record, err := project.ReadRecord(root)
	if err != nil {
		return nil
	}
	return record
}
