// Package templateset reads template sets: a directory with a template.yaml, a CHANGELOG.md and the files to render.
// A set may extend another. Reading runs nothing of the set.
package templateset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/tree"
)

// ManifestName is the file that makes a directory a template set.
const ManifestName = "template.yaml"

// manifest is template.yaml as it is written.
type manifest struct {
	Name      string                   `yaml:"name"`
	Version   string                   `yaml:"version"`
	Extends   string                   `yaml:"extends"`
	Decisions []decision.Decision      `yaml:"decisions"`
	Presets   map[string]yaml.Node     `yaml:"presets"`
	Locked    map[string]decision.Lock `yaml:"locked"`
	Derived   derived                  `yaml:"derived"`
	Rules     []decision.Rule          `yaml:"rules"`
	Files     []FileRule               `yaml:"files"`
	Renames   []Rename                 `yaml:"renames"`
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
		return fmt.Errorf("line %d: derived is a mapping of names to expressions", node.Line)
	}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if value.Kind != yaml.ScalarNode || value.Value == "" {
			return fmt.Errorf("line %d: derived %s is not an expression", value.Line, key.Value)
		}
		if slices.ContainsFunc(*d, func(v decision.Derived) bool { return v.Name == key.Value }) {
			return fmt.Errorf("line %d: derived %s stands twice", key.Line, key.Value)
		}
		*d = append(*d, decision.Derived{Name: key.Value, Expr: value.Value})
	}
	return nil
}

var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	derivedForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

func readManifest(fsys fs.FS) (*manifest, error) {
	data, err := tree.ReadRegular(fsys, ManifestName, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s, so this is not a template set", ManifestName)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	if err := checkTexts(data); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	var m manifest
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", ManifestName, oneLine(err))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document", ManifestName)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	return &m, nil
}

// checkTexts refuses a text that would not be printed as it stands: most of a manifest is shown to a person, and YAML can
// write such characters so that a review does not see them.
func checkTexts(data []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		// What is no YAML is said by the decoder.
		return nil
	}
	return checkText(&doc)
}

func checkText(node *yaml.Node) error {
	at := strings.IndexFunc(node.Value, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || tree.Invisible(r)
	})
	if at >= 0 {
		r, _ := utf8.DecodeRuneInString(node.Value[at:])
		return fmt.Errorf("line %d: the text holds the character %+q, which is not printed", node.Line, r)
	}
	for _, below := range node.Content {
		if err := checkText(below); err != nil {
			return err
		}
	}
	return nil
}

var (
	wrongKind = regexp.MustCompile("(?s)cannot unmarshal !!(\\w+)(?: `.*?`)? into \\S+")
	wrongKey  = regexp.MustCompile(`field (\S+) not found in type \S+`)
)

// oneLine makes one plain line of yaml's errors, without the names of types.
func oneLine(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var many *yaml.TypeError
	if errors.As(err, &many) {
		text = strings.Join(many.Errors, "; ")
	}
	text = wrongKind.ReplaceAllString(text, "a $1 does not belong here")
	text = wrongKey.ReplaceAllString(text, "there is no key $1")
	return errors.New(strings.Join(strings.Fields(text), " "))
}

func (m *manifest) check() error {
	if !nameForm.MatchString(m.Name) {
		return fmt.Errorf("name %q of the set is not kebab-case", m.Name)
	}
	if _, err := semver.StrictNewVersion(m.Version); err != nil {
		return fmt.Errorf("version %q is not a semantic version such as 1.2.0", m.Version)
	}
	for _, v := range m.Derived {
		if !derivedForm.MatchString(v.Name) {
			return fmt.Errorf("derived %q is not snake_case", v.Name)
		}
	}
	for _, r := range m.Files {
		if err := tree.CheckPattern(r.Path); err != nil {
			return fmt.Errorf("files: %w", err)
		}
		if r.When == "" && r.Each == "" && r.Mode == "" && !r.Once && !r.Room {
			return fmt.Errorf("files: the rule for %q says nothing: give when, each, mode, once or room", r.Path)
		}
		if _, err := r.mode(); err != nil {
			return fmt.Errorf("files: %s: %w", r.Path, err)
		}
	}
	for _, r := range m.Renames {
		for _, p := range []string{r.From, r.To} {
			if err := tree.CheckPath(p); err != nil {
				return fmt.Errorf("renames: %w", err)
			}
		}
		if _, err := semver.StrictNewVersion(r.Since); err != nil {
			return fmt.Errorf("renames: %s: since %q is not a semantic version", r.From, r.Since)
		}
	}
	return nil
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
