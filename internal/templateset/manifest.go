// Package templateset reads template sets: a directory with a template.yaml, a CHANGELOG.md and the files to render.
// A set may extend another. Reading runs nothing of the set.
package templateset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/lazyregexp"
	"rustgen/internal/tree"
)

// ManifestName is the file that makes a directory a template set.
const ManifestName = "template.yaml"

// manifest is template.yaml as it is written.
type manifest struct {
	Name      string                   `yaml:"name"`
	Version   string                   `yaml:"version"`
	Requires  string                   `yaml:"requires"`
	Extends   string                   `yaml:"extends"`
	Decisions []decision.Decision      `yaml:"decisions"`
	Presets   map[string]decision.Raw  `yaml:"presets"`
	Locked    map[string]decision.Lock `yaml:"locked"`
	Derived   derived                  `yaml:"derived"`
	Rules     []decision.Rule          `yaml:"rules"`
	Files     []FileRule               `yaml:"files"`
	Renames   []Rename                 `yaml:"renames"`

	at positions
}

// FileRule says something about the files whose path matches.
type FileRule struct {
	// Path is a pattern over paths of the rendered tree; * stays within a part, ** does not.
	Path string `yaml:"path"`
	// When is an expression; where it is false the files are not rendered.
	When string `yaml:"when"`
	// Each is an expression that gives a list; the files are rendered once for every item, which they see as .item.
	Each string `yaml:"each"`
	// Mode is 0644 or 0755.
	Mode string `yaml:"mode"`
	// Once files are written by new and never touched again.
	Once bool `yaml:"once"`
	// Replaces is the path of the extended set whose file this one takes the place of.
	Replaces string `yaml:"replaces"`
	// Room files are the template's: status calls an edit there drift.
	Room bool `yaml:"room"`
}

// Matches reports whether the rule speaks of a path.
func (r FileRule) Matches(p string) bool { return tree.Match(r.Path, p) }

// Rename is a file that moved in a version of the set, so that an upgrade moves the user's with it.
type Rename struct {
	From  string `yaml:"from"`
	To    string `yaml:"to"`
	Since string `yaml:"since"`
	// Each is an expression that gives a list; the rename is made once for every item, which the paths see as .item.
	Each string `yaml:"each"`
}

// derived keeps the order in which the values are written: each may use those before it.
type derived []decision.Derived

func (d *derived) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return wrong(node, "derived is a mapping of names to expressions")
	}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if value.Kind != yaml.ScalarNode || value.Value == "" {
			return wrong(value, "derived %s is not an expression", key.Value)
		}
		if slices.ContainsFunc(*d, func(v decision.Derived) bool { return v.Name == key.Value }) {
			return wrong(key, "derived %s stands twice", key.Value)
		}
		*d = append(*d, decision.Derived{Name: key.Value, Expr: value.Value})
	}
	return nil
}

// wrong is a mistake at a node, as the YAML library gathers them.
func wrong(node *yaml.Node, format string, args ...any) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: "+format, append([]any{node.Line}, args...)...)}}
}

var (
	nameForm    = lazyregexp.New(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	derivedForm = lazyregexp.New(`^[a-z][a-z0-9_]*$`)
)

// readManifest reads template.yaml. It is nil where its shape is wrong: then nothing else can be said of it. What
// contradicts itself comes with the problems.
func readManifest(fsys fs.FS) (*manifest, Problems) {
	data, err := tree.ReadRegular(fsys, ManifestName, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Problems{{File: ManifestName, Text: "there is none, so this is not a template set"}}
	}
	if err != nil {
		return nil, Problems{{File: ManifestName, Text: err.Error()}}
	}
	// The nodes know where everything stands, the decoder which keys there are: each takes about as long as the other.
	var root yaml.Node
	parsed := make(chan Problems, 1)
	go func() {
		if err := yaml.Unmarshal(data, &root); err != nil {
			parsed <- yamlProblems(err)
			return
		}
		parsed <- checkTexts(&root)
	}()
	var m manifest
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	var problems Problems
	if err := decoder.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		problems = yamlProblems(err)
	}
	var next yaml.Node
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		problems = append(problems, Problem{ManifestName, max(next.Line, 1), "more than one YAML document"})
	}
	if first := <-parsed; len(first) > 0 {
		return nil, first
	}
	if len(problems) > 0 {
		return nil, problems
	}
	m.at = positions{&root}
	return &m, m.check()
}

// checkTexts finds the texts that would not be printed as they stand: most of a manifest is shown to a person, and YAML can
// write such characters so that a review does not see them.
func checkTexts(node *yaml.Node) Problems {
	var problems Problems
	at := strings.IndexFunc(node.Value, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || tree.Invisible(r)
	})
	if at >= 0 {
		r, _ := utf8.DecodeRuneInString(node.Value[at:])
		problems = append(problems, Problem{ManifestName, node.Line, fmt.Sprintf("the text holds the character %+q, which is not printed", r)})
	}
	for _, below := range node.Content {
		problems = append(problems, checkTexts(below)...)
	}
	return problems
}

// problem is a mistake in what a path leads to.
func (m *manifest) problem(path []any, format string, args ...any) Problem {
	return Problem{ManifestName, m.at.line(path...), fmt.Sprintf(format, args...)}
}

func (m *manifest) check() Problems {
	var problems Problems
	add := func(path []any, format string, args ...any) {
		problems = append(problems, m.problem(path, format, args...))
	}
	if !nameForm.MatchString(m.Name) {
		add([]any{"name"}, "name %q of the set is not kebab-case", m.Name)
	}
	if _, err := semver.StrictNewVersion(m.Version); err != nil {
		add([]any{"version"}, "version %q is not a semantic version such as 1.2.0", m.Version)
	}
	if _, err := semver.NewConstraint(m.Requires); m.Requires != "" && err != nil {
		add([]any{"requires"}, "requires %q is not a range of versions such as \">=2.0.0\"", m.Requires)
	}
	if (len(m.Presets) > 0 || len(m.Locked) > 0) && m.Extends == "" {
		key := "presets"
		if len(m.Presets) == 0 {
			key = "locked"
		}
		add([]any{key}, "presets and locked are for a set that extends another; give the decision a default instead")
	}
	for _, v := range m.Derived {
		if !derivedForm.MatchString(v.Name) {
			add([]any{"derived", v.Name}, "derived %q is not snake_case", v.Name)
		}
	}
	m.checkFiles(add)
	for i, r := range m.Renames {
		for _, p := range []string{r.From, r.To} {
			if err := tree.CheckPath(p); err != nil {
				add([]any{"renames", i}, "renames: %v", err)
			}
		}
		if _, err := semver.StrictNewVersion(r.Since); err != nil {
			add([]any{"renames", i}, "renames: %s: since %q is not a semantic version", r.From, r.Since)
		}
	}
	return problems
}

func (m *manifest) checkFiles(add func(path []any, format string, args ...any)) {
	for i, r := range m.Files {
		path := []any{"files", i}
		if err := tree.CheckPattern(r.Path); err != nil {
			add(path, "files: %v", err)
			continue
		}
		if r.When == "" && r.Each == "" && r.Mode == "" && r.Replaces == "" && !r.Once && !r.Room {
			add(path, "files: the rule for %q says nothing: give when, each, mode, once, room or replaces", r.Path)
		}
		if _, err := r.mode(); err != nil {
			add(path, "files: %s: %v", r.Path, err)
		}
		switch {
		case r.Replaces == "":
		case m.Extends == "":
			add(path, "files: %s: replaces is for a set that extends another", r.Path)
		case strings.ContainsAny(r.Path, "*?[{"):
			add(path, "files: %s: replaces is for one file, and this is a pattern", r.Path)
		}
	}
}

// mode is the mode that the rule gives, or 0 where it gives none.
func (r FileRule) mode() (fs.FileMode, error) {
	switch r.Mode {
	case "":
		return 0, nil
	case "0644":
		return tree.ModeFile, nil
	case "0755":
		return tree.ModeExec, nil
	default:
		return 0, fmt.Errorf("mode %q is neither \"0644\" nor \"0755\" (in quotes)", r.Mode)
	}
}
