package layer

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"rustgen/templates"
)

func embedded(t *testing.T) fs.FS {
	t.Helper()
	set, err := fs.Sub(templates.FS, templates.Default)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestNew holds the embedded layer to what a registry asks of each crate.
func TestNew(t *testing.T) {
	e, err := New(embedded(t), "company")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hotpath", "hotpath-telemetry", "hotpath-build", "hotpath-certificates", "hotpath-loadtest"} {
		if !slices.Contains(e.Crates, name) {
			t.Errorf("%s is not exported", name)
		}
		manifest := string(e.Tree["crates/"+name+"/Cargo.toml"].Data)
		for _, key := range []string{"description", "license", "readme", "rust-version"} {
			if !strings.Contains(manifest, "\n"+key+" = ") {
				t.Errorf("%s has no %s", name, key)
			}
		}
		if !strings.Contains(manifest, "\npublish = [\"company\"]\n") {
			t.Errorf("%s may be published elsewhere", name)
		}
		for line := range strings.Lines(manifest) {
			if strings.Contains(line, "path = ") && !strings.Contains(line, `registry = "company"`) {
				t.Errorf("%s: %s names no registry", name, line)
			}
		}
		if _, ok := e.Tree["crates/"+name+"/README.md"]; !ok {
			t.Errorf("%s has no README.md", name)
		}
	}
	if slices.Index(e.Crates, "hotpath-telemetry") > slices.Index(e.Crates, "hotpath") {
		t.Errorf("hotpath comes before what it depends on: %v", e.Crates)
	}
}

// TestWithoutRegistry leaves the manifests as they are in every service.
func TestWithoutRegistry(t *testing.T) {
	set := embedded(t)
	e, err := New(set, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range e.Crates {
		want, err := fs.ReadFile(set, "files/crates/"+name+"/Cargo.toml")
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Tree["crates/"+name+"/Cargo.toml"].Data; string(got) != string(want) {
			t.Errorf("%s is another one:\n%s", name, got)
		}
	}
}

func TestFaults(t *testing.T) {
	crate := func(version, dependency string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("[package]\nversion = \"" + version + "\"\n[dependencies]\n" + dependency)}
	}
	on := func(name string) string { return name + ` = { path = "../` + name + `", version = "=1.0.0" }` + "\n" }
	tests := []struct {
		name, registry, want string
		set                  fstest.MapFS
	}{
		{"a registry's name", "a b", `registry "a b"`, fstest.MapFS{}},
		{"no crates", "", "no crates", fstest.MapFS{"files/crates/README.md": {}}},
		{"a circle", "", "in a circle", fstest.MapFS{
			"files/crates/hotpath-a/Cargo.toml": crate("1.0.0", on("hotpath-b")),
			"files/crates/hotpath-b/Cargo.toml": crate("1.0.0", on("hotpath-a")),
		}},
		{"two versions", "", "different versions", fstest.MapFS{
			"files/crates/hotpath-a/Cargo.toml": crate("1.0.0", ""),
			"files/crates/hotpath-b/Cargo.toml": crate("1.0.1", ""),
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := New(test.set, test.registry); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want an error with %q", err, test.want)
			}
		})
	}
}
