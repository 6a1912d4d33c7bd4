package bootstrap

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rustgen/internal/hint"
	"rustgen/internal/tree"
)

// A workspace's manifest that somebody else has changed since it was read is left alone, and the run that the hint asks
// for excludes the service.
func TestManifestThatHasChangedMeanwhile(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	manifest := filepath.Join(top, "Cargo.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(manifest, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	claimed := func() *Place {
		t.Helper()
		p, err := FindPlace(filepath.Join(top, "crates", "pay"))
		if err != nil {
			t.Fatal(err)
		}
		service := tree.Tree{"Cargo.toml": {Mode: tree.ModeFile, Data: []byte("[package]\nname = \"pay\"\n")}}
		if err := p.Claim(service); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("[workspace]\nmembers = [\"crates/*\"]\n")
	p := claimed()
	write("[workspace]\nmembers = [\"crates/*\"]\nresolver = \"2\"\n")
	_, err := p.exclude()
	var f *hint.Error
	if !errors.As(err, &f) || !strings.HasSuffix(f.Error(), "has changed meanwhile; nothing was written") || f.Hint != "run it again" {
		t.Fatalf("the error is %v", err)
	}
	undo, err := claimed().exclude()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(manifest)
	if err != nil || !strings.Contains(string(text), `exclude = ["crates/pay"]`) || !strings.Contains(string(text), "resolver") {
		t.Errorf("the manifest is %s (%v)", text, err)
	}
	undo()
	if text, err = os.ReadFile(manifest); err != nil || strings.Contains(string(text), "exclude") {
		t.Errorf("taken back, the manifest is %s (%v)", text, err)
	}
}
