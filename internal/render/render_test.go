package render

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/Masterminds/sprig/v3"

	"rustgen/internal/decision"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
)

// data is what a set with one decision of each type gives.
func data() map[string]any {
	return map[string]any{
		"name": "order-pricer", "flag": true, "count": 3, "room": int64(512 << 20), "wait": 1500 * time.Millisecond,
		"list": []string{"b", "a"}, "none": []string{},
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{{ x }} [[ y ]] <% .name %>":                                           "{{ x }} [[ y ]] order-pricer",
		"<% snake .name %> <% pascal .name %> <% camel .name %>":                "order_pricer OrderPricer orderPricer",
		"<% kebab \"HTTPServer v2\" %>":                                         "http-server-v2",
		"<% range .list %><% . %>,<% end %>":                                    "b,a,",
		"<% join \",\" (sortAlpha .list) %>":                                    "a,b",
		"<% .wait.Milliseconds %> <% .wait %>":                                  "1500 1.5s",
		"<% div .room 1048576 %>":                                               "512",
		"a\n<%- if .flag %> b<% end %>":                                         "a b",
		"<% define \"x\" %>[<% . %>]<% end %><% include \"x\" .name | upper %>": "[ORDER-PRICER]",
		"<% printf \"%05d|%-4s|%q\" .count \"a\" \"b\" %>":                      `00003|a   |"b"`,
		"<% replace \"-\" \"_\" .name %>":                                       "order_pricer",
		"<% regexReplaceAll \"[a-z]+\" .name \"<$0>\" %>":                       "<order>-<pricer>",
		"<% indent 2 \"a\\nb\" %>":                                              "  a\n  b",
		"<% index .list 1 %><% (index (dict \"k\" .list) \"k\") | first %>":     "ab",
		"<% if .none %>x<% else %>empty<% end %>":                               "empty",
		"<% until 3 %>": "[0 1 2]",
	} {
		got, err := NewEngine().Text("t", text, data())
		if err != nil || string(got) != want {
			t.Errorf("%s\ngives %q, %v\nwant  %q", text, got, err, want)
		}
	}
}

// A fault is named with the line on which it stands, also inside a template that another includes.
func TestFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"<% .nope %>":               `f:1: there is no value named "nope"`,
		"a\nb\n<% .nope %>":         `f:3: there is no value named "nope"`,
		"<% default \"x\" .nope %>": `f:1: there is no value named "nope"`,
		"<% empty .nope %>":         `f:1: there is no value named "nope"`,
		"<% coalesce .nope 1 %>":    `f:1: there is no value named "nope"`,
		"<% or .nope true %>":       `f:1: there is no value named "nope"`,
		"<% with .nope %><% end %>": `f:1: there is no value named "nope"`,
		"<% $.nope %>":              `f:1: there is no value named "nope"`,
		"<% index . \"nope\" %>":    `f:1: index: the map has no "nope"`,
		"<% (dict \"a\" 1).b %>":    `f:1: there is no value named "b"`,
		"<% (fromJson `{}`).b %>":   `f:1: there is no value named "b"`,
		"<% define \"p\" %>\n<% .nope %><% end %>\n\n<% include \"p\" . %>":  `f:2: there is no value named "nope"`,
		"<% define \"p\" %>\n<% .nope %><% end %>\n\n<% template \"p\" . %>": `f:2: there is no value named "nope"`,
		"<% include \"q\" . %>":  `f:1: include: there is no template "q"`,
		"<% template \"q\" . %>": `f:1: there is no template "q"`,
		"<% env \"HOME\" %>":     `f:1: templates have no function "env"`,
		"\n<% if %>":             `f:2: missing value for if`,
		"<% div 1 0 %>":          `f:1: div: integer divide by zero`,
		"<% fail \"not so\" %>":  `f:1: fail: not so`,
		"<% index .list 7 %>":    `f:1: index: 7 is out of range`,
		"<% .name.first %>":      `f:1: can't evaluate field first in type interface {}`,
	} {
		_, err := NewEngine().Text("f", text, data())
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngives %v\nwant  %s", text, err, want)
		}
	}
}

// A template that would run or grow without end is an error, soon.
func TestRunaways(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"<% range until 10000 %><% range until 10000 %><% end %><% end %>":                                                                       "takes more than",
		"<% define \"a\" %><% template \"a\" . %><% end %><% template \"a\" . %>":                                                                "exceeded maximum template depth",
		"<% define \"a\" %><% include \"a\" . %><% end %><% include \"a\" . %>":                                                                  "nested more than",
		"<% define \"a\" %><% if gt . 0 %><% template \"a\" (sub . 1) %><% template \"a\" (sub . 1) %><% end %><% end %><% template \"a\" 60 %>": "takes more than",
		"<% $x := \"ab\" %><% range until 60 %><% $x = print $x $x %><% end %>":                                                                  "larger than 4 MiB",
		"<% $x := \"ab\" %><% range until 60 %><% $x = cat $x $x %><% end %>":                                                                    "larger than 4 MiB",
		"<% $x := list 1 %><% range until 60 %><% $x = concat $x $x %><% end %>":                                                                 "larger than 4 MiB",
		"<% $x := list 1 %><% range until 60 %><% $x = list $x $x %><% end %>":                                                                   "larger than 4 MiB",
		"<% $x := dict %><% range until 100 %><% $x = dict \"k\" $x %><% end %>":                                                                 "nested more than 64",
		"<% repeat 1000000000 \"ab\" %>":                                                                                                         "out of range",
		"<% repeat -1 \"ab\" %>":                                                                                                                 "out of range",
		"<% replace \"a\" (repeat 2000000 \"b\") (repeat 2000000 \"a\") %>":                                                                      "too large",
		"<% regexReplaceAll \"a\" (repeat 2000000 \"a\") (repeat 1000 \"b\") %>":                                                                 "longer than 256 bytes",
		"<% join (repeat 2000000 \"a\") (until 10000) %>":                                                                                        "too large",
		"<% printf \"%2000000d\" 1 %>":                                                                                                           "out of range",
		"<% printf \"%*d\" 2000000 1 %>":                                                                                                         "out of range",
		"<% printf \"%.2000000f\" 1.0 %>":                                                                                                        "out of range",
		"<% indent 100000 \"a\" %>":                                                                                                              "out of range",
		"<% until 1000000000 %>":                                                                                                                 "out of range",
		"<% until -1 %>":                                                                                                                         "out of range",
	} {
		_, err := patient().Text("f", text, data())
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("%s\ngives %.300v\nwant  %s", text, err, want)
		}
	}
}

// What all files of a set take is bounded together: work by the bytes that it is done on, what is written, and time.
func TestBudget(t *testing.T) {
	t.Parallel()
	set := func(files map[string]string) *templateset.Set {
		t.Helper()
		fsys := fstest.MapFS{"template.yaml": {Data: []byte("name: acme\nversion: 1.0.0\n")}}
		for p, text := range files {
			fsys["files/"+p] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		}
		set, err := templateset.Load(fsys, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	many := map[string]string{}
	for i := range 40 {
		many[fmt.Sprintf("%d.tmpl", i)] = `<% range until 15 %><% repeat 4000000 "a" %><% end %>`
	}
	for what, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"dear steps":       {map[string]string{"a.tmpl": `<% $x := repeat 4000000 "a" %><% range until 10000 %><% $y := sha512sum $x %><% end %>`}, "takes more than 128 MiB of work"},
		"many large files": {many, "MiB"},
		"values kept":      {map[string]string{"a.tmpl": `<% $x := list %><% range until 10000 %><% $x = append $x (repeat 400 "a") %><% end %>`}, "MiB"},
	} {
		_, err := patient().Render(set(c.files), map[string]any{"name": "x"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s give %v", what, err)
		}
	}
}

// patient is an engine that ends by its work alone: how long that takes is the machine's.
func patient() *Engine {
	e := NewEngine()
	e.budget.time = time.Hour
	return e
}

// long is a template that neither calls nor writes anything for some seconds.
const long = `<% $x := until 10000 %><% range $x %><% range $x %><% end %><% end %>`

// A loop that neither calls nor writes anything ends by its time, and the engine with it.
func TestTime(t *testing.T) {
	t.Parallel()
	e := NewEngine()
	e.budget.time = 50 * time.Millisecond
	if _, err := e.Text("f", long, data()); err == nil || err.Error() != "the template set takes longer than 50ms" {
		t.Errorf("it gives %v", err)
	}
	if _, err := e.Eval(".name", data()); err == nil {
		t.Error("an engine that was ended goes on")
	}
}

// A signal ends the engine at once.
func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	e := NewEngineContext(ctx)
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	if _, err := e.Text("f", long, data()); !errors.Is(err, context.Canceled) {
		t.Errorf("it gives %v", err)
	}
	if _, err := e.Eval(".name", data()); !errors.Is(err, context.Canceled) {
		t.Errorf("after it, an expression gives %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Nested as deep as a template's size allows, conditions take the memory of no machine.
func TestNesting(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("<%if 1%>", 1<<17-1), strings.Repeat("<%if 0%>", 1<<10) + strings.Repeat("<%else if 1%>", 70_000), strings.Repeat("(", 60_000)} {
		_, _ = NewEngine().Text("f", text+strings.Repeat("<%end%>", 1<<10), data())
		_, _ = NewEngine().Eval(text[:60_000], data())
	}
	if _, err := NewEngine().Eval("1 %><% range until 10000 %><% end %><% (1", data()); err == nil || !strings.Contains(err.Error(), "holds no <%") {
		t.Errorf("an expression with delimiters gives %v", err)
	}
}

// impure are the functions of sprig that read the clock, the environment, the network, randomness or the operating
// system, depend on the order of a map, change what they are given, or hide a missing key.
var impure = strings.Fields(`ago bcrypt buildCustomCert date dateInZone dateModify date_in_zone date_modify
	decryptAES derivePassword dig encryptAES env expandenv genCA genCAWithKey genPrivateKey genSelfSignedCert
	genSelfSignedCertWithKey genSignedCert genSignedCertWithKey get getHostByName hello htmlDate htmlDateInZone
	htpasswd keys merge mergeOverwrite mustDateModify mustMerge mustMergeOverwrite must_date_modify mustToDate now
	osBase osClean osDir osExt osIsAbs randAlpha randAlphaNum randAscii randBytes randInt randNumeric set shuffle
	toDate unixEpoch unset uuidv4 values`)

func TestOnlyPureFunctions(t *testing.T) {
	t.Parallel()
	funcs := functions(&budget{})
	for _, name := range impure {
		if _, ok := funcs[name]; ok {
			t.Errorf("templates may call %s", name)
		}
		if _, err := NewEngine().Text("f", "<% "+name+" %>", nil); err == nil {
			t.Errorf("templates can call %s", name)
		}
	}
	library := sprig.TxtFuncMap()
	for _, name := range allowed {
		if _, ok := library[name]; !ok {
			t.Errorf("sprig has no %s", name)
		}
	}
}

// Templates of one file are not known in another, whichever was rendered first.
func TestFilesShareNoTemplates(t *testing.T) {
	t.Parallel()
	engine := NewEngine()
	for _, text := range []string{"plain <% .name %>", `<% define "x" %>x<% end %><% include "x" . %>`} {
		if _, err := engine.Text("first", text, data()); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		`<% template "first" . %>`: `second:1: there is no template "first"`,
		`<% include "first" . %>`:  `second:1: include: there is no template "first"`,
		`<% include "x" . %>`:      `second:1: include: there is no template "x"`,
		`<% result 1 %>`:           `second:1: templates have no function "result"`,
	} {
		if _, err := engine.Text("second", text, data()); err == nil || err.Error() != want {
			t.Errorf("%s gives %v, want %s", text, err, want)
		}
	}
	if _, err := engine.Eval(`include "x" .`, data()); err == nil || !strings.Contains(err.Error(), "only a file has templates to include") {
		t.Errorf("an expression that includes gives %v", err)
	}
}

func TestSortCargoLock(t *testing.T) {
	t.Parallel()
	unsorted := "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\ndependencies = [\n \"zone\",\n \"hotpath\",\n]"
	if got, err := sortCargoLock(unsorted); err != nil || !strings.Contains(got, "[\n \"hotpath\",\n \"zone\",\n]") {
		t.Errorf("the dependencies are not sorted (%v):\n%s", err, got)
	}
	entry := func(name, version string) string {
		return fmt.Sprintf("[[package]]\nname = %q\nversion = %q\ndependencies = [\n \"x\",\n]\n", name, version)
	}
	sorted := []string{entry("a", "1.0.0"), entry("a", "1.9.0"), entry("a", "1.10.0"), entry("a-b", "0.1.0"), entry("a_b", "0.1.0"), entry("b", "2.0.0-rc.1"), entry("b", "2.0.0")}
	mixed := []string{sorted[4], sorted[6], sorted[2], sorted[0], sorted[5], sorted[1], sorted[3]}
	got, err := sortCargoLock("\n" + strings.Join(mixed, "\n\n") + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(sorted, "\n"); got != want {
		t.Errorf("sorted to\n%s\nwant\n%s", got, want)
	}
	for _, bad := range []string{"version = 4", "[[package]]\nname = \"a\"\nversion = \"x\""} {
		if _, err := sortCargoLock(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// load makes a set of files.
func load(t testing.TB, files map[string]string) (*templateset.Set, error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for p, text := range files {
		fsys[p] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return templateset.Load(fsys, nil, nil)
}

func TestRender(t *testing.T) {
	t.Parallel()
	set, err := load(t, map[string]string{
		"template.yaml": `
name: acme
version: 1.0.0
files:
  - {path: run.sh, mode: "0755"}
  - {path: '*.off', when: 'not .flag'}
  - {path: 'guarded/**', when: 'eq .name "other"'}
`,
		"files/{% snake .name %}/{% join \"/\" .list %}.rs.tmpl": "mod <% .name %>;\n",
		"files/plain":                    "<% .nope %>",
		"files/run.sh.tmpl":              "#!/bin/sh\n",
		"files/blob.tmpl":                "\xff<% .nope %>",
		"files/x.off":                    "",
		"files/guarded/{% .nope %}.tmpl": "<% .nope %>",
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := NewEngine().Render(set, data())
	if err != nil {
		t.Fatal(err)
	}
	want := tree.Tree{
		"order_pricer/b/a.rs": {Mode: tree.ModeFile, Data: []byte("mod order-pricer;\n")},
		"plain":               {Mode: tree.ModeFile, Data: []byte("<% .nope %>")},
		"run.sh":              {Mode: tree.ModeExec, Data: []byte("#!/bin/sh\n")},
		"blob":                {Mode: tree.ModeFile, Data: []byte("\xff<% .nope %>")},
	}
	if !first.Equal(want) {
		t.Errorf("rendered %v, want %v", first, want)
	}
	second, err := NewEngine().Render(set, data())
	if err != nil || first.Hash() != second.Hash() {
		t.Errorf("the second time it renders otherwise: %v", err)
	}
}

// Files are rendered at once, and still the same one of several faults is told.
func TestFirstFault(t *testing.T) {
	t.Parallel()
	files := map[string]string{"template.yaml": "name: acme\nversion: 1.0.0\n"}
	for i := range 40 {
		files[fmt.Sprintf("files/%02d.tmpl", i)] = strings.Repeat("<% .name %>\n", 40-i) + "<% .nope %>"
	}
	set, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := NewEngine().Render(set, data()); err == nil || err.Error() != `files/00.tmpl:41: there is no value named "nope"` {
			t.Fatal(err)
		}
	}
}

// A file with `each` is rendered once for every item, and not at all for none.
func TestRenderEach(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"template.yaml":                  "name: acme\nversion: 1.0.0\nfiles: [{path: 'clients/**', each: LIST}]\n",
		"files/clients/{% .item %}.tmpl": "<% .item %> of <% .name %>",
	}
	for list, want := range map[string]string{
		".list":    "clients/a=a of order-pricer clients/b=b of order-pricer",
		".none":    "",
		".name":    `files/clients/{% .item %}.tmpl: each: ".name" gives no list of strings`,
		".missing": `files/clients/{% .item %}.tmpl: ".missing": there is no value named "missing"`,
	} {
		with := maps.Clone(files)
		with["template.yaml"] = strings.Replace(files["template.yaml"], "LIST", list, 1)
		set, err := load(t, with)
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := NewEngine().Render(set, data())
		var got []string
		for _, p := range rendered.Paths() {
			got = append(got, p+"="+string(rendered[p].Data))
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("each: %s gives %s, want %s", list, text, want)
		}
	}
	files["template.yaml"] = strings.Replace(files["template.yaml"], "LIST", ".list", 1)
	files["files/clients/same"] = ""
	set, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewEngine().Render(set, data()); err == nil || err.Error() != "files/clients/same renders to clients/same more than once; its path needs .item" {
		t.Errorf("one path for two items gives %v", err)
	}
}

// Whatever a name is, what is rendered of it lies inside the tree, and twice the same.
func FuzzRenderedPath(f *testing.F) {
	set, err := load(f, map[string]string{
		"template.yaml":            "name: acme\nversion: 1.0.0\n",
		"files/src/{% .name %}.rs": "",
		"files/{% .name %}.tmpl":   "<% .name %> <% snake .name %> <% pascal .name %> <% camel .name %> <% kebab .name %>",
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"a", "../x", "/etc/passwd", ".git/x", "a/b", "", ".", "src", "\x00", "é", "a\\b", "<% .name %>", "{% .name %}", "%}", "A1b2", "ǅx"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		values := map[string]any{"name": name}
		first, err := NewEngine().Render(set, values)
		if err != nil {
			return
		}
		if err := first.Check(); err != nil {
			t.Fatal(err)
		}
		second, err := NewEngine().Render(set, values)
		if err != nil || !first.Equal(second) {
			t.Fatalf("the second time it renders otherwise: %v", err)
		}
	})
}

// Whatever an expression is, it is an error or a value, and never a panic or a run without end.
func FuzzEval(f *testing.F) {
	for _, seed := range []string{
		".name", "eq .count 3", "not .flag", "nope", "1 2", "(", ") %> <% (", "1) %><% range until 10000 %><% range until 10000 %><% end %><% end %><% (1",
		"printf \"%s\" .name", "index . \"x\"", "include \"x\" .", "dict \"a\"", "fromJson `{`", "chunk 0 .list", "slice .list 5 1", "substr 5 1 .name",
		"trunc -100 .name", "abbrev 1 .name", "semver \"x\"", "regexFind \"(\" .name", "b32dec \"1\"", "atoi .wait", "first 1", "ternary 1 2 3", "pick 1", "wrap 0 .name", "max", "seq 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		engine := patient()
		first, err := engine.Eval(expr, data())
		if err != nil {
			if strings.Contains(err.Error(), "goroutine") {
				t.Fatalf("%q: %v", expr, err)
			}
			return
		}
		second, err := engine.Eval(expr, data())
		if err != nil || fmt.Sprint(first) != fmt.Sprint(second) {
			t.Fatalf("%q gives %v, and then %v (%v)", expr, first, second, err)
		}
	})
}

// Eval is what package decision evaluates with.
var _ decision.Evaluate = NewEngine().Eval
