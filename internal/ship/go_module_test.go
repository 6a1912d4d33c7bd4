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
		err := resolveGoModule(t, path)
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

func resolveGoModule(t *testing.T, path string) error {
	t.Helper()
	set, err := templateset.Load(os.DirFS(setDir), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := set.Catalog.Resolve(render.NewEngine().Eval, decision.Request{AcceptDefaults: true, Given: map[string]decision.Input{
		decision.NameID: decision.Text("hello", decision.FromArgument()),
		"go-module":     decision.Text(path, decision.FromFlag("go-module")),
	}})
	if err != nil {
		return err
	}
	return outcome.Err()
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
	mustRun(t, dir, rustgen, "set", "go-module="+path)
	mustRun(t, filepath.Join(dir, "clients/go"), "go", "vet", "./...")
	mustRun(t, filepath.Join(dir, generate), "go", "run", ".", "-check")
	if list := mustRun(t, filepath.Join(dir, "clients/go"), "go", "list", "./..."); list != path+"\n"+path+"/hello/v1\n" {
		t.Errorf("its packages are\n%s", list)
	}
	if left, err := run(t, dir, "grep", "-r", "-l", "example.com/hello/clients", "--exclude-dir=.rustgen", "."); err == nil {
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
