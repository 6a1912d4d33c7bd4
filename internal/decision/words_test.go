package decision

import (
	"fmt"
	"testing"
)

// words is a catalog whose expressions stand for what the evaluator below makes of them.
func words() *Catalog {
	return &Catalog{Decisions: []Decision{
		{ID: NameID, Type: String},
		{ID: "kind", Type: Choice, Options: []Option{{Value: "a"}, {Value: "b"}}, Default: &Default{Expr: "a"}},
		{ID: "of-kind", Type: String, Default: &Default{Expr: "twice .kind"}},
		{ID: "of-name", Type: String, Default: &Default{Expr: "twice .name"}},
		{ID: "only-b", Type: String, When: "is-b .kind", Default: &Default{Expr: "a"}},
		{ID: "odd", Type: String, When: "both .name .kind", Default: &Default{Expr: "a"}},
	}}
}

func evalWords(expr string, data map[string]any) (any, error) {
	switch expr {
	case "a":
		return "a", nil
	case "twice .kind":
		return fmt.Sprint(data["kind"], data["kind"]), nil
	case "twice .name":
		return fmt.Sprint(data["name"], data["name"]), nil
	case "is-b .kind":
		return data["kind"] == "b", nil
	case "both .name .kind":
		return true, nil
	}
	return nil, fmt.Errorf("unknown expression %s", expr)
}

func TestWords(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]struct{ fallback, when string }{
		"kind":    {"a where all else is left at its default", ""},
		"of-kind": {"aa where kind is a, bb where kind is b", ""},
		"of-name": {"hellohello for a service called hello", ""},
		"only-b":  {"", "where kind is b"},
		"odd":     {"a where all else is left at its default", "where this holds: both .name .kind"},
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			c := words()
			d, _ := c.Find(id)
			if got := c.DefaultWords(evalWords, d); got != want.fallback {
				t.Errorf("default %q, want %q", got, want.fallback)
			}
			if got := c.WhenWords(evalWords, d); got != want.when {
				t.Errorf("applies %q, want %q", got, want.when)
			}
		})
	}
}
