package templateset

import (
	"bytes"
	"fmt"
	"io/fs"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/tree"
)

// Requires refuses a set that says that it needs another rustgen than the one of this version. It reads no more of
// template.yaml than that, since a set for a newer rustgen may have keys that this one does not know. A version that is
// no release meets every range.
func Requires(fsys fs.FS, version string) error {
	data, err := tree.ReadRegular(fsys, ManifestName, maxManifest)
	if err != nil || !bytes.Contains(data, []byte("requires")) {
		return nil
	}
	var m struct {
		Name     string `yaml:"name"`
		Requires string `yaml:"requires"`
	}
	if yaml.Unmarshal(data, &m) != nil || m.Requires == "" {
		return nil
	}
	wanted, err := semver.NewConstraint(m.Requires)
	if err != nil {
		return nil
	}
	is, err := semver.NewVersion(version)
	if err != nil || is.Prerelease() != "" || wanted.Check(is) {
		return nil
	}
	return fmt.Errorf("the set %s needs rustgen %s, and this is %s", m.Name, m.Requires, version)
}
