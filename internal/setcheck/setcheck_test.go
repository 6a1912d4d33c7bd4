package setcheck

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"rustgen/internal/render"
	"rustgen/internal/templateset"
)

const head = "name: small\nversion: 1.0.0\ndecisions:\n" +
	"  - {id: deploy, type: choice, options: [{value: kubernetes}, {value: none}], default: kubernetes}\n" +
	"  - {id: fast, type: bool, default: false}\n" +
	"  - {id: count, type: int, default: 1}\n"

// Each mistake is found where it stands, and a set without one is left in peace.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifest string
		files    map[string]string
		want     string
	}{
		"nothing":                       {"", nil, ""},
		"a condition over a number":     {"rules: [{warn: 'gt .count 1000', message: m}]", nil, ""},
		"a condition that both make":    {"rules: [{warn: 'and .fast (eq .deploy \"none\")', message: m}]", nil, ""},
		"a condition that none makes":   {"rules: [{warn: 'and .fast (not .fast)', message: m}]", nil, "template.yaml:7: rule 1: \"and .fast (not .fast)\" is never true"},
		"a value that there is not":     {"", map[string]string{"files/b.tmpl": "\n<% if ne .deploy \"nomad\" %>x<% end %>"}, "files/b.tmpl:2: \"nomad\" is no answer of deploy, which is one of kubernetes, none"},
		"a pattern that is none":        {"", map[string]string{"files/b.tmpl": "<% regexMatch \"(\" .name %>"}, "files/b.tmpl:1: "},
		"a device of Windows":           {"", map[string]string{"files/nul.txt": ""}, "files/nul.txt: Windows keeps the name \"nul.txt\" for a device"},
		"a rename that is a chain":      {"renames: [{from: x, to: y, since: 1.0.0}, {from: y, to: a, since: 1.0.0}]", nil, ""},
		"a rename in a circle":          {"renames: [{from: x, to: x, since: 1.0.0}]", nil, "template.yaml:7: renames: x goes in a circle: it comes back to x"},
		"a rename of what is there":     {"renames: [{from: a, to: b, since: 1.0.0}]", map[string]string{"files/b": ""}, "template.yaml:7: renames: a moved to b, and is still there"},
		"a rule that speaks of nothing": {"files: [{path: none, mode: \"0755\"}]", nil, "template.yaml:7: files: no file matches \"none\""},
		"a changelog of another":        {"", map[string]string{"CHANGELOG.md": "## 0.9.0\n"}, "CHANGELOG.md:1: there is no section \"## 1.0.0\", which upgrades show"},
		"a changelog":                   {"", map[string]string{"CHANGELOG.md": "## 1.0.0 (today)\n"}, ""},
		"defaults that are refused":     {"rules: [{refuse: 'eq .deploy \"kubernetes\"', message: no}]", nil, "template.yaml:4: the defaults are refused: deploy kubernetes: no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{"template.yaml": {Data: []byte(head + c.manifest + "\n")}, "files/a": {}}
			for path, text := range c.files {
				fsys[path] = &fstest.MapFile{Data: []byte(text)}
			}
			set, err := templateset.Load(fs.FS(fsys), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, p := range Check(set, render.NewEngine()) {
				lines = append(lines, p.String())
			}
			got := strings.Join(lines, "\n")
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("found\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
