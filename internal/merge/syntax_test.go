package merge_test

import (
	"testing"

	"rustgen/internal/merge"
	"rustgen/internal/tree"
)

func TestParses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, text string
		want       bool
	}{
		{"a.toml", "a = 1\n[b]\nc = 2\n", true},
		{"a.toml", "a = 1\na = 2\n", false},
		{"Cargo.toml", "[dependencies]\nbytes = \"1.12\"\nx = \"1\"\nbytes = \"1\"\n", false},
		{"Cargo.lock", "version = 4\nversion = 4\n", false},
		{"a.yaml", "a: 1\n---\nb: [1, 2]\n", true},
		{"a.yml", "a: 1\nb: 2\na: 3\n", false},
		{"a.yaml", "a:\n  - 1\n b: 2\n", false},
		{"a.yaml", "", true},
		{"a.json", `{"a": [{"b": 1}, {"b": 2}], "c": null}`, true},
		{"a.json", `{"a": {"b": 1, "b": 2}}`, false},
		{"a.json", `{"a": 1`, false},
		{"a.json", `{} {}`, false},
		{"a.rs", "a = 1\na = 2\n", true},
	} {
		t.Run(c.path+" "+c.text, func(t *testing.T) {
			t.Parallel()
			if got := merge.Parses(c.path, tree.File{Mode: tree.ModeFile, Data: []byte(c.text)}); got != c.want {
				t.Errorf("parses: %v", got)
			}
		})
	}
}

// What is merged line by line and parses no more is a conflict, if it parsed on each side.
func TestMalformedMerge(t *testing.T) {
	t.Parallel()
	const base = "one = 1\n\n\ntwo = 2\n\n\nthree = 3\n"
	file := func(path, text string) tree.Tree {
		return tree.Tree{path: {Mode: tree.ModeFile, Data: []byte(text)}}
	}
	for _, c := range []struct {
		name, path, base, ours, theirs string
		want                           merge.Kind
	}{
		{"the same key at two ends", "a.toml", base, "new = 1\n" + base, base + "new = 1\n", merge.Syntax},
		{"no TOML to begin with", "a.txt", base, "new = 1\n" + base, base + "new = 1\n", ""},
		{"malformed before", "a.toml", "?\n" + base, "new = 1\n?\n" + base, "?\n" + base + "new = 1\n", ""},
		{"well-formed", "a.toml", base, "new = 1\n" + base, base + "other = 1\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := merge.Merge(t.Context(), merge.Input{
				Base: file(c.path, c.base), Ours: file(c.path, c.ours), Theirs: file(c.path, c.theirs), BaseVersion: "1.0.0", Version: "1.1.0",
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(r.Conflicts) > 0 || c.want != "" && (len(r.Conflicts) != 1 || r.Conflicts[0].Kind != c.want || r.Conflicts[0].Marked) {
				t.Errorf("conflicts %+v", r.Conflicts)
			}
		})
	}
}
