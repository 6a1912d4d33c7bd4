package servicetest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// token is what the registry of the test asks of everyone.
const token = "a-secret"

// registry is a sparse Cargo registry on loopback: it takes what is published, and asks for its token everywhere.
type registry struct {
	*httptest.Server
	mu     sync.Mutex
	index  map[string][]string
	crates map[string][]byte
}

func newRegistry(t *testing.T) *registry {
	r := &registry{index: map[string][]string{}, crates: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /index/config.json", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"dl": r.URL + "/dl", "api": r.URL, "auth-required": true})
	})
	mux.HandleFunc("GET /index/{a}/{b}/{name}", func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		lines, ok := r.index[q.PathValue("name")]
		if !ok {
			http.NotFound(w, q)
			return
		}
		_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
	})
	mux.HandleFunc("GET /dl/{name}/{version}/download", func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, _ = w.Write(r.crates[q.PathValue("name")+" "+q.PathValue("version")])
	})
	mux.HandleFunc("PUT /api/v1/crates/new", func(w http.ResponseWriter, q *http.Request) {
		if err := r.publish(q.Body); err != nil {
			http.Error(w, fmt.Sprintf(`{"errors": [{"detail": %q}]}`, err), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"warnings": {"invalid_categories": [], "invalid_badges": [], "other": []}}`)
	})
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Authorization") != token {
			w.Header().Set("WWW-Authenticate", "Cargo")
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

// publish reads a request of `cargo publish`: a length and metadata, a length and the crate. The index wants the same
// metadata under other names.
func (r *registry) publish(body io.Reader) error {
	part := func() ([]byte, error) {
		var length uint32
		if err := binary.Read(body, binary.LittleEndian, &length); err != nil {
			return nil, err
		}
		data := make([]byte, length)
		_, err := io.ReadFull(body, data)
		return data, err
	}
	meta, err := part()
	if err != nil {
		return err
	}
	crate, err := part()
	if err != nil {
		return err
	}
	var entry map[string]any
	if err := json.Unmarshal(meta, &entry); err != nil {
		return err
	}
	name, version := entry["name"].(string), entry["vers"].(string)
	for _, dep := range entry["deps"].([]any) {
		dep := dep.(map[string]any)
		dep["req"] = dep["version_req"]
		if as, ok := dep["explicit_name_in_toml"].(string); ok {
			dep["package"], dep["name"] = dep["name"], as
		}
	}
	sum := sha256.Sum256(crate)
	line, err := json.Marshal(map[string]any{
		"name": name, "vers": version, "deps": entry["deps"], "features": entry["features"], "cksum": hex.EncodeToString(sum[:]),
		"yanked": false, "rust_version": entry["rust_version"],
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.crates[name+" "+version]; ok {
		return fmt.Errorf("crate %s@%s already exists", name, version)
	}
	r.crates[name+" "+version] = crate
	r.index[name] = append(r.index[name], string(line))
	return nil
}

// TestRegistry publishes the layer to a registry that asks for a token, builds a service from it, and brings a fix to the
// service by `cargo update`.
func TestRegistry(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a service: left out by -short")
	}
	rustgen := program(t)
	r := newRegistry(t)
	index := "sparse+" + r.URL + "/index/"
	// Of its own, so that nothing of an earlier registry on the same port is taken for this one's.
	env := append(os.Environ(), "CARGO_REGISTRIES_COMPANY_INDEX="+index, "CARGO_REGISTRIES_COMPANY_TOKEN="+token,
		"CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS=cargo:token", "CARGO_TARGET_DIR="+target(t), "CARGO_TERM_COLOR=never",
		"RUSTFLAGS=-Ctarget-cpu=x86-64-v2")
	in := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}

	layer := filepath.Join(t.TempDir(), "layer")
	run(t, ".", 0, rustgen, "layer", "export", layer, "--registry", "company")
	in(layer, "cargo", "publish", "--workspace", "--dry-run", "--no-verify", "--registry", "company")
	in(layer, "./publish.sh", "--no-verify")
	if again := in(layer, "./publish.sh", "--no-verify"); strings.Count(again, " is there\n") != len(r.index) {
		t.Errorf("the second run published again:\n%s", again)
	}

	service := filepath.Join(t.TempDir(), "hello")
	run(t, ".", 0, rustgen, "new", "hello", "--yes", "--vcs", "none", "--dir", service, "--layer", "registry", "--layer-index", index)
	in(service, "cargo", "test", "--workspace", "--quiet")
	lock, err := os.ReadFile(filepath.Join(service, "Cargo.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(lock), "source = \""+index+"\"") {
		t.Error("Cargo.lock does not name the registry")
	}

	// A fix of the company's own.
	paths, err := filepath.Glob(filepath.Join(layer, "crates", "*", "Cargo.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		replaceAll(t, p, `"2.0.0"`, `"2.0.1"`, `"=2.0.0"`, `"=2.0.1"`)
	}
	in(layer, "./publish.sh", "--no-verify")
	in(service, "cargo", "update", "--package", "hotpath", "--package", "hotpath-build", "--package", "hotpath-loadtest")
	if tree := in(service, "cargo", "tree", "--workspace", "--edges", "all", "--prefix", "none"); !strings.Contains(tree, "hotpath v2.0.1") ||
		strings.Contains(tree, "v2.0.0 (registry") {
		t.Errorf("the fix was not taken:\n%s", tree)
	}

	// A template set of that version asks for the same.
	set := filepath.Join(t.TempDir(), "set")
	run(t, ".", 0, rustgen, "template", "export", set)
	replaceAll(t, filepath.Join(set, "template.yaml"), "version: 2.0.0", "version: 2.0.1", `"2.0.0"`, `"2.0.1"`)
	replaceAll(t, filepath.Join(set, "CHANGELOG.md"), "## 2.0.0\n", "## 2.0.1\n\n- A fix.\n\n## 2.0.0\n")
	run(t, service, 0, rustgen, "upgrade", "--yes", "--template", set)
	manifest, err := os.ReadFile(filepath.Join(service, "Cargo.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(manifest), `hotpath = { version = "2.0.1", registry = "company"`) {
		t.Errorf("the upgrade asks for another version:\n%s", manifest)
	}
	in(service, "cargo", "check", "--workspace")
}

// replaceAll replaces texts in a file, pairwise; each must be there or the next one.
func replaceAll(t *testing.T, path string, pairs ...string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(data))), 0o644); err != nil {
		t.Fatal(err)
	}
}
