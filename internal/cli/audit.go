package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rustgen/internal/apply"
	"rustgen/internal/audit"
	"rustgen/internal/decision"
	"rustgen/internal/hint"
	"rustgen/internal/project"
)

// auditReport is what the production checklist found.
type auditReport struct {
	Dir    string         `json:"dir"`
	Passed int            `json:"passed"`
	Failed int            `json:"failed"`
	Checks []audit.Result `json:"checks"`
}

func (a *app) auditCommand() *cobra.Command {
	var only, skip []string
	var list, asJSON bool
	var ids []string
	for _, c := range audit.Checks() {
		ids = append(ids, c.ID)
	}
	cmd := &cobra.Command{
		Use:   "audit [DIR]",
		Short: "Go through the production checklist, for any Rust gRPC service",
		Long: `Look in a Rust service, whoever wrote it, for what the hot path needs before it meets load: build, code, server,
clients, image, Kubernetes, pipeline. DIR is the top of its Cargo package or workspace, or a directory inside (default:
the current one). Nothing is built or run: it says what is there and what is not, where, why it matters and how to mend
it.

It exits 4 where a check failed. --skip leaves out those that a service does without on purpose.`,
		Example: `  rustgen audit
  rustgen audit ../payments --json
  rustgen audit --skip connection-age,pre-stop     # behind a mesh that does both
  rustgen audit --list`,
		Args: atMostOne,
		RunE: func(_ *cobra.Command, args []string) error {
			checks, err := wantedChecks(only, skip, ids)
			if err != nil {
				return err
			}
			if list {
				return a.listChecks(checks, asJSON)
			}
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			r, err := auditDir(dir, checks)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.writeJSON(r)
			} else {
				_, err = io.WriteString(a.out, r.text())
			}
			if err != nil || r.Failed == 0 {
				return err
			}
			return hint.New(hint.Found, "rustgen audit --skip ID leaves a check out that does not hold on purpose",
				"%d of %d checks failed", r.Failed, r.Failed+r.Passed)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&only, "only", nil, "go through these `CHECKS` alone")
	flags.StringSliceVar(&skip, "skip", nil, "leave these `CHECKS` out")
	flags.BoolVar(&list, "list", false, "print the checklist, and look at nothing")
	flags.BoolVar(&asJSON, "json", false, "print as JSON")
	for _, name := range []string{"only", "skip"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(ids, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
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
func auditDir(dir string, checks []audit.Check) (*auditReport, error) {
	top, err := cargoTop(dir)
	if err != nil {
		return nil, err
	}
	root, err := apply.OpenRoot(top)
	if err != nil {
		return nil, failed("", "%s: %w", dir, bare(err))
	}
	defer root.Close()
	files, err := project.Files(root)
	if err != nil {
		return nil, failed("rustgen audit DIR names the service's own directory", "%s: %w", near(top), err)
	}
	results, err := audit.Run(files, checks)
	if err != nil {
		return nil, failed("cargo metadata says what is wrong with it", "%s: %w", near(top), err)
	}
	r := &auditReport{Dir: near(top), Checks: results}
	for _, result := range results {
		switch result.State {
		case audit.Passed:
			r.Passed++
		case audit.Failed:
			r.Failed++
		}
	}
	return r, nil
}

// cargoTop is the outermost directory with a Cargo.toml that dir lies in, without a gap between them: of a crate of a
// workspace, the workspace.
func cargoTop(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(at); err != nil {
		return "", failed("rustgen audit DIR names a Rust service", "%s: %w", dir, bare(err))
	} else if !info.IsDir() {
		return "", failed("rustgen audit DIR names a Rust service", "%s: it is no directory", dir)
	}
	top := ""
	for ; ; at = filepath.Dir(at) {
		if manifest, ok := cargoManifest(at); ok {
			top = at
			if strings.Contains(manifest, "[workspace]") {
				break
			}
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	if top == "" {
		return "", failed("rustgen audit DIR names a Rust service", "%s: %w", dir, audit.NotRust{})
	}
	return top, nil
}

// cargoManifest is the Cargo.toml of a directory. A link, a device or a pipe is none: what is audited may come from
// anybody, and only what lies in it is read.
func cargoManifest(dir string) (string, bool) {
	const most = 1 << 20
	info, err := os.Lstat(filepath.Join(dir, "Cargo.toml"))
	if err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return "", false
	}
	data, err := os.ReadFile(filepath.Join(dir, "Cargo.toml"))
	return string(data), err == nil
}

func (r *auditReport) text() string {
	var b strings.Builder
	area := ""
	var passed []string
	absent := map[string][]string{}
	var notes []string
	for _, result := range r.Checks {
		switch result.State {
		case audit.Passed:
			passed = append(passed, result.ID)
		case audit.NoMatch:
			if absent[result.Note] == nil {
				notes = append(notes, result.Note)
			}
			absent[result.Note] = append(absent[result.Note], result.ID)
		case audit.Failed:
			if result.Area != area {
				area = result.Area
				fmt.Fprintf(&b, "%s\n", area)
			}
			writeResult(&b, result)
		}
	}
	if len(passed) > 0 {
		fmt.Fprintf(&b, "passed\n%s\n", fold(strings.Join(passed, ", "), explainWidth, "  "))
	}
	for _, note := range notes {
		fmt.Fprintf(&b, "left out: %s\n%s\n", note, fold(strings.Join(absent[note], ", "), explainWidth, "  "))
	}
	return b.String()
}

// mostPlaces is how many places of one fault are printed; --json has them all.
const mostPlaces = 5

func writeResult(b *strings.Builder, result audit.Result) {
	fmt.Fprintf(b, "  %s: %s\n", result.ID, result.Title)
	for i, f := range result.Findings {
		if i == mostPlaces {
			fmt.Fprintf(b, "      and %d more\n", len(result.Findings)-i)
			break
		}
		where := f.Place.String()
		if where != "" {
			where += ": "
		}
		fmt.Fprintf(b, "      %s%s\n", where, f.What)
	}
	fmt.Fprintf(b, "%s\n", fold("Why: "+result.Why+".", explainWidth, "    "))
	fmt.Fprintf(b, "%s\n\n", fold("Mend: "+result.Mend+".", explainWidth, "    "))
}
