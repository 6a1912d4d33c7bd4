package upgrade

import (
	"slices"
	"testing"

	"rustgen/internal/tree"
)

// files makes a tree of pairs of a path and its content.
func files(pairs ...string) tree.Tree {
	t := tree.Tree{}
	for i := 0; i < len(pairs); i += 2 {
		t[pairs[i]] = tree.File{Mode: tree.ModeFile, Data: []byte(pairs[i+1])}
	}
	return t
}

func TestDivide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                 string
		base, ours, rendered tree.Tree
		was, is              []string
		moves                map[string]string
		newer                bool
		elsewhere            string
		wantBase, wantTheirs tree.Tree
		owned, left          []string
	}{
		{
			name: "an owned file stays, edited or not",
			base: files("a", "1", "b", "1"), ours: files("a", "1", "b", "team"), rendered: files("a", "2", "b", "2"),
			was: []string{"a", "b"}, is: []string{"a", "b"},
			wantBase: files("a", "1", "b", "1"), wantTheirs: files("a", "1", "b", "1"),
			owned: []string{"a", "b"}, left: []string{"a", "b"},
		},
		{
			name: "nothing is said of an owned file that the template has not changed, or that the team has deleted",
			base: files("a", "1", "b", "1"), ours: files("a", "team"), rendered: files("a", "1", "b", "2"),
			was: []string{"a", "b"}, is: []string{"a", "b"},
			wantBase: files("a", "1", "b", "1"), wantTheirs: files("a", "1", "b", "1"),
			owned: []string{"a", "b"},
		},
		{
			name: "a managed file that becomes owned is updated one last time, unless it was edited",
			base: files("a", "1", "b", "1", "c", "1\n"), ours: files("a", "1", "b", "team", "c", "1\r\n"), rendered: files("a", "2", "b", "2", "c", "2\n"),
			is:       []string{"a", "b", "c"},
			wantBase: files("a", "1", "b", "1", "c", "1\n"), wantTheirs: files("a", "2", "b", "1", "c", "2\n"),
			owned: []string{"a", "b", "c"}, left: []string{"b"},
		},
		{
			name: "an owned file that moves keeps its content",
			base: files("old", "1"), ours: files("old", "team"), rendered: files("new", "2"),
			was: []string{"old"}, is: []string{"new"}, moves: map[string]string{"old": "new"},
			wantBase: files("old", "1"), wantTheirs: files("new", "1"), owned: []string{"new"},
		},
		{
			name: "a managed file that becomes owned and moves",
			base: files("a", "1", "b", "1"), ours: files("a", "1", "b", "team"), rendered: files("x", "2", "y", "2"),
			is: []string{"x", "y"}, moves: map[string]string{"a": "x", "b": "y"},
			wantBase: files("a", "1", "b", "1"), wantTheirs: files("x", "2", "y", "1"), owned: []string{"x", "y"},
		},
		{
			name: "an owned file that the template drops stays the team's",
			base: files("a", "1", "b", "1"), ours: files("a", "1"), rendered: files(),
			was:      []string{"a", "b"},
			wantBase: files(), wantTheirs: files(), left: []string{"a"},
		},
		{
			name: "a new owned file does not replace the team's",
			base: files(), ours: files("a", "team"), rendered: files("a", "1", "b", "1"), is: []string{"a", "b"},
			wantBase: files(), wantTheirs: files("b", "1"), owned: []string{"b"}, left: []string{"a"},
		},
		{
			name: "a new owned file of a newer template comes where the team has edited none of its own",
			base: files("a", "1"), ours: files("a", "1"), rendered: files("a", "1", "b", "1"), was: []string{"a"}, is: []string{"a", "b"},
			newer: true, wantBase: files("a", "1"), wantTheirs: files("a", "1", "b", "1"), owned: []string{"a", "b"},
		},
		{
			name: "a new owned file of a newer template does not come where the team has edited its own",
			base: files("a", "1"), ours: files("a", "team"), rendered: files("a", "1", "b", "1"), was: []string{"a"}, is: []string{"a", "b"},
			newer: true, wantBase: files("a", "1"), wantTheirs: files("a", "1"), owned: []string{"a"},
		},
		{
			name: "a changed decision brings its owned file all the same",
			base: files("a", "1"), ours: files("a", "team"), rendered: files("a", "1", "b", "1"), was: []string{"a"}, is: []string{"a", "b"},
			wantBase: files("a", "1"), wantTheirs: files("a", "1", "b", "1"), owned: []string{"a", "b"},
		},
		{
			name: "an owned file does not come a second time where a decision gives it another path",
			base: files("a", "1"), ours: files("a", "1"), rendered: files("b", "1", "c", "1"), was: []string{"a"}, is: []string{"b", "c"},
			elsewhere: "b", wantBase: files(), wantTheirs: files("c", "1"), owned: []string{"c"}, left: []string{"a"},
		},
		{
			name: "an owned file that becomes managed is merged again",
			base: files("a", "1"), ours: files("a", "team"), rendered: files("a", "2"), was: []string{"a"},
			wantBase: files("a", "1"), wantTheirs: files("a", "2"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := func(list []string) func(string) bool {
				return func(p string) bool { return slices.Contains(list, p) }
			}
			got := Divide(Ownership{Base: c.base, Ours: c.ours, Rendered: c.rendered, Was: in(c.was), Is: in(c.is), Moves: c.moves, Newer: c.newer,
				Elsewhere: func(p string) bool { return p == c.elsewhere },
			})
			if !got.Base.Equal(c.wantBase) || !got.Theirs.Equal(c.wantTheirs) {
				t.Errorf("base %v, theirs %v", got.Base, got.Theirs)
			}
			if !slices.Equal(got.Owned, c.owned) || !slices.Equal(got.Left, c.left) {
				t.Errorf("owned %v, left %v", got.Owned, got.Left)
			}
		})
	}
}
