package docs

import (
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"

	"rustgen/internal/decision"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/templates"
)

var update = flag.Bool("update", false, "write docs/decisions.md and the table of the README")

const page, readme = "../../docs/decisions.md", "../../README.md"

// The table in the README is between these lines.
const tableStart, tableEnd = "<!-- decisions: written by `make golden` -->\n", "<!-- end of decisions -->\n"

// The README's table of decisions is what template.yaml says.
func TestReadmeTable(t *testing.T) {
	t.Parallel()
	files, err := fs.Sub(templates.FS, templates.Default)
	if err != nil {
		t.Fatal(err)
	}
	set, err := templateset.Load(files, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), tableStart)
	_, after, ends := strings.Cut(rest, tableEnd)
	if !found || !ends {
		t.Fatalf("%s has no table of decisions", readme)
	}
	want := before + tableStart + "\n" + Table(&set.Catalog, render.NewEngine().Eval) + "\n" + tableEnd + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what template.yaml says; go test ./internal/docs -update writes it", readme)
	}
	if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// docs/decisions.md says what template.yaml says.
func TestDecisionsPage(t *testing.T) {
	t.Parallel()
	files, err := fs.Sub(templates.FS, templates.Default)
	if err != nil {
		t.Fatal(err)
	}
	set, err := templateset.Load(files, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Decisions(set.Name, set.Version, &set.Catalog, render.NewEngine().Eval)
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		for _, text := range []string{"### " + d.ID + "\n", d.Question, strings.TrimSpace(d.Help), d.Env()} {
			if !strings.Contains(want, text) {
				t.Errorf("%s: the page lacks %q", d.ID, text)
			}
		}
		for _, o := range d.Options {
			if !strings.Contains(want, "- `"+o.Value+"`: "+o.Why+"\n") {
				t.Errorf("%s: the page lacks option %s", d.ID, o.Value)
			}
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what template.yaml says; go test ./internal/docs -update writes it", page)
	}
}

func TestDecisionsOfAnotherSet(t *testing.T) {
	t.Parallel()
	c := decision.Catalog{
		Decisions: []decision.Decision{
			{ID: "x", Type: decision.Choice, Options: []decision.Option{{Value: "m"}, {Value: "n"}}, Default: &decision.Default{Constant: decision.RawText("m")}},
			{ID: "kind", Type: decision.Choice, Question: "Which?", Options: []decision.Option{{Value: "a"}, {Value: "b", Why: "better"}}, When: `eq .x "m"`},
			{ID: "y", Type: decision.Int, Default: &decision.Default{Expr: `ternary 1 2 (eq .x "m")`}},
		},
		Rules: []decision.Rule{{Warn: `eq .x "m"`, Message: "mind it"}},
	}
	got := Decisions("acme", "1.0.0", &c, render.NewEngine().Eval)
	for _, want := range []string{
		"# The decisions of acme 1.0.0\n", "| [kind](#kind) | a \\| b |  |\n", "- `a`\n- `b`: better\n",
		"- applies: where x is m\n", "- default: 1 where x is m, 2 where x is n\n", "- Warned of: mind it.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
}
