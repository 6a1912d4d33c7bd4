package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rustgen/internal/hint"
)

// A set that needs a newer rustgen is refused with what to do, and opens with such a one, as the hint says.
func TestSetOfANewerRustgen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	manifest := "name: acme\nversion: 1.0.0\nrequires: \">=9.0.0\"\n"
	if err := os.WriteFile(filepath.Join(dir, "template.yaml"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	opener := func(version string) *Opener {
		return &Opener{Version: version, Say: func(string, ...any) {}}
	}
	_, err := opener("2.0.0").Open(context.Background(), Place{Source: dir})
	var f *hint.Error
	if !errors.As(err, &f) || f.Error() != "the set acme needs rustgen >=9.0.0, and this is 2.0.0" || !strings.HasPrefix(f.Hint, "install a rustgen that it can be read by") {
		t.Fatalf("opened with the error %v", err)
	}
	set, err := opener("9.1.0").Open(context.Background(), Place{Source: dir})
	if err != nil || set.Name != "acme" {
		t.Errorf("a rustgen that is new enough does not open it: %v", err)
	}
}
