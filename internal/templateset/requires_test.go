package templateset

import "testing"

func TestRequires(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifest, version string
		refused           bool
	}{
		"met":                       {"requires: '>=2.0.0'", "v2.1.0", false},
		"not met":                   {"requires: '>=2.0.0'", "v1.9.0", true},
		"not met, with a newer key": {"requires: '>=2.0.0'\nnewer: x", "v1.9.0", true},
		"no release":                {"requires: '>=2.0.0'", "(devel)", false},
		"between releases":          {"requires: '>=2.0.0'", "v0.0.0-20261128170420-9a2c32faba7e", false},
		"nothing":                   {"name: a", "v1.0.0", false},
		"no range":                  {"requires: new", "v1.0.0", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := Requires(files("template.yaml", c.manifest), c.version); (err != nil) != c.refused {
				t.Errorf("it gives %v", err)
			}
		})
	}
}
