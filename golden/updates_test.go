package golden

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

// What Renovate and Dependabot are told to leave alone is what the template brought, no more and no less: a crate that is
// missing there would be proposed by a bot and by rustgen upgrade, and one too many would never be updated.
func TestBotsLeaveTheTemplatesCratesAlone(t *testing.T) {
	t.Parallel()
	used, named := map[string]bool{}, map[string]bool{}
	for _, s := range services(t) {
		own := map[string]bool{}
		for _, p := range []string{"Cargo.toml", "loadtest/Cargo.toml"} {
			maps.Copy(own, registryCrates(t, s.tree[p].Data))
		}
		maps.Copy(used, own)
		left, ok := leftAlone(t, s)
		if !ok {
			continue
		}
		for name := range own {
			if !slices.Contains(left, name) {
				t.Errorf("%s: bots would update %s: add it to template_crates in template.yaml", s.name, name)
			}
		}
		for _, name := range left {
			named[name] = true
		}
	}
	for name := range named {
		if !used[name] {
			t.Errorf("bots are told of %s, which no service has: take it out of template_crates in template.yaml", name)
		}
	}
	if len(named) == 0 {
		t.Error("no service has a file for bots")
	}
}

// leftAlone are the crates that the bots' files of a service name. Both name the same.
func leftAlone(t *testing.T, s service) (names []string, ok bool) {
	t.Helper()
	f, ok := s.tree["renovate.json"]
	if !ok {
		return nil, false
	}
	var renovate struct {
		PackageRules []struct {
			MatchPackageNames []string `json:"matchPackageNames"`
			Enabled           *bool    `json:"enabled"`
		} `json:"packageRules"`
	}
	if err := json.Unmarshal(f.Data, &renovate); err != nil {
		t.Fatalf("%s: renovate.json: %v", s.name, err)
	}
	if len(renovate.PackageRules) != 1 || renovate.PackageRules[0].Enabled == nil || *renovate.PackageRules[0].Enabled {
		t.Fatalf("%s: renovate.json has not the one rule that leaves crates alone", s.name)
	}
	names = renovate.PackageRules[0].MatchPackageNames
	f, ok = s.tree[".github/dependabot.yml"]
	if !ok {
		return names, true
	}
	var dependabot struct {
		Updates []struct {
			Ignore []struct {
				Name string `yaml:"dependency-name"`
			} `yaml:"ignore"`
		} `yaml:"updates"`
	}
	if err := yaml.Unmarshal(f.Data, &dependabot); err != nil || len(dependabot.Updates) != 1 {
		t.Fatalf("%s: dependabot.yml: %v", s.name, err)
	}
	var ignored []string
	for _, i := range dependabot.Updates[0].Ignore {
		ignored = append(ignored, i.Name)
	}
	if !slices.Equal(ignored, names) {
		t.Errorf("%s: Dependabot leaves %v alone, and Renovate %v", s.name, ignored, names)
	}
	return names, true
}

// registryCrates are the crates that a manifest names and that do not lie beside it, those of the layer among them: where
// it is vendored, it is the template's all the same.
func registryCrates(t *testing.T, manifest []byte) map[string]bool {
	t.Helper()
	var m struct {
		Dependencies map[string]any `toml:"dependencies"`
		Build        map[string]any `toml:"build-dependencies"`
		Dev          map[string]any `toml:"dev-dependencies"`
		Workspace    struct {
			Dependencies map[string]any `toml:"dependencies"`
		} `toml:"workspace"`
	}
	if err := toml.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	crates := map[string]bool{}
	for _, table := range []map[string]any{m.Dependencies, m.Build, m.Dev, m.Workspace.Dependencies} {
		for name, wanted := range table {
			// The service is no crate to update.
			if fields, ok := wanted.(map[string]any); !ok || fields["path"] != ".." {
				crates[name] = true
			}
		}
	}
	return crates
}
