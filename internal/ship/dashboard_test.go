package ship

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dashboard is as much of Grafana's model as a reader of the panels needs.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Templating    struct{ List []struct{ Name, Type string } }
	Annotations   struct{ List []struct{ Name, Expr string } }
	Panels        []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct {
			RefID, Expr, LegendFormat string
			Exemplar                  bool
		}
	}
}

// queries are the expressions of panels and annotations, by what shows them.
func (d dashboard) queries() map[string][]string {
	queries := map[string][]string{}
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			queries["panel "+panel.Title] = append(queries["panel "+panel.Title], target.Expr)
		}
	}
	for _, annotation := range d.Annotations.List {
		queries["annotation "+annotation.Name] = append(queries["annotation "+annotation.Name], annotation.Expr)
	}
	return queries
}

// allChosen is a query of the dashboard as Grafana asks it of a service, with all of each variable chosen.
func allChosen(expression, interval string) string {
	return strings.NewReplacer("$__rate_interval", interval, "$namespace", ".*", "$instance", ".*", "$method", ".*").Replace(expression)
}

func parseDashboard(t *testing.T, r rendered) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(r.Tree["deploy/base/dashboard.json"].Data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// violations are panels that hide each other, say nothing of themselves, or show nothing.
func (d dashboard) violations() []string {
	var found findings
	found.wrong(d.UID != "" && len(d.UID) <= 40, "uid %q", d.UID)
	variables := map[string]bool{"$__rate_interval": true}
	for _, variable := range d.Templating.List {
		variables["$"+variable.Name] = true
	}
	for _, variable := range []string{"$datasource", "$namespace", "$instance", "$method"} {
		found.wrong(variables[variable], "nobody can choose by %s", variable)
	}
	found.wrong(len(d.Annotations.List) > 0, "deploys are not marked")
	for what, expressions := range d.queries() {
		for _, expression := range expressions {
			for _, word := range strings.FieldsFunc(expression, func(c rune) bool { return !strings.ContainsRune("$_abcdefghijklmnopqrstuvwxyz", c) }) {
				found.wrong(!strings.HasPrefix(word, "$") || variables[word], "%s uses %s, which does not exist", what, word)
			}
		}
	}
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, panel := range d.Panels {
		found.wrong(!ids[panel.ID], "panel %q has the id of another", panel.Title)
		ids[panel.ID] = true
		found.wrong(panel.GridPos.X+panel.GridPos.W <= 24, "panel %q is off the grid", panel.Title)
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				found.wrong(taken[[2]int{x, y}] == "" || taken[[2]int{x, y}] == panel.Title, "panel %q hides %q", panel.Title, taken[[2]int{x, y}])
				taken[[2]int{x, y}] = panel.Title
			}
		}
		if panel.Type == "row" {
			continue
		}
		found.wrong(panel.Description != "" && panel.FieldConfig.Defaults.Unit != "", "panel %q says neither what it is for nor its unit", panel.Title)
		found.wrong(len(panel.Targets) > 0, "panel %q shows nothing", panel.Title)
		refs := map[string]bool{}
		for _, target := range panel.Targets {
			found.wrong(!refs[target.RefID], "panel %q has two queries %s", panel.Title, target.RefID)
			refs[target.RefID] = true
			found.wrong(target.Exemplar == strings.Contains(target.Expr, "_bucket{"), "panel %q does not lead from its latencies to traces", panel.Title)
		}
	}
	return found
}

func TestDashboard(t *testing.T) {
	eachCase(t, "deploy/base/dashboard.json", func(t *testing.T, r rendered) {
		for _, violation := range parseDashboard(t, r).violations() {
			t.Error(violation)
		}
		if len(parseDashboard(t, r).Panels) < 20 {
			t.Error("panels are missing")
		}
	})
}

func TestDashboardFaults(t *testing.T) {
	const file = "deploy/base/dashboard.json"
	for _, fault := range []struct{ old, new, found string }{
		{`"id": 3`, `"id": 2`, "has the id of another"},
		{`"x": 8, "y": 1,`, `"x": 0, "y": 1,`, "hides"},
		{`"x": 16, "y": 1,`, `"x": 20, "y": 1,`, "off the grid"},
		{`$namespace`, `$nspace`, "$nspace, which does not exist"},
		{`"unit": "reqps"`, `"unit": ""`, "nor its unit"},
		{`"name": "method"`, `"name": "methods"`, "nobody can choose by $method"},
		{`"exemplar": true`, `"exemplar": false`, "does not lead from its latencies to traces"},
		{`offset 5m)"`, `offset $rate)"`, "annotation Deploys uses $rate"},
	} {
		d := parseDashboard(t, renderTree(t, cases["default"]).with(t, file, fault.old, fault.new))
		if found := d.violations(); !strings.Contains(strings.Join(found, "\n"), fault.found) {
			t.Errorf("%q was not found: %q", fault.found, found)
		}
	}
}

// The dashboard against the types of Grafana's own SDK, as a TypeScript literal: an unknown or mistyped field fails.
func TestDashboardTypes(t *testing.T) {
	need(t, "npm", "https://nodejs.org")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private": true}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if output, err := run(t, dir, "npm", "install", "--no-audit", "--no-fund", "--silent", "@grafana/grafana-foundation-sdk@0.0.21", "typescript@5.9.3"); err != nil {
		missing(t, "npm cannot install the SDK:\n"+output)
	}
	check := func(t *testing.T, r rendered) (string, error) {
		// The SDK's enumerations are their texts in JSON, and its queries are opaque where they stand in a panel.
		source := `import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import type { Dataquery } from "@grafana/grafana-foundation-sdk/prometheus";
type Query = Plain<Omit<Dataquery, "_implementsDataqueryVariant">>;
type Plain<T> =
  T extends string ? ` + "`${T}`" + `
  : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: K extends "targets" ? Query[] : Plain<T[K]> }
  : T;
export const dashboard: Plain<Dashboard> = ` + string(r.Tree["deploy/base/dashboard.json"].Data) + `;
`
		if err := os.WriteFile(filepath.Join(dir, "dashboard.ts"), []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		return run(t, dir, "npx", "--no-install", "tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "dashboard.ts")
	}
	eachCase(t, "deploy/base/dashboard.json", func(t *testing.T, r rendered) {
		if output, err := check(t, r); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
	})
	for _, fault := range []struct{ old, new string }{
		{`"schemaVersion": 39`, `"schemaVersion": "39"`},
		{`"graphTooltip": 1`, `"graphTooltipp": 1`},
		{`"exemplar": true`, `"exemplar": "yes"`},
		{`"unit": "reqps"`, `"unit": 1`},
	} {
		if output, err := check(t, renderTree(t, cases["default"]).with(t, "deploy/base/dashboard.json", fault.old, fault.new)); err == nil {
			t.Errorf("%s passed:\n%s", fault.new, output)
		}
	}
}
