// Package auditrun goes through the production checklist for a directory on the disk: it finds the service and its
// repository, reads what the checks look at, and knows where settings and baseline lie.
package auditrun

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"rustgen/internal/audit"
	"rustgen/internal/auditreport"
	"rustgen/internal/hint"
	"rustgen/internal/report"
)

// Options are what a run is asked for beside the checks.
type Options struct {
	// Only are the checks that were asked for by name: no settings leave them out.
	Only []string
	// Settings and Baseline are files; "" looks for them where they usually lie.
	Settings, Baseline string
	// All findings are wanted, those that the baseline knows among them.
	All bool
}

// Run goes through the checks for the Cargo package or workspace that dir is in. The settings are those of the service.
//
// Errors: hints where there is no Rust service, or its settings, its baseline or its manifest cannot be read; or the
// context's.
func Run(ctx context.Context, dir string, checks []audit.Check, o Options) (*auditreport.Report, audit.Settings, error) {
	at, err := findPlace(dir)
	if err != nil {
		return nil, audit.Settings{}, err
	}
	settings, err := readSettings(at, o)
	if err != nil {
		return nil, settings, err
	}
	baseline, err := readBaseline(at, o)
	if err != nil {
		return nil, settings, err
	}
	checks = slices.DeleteFunc(checks, func(c audit.Check) bool {
		return slices.Contains(settings.Skip, c.ID) && !slices.Contains(o.Only, c.ID)
	})
	files, unread, err := readFiles(ctx, at)
	if err != nil {
		return nil, settings, failed(dir, err)
	}
	top := filepath.Join(at.root, filepath.FromSlash(at.dir))
	found, err := check(ctx, audit.Input{
		Files: files, Dir: at.dir, Focus: at.focus, Unread: unread, Settings: settings, Baseline: baseline,
		Rendered: renderCharts(ctx, at, files),
	}, checks)
	if err != nil {
		return nil, settings, failed(report.Near(top), err)
	}
	return auditreport.New(report.Near(top), found), settings, nil
}

// check runs the checks, and leaves them behind when the context ends: the process ends with it.
func check(ctx context.Context, in audit.Input, checks []audit.Check) (*audit.Report, error) {
	type end struct {
		report *audit.Report
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		report, err := audit.Run(ctx, in, checks)
		ended <- end{report, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case e := <-ended:
		return e.report, e.err
	}
}

// failed is the error of a run that could not be done.
func failed(dir string, err error) error {
	var bad *audit.BadManifest
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &bad):
		return hint.Fail("cargo metadata says what is wrong with it", "%s: Cargo.toml: %w", dir, bad.Err)
	}
	return hint.Fail("rustgen audit DIR names a Rust service", "%s: %w", dir, err)
}
