package layer

import (
	"io/fs"
	"strings"
	"testing"
)

// TestVersion holds the crates to the version of the set, and services to asking for it.
func TestVersion(t *testing.T) {
	set := embedded(t)
	e, err := New(set, "")
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(set, "template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"version: " + e.Version + "\n", `layer_version: 'print "` + e.Version + `"'` + "\n"} {
		if !strings.Contains(string(data), line) {
			t.Errorf("the crates are %s, and template.yaml has no line %q", e.Version, line)
		}
	}
}
