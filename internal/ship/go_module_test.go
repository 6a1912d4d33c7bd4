package ship

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"

	"rustgen/internal/decision"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
)

// What the decision go-module takes, Go takes; and what people mistype is refused before Go sees it.
func TestGoModulePaths(t *testing.T) {
	for path, taken := range map[string]bool{
		"example.com/hello/clients/go":          true,
		"github.com/Acme/hello_x/clients/go":    true,
		"git.sr.ht/~acme/hello.git/clients/go":  true,
		"gitlab.acme.internal/a/b/c/d/hello":    true,
		"github.com/acme/hello/clients/go/v2":   true,
		"github.com/acme/hello/v2x":             true,
		"1.example.com/2/console/3":             true,
		"github.com/acme/hello/clients/go/v1":   false,
		"github.com/acme/hello/clients/go/v0":   false,
		"github.com/acme/hello/clients/go/v02":  false,
		"github.com/acme/hello/clients/go/v2.1": false,
		"https://github.com/acme/hello":         false,
		"git@github.com:acme/hello.git":         false,
		"github.com":                            false,
		"github.com/":                           false,
		"github.com/acme/":                      false,
		"github.com//acme":                      false,
		"/acme/hello":                           false,
		"./clients/go":                          false,
		"github.com/acme/../hello":              false,
		"github.com/.acme/hello":                false,
		"github.com/acme./hello":                false,
		"github.com/acme/~1":                    false,
		"github.com/acme/hello world":           false,
		"github.com/acme/héllo":                 false,
		"github.com/acme/hello@v2":              false,
		"github.com/acme/hello\nrequire x":      false,
		"Github.com/acme/hello":                 false,
		"-github.com/acme/hello":                false,
		".github.com/acme/hello":                false,
		"github.com/acme/con/go":                false,
		"github.com/acme/Lpt1.go":               false,
		"hello/clients/go":                      false,
		"hello":                                 false,
		"":                                      false,
		"gopkg.in/hello.v1/clients/go":          false,
		"github.com/acme/vendor/hello":          false,
		"github.com/acme/hello/vendor":          false,
	} {
		_, err := resolve(t, answers{"go-module": path})
		if (err == nil) != taken {
			t.Errorf("%q: %v", path, err)
		}
		if err == nil {
			if err := module.CheckPath(path); err != nil {
				t.Errorf("taken, and Go refuses it: %v", err)
			}
		}
	}
}

// The path of the Go module, and the page for links, of a repository as people write it down: what git clones, and what
// a browser shows. An empty module means that the repository is refused.
func TestRepository(t *testing.T) {
	for repository, want := range map[string]struct{ module, url string }{
		"none":                             {"example.com/hello", ""},
		"https://github.com/acme/hello":    {"github.com/acme/hello", "https://github.com/acme/hello"},
		"https://github.com/acme/hello/":   {"github.com/acme/hello", "https://github.com/acme/hello"},
		"https://github.com/Acme/hello.go": {"github.com/Acme/hello.go", "https://github.com/Acme/hello.go"},
		"https://gitlab.com/a/b/c.git":     {"gitlab.com/a/b/c", "https://gitlab.com/a/b/c"},
		"https://gitlab.com/a/b/c.git/":    {"gitlab.com/a/b/c", "https://gitlab.com/a/b/c"},
		"https://git.acme.dev:8443/a/b":    {"git.acme.dev/a/b", "https://git.acme.dev:8443/a/b"},
		"http://git.acme.dev/a/b":          {"git.acme.dev/a/b", "http://git.acme.dev/a/b"},
		"https://git.sr.ht/~acme/hello":    {"git.sr.ht/~acme/hello", "https://git.sr.ht/~acme/hello"},
		"ssh://git@github.com/a/b.git":     {"github.com/a/b", "https://github.com/a/b"},
		"ssh://git@git.acme.dev:2222/a/b":  {"git.acme.dev/a/b", "https://git.acme.dev/a/b"},
		"ssh://git.acme.dev/a/b":           {"git.acme.dev/a/b", "https://git.acme.dev/a/b"},
		"git@github.com:acme/hello.git":    {"github.com/acme/hello", "https://github.com/acme/hello"},
		"git@github.com:3scale/hello.git":  {"github.com/3scale/hello", "https://github.com/3scale/hello"},

		"https://token@github.com/acme/hello":         {},
		"https://user:secret@github.com/acme/hello":   {},
		"ssh://git:secret@github.com/acme/hello":      {},
		"github.com/acme/hello":                       {},
		"https://github.com":                          {},
		"https://github.com/":                         {},
		"https://GitHub.com/acme/hello":               {},
		"https://github.com/acme/../hello":            {},
		"https://github.com/acme//hello":              {},
		"https://github.com/acme/hello?tab=readme":    {},
		"https://github.com/acme/hello#readme":        {},
		"https://github.com/acme/my hello":            {},
		"https://github.com/acme/$(id)":               {},
		"https://github.com/acme/\"hello":             {},
		"https://github.com/acme/hello\nLABEL a=b":    {},
		"git://github.com/acme/hello":                 {},
		"file:///srv/git/hello":                       {},
		"git@github.com:22/hello.git":                 {},
		"git@github.com":                              {},
		"NONE":                                        {},
		"https://git_hub.com/acme/hello":              {},
		"javascript:alert(1)":                         {},
		"https://github.com/acme/hello https://other": {},
	} {
		outcome, err := resolve(t, answers{"repository": repository})
		if want == (struct{ module, url string }{}) {
			if err == nil {
				t.Errorf("%q is taken", repository)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q is refused: %v", repository, err)
			continue
		}
		module, url := outcome.Data["go_module"], outcome.Data["repository_url"]
		if module != want.module+"/clients/go" || url != want.url {
			t.Errorf("%q gives the module %v and the page %q", repository, module, url)
		}
	}
	// A path that is given is not touched, and a secret is told from a mistake.
	if outcome, err := resolve(t, answers{"repository": "https://github.com/a/b", "go-module": "acme.dev/b"}); err != nil || outcome.Data["go_module"] != "acme.dev/b" {
		t.Errorf("%v, %v", outcome.Data["go_module"], err)
	}
	if _, err := resolve(t, answers{"repository": "https://token@github.com/a/b"}); err == nil || !strings.Contains(err.Error(), "user names and tokens do not belong in it") {
		t.Errorf("a token: %v", err)
	}
	if _, err := resolve(t, answers{"repository": "github.com/a/b"}); err == nil || !strings.Contains(err.Error(), "a repository is none, https://HOST/PATH,") {
		t.Errorf("no scheme: %v", err)
	}
}

// resolve makes the decisions of a service called hello, and gives the reason of a refusal.
func resolve(t *testing.T, given answers) (*decision.Outcome, error) {
	t.Helper()
	set, err := templateset.Load(os.DirFS(setDir), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string]decision.Input{decision.NameID: decision.Text("hello", decision.FromArgument())}
	for id, value := range given {
		inputs[id] = decision.Text(value, decision.FromFlag(id))
	}
	outcome, err := set.Catalog.Resolve(render.NewEngine().Eval, decision.Request{AcceptDefaults: true, Given: inputs})
	if err != nil {
		return outcome, err
	}
	return outcome, outcome.Err()
}

// A service that exists gets another path: the client, its stubs' generator and its tests follow, and still build.
func TestGoModuleIsSet(t *testing.T) {
	need(t, "git", "apt-get install git")
	work := t.TempDir()
	rustgen := filepath.Join(work, "rustgen")
	mustRun(t, "../..", "go", "build", "-o", rustgen, "./cmd/rustgen")
	mustRun(t, work, rustgen, "new", "hello", "--yes", "--vcs", "none")
	const path = "git.sr.ht/~acme/hello/clients/go/v2"
	dir := filepath.Join(work, "hello")
	// It follows from the repository until it is given itself.
	mustRun(t, dir, rustgen, "set", "repository=https://codeberg.org/acme/hello")
	if mod := mustRun(t, dir, "head", "-n", "1", "clients/go/go.mod"); mod != "module codeberg.org/acme/hello/clients/go\n" {
		t.Errorf("with a repository it is %s", mod)
	}
	mustRun(t, dir, rustgen, "set", "go-module="+path)
	mustRun(t, filepath.Join(dir, "clients/go"), "go", "vet", "./...")
	mustRun(t, filepath.Join(dir, generate), "go", "run", ".", "-check")
	if list := mustRun(t, filepath.Join(dir, "clients/go"), "go", "list", "./..."); list != path+"\n"+path+"/hello/v1\n" {
		t.Errorf("its packages are\n%s", list)
	}
	if left, err := run(t, dir, "grep", "-r", "-l", "-e", "example.com/hello/clients", "-e", "codeberg.org/acme/hello/clients", "--exclude-dir=.rustgen", "."); err == nil {
		t.Errorf("the old path is left in\n%s", left)
	}
	set := mustRun(t, dir, rustgen, "set", "go-client=no")
	if !strings.Contains(set, "go-client: yes -> no") {
		t.Errorf("set says\n%s", set)
	}
	// The stubs are the team's.
	if left, err := run(t, dir, "find", "clients", "-type", "f", "-not", "-name", "*.pb.go"); err == nil && left != "" {
		t.Errorf("without a client there is\n%s", left)
	}
}
