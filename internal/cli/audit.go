package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/audit"
	"rustgen/internal/decision"
	"rustgen/internal/hint"
)

// auditReport is what the production checklist found.
type auditReport struct {
	Dir     string          `json:"dir"`
	Passed  int             `json:"passed"`
	Failed  int             `json:"failed"`
	NotSeen int             `json:"not_seen"`
	Checks  []audit.Result  `json:"checks"`
	Notes   []audit.Finding `json:"notes,omitempty"`
	// inDir is the directory of the checks' paths, as the user would name it.
	inDir string
}

// auditOptions are the flags of one run.
type auditOptions struct {
	only, skip         []string
	list, asJSON       bool
	format             string
	failOn, show       string
	settings, baseline string
	failOnIsSet        bool
}

func (a *app) auditCommand() *cobra.Command {
	var o auditOptions
	var ids []string
	for _, c := range audit.Checks() {
		ids = append(ids, c.ID)
	}
	cmd := &cobra.Command{
		Use:   "audit [DIR]",
		Short: "Go through the production checklist, for any Rust gRPC service",
		Long: `Look in a Rust service, whoever wrote it, for what the hot path needs before it meets load: build, code, server,
clients, image, Kubernetes, pipeline. DIR is a Cargo package or workspace, or a directory inside (default: the current
one); its pipeline, images and manifests are looked for in the whole repository. Nothing of the service is built or run;
Helm charts are rendered where there is helm.

A check has passed, has failed, or could not be judged ("not seen", with what would have to be seen). Findings are faults,
risks or advice; faults and risks are shown. It exits 4 where there is a finding of --fail-on or worse.

What is as it should be is said in the code, with a reason: // rustgen: allow(CHECK, reason), in or above its line; or in
` + audit.SettingsFile + ` (skip, severity, fail-on, allow). --format baseline prints what an old service has, so that
only what is new is found from then on. rustgen explain CHECK says more of one check.`,
		Example: `  rustgen audit
  rustgen audit ../payments --json
  rustgen audit --skip connection-age,pre-stop     # behind a mesh that does both
  rustgen audit --show advice --fail-on risk
  rustgen audit --format sarif > audit.sarif       # for code scanning
  rustgen audit --format baseline > ` + audit.BaselineFile + `
  rustgen audit --list`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.failOnIsSet = cmd.Flags().Changed("fail-on")
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.audit(cmd.Context(), dir, o, ids)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	o.flags(cmd, ids)
	return cmd
}

func (o *auditOptions) flags(cmd *cobra.Command, ids []string) {
	flags := cmd.Flags()
	flags.StringSliceVar(&o.only, "only", nil, "go through these `CHECKS` alone")
	flags.StringSliceVar(&o.skip, "skip", nil, "leave these `CHECKS` out")
	flags.BoolVar(&o.list, "list", false, "print the checklist, and look at nothing")
	flags.BoolVar(&o.asJSON, "json", false, "print as JSON")
	flags.StringVar(&o.format, "format", "text", "`FORMAT` of the report: text, json, sarif or baseline")
	flags.StringVar(&o.failOn, "fail-on", "fault", "exit 4 from this `SEVERITY` on: fault, risk, advice or never")
	flags.StringVar(&o.show, "show", "risk", "print findings from this `SEVERITY` on: fault, risk or advice")
	flags.StringVar(&o.settings, "settings", "", "settings in `FILE` (default: "+audit.SettingsFile+" in the service or above)")
	flags.StringVar(&o.baseline, "baseline", "", "what is known, in `FILE` (default: "+audit.BaselineFile+" in the service)")
	for _, name := range []string{"only", "skip"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(ids, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json", "sarif", "baseline"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"fault", "risk", "advice", "never"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("show", cobra.FixedCompletions([]string{"fault", "risk", "advice"}, cobra.ShellCompDirectiveNoFileComp))
}

// check refuses values that no flag has.
func (o *auditOptions) check() error {
	for _, flag := range []struct {
		name, value string
		values      []string
	}{
		{"--format", o.format, []string{"text", "json", "sarif", "baseline"}},
		{"--fail-on", o.failOn, []string{"fault", "risk", "advice", "never"}},
		{"--show", o.show, []string{"fault", "risk", "advice"}},
	} {
		if !slices.Contains(flag.values, flag.value) {
			return usage(flag.name+" takes "+strings.Join(flag.values, ", "), "%s %s: there is no such value", flag.name, flag.value)
		}
	}
	if o.asJSON {
		o.format = "json"
	}
	return nil
}

func (a *app) audit(ctx context.Context, dir string, o auditOptions, ids []string) error {
	checks, err := wantedChecks(o.only, o.skip, ids)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	if o.list {
		return a.listChecks(checks, o.format == "json")
	}
	// A large service is read whole: memory is given back sooner than Main asks for.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(512 << 20))
	r, settings, err := auditDir(ctx, dir, checks, o)
	if err != nil {
		return err
	}
	if !o.failOnIsSet && settings.FailOn != "" {
		o.failOn = string(settings.FailOn)
	}
	switch o.format {
	case "baseline":
		return a.writeJSON(audit.BaselineOf(r.Checks))
	case "json":
		err = a.writeJSON(r)
	case "sarif":
		err = a.writeJSON(sarifOf(r))
	default:
		_, err = io.WriteString(a.out, r.text(audit.Severity(o.show)))
	}
	if err != nil {
		return err
	}
	return r.verdict(o.failOn)
}

// verdict is the error of a run with findings that weigh enough.
func (r *auditReport) verdict(failOn string) error {
	if failOn == "never" || !slices.ContainsFunc(r.Checks, func(c audit.Result) bool {
		return c.State == audit.Failed && c.Severity.AtLeast(audit.Severity(failOn))
	}) {
		return nil
	}
	return hint.New(hint.Found, "rustgen audit --skip ID leaves a check out that does not hold on purpose; rustgen explain ID says more of it",
		"%d of %d checks failed", r.Failed, r.Failed+r.Passed)
}

// wantedChecks are those that the flags leave.
func wantedChecks(only, skip, ids []string) ([]audit.Check, error) {
	for _, flag := range []struct {
		name   string
		values []string
	}{{"--only", only}, {"--skip", skip}} {
		for _, id := range flag.values {
			if slices.Contains(ids, id) {
				continue
			}
			hint := "rustgen audit --list names them"
			if near := decision.Nearest(id, ids); near != "" {
				hint = fmt.Sprintf("did you mean %s?", near)
			}
			return nil, usage(hint, "%s %s: there is no such check", flag.name, id)
		}
	}
	checks := slices.DeleteFunc(audit.Checks(), func(c audit.Check) bool {
		return len(only) > 0 && !slices.Contains(only, c.ID) || slices.Contains(skip, c.ID)
	})
	if len(checks) == 0 {
		return nil, usage("rustgen audit --list names them", "--only and --skip leave no check")
	}
	return checks, nil
}

func (a *app) listChecks(checks []audit.Check, asJSON bool) error {
	if asJSON {
		return a.writeJSON(checks)
	}
	var b strings.Builder
	area := ""
	for _, c := range checks {
		if c.Area != area {
			area = c.Area
			fmt.Fprintf(&b, "%s\n", area)
		}
		fmt.Fprintf(&b, "  %-20s %s\n", c.ID, c.Title)
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}

// auditDir goes through the checks for the Cargo package or workspace that dir is in.
func auditDir(ctx context.Context, dir string, checks []audit.Check, o auditOptions) (*auditReport, audit.Settings, error) {
	place, err := findAuditPlace(dir)
	if err != nil {
		return nil, audit.Settings{}, err
	}
	settings, err := auditSettings(place, o)
	if err != nil {
		return nil, settings, err
	}
	baseline, err := auditBaseline(place, o)
	if err != nil {
		return nil, settings, err
	}
	checks = slices.DeleteFunc(checks, func(c audit.Check) bool {
		return slices.Contains(settings.Skip, c.ID) && !slices.Contains(o.only, c.ID)
	})
	files, unread, err := readForAudit(ctx, place)
	if err != nil {
		return nil, settings, auditFailed(dir, err)
	}
	top := filepath.Join(place.root, filepath.FromSlash(place.dir))
	report, err := runAudit(ctx, audit.Input{
		Files: files, Dir: place.dir, Focus: place.focus, Unread: unread, Settings: settings, Baseline: baseline,
		Rendered: renderCharts(ctx, place, files),
	}, checks)
	if err != nil {
		return nil, settings, auditFailed(near(top), err)
	}
	r := &auditReport{Dir: near(top), Checks: report.Results, Notes: report.Notes, inDir: near(place.root)}
	for _, result := range r.Checks {
		switch result.State {
		case audit.Passed:
			r.Passed++
		case audit.Failed:
			r.Failed++
		case audit.NotSeen:
			r.NotSeen++
		}
	}
	return r, settings, nil
}

// runAudit runs the checks, and leaves them behind when the context ends: the process ends with it.
func runAudit(ctx context.Context, in audit.Input, checks []audit.Check) (*audit.Report, error) {
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

// auditFailed is the error of a run that could not be done.
func auditFailed(dir string, err error) error {
	var bad *audit.BadManifest
	switch {
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.As(err, &bad):
		return failed("cargo metadata says what is wrong with it", "%s: Cargo.toml: %w", dir, bad.Err)
	}
	return failed("rustgen audit DIR names a Rust service", "%s: %w", dir, err)
}

// auditSettings reads the settings of a service, of its workspace, or of its repository.
func auditSettings(place auditPlace, o auditOptions) (audit.Settings, error) {
	names := []string{o.settings}
	if o.settings == "" {
		names = nil
		for _, dir := range []string{place.focus, place.dir, "."} {
			names = append(names, filepath.Join(place.root, filepath.FromSlash(dir), audit.SettingsFile))
		}
	}
	for _, name := range names {
		data, err := readSmall(name)
		switch {
		case errors.Is(err, os.ErrNotExist) && o.settings == "":
			continue
		case err != nil:
			return audit.Settings{}, failed("--settings FILE names one, as rustgen audit --help describes", "%s: %w", near(name), bare(err))
		}
		settings, err := audit.ParseSettings(data)
		if err != nil {
			return settings, failed("rustgen audit --list names the checks", "%s: %s", near(name), strings.ReplaceAll(err.Error(), "\n", " "))
		}
		return settings, nil
	}
	return audit.Settings{}, nil
}

// readSmall reads a regular file of a usual size.
func readSmall(name string) ([]byte, error) {
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() > maxAuditFile:
		return nil, errors.New("it is too large")
	}
	return os.ReadFile(name)
}

// baselinePath is where a service's baseline lies.
func baselinePath(place auditPlace, o auditOptions) string {
	if o.baseline != "" {
		return o.baseline
	}
	return filepath.Join(place.root, filepath.FromSlash(place.focus), audit.BaselineFile)
}

func auditBaseline(place auditPlace, o auditOptions) (audit.Baseline, error) {
	if o.format == "baseline" {
		return nil, nil
	}
	name := baselinePath(place, o)
	data, err := readSmall(name)
	if errors.Is(err, os.ErrNotExist) && o.baseline == "" {
		return nil, nil
	}
	b := audit.Baseline{}
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		return nil, failed("rustgen audit --format baseline prints a new one", "%s: %w", near(name), bare(err))
	}
	return b, nil
}
