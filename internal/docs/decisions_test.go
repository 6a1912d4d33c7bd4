package docs

import (
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"

	"rustgen/internal/decision"
	"rustgen/internal/templateset"
	"rustgen/templates"
)

var update = flag.Bool("update", false, "write docs/decisions.md")

const page = "../../docs/decisions.md"

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
	want := Decisions(set.Name, set.Version, &set.Catalog)
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
			{ID: "kind", Type: decision.Choice, Question: "Which?", Options: []decision.Option{{Value: "a"}, {Value: "b", Why: "better"}}, When: "eq .x 1"},
			{ID: "y", Type: decision.Int, Default: &decision.Default{Expr: "add 1 .x"}},
		},
		Rules: []decision.Rule{{Warn: "a", Message: "mind it"}},
	}
	got := Decisions("acme", "1.0.0", &c)
	for _, want := range []string{
		"# The decisions of acme 1.0.0\n", "| [kind](#kind) | a \\| b |  |\n", "- `a`\n- `b`: better\n",
		"- applies when: `eq .x 1`\n", "- default: computed: `add 1 .x`\n", "- Warned of: mind it.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
}
