// Package layertest lets generated services of a test share one compiled server layer: cargo compiles a crate again for
// each path that it lies in, and the layer is the same in all of them.
package layertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// dependency is how a service asks for a crate of the layer from a registry.
var dependency = regexp.MustCompile(`(?m)^(hotpath[a-z-]*) = \{ version = "([^"]+)", registry = "[^"]+"`)

// Share makes a service that was rendered with layer=registry take the layer from the template set of this repository,
// in place. Its lock file then holds more than it was rendered with, so cargo is called without --locked.
func Share(service string) error {
	crates, err := cratesFolder()
	if err != nil {
		return err
	}
	found := 0
	for _, name := range []string{"Cargo.toml", "loadtest/Cargo.toml"} {
		at := filepath.Join(service, filepath.FromSlash(name))
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		text := dependency.ReplaceAllStringFunc(string(data), func(line string) string {
			found++
			m := dependency.FindStringSubmatch(line)
			return fmt.Sprintf("%s = { version = %q, path = %q", m[1], m[2], filepath.ToSlash(filepath.Join(crates, m[1])))
		})
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if found == 0 {
		return fmt.Errorf("%s takes no crate of the layer from a registry", service)
	}
	return nil
}

// cratesFolder finds the layer from the working directory, which lies somewhere in this repository.
func cratesFolder() (string, error) {
	const folder = "templates/hotpath/files/crates"
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; at = filepath.Dir(at) {
		crates := filepath.Join(at, filepath.FromSlash(folder))
		if _, err := os.Stat(crates); err == nil {
			return crates, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("there is no %s above the working directory", folder)
		}
	}
}
