package merge_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"rustgen/internal/merge"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
)

var (
	triples   = flag.Int("triples", 1000, "how many random triples of trees to merge")
	firstSeed = flag.Uint64("seed", 1, "seed of the first triple")
	everyGit  = flag.Int("git-every", 8, "compare every n-th triple with a real git merge")
)

// triple is a random base, and what two sides made of it.
type triple struct {
	base, ours, theirs tree.Tree
	// lines are what the user wrote, which nothing may lose; blobs the user's binaries.
	lines []string
	blobs [][]byte
}

// maker makes trees. Every line is unique, so that a lost one is noticed.
type maker struct {
	*rand.Rand
	count int
}

var names = []string{
	"Cargo.toml", "README.md", "src/main.rs", "src/lib.rs", "src/handlers.rs", "src/a b.rs", "deploy/base/pod.yaml",
	"deploy/größe.txt", "crates/hotpath/src/lib.rs", "crates/hotpath/src/drain.rs", "crates/x/日本.rs", "-dash.txt", ".env", "bin/run.sh",
	"[x]*.txt", "quote\"d.txt", "new\u0301.txt", "proto/v1/svc.proto", "docs/deep/er/still.md",
}

func (m *maker) line(who string) string {
	m.count++
	return fmt.Sprintf("%s-%d-%x", who, m.count, m.Uint64())
}

func (m *maker) text(who string, n int) []byte {
	var b bytes.Buffer
	for range n {
		b.WriteString(m.line(who) + "\n")
	}
	return b.Bytes()
}

func (m *maker) file(who string) tree.File {
	switch m.IntN(12) {
	case 0:
		return tree.File{Mode: tree.ModeFile, Data: append([]byte{0, 1}, m.text(who, 3)...)}
	case 1:
		return tree.File{Mode: tree.ModeLink, Data: []byte(m.line(who))}
	case 2:
		return tree.File{Mode: tree.ModeExec, Data: m.text(who, 5+m.IntN(20))}
	case 3:
		return tree.File{Mode: tree.ModeFile, Data: bytes.ReplaceAll(m.text(who, 5+m.IntN(20)), []byte("\n"), []byte("\r\n"))}
	case 4:
		return tree.File{Mode: tree.ModeFile, Data: bytes.TrimSuffix(m.text(who, 1+m.IntN(4)), []byte("\n"))}
	case 5:
		return tree.File{Mode: tree.ModeFile, Data: latin1(m.text(who, 5+m.IntN(20)))}
	default:
		return tree.File{Mode: tree.ModeFile, Data: m.text(who, 5+m.IntN(30))}
	}
}

// latin1 is a text with a letter at the start of each line that is not UTF-8.
func latin1(text []byte) []byte {
	return regexp.MustCompile(`(?m)^(.)`).ReplaceAll(text, []byte("\xe9$1"))
}

// hasLines reports whether git merges a file by line.
func hasLines(f tree.File) bool { return !f.IsLink() && !bytes.Contains(f.Data, []byte{0}) }

func (m *maker) base() tree.Tree {
	t := tree.Tree{}
	for _, i := range m.Perm(len(names))[:2+m.IntN(7)] {
		t[names[i]] = m.file("base")
	}
	return t
}

// edit changes a tree a few times.
func (m *maker) edit(t tree.Tree, who string) tree.Tree {
	t = t.Clone()
	for range m.IntN(8) {
		paths := t.Paths()
		if len(paths) == 0 {
			break
		}
		p := paths[m.IntN(len(paths))]
		switch m.IntN(13) {
		case 0:
			delete(t, p)
		case 1, 2:
			to := names[m.IntN(len(names))]
			if m.IntN(2) == 0 {
				to = "moved/" + who + "/" + p
			}
			if _, taken := t[to]; !taken {
				t[to] = t[p]
				delete(t, p)
			}
		case 3:
			t[names[m.IntN(len(names))]] = m.file(who)
		case 4:
			f := t[p]
			if f.Mode == tree.ModeFile {
				f.Mode = tree.ModeExec
				t[p] = f
			}
		case 5:
			f := t[p]
			if hasLines(f) {
				flat := bytes.ReplaceAll(f.Data, []byte("\r\n"), []byte("\n"))
				if m.IntN(2) == 0 {
					flat = bytes.ReplaceAll(flat, []byte("\n"), []byte("\r\n"))
				}
				t[p] = tree.File{Mode: f.Mode, Data: flat}
			}
		case 6:
			// A file becomes a directory.
			delete(t, p)
			t[p+"/inner.txt"] = m.file(who)
		case 7:
			t[p] = m.file(who)
		default:
			t[p] = m.editFile(t[p], who)
		}
		if t.Check() != nil {
			t = fixed(t)
		}
	}
	return t
}

// fixed drops what cannot stand beside the rest.
func fixed(t tree.Tree) tree.Tree {
	for _, p := range t.Paths() {
		for dir := filepath.Dir(p); dir != "."; dir = filepath.Dir(dir) {
			delete(t, dir)
		}
	}
	return t
}

func (m *maker) editFile(f tree.File, who string) tree.File {
	if f.IsLink() {
		return tree.File{Mode: f.Mode, Data: []byte(m.line(who))}
	}
	if !hasLines(f) {
		return tree.File{Mode: f.Mode, Data: append([]byte{0, 2}, m.text(who, 2)...)}
	}
	end := "\n"
	if bytes.Contains(f.Data, []byte("\r\n")) {
		end = "\r\n"
	}
	line := func() string {
		if tree.IsText(f.Data) {
			return m.line(who) + end
		}
		return string(latin1([]byte(m.line(who)))) + end
	}
	lines := strings.SplitAfter(string(f.Data), "\n")
	for range 1 + m.IntN(3) {
		i := m.IntN(len(lines))
		switch m.IntN(4) {
		case 0:
			lines = slices.Delete(lines, i, i+1)
			if len(lines) == 0 {
				lines = []string{line()}
			}
		case 1:
			lines[i] = line()
		default:
			lines = slices.Insert(lines, i, line())
		}
	}
	return tree.File{Mode: f.Mode, Data: []byte(strings.Join(lines, ""))}
}

func newTriple(seed uint64) triple {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 7))}
	tr := triple{base: m.base()}
	tr.ours = m.edit(tr.base, "user")
	tr.theirs = m.edit(tr.base, "template")
	token := regexp.MustCompile(`user-\d+-[0-9a-f]+`)
	for _, f := range tr.ours {
		switch {
		case hasLines(f):
			tr.lines = append(tr.lines, token.FindAllString(string(f.Data), -1)...)
		case bytes.Contains(f.Data, []byte("user-")):
			tr.blobs = append(tr.blobs, f.Data)
		}
	}
	return tr
}

func run(t *testing.T, base, ours, theirs tree.Tree) *merge.Result {
	t.Helper()
	r, err := merge.Merge(t.Context(), merge.Input{Base: base, Ours: ours, Theirs: theirs, BaseVersion: "1.0.0", Version: "1.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTriples(t *testing.T) {
	t.Parallel()
	seeds := make(chan uint64)
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for seed := range seeds {
				t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { checkTriple(t, seed) })
			}
		})
	}
	for i := range uint64(*triples) {
		seeds <- *firstSeed + i
	}
	close(seeds)
	wait.Wait()
}

func checkTriple(t *testing.T, seed uint64) {
	tr := newTriple(seed)
	got := run(t, tr.base, tr.ours, tr.theirs)
	if err := withoutLinks(got.Tree).CheckContained(); err != nil {
		t.Errorf("the result cannot stand on a disk: %v", err)
	}
	var all bytes.Buffer
	for _, f := range got.Tree {
		all.Write(f.Data)
		all.WriteByte('\n')
	}
	for _, line := range tr.lines {
		if !bytes.Contains(all.Bytes(), []byte(line)) {
			t.Errorf("the user's line %s is lost", line)
		}
	}
	for _, blob := range tr.blobs {
		if !slices.ContainsFunc(got.Tree.Paths(), func(p string) bool { return bytes.Equal(got.Tree[p].Data, blob) }) {
			t.Errorf("the user's binary or link %q is lost", blob)
		}
	}
	checkVerdicts(t, tr, got)
	checkEndings(t, tr, got)
	if r := run(t, tr.base, tr.ours, tr.base); !r.Tree.Equal(tr.ours) || len(r.Conflicts) > 0 {
		t.Error("a template that changed nothing changed the user's tree")
	}
	if r := run(t, tr.base, tr.base, tr.theirs); !r.Tree.Equal(tr.theirs) || len(r.Conflicts) > 0 {
		t.Errorf("an unedited service is not what the template writes: %v", r.Conflicts)
	}
	if r := run(t, tr.base, tr.ours, tr.ours); !r.Tree.Equal(tr.ours) || len(r.Conflicts) > 0 {
		t.Error("two sides that did the same are not that")
	}
	back := run(t, tr.base, tr.theirs, tr.ours)
	if clean(got) && clean(back) && !flat(got.Tree).Equal(flat(back.Tree)) {
		t.Error("the merge depends on which side is whose")
	}
	if seed%uint64(*everyGit) == 0 {
		checkGit(t, tr, got)
	}
}

func clean(r *merge.Result) bool { return len(r.Conflicts) == 0 && len(r.KeptDeleted) == 0 }

// withoutLinks leaves out what the generator makes without caring where it leads.
func withoutLinks(t tree.Tree) tree.Tree {
	t = t.Clone()
	for p, f := range t {
		if f.IsLink() {
			t[p] = tree.File{Mode: tree.ModeFile}
		}
	}
	return t
}

// flat is a tree with LF endings.
func flat(t tree.Tree) tree.Tree {
	t = t.Clone()
	for p, f := range t {
		if hasLines(f) {
			t[p] = tree.File{Mode: f.Mode, Data: bytes.ReplaceAll(f.Data, []byte("\r\n"), []byte("\n"))}
		}
	}
	return t
}

// checkVerdicts finds changes that no verdict names.
func checkVerdicts(t *testing.T, tr triple, got *merge.Result) {
	t.Helper()
	kinds := map[string]string{}
	for _, c := range got.Conflicts {
		if _, twice := kinds[c.Path]; twice {
			t.Errorf("%s has two conflicts", c.Path)
		}
		kinds[c.Path] = string(c.Kind)
		if c.Marked != bytes.Contains(got.Tree[c.Path].Data, []byte("<<<<<<< yours")) {
			t.Errorf("%s: marked is %v", c.Path, c.Marked)
		}
	}
	items := upgrade.Judged{
		Base: tr.base, Ours: tr.ours, Theirs: tr.theirs, Result: got.Tree, Conflicts: kinds,
		KeptDeleted: got.KeptDeleted, Moved: got.Moved, Renamed: got.Renamed,
	}.Items()
	named := map[string]bool{}
	for _, i := range items {
		if named[i.Path] {
			t.Errorf("%s has two verdicts", i.Path)
		}
		named[i.Path] = true
		if i.From != "" {
			named[i.From] = true
		}
	}
	for _, side := range []tree.Tree{tr.ours, got.Tree} {
		for p := range side {
			before, had := tr.ours[p]
			after, has := got.Tree[p]
			if (had != has || has && !before.Equal(after)) && !named[p] {
				t.Errorf("%s changes and has no verdict", p)
			}
		}
	}
	for p, f := range got.Tree {
		if bytes.Contains(f.Data, []byte("<<<<<<<")) && kinds[p] == "" {
			t.Errorf("%s has markers and is no conflict", p)
		}
		if bytes.Contains(f.Data, []byte("yours-")) || bytes.Contains(f.Data, []byte("template-0")) {
			t.Errorf("%s shows a label that was for git alone", p)
		}
		if strings.Contains(p, "~") {
			t.Errorf("%s is a name that git made up", p)
		}
	}
}

// checkEndings finds files that became mixed.
func checkEndings(t *testing.T, tr triple, got *merge.Result) {
	t.Helper()
	mixed := func(f tree.File) bool {
		long := bytes.Count(f.Data, []byte("\r\n"))
		return hasLines(f) && long > 0 && long < bytes.Count(f.Data, []byte("\n"))
	}
	for _, side := range []tree.Tree{tr.base, tr.ours, tr.theirs} {
		for _, f := range side {
			if mixed(f) {
				return
			}
		}
	}
	for p, f := range got.Tree {
		if mixed(f) {
			t.Errorf("%s has mixed line endings", p)
		}
	}
}
