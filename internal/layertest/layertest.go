// Package layertest lets generated services of a test share one compiled server layer: cargo compiles a crate again for
// each path that it lies in, and the layer is the same in all of them.
package layertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dependency is how a service asks for a crate of the layer from a registry.
var dependency = regexp.MustCompile(`(?m)^(hotpath[a-z-]*) = \{ version = "([^"]+)", registry = "[^"]+"`)

// Share makes a service that was rendered with layer=registry take the layer from the template set of this repository,
// in place. Its lock file then holds more than it was rendered with, so cargo is called without --locked.
func Share(t *testing.T, service string) {
	t.Helper()
	crates, err := filepath.Abs(cratesFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range []string{"Cargo.toml", "loadtest/Cargo.toml"} {
		at := filepath.Join(service, filepath.FromSlash(name))
		data, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		text := dependency.ReplaceAllStringFunc(string(data), func(line string) string {
			found++
			m := dependency.FindStringSubmatch(line)
			return fmt.Sprintf("%s = { version = %q, path = %q", m[1], m[2], filepath.ToSlash(filepath.Join(crates, m[1])))
		})
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found == 0 {
		t.Fatalf("%s takes no crate of the layer from a registry", service)
	}
}

// cratesFolder finds the layer from the directory of the test, which lies somewhere in this repository.
func cratesFolder(t *testing.T) string {
	t.Helper()
	const folder = "templates/hotpath/files/crates"
	for up := ""; strings.Count(up, "..") < 8; up = filepath.Join(up, "..") {
		at := filepath.Join(up, filepath.FromSlash(folder))
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	t.Fatalf("there is no %s above this test", folder)
	return ""
}
