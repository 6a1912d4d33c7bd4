package prompt

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"rustgen/internal/decision"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/templates"
)

// shop is a set with every type of decision and every way to one.
const shop = `
name: shop
version: 1.0.0
decisions:
  - {id: name, page: Service, type: string, title: Name, question: 'What is it called?', deliberate: true}
  - {id: package, page: Service, type: string, title: Package, question: 'Which package?', default: {expr: 'printf "%s.v1" .name'}}
  - id: state
    page: Failure
    type: choice
    title: State
    question: Does it hold state?
    help: State decides what a panic may do.
    options: [{value: stateless, why: nothing to save}, {value: stateful, why: something to save}]
    default: stateless
    deliberate: true
  - id: panic
    type: choice
    title: Panic
    question: What does a panic do?
    options: [{value: abort, why: ends at once}, {value: unwind, why: flushes first}]
    default: {expr: 'ternary "abort" "unwind" (eq .state "stateless")'}
  - id: snapshot
    type: duration
    title: Snapshot
    question: How often is state saved?
    default: 10s
    when: 'eq .state "stateful"'
  - id: color
    page: Extras
    type: list
    title: Colors
    question: Which colors?
    options: [{value: red, why: warm}, {value: green, why: calm}, {value: blue, why: cold}]
    default: [green]
  - {id: fast, type: bool, title: Fast, question: 'Is it fast?', default: true}
  - {id: port, type: int, title: Port, question: 'Which port?', default: 80}
  - id: memory
    page: Bounds
    type: size
    title: Memory
    question: How much memory?
    deliberate: true
    default: 512MiB
    validate: [{expr: 'ge .memory 1048576', message: at least 1MiB}]
  - id: message
    type: size
    title: Message
    question: How large a message?
    default: 1MiB
    validate: [{expr: 'le .message .memory', message: at most the memory}]
derived: {saved: 'eq .panic "unwind"'}
rules:
  - {refuse: 'and (eq .state "stateful") (not .saved)', message: stateful needs unwind}
  - {warn: 'eq .port 80', message: port 80 needs a privilege}
`

// load reads a set from the text of its manifest.
func load(t *testing.T, manifest string) *templateset.Set {
	t.Helper()
	set, err := templateset.Load(fstest.MapFS{"template.yaml": {Data: []byte(manifest)}},
		func(string) (fs.FS, error) { return fstest.MapFS{"template.yaml": {Data: []byte(shop)}}, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// options asks for what the arguments, as in "--state=stateful", do not give.
func options(set *templateset.Set, given ...string) Options {
	engine := render.NewEngine()
	inputs := map[string]decision.Input{}
	for _, g := range given {
		flag, text, _ := strings.Cut(g, "=")
		inputs[strings.TrimPrefix(flag, "--")] = decision.Text(text, decision.FromFlag(strings.TrimPrefix(flag, "--")))
	}
	return Options{
		In: strings.NewReader(""), Out: io.Discard, Getenv: func(string) string { return "" },
		Command: "rustgen new", Title: set.Name + " " + set.Version, Confirm: "Create the service",
		Catalog: &set.Catalog, Given: inputs,
		Resolve: func(given map[string]decision.Input) (*decision.Outcome, error) {
			return set.Catalog.Resolve(engine.Eval, decision.Request{Given: given})
		},
		Review: func(given map[string]decision.Input, _ *decision.Outcome) (string, string, error) {
			return "3 files in ./it\n  src/  2 files", "rustgen new " + strings.Join(slices.Sorted(maps.Keys(given)), " "), nil
		},
	}
}

func begin(t *testing.T, opts Options) *interview {
	t.Helper()
	iv, err := newInterview(opts)
	if err != nil {
		t.Fatal(err)
	}
	return iv
}

func hotpath(t *testing.T) *templateset.Set {
	t.Helper()
	fsys, err := fs.Sub(templates.FS, templates.Default)
	if err != nil {
		t.Fatal(err)
	}
	set, err := templateset.Load(fsys, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// take answers and goes on, as a person does who is not refused.
func take(t *testing.T, iv *interview, answers ...string) {
	t.Helper()
	for _, a := range answers {
		id, text, _ := strings.Cut(a, "=")
		if iv.at != (step{questionStep, id}) {
			t.Fatalf("%s: the interview is at %+v", a, iv.at)
		}
		refused, err := iv.answer(id, text)
		if err != nil || refused != nil {
			t.Fatalf("%s: refused: %v, fault: %v", a, refused, err)
		}
		iv.next()
	}
}

func wantRefused(t *testing.T, iv *interview, id, text, what string) {
	t.Helper()
	refused, err := iv.answer(id, text)
	if err != nil {
		t.Fatal(err)
	}
	if refused == nil || !strings.Contains(refused.Err.Error(), what) {
		t.Fatalf("%s=%s: refused is %v, want %q", id, text, refused, what)
	}
}

func wantAt(t *testing.T, iv *interview, want step) {
	t.Helper()
	if iv.at != want {
		t.Fatalf("the interview is at %+v, want %+v", iv.at, want)
	}
}

func wantGiven(t *testing.T, iv *interview, want ...string) {
	t.Helper()
	var got []string
	for id, input := range iv.given(iv.answers) {
		got = append(got, id+"="+input.Raw.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("given %v, want %v", got, want)
	}
}

func TestPagesWithDecisionsToMakeComeFirst(t *testing.T) {
	iv := begin(t, options(load(t, shop)))
	want := []string{"name", "package", "state", "panic", "memory", "message", "color", "fast", "port"}
	if got := iv.order(); !slices.Equal(got, want) {
		t.Errorf("asks %v, want %v", got, want)
	}
	if s := iv.section("panic"); s.title != "Failure" {
		t.Errorf("panic has no page of its own and stands on %q", s.title)
	}
	if s := begin(t, options(load(t, "name: bare\nversion: 1.0.0\n"))).section("name"); s.title != firstPage {
		t.Errorf("a decision before any page stands on %q", s.title)
	}
}

func TestDefaultsStayUndecided(t *testing.T) {
	iv := begin(t, options(load(t, shop)))
	take(t, iv, "name=hello", "package=hello.v1", "state=stateless", "panic=abort", "memory=512MiB", "message=2MiB")
	wantAt(t, iv, step{kind: offerStep})
	iv.next()
	wantAt(t, iv, step{kind: reviewStep})
	// Neither the package nor the panic strategy was decided; the deliberate ones were, default or not.
	wantGiven(t, iv, "name=hello", "state=stateless", "memory=512MiB", "message=2MiB")
}

func TestDefaultsFollowWhatIsChanged(t *testing.T) {
	iv := begin(t, options(load(t, shop)))
	take(t, iv, "name=hello", "package=hello.v1", "state=stateless", "panic=abort")
	iv.back()
	iv.back()
	take(t, iv, "state=stateful")
	if got := iv.current("panic"); got != "unwind" {
		t.Errorf("panic follows state: %q", got)
	}
	for iv.back() {
	}
	take(t, iv, "name=other")
	if got := iv.current("package"); got != "other.v1" {
		t.Errorf("package follows name: %q", got)
	}
}

func TestChosenStaysWhenWhatItFollowedFromChanges(t *testing.T) {
	iv := begin(t, options(load(t, shop)))
	take(t, iv, "name=hello", "package=shop.v2", "state=stateless", "panic=unwind")
	for iv.back() {
	}
	take(t, iv, "name=other")
	if got := iv.current("package"); got != "shop.v2" {
		t.Errorf("package was chosen: %q", got)
	}
	// Chosen back to the default, it follows again.
	take(t, iv, "package=other.v1")
	for iv.back() {
	}
	take(t, iv, "name=third")
	if got := iv.current("package"); got != "third.v1" {
		t.Errorf("package is a default again: %q", got)
	}
}

func TestWhatDoesNotApplyIsNotAsked(t *testing.T) {
	iv := begin(t, options(load(t, shop)))
	take(t, iv, "name=hello", "package=hello.v1", "state=stateless")
	if slices.Contains(iv.order(), "snapshot") {
		t.Error("snapshot is asked of a stateless service")
	}
	iv.back()
	take(t, iv, "state=stateful", "panic=unwind", "snapshot=1m")
	if got := iv.given(iv.answers)["snapshot"].Raw.String(); got != "1m" {
		t.Errorf("snapshot is %q", got)
	}
	iv.edit("state")
	take(t, iv, "state=stateless")
	if _, ok := iv.given(iv.answers)["snapshot"]; ok {
		t.Error("snapshot is given to a stateless service")
	}
	if len(iv.out.Warnings) != 1 {
		t.Errorf("the person is warned of an answer that was put aside: %q", iv.out.Warnings)
	}
	iv.edit("state")
	take(t, iv, "state=stateful")
	if got := iv.current("snapshot"); got != "1m" {
		t.Errorf("snapshot was forgotten: %q", got)
	}
}

func TestGivenAndLockedAreNotAsked(t *testing.T) {
	const company = "name: company\nversion: 1.0.0\nextends: shop\n" +
		"presets: {port: 8080}\nlocked: {memory: {value: 1GiB, reason: the platform bills by the GiB}}\n"
	iv := begin(t, options(load(t, company), "--name=hello", "--fast=no"))
	if got, want := iv.order(), []string{"state", "panic", "package", "color", "port", "message"}; !slices.Equal(got, want) {
		t.Errorf("asks %v, want %v", got, want)
	}
	take(t, iv, "state=stateful")
	rows := map[string]row{}
	for _, r := range iv.rows() {
		rows[r.id] = r
	}
	for _, want := range []row{
		{"memory", "Memory", "1GiB", "locked", "the platform bills by the GiB"},
		{"port", "Port", "8080", "preset", ""},
		{"fast", "Fast", "no", "chosen by --fast", ""},
		{"state", "State", "stateful", "chosen", ""},
		{"panic", "Panic", "unwind", "default", ""},
	} {
		if rows[want.id] != want {
			t.Errorf("row %+v, want %+v", rows[want.id], want)
		}
	}
}

func TestTheOffer(t *testing.T) {
	iv := begin(t, options(load(t, shop), "--name=hello", "--state=stateless", "--memory=1GiB"))
	// With every deliberate decision given nobody must answer anything.
	wantAt(t, iv, step{kind: offerStep})
	iv.through = true
	iv.next()
	take(t, iv, "package=hello.v1", "panic=abort", "color=red,blue", "fast=no", "port=81", "message=1MiB")
	wantAt(t, iv, step{kind: reviewStep})
	if got := iv.current("color"); got != "red,blue" {
		t.Errorf("color is %q", got)
	}
	iv.back()
	wantAt(t, iv, step{questionStep, "message"})
}

func TestRefusalsSurfaceWhereTheyCanBeMended(t *testing.T) {
	set := load(t, shop)
	t.Run("own", func(t *testing.T) {
		iv := begin(t, options(set))
		wantRefused(t, iv, "name", "Hello", "name \"Hello\": a name is lower-case")
		wantRefused(t, iv, "name", "", "a name is needed")
		wantGiven(t, iv)
	})
	t.Run("rule at its last question", func(t *testing.T) {
		iv := begin(t, options(set))
		take(t, iv, "name=hello", "package=hello.v1", "state=stateful")
		wantRefused(t, iv, "panic", "abort", "stateful needs unwind")
	})
	t.Run("rule over what is given", func(t *testing.T) {
		iv := begin(t, options(set, "--panic=abort"))
		take(t, iv, "name=hello", "package=hello.v1")
		wantRefused(t, iv, "state", "stateful", "stateful needs unwind")
	})
	t.Run("validation of what is given", func(t *testing.T) {
		iv := begin(t, options(set, "--message=8MiB"))
		take(t, iv, "name=hello", "package=hello.v1", "state=stateless", "panic=abort")
		wantRefused(t, iv, "memory", "2MiB", "at most the memory")
	})
	t.Run("later answers that no longer fit", func(t *testing.T) {
		iv := begin(t, options(set))
		take(t, iv, "name=hello", "package=hello.v1", "state=stateless", "panic=abort", "memory=1GiB", "message=8MiB")
		iv.next()
		wantAt(t, iv, step{kind: reviewStep})
		iv.edit("memory")
		take(t, iv, "memory=4MiB")
		// The message no longer fits, so the way to the review leads over it.
		wantAt(t, iv, step{questionStep, "message"})
		wantRefused(t, iv, "message", "8MiB", "at most the memory")
		iv.back()
		wantAt(t, iv, step{questionStep, "memory"})
		iv.next()
		take(t, iv, "message=2MiB")
		iv.next()
		wantAt(t, iv, step{kind: reviewStep})
	})
}

func TestBack(t *testing.T) {
	iv := begin(t, options(load(t, shop)))
	if iv.back() {
		t.Error("there is something before the first question")
	}
	take(t, iv, "name=hello", "package=hello.v1", "state=stateless", "panic=abort", "memory=1GiB", "message=1MiB")
	iv.next()
	iv.edit("port")
	if !iv.back() {
		t.Error("there is no way back from a change")
	}
	wantAt(t, iv, step{kind: reviewStep})
	iv.back()
	wantAt(t, iv, step{kind: offerStep})
}

// Every answer of every question of the embedded set is taken, whatever the others are.
func TestEveryAnswerOfTheEmbeddedSet(t *testing.T) {
	set := hotpath(t)
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		for _, o := range d.Options {
			t.Run(fmt.Sprintf("%s=%s", d.ID, o.Value), func(t *testing.T) {
				t.Parallel()
				iv := begin(t, options(set))
				iv.through = true
				for n := 0; iv.at.kind != reviewStep; n++ {
					if n > 2*len(set.Catalog.Decisions) {
						t.Fatalf("the interview does not end: it is at %+v", iv.at)
					}
					if iv.at.kind == offerStep {
						iv.next()
						continue
					}
					text := iv.current(iv.at.id)
					if iv.at.id == decision.NameID {
						text = "hello"
					}
					if iv.at.id == "proto" {
						text = "apis"
					}
					if iv.at.id == d.ID {
						text = o.Value
					}
					take(t, iv, iv.at.id+"="+text)
				}
				if !iv.out.OK() {
					t.Error(iv.out.Err())
				}
				if got := iv.current(d.ID); got != o.Value {
					t.Errorf("%s is %q", d.ID, got)
				}
			})
		}
	}
}
