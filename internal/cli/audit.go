package cli

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/audit"
	"rustgen/internal/auditreport"
	"rustgen/internal/auditrun"
	"rustgen/internal/decision"
)

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
		if o.format == "json" {
			return a.writeJSON(checks)
		}
		_, err := io.WriteString(a.out, auditreport.List(checks))
		return err
	}
	// A large service is read whole: memory is given back sooner than Main asks for.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(512 << 20))
	r, settings, err := auditrun.Run(ctx, dir, checks, auditrun.Options{
		Only: o.only, Settings: o.settings, Baseline: o.baseline, All: o.format == "baseline",
	})
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
		err = a.writeJSON(r.SARIF())
	default:
		_, err = io.WriteString(a.out, r.Text(audit.Severity(o.show)))
	}
	if err != nil {
		return err
	}
	return r.Verdict(o.failOn)
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
