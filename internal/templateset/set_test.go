package templateset

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"rustgen/internal/tree"
)

func files(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1]), Mode: 0o644}
	}
	return fsys
}

func TestLoad(t *testing.T) {
	t.Parallel()
	fsys := files("template.yaml", `
name: acme
version: 1.2.0
decisions: [{id: port, type: int, default: 1}]
derived: {z: .port, a: .z}
files:
  - {path: 'src/**', mode: "0755"}
  - {path: src/main.rs, mode: "0644"}
  - {path: src/mine.rs, once: true}
renames: [{from: a, to: b, since: 1.1.0}]
`, "CHANGELOG.md", "# 1.2.0\n", "files/src/main.rs.tmpl", "<% .name %>", "files/src/mine.rs", "", "files/blob.tmpl", "\xff")
	fsys["files/link"] = &fstest.MapFile{Data: []byte("src/main.rs"), Mode: fs.ModeSymlink | 0o777}
	set, err := Load(fsys, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(set.Name, set.Version, set.Base, set.Catalog.IDs(), set.Catalog.Derived, set.Renames, set.Changelog); got !=
		"acme1.2.0[name port] [{z .port} {a .z}] [{a b 1.1.0 }]# 1.2.0\n" {
		t.Errorf("loaded %s", got)
	}
	var sources []string
	for _, s := range set.Sources {
		sources = append(sources, fmt.Sprintf("%s %v %v %v", s.Path, s.Render, s.Mode == tree.ModeLink, set.Mode(s.Mode, s.Path)&0o111 != 0))
	}
	if got := strings.Join(sources, ", "); got !=
		"blob false false false, link false true true, src/main.rs true false false, src/mine.rs false false true" {
		t.Errorf("sources %s", got)
	}
	if !set.Once("src/mine.rs") || set.Once("src/main.rs") {
		t.Error("once speaks of the wrong files")
	}
}

func TestExtends(t *testing.T) {
	t.Parallel()
	base := files("template.yaml", "name: base\nversion: 1.0.0\ndecisions: [{id: port, type: int, default: 1}]\nrules: [{warn: a, message: b}]\n",
		"CHANGELOG.md", "of base\n", "files/a", "base", "files/b.tmpl", "base", "files/c", "base")
	company := files("template.yaml", "name: company\nversion: 3.0.0\nextends: base\npresets: {port: 2}\nlocked: {name: {value: x, reason: y}}\n",
		"CHANGELOG.md", "of company\n",
		"files/b", "company", "files/d", "company")
	team := files("template.yaml", "name: team\nversion: 0.1.0\nextends: company\npresets: {port: 3}\n", "files/a.tmpl", "team")
	sets := map[string]fs.FS{"base": base, "company": company, "team": team}
	lookup := func(name string) (fs.FS, error) {
		if fsys, ok := sets[name]; ok {
			return fsys, nil
		}
		return nil, fmt.Errorf("there is no %s", name)
	}
	set, err := Load(team, lookup, nil)
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, s := range set.Sources {
		sources = append(sources, s.Path+"="+string(s.Data))
	}
	if got := strings.Join(sources, " "); got != "a=team b=company c=base d=company" {
		t.Errorf("sources %s", got)
	}
	preset := set.Catalog.Presets["port"]
	if set.Name != "team" || set.Base != "company 3.0.0" || preset.String() != "3" || set.Catalog.Locked["name"].Reason != "y" || len(set.Catalog.Rules) != 1 {
		t.Errorf("loaded %+v", set)
	}

	if set.Changelog != "" || set.BaseChangelog != "of company\n" {
		t.Errorf("changelogs %q and %q", set.Changelog, set.BaseChangelog)
	}

	sets["base"] = files("template.yaml", "name: base\nversion: 1.0.0\nextends: team\n")
	if _, err := Load(team, lookup, nil); err == nil || !strings.Contains(err.Error(), "a set cannot extend itself") {
		t.Errorf("a circle of sets gives %v", err)
	}
}

func TestFaultsOfManifest(t *testing.T) {
	t.Parallel()
	const head = "name: acme\nversion: 1.0.0\n"
	for text, want := range map[string]string{
		"":                                                      `template.yaml:1: name "" of the set is not kebab-case`,
		"name: Acme\nversion: 1.0.0\n":                          "is not kebab-case",
		"name: ../x\nversion: 1.0.0\n":                          "is not kebab-case",
		"name: acme\nversion: v1\n":                             "is not a semantic version",
		"name: acme\nversion: 1.0\n":                            "is not a semantic version",
		head + "nmae: x\n":                                      "template.yaml:3: there is no key nmae",
		head + "---\n" + head:                                   "more than one YAML document",
		head + "decisions: {a: b}\n":                            "template.yaml:3: a list belongs here",
		head + "name: again\n":                                  "already defined",
		head + "derived: [a]\n":                                 "derived is a mapping of names to expressions",
		head + "derived: {A: b}\n":                              "is not snake_case",
		head + "derived: {a: [b]}\n":                            "is not an expression",
		head + "derived: {a: .x, a: .y}\n":                      "stands twice",
		head + "derived: {name: .x}\n":                          "there is already a value of that name",
		head + "files: [{path: x}]\n":                           `the rule for "x" says nothing`,
		head + "files: [{when: x}]\n":                           `"" is not a path pattern`,
		head + "files: [{path: '[', when: x}]":                  "is not a path pattern",
		head + "files: [{path: x, mode: 755}]":                  "is neither",
		head + "renames: [{from: ../a, to: b, since: 1.0.0}]":   "renames: path",
		head + "renames: [{from: a, to: .git/b, since: 1.0.0}]": "leads into a git directory",
		head + "renames: [{from: a, to: b}]":                    "is not a semantic version",
		head + "presets: {name: x}\n":                           "are for a set that extends another",
		head + "extends: acme\n":                                "a set cannot extend itself",
		head + "decisions: [{id: a, type: int, default: {expr: x, more: y}}]": "a default is a constant or {expr: ...}",
		"\tname: acme":     "template.yaml:1: ",
		"name: [\xff":      "template.yaml:1: ",
		"a: &a [*a, *a]\n": "template.yaml:1: ",
		head + `decisions: [{id: a, title: "A\e]0;x\a"}]`:                         `template.yaml:3: the text holds the character '\x1b', which is not printed`,
		head + `rules: [{warn: a, message: "a\u202eb"}]`:                          `template.yaml:3: the text holds the character '\u202e'`,
		head + `rules: [{warn: a, message: "a\r\x9bb"}]`:                          `template.yaml:3: the text holds the character '\r'`,
		head + "files: [{path: '" + strings.Repeat("{,,,}", 20) + "Q', when: x}]": "has more than 64 alternatives",
	} {
		_, err := Load(files("template.yaml", text), func(name string) (fs.FS, error) { return nil, fmt.Errorf("there is no %s", name) }, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\ngives %v\nwant  %s", text, err, want)
		} else if !regexp.MustCompile(`^template\.yaml:\d+: `).MatchString(err.Error()) {
			t.Errorf("%q: the error has no line: %q", text, err)
		} else if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "templateset.") {
			t.Errorf("%q: the error is not one plain line: %q", text, err)
		}
	}
}

// The files of a set are bounded together, before they are read.
func TestBoundsOfSources(t *testing.T) {
	t.Parallel()
	load := func(set fstest.MapFS) error {
		_, err := Load(set, nil, nil)
		return err
	}
	const manifest = "name: acme\nversion: 1.0.0\n"
	set := files("template.yaml", manifest)
	part := &fstest.MapFile{Data: make([]byte, 1<<20), Mode: 0o644}
	for i := range 256 {
		set[fmt.Sprintf("files/%d", i)] = part
	}
	if err := load(set); err != nil {
		t.Error(err)
	}
	set["files/one-more"] = &fstest.MapFile{Data: []byte{1}, Mode: 0o644}
	if err := load(set); err == nil || err.Error() != "files/one-more: the files are more than 256 MiB together" {
		t.Errorf("257 MiB give %v", err)
	}
	if err := load(files("template.yaml", manifest, "files/a.tmpl", strings.Repeat("<%if 1%>", 1<<17)+"x")); err == nil ||
		!strings.HasSuffix(err.Error(), "files/a.tmpl: a template of more than 1 MiB") {
		t.Errorf("a large template gives %v", err)
	}
	if err := load(files("template.yaml", manifest, "CHANGELOG.md", strings.Repeat("x", 4<<20+1))); err == nil {
		t.Error("a large changelog is read")
	}
	for _, p := range []string{"template.yaml", "CHANGELOG.md", "files/a"} {
		set := files("template.yaml", manifest)
		set[p] = &fstest.MapFile{Mode: fs.ModeNamedPipe | 0o644}
		if err := load(set); err == nil {
			t.Errorf("%s is read from a pipe", p)
		}
	}
}

// Every mistake in a manifest is found in one go, each with the line where it stands.
func TestProblemsOfManifest(t *testing.T) {
	t.Parallel()
	_, err := Load(files("template.yaml", `name: Acme
version: 1
requires: newest
decisions:
  - id: port
    type: int
    default: many
  - id: Kind
    type: choice
  - {id: dir, type: string, was: {id: port}}
derived:
  port: '1'
rules:
  - {refuse: 'true'}
files:
  - {path: 'a', mode: "0777"}
  - {path: 'b', replaces: c}
renames:
  - {from: a, to: b, since: soon}
`), nil, []string{"dir"})
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("the error is %v", err)
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, fmt.Sprint(p.Line))
	}
	if got := strings.Join(lines, " "); got != "1 2 3 7 8 10 10 12 14 16 17 19" {
		t.Errorf("the lines are %s: %v", got, []Problem(problems))
	}
	_, err = Load(files("template.yaml", "name: acme\nversion: 1.0.0\nextends: base\nlocked:\n  kind: b\n  no: {value: a}\nnmae: x\n"), nil, nil)
	if !errors.As(err, &problems) || len(problems) != 2 || problems[0].String() != "template.yaml:5: {value: ..., reason: ...} belongs here" {
		t.Errorf("the problems are %v", err)
	}
}

func TestReplaces(t *testing.T) {
	t.Parallel()
	base := files("template.yaml", "name: base\nversion: 1.0.0\nrenames: [{from: old, to: a, since: 1.0.0}]\n", "files/a", "base", "files/b", "base")
	lookup := func(string) (fs.FS, error) { return base, nil }
	const head = "name: company\nversion: 1.0.0\nextends: base\n"
	set, err := Load(files("template.yaml", head+"files: [{path: ours, replaces: a}]\n", "files/ours", "ours"), lookup, nil)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, s := range set.Sources {
		paths = append(paths, s.Path)
	}
	if got := strings.Join(paths, " "); got != "b ours" {
		t.Errorf("the files are %s", got)
	}
	for rule, want := range map[string]string{
		"{path: ours, replaces: old}":  "template.yaml:4: files: ours replaces old, and base 1.0.0 has no such file: it moved to a in 1.0.0",
		"{path: ours, replaces: gone}": "template.yaml:4: files: ours replaces gone, and base 1.0.0 has no such file",
		"{path: 'o*', replaces: a}":    "template.yaml:4: files: o*: replaces is for one file, and this is a pattern",
	} {
		if _, err := Load(files("template.yaml", head+"files: ["+rule+"]\n", "files/ours", "ours"), lookup, nil); err == nil || err.Error() != want {
			t.Errorf("%s gives %v, want %s", rule, err, want)
		}
	}
}

// Whatever a template.yaml says, it is refused in one line, or a set whose declarations hold.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		"name: acme\nversion: 1.0.0\n",
		"name: acme\nversion: 1.0.0\ndecisions:\n  - {id: a, type: choice, options: [{value: x}], default: x, when: .b}\n",
		"name: acme\nversion: 1.0.0\nderived: {a: .b}\nrules: [{refuse: a, message: b}]\nfiles: [{path: '**', mode: \"0755\"}]\nrenames: [{from: a, to: b, since: 1.0.0}]\n",
		"a: &a [*a]\n", "{}", "- x", "'0\n0'", "\x00", "name: acme\nversion: 1.0.0\ndecisions: [~]\n", "name: acme\nversion: 1.0.0\npresets: {a: 1}\nextends: x\n",
		"name: a\nversion: 1.0.0\ndecisions: [{id: a, type: list, default: ~}]\n", "derived: ~", "files: [~]", "decisions: [{default: {}}]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := Load(files("template.yaml", text, "files/a", "x"), func(string) (fs.FS, error) { return nil, fs.ErrNotExist }, nil)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has lines: %q", err)
			}
			return
		}
		if err := set.Catalog.Check(nil); err != nil {
			t.Error(err)
		}
		if _, ok := set.Catalog.Find("name"); !ok {
			t.Error("there is no name")
		}
	})
}
