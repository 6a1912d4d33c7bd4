package audit

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"rustgen/internal/tree"
)

// TestSnippets judges small pieces of services, in a file for each check: a section is the state that the check has to end
// in, what the piece shows, and the file that it stands in where that is not the usual one of the check's area.
func TestSnippets(t *testing.T) {
	names, err := filepath.Glob("testdata/snippets/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no snippets: %v", err)
	}
	for _, name := range names {
		id := strings.TrimSuffix(filepath.Base(name), ".txtar")
		at := slices.IndexFunc(Checks(), func(c Check) bool { return c.ID == id })
		if at < 0 {
			t.Fatalf("%s: there is no such check", name)
		}
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range archive.Files {
			t.Run(id+"/"+section.Name, func(t *testing.T) {
				state, shows, _ := strings.Cut(section.Name, ": ")
				e := Explanation{File: exampleFiles[Checks()[at].Area]}
				if _, file, ok := strings.Cut(shows, ", in "); ok {
					e.File = file
				}
				for _, r := range run(t, exampleTree(e, string(section.Data))) {
					if r.ID == id && string(r.State) != state {
						t.Errorf("it is %s: %v %v %s", r.State, r.Findings, r.Unseen, r.Note)
					}
				}
			})
		}
	}
}

// 800 KB of "a::<" once took twelve minutes.
func TestGenericsWithoutEndAreReadInLinearTime(t *testing.T) {
	files := tree.Tree{"Cargo.toml": {Data: []byte("[package]\nname = \"s\"\n")}, "src/main.rs": {Data: []byte(strings.Repeat("a::<", 200_000))}}
	run(t, files)
}

// Each of these once took, or might take, a time that grows with its square.
func TestManyOfAKindAreReadInLinearTime(t *testing.T) {
	const n = 20_000
	for name, source := range map[string]string{
		"loops in a thread": "fn f() { std::thread::spawn(move || { " + strings.Repeat("loop { rx.recv(); ", n) + strings.Repeat("}", n) + "}); }\n" +
			"async fn get(&self, r: Request<A>) -> Result<Response<A>, Status> { let c = tokio::sync::oneshot::channel(); }",
		"calls of one that spawns": "async fn s() { " + strings.Repeat("tokio::spawn(w()); ", n) + "}\nasync fn f() { " + strings.Repeat("s().await; ", n) + "}",
		"reads":                    "fn r() { " + strings.Repeat(`std::fs::read("x"); `, n) + "}\nfn f() { " + strings.Repeat("r(); ", n) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			files := tree.Tree{"Cargo.toml": {Data: []byte("[package]\nname = \"s\"\n[dependencies]\ntonic = \"1\"\n")}, "src/main.rs": {Data: []byte(source)}}
			ended := make(chan bool)
			go func() { run(t, files); close(ended) }()
			select {
			case <-ended:
			case <-time.After(2 * time.Minute):
				t.Fatal("it does not end")
			}
		})
	}
}
