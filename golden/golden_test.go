// Package golden compares what the embedded template set renders with the services that are kept here.
package golden

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/gostubs"
	"rustgen/internal/ownapi"
	"rustgen/internal/project"
	"rustgen/internal/proto"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
	"rustgen/templates"
)

var update = flag.Bool("update", false, "rewrite the kept services, and remove the stale")

// service is one case: its answers, and the tree they render to, with the record.
type service struct {
	name string
	out  *decision.Outcome
	tree tree.Tree
}

func hotpath(t *testing.T) *templateset.Set {
	t.Helper()
	files, err := fs.Sub(templates.FS, templates.Default)
	if err != nil {
		t.Fatal(err)
	}
	set, err := templateset.Load(files, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func services(t *testing.T) []service {
	t.Helper()
	data, err := os.ReadFile("cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]map[string]decision.Raw
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	set, engine := hotpath(t), render.NewEngine()
	var all []service
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		given := map[string]decision.Input{decision.NameID: decision.Text(name, decision.FromArgument())}
		for id, raw := range cases[name] {
			given[id] = decision.Input{Raw: raw, From: decision.Source{Way: decision.ByFile, Name: "cases.yaml"}}
		}
		out, err := set.Catalog.Resolve(engine.Eval, decision.Request{Given: given, AcceptDefaults: true})
		if err == nil {
			err = out.Err()
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		api := ownAPI(t, out)
		if api != nil {
			out.Data = ownapi.With(out.Data, api)
		}
		rendered, err := engine.Render(set, out.Data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		record, err := project.New(set.Name, set.Version, "", "", &set.Catalog, ownapi.Recorded(out, api))
		if err != nil {
			t.Fatal(err)
		}
		answers, err := record.Encode(set.Catalog.IDs())
		if err != nil {
			t.Fatal(err)
		}
		rendered[project.AnswersPath] = tree.File{Mode: tree.ModeFile, Data: answers}
		if api != nil {
			stubs, err := gostubs.Of(api, rendered)
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(rendered, stubs)
			maps.Copy(rendered, ownapi.Files(api))
		}
		all = append(all, service{name, out, rendered})
	}
	return all
}

// ownAPI reads the protos of a case from testdata; nil where it serves the sample.
func ownAPI(t *testing.T, out *decision.Outcome) *proto.API {
	t.Helper()
	paths, _ := out.Data[ownapi.Paths].([]string)
	if len(paths) == 0 {
		return nil
	}
	includes, _ := out.Data[ownapi.Includes].([]string)
	files := proto.Files{FS: os.DirFS("testdata")}
	source, err := proto.Locate(files, paths, includes)
	if err != nil {
		t.Fatal(err)
	}
	api, err := proto.Read(t.Context(), files, source)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// TestGolden compares path set, bytes and modes. The snapshot is left out: it holds nothing but the same files, packed.
func TestGolden(t *testing.T) {
	all := services(t)
	if *update {
		rewrite(t, all)
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) { compare(t, s.tree, read(t, s.name)) })
	}
	for _, dir := range directories(t) {
		if !slices.ContainsFunc(all, func(s service) bool { return s.name == dir }) {
			t.Errorf("%s is not in cases.yaml; -update removes it", dir)
		}
	}
}

func compare(t *testing.T, want, got tree.Tree) {
	t.Helper()
	const most = 10
	differing := 0
	report := func(format string, args ...any) {
		if differing++; differing <= most {
			t.Errorf(format, args...)
		}
	}
	for _, p := range want.Paths() {
		kept, ok := got[p]
		switch {
		case !ok:
			report("%s is rendered and not kept", p)
		case kept.Mode != want[p].Mode:
			report("%s: mode %v is rendered, %v kept", p, want[p].Mode, kept.Mode)
		case !bytes.Equal(kept.Data, want[p].Data):
			report("%s: %s", p, firstDifference(want[p].Data, kept.Data))
		}
	}
	for _, p := range got.Paths() {
		if _, ok := want[p]; !ok {
			report("%s is kept and not rendered", p)
		}
	}
	if differing > 0 {
		t.Logf("%d differences; make golden, and read the diff", differing)
	}
}

func firstDifference(want, got []byte) string {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d:\nrendered %s\nkept     %s", i+1, w[i], g[i])
		}
	}
	return "one has more lines than the other"
}

func directories(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "testdata" {
			dirs = append(dirs, e.Name())
		}
	}
	return dirs
}

func read(t *testing.T, dir string) tree.Tree {
	t.Helper()
	kept := tree.Tree{}
	err := filepath.WalkDir(dir, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(filepath.ToSlash(p), dir+"/")
		if entry.IsDir() {
			// What a build of the kept service leaves behind is not part of it.
			if rel == "target" {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(p)
		kept[rel] = tree.File{Mode: tree.NormalMode(info.Mode()), Data: data}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return kept
}

func rewrite(t *testing.T, all []service) {
	t.Helper()
	for _, dir := range directories(t) {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range all {
		write(t, s.name, s.tree)
	}
}

func write(t *testing.T, dir string, files tree.Tree) {
	t.Helper()
	for p, f := range files {
		at := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, f.Data, f.Mode); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCoverage holds the cases to their promise: every option of every decision, every pair of state, allocator and
// runtime, and both sides of every decision without options.
func TestCoverage(t *testing.T) {
	set, all := hotpath(t), services(t)
	seen := map[string]bool{}
	pair := func(a, b decision.Answer) string { return a.Value.String() + "+" + b.Value.String() }
	of := func(s service, id string) decision.Answer { return s.out.Answers[id] }
	for _, s := range all {
		for id, answer := range s.out.Answers {
			seen[id+"="+answer.Value.String()] = true
		}
		seen[pair(of(s, "state"), of(s, "allocator"))] = true
		seen[pair(of(s, "state"), of(s, "runtime"))] = true
		seen[pair(of(s, "allocator"), of(s, "runtime"))] = true
	}
	need := func(key string) {
		if !seen[key] {
			t.Errorf("no case has %s", key)
		}
	}
	values := func(id string) []string {
		d, ok := set.Catalog.Find(id)
		if !ok {
			t.Fatalf("no decision %s", id)
		}
		return d.Values()
	}
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		for _, v := range d.Values() {
			need(d.ID + "=" + v)
		}
		if d.Type == decision.Bool {
			need(d.ID + "=yes")
			need(d.ID + "=no")
		}
	}
	for _, pairs := range [][2]string{{"state", "allocator"}, {"state", "runtime"}, {"allocator", "runtime"}} {
		for _, a := range values(pairs[0]) {
			for _, b := range values(pairs[1]) {
				need(a + "+" + b)
			}
		}
	}
	for _, s := range []string{"downstream=none", "queue=none"} {
		need(s)
		id, _, _ := strings.Cut(s, "=")
		if !slices.ContainsFunc(all, func(c service) bool {
			return of(c, id).Value.String() != "none"
		}) {
			t.Errorf("every case has %s", s)
		}
	}
}
