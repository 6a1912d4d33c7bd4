package templateset

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/tree"
)

// filesDir holds the tree of a set, changelogName what changed from version to version.
const (
	filesDir      = "files"
	changelogName = "CHANGELOG.md"
	renderSuffix  = ".tmpl"
)

// The most that is read of a set beside its files, which together are bounded as a tree is.
const (
	maxManifest  = 1 << 20
	maxChangelog = 4 << 20
	// maxTemplate is the most of one file that is rendered: nested conditions take memory by their depth.
	maxTemplate = 1 << 20
)

// Set is a template set, together with the sets that it extends.
type Set struct {
	Name, Version string
	// Base names the extended set and its version, where there is one.
	Base    string
	Catalog decision.Catalog
	Rules   []FileRule
	Renames []Rename
	// Changelog is the set's own, BaseChangelog that of the extended set.
	Changelog, BaseChangelog string
	// Sources are the files of the set, sorted by path, an extending set's own over those it replaces.
	Sources []Source
	// Own are those of them that the set brings itself, Under the set that it extends; nil without one.
	Own   []Source
	Under *Set

	at positions
}

// Problem is a mistake in what a path of template.yaml leads to.
func (s *Set) Problem(path []any, format string, args ...any) Problem {
	return Problem{ManifestName, s.at.line(path...), fmt.Sprintf(format, args...)}
}

// Source is one entry under files/.
type Source struct {
	// Path is below files/, without the suffix; it may hold expressions.
	Path string
	// Origin is where the entry stands in its set, for errors.
	Origin string
	Mode   fs.FileMode
	Data   []byte
	// Render says that the data is a template.
	Render bool
}

// Identity reads the name and the version of a set that is known to be sound. They stand before its decisions, and what
// follows is not read.
func Identity(fsys fs.FS) (name, version string, err error) {
	data, err := tree.ReadRegular(fsys, ManifestName, maxManifest)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", ManifestName, err)
	}
	head, _, _ := bytes.Cut(data, []byte("\ndecisions:"))
	var m struct{ Name, Version string }
	if err := yaml.Unmarshal(head, &m); err != nil {
		return "", "", Problems(yamlProblems(err))
	}
	return m.Name, m.Version, nil
}

// Lookup finds the files of a set that another extends.
type Lookup func(name string) (fs.FS, error)

// Load reads the set in fsys. reserved are flags that no decision may take. An error in the set itself is [Problems].
func Load(fsys fs.FS, base Lookup, reserved []string) (*Set, error) {
	return load(fsys, base, reserved, nil)
}

func load(fsys fs.FS, base Lookup, reserved []string, children []string) (*Set, error) {
	m, problems := readManifest(fsys)
	if m == nil {
		return nil, problems
	}
	set := &Set{}
	if m.Extends != "" {
		under, err := loadUnder(m, base, reserved, children)
		var wrong Problems
		if errors.As(err, &wrong) {
			return nil, append(problems, wrong...)
		}
		if err != nil {
			return nil, err
		}
		set = under
	}
	set.Name, set.Version, set.at = m.Name, m.Version, m.at
	rules := len(set.Catalog.Rules)
	problems = append(problems, set.extend(m)...)
	for _, f := range set.Catalog.Faults(reserved) {
		if i, ok := f.Path[1].(int); ok && f.Path[0] == "rules" {
			f.Path = []any{"rules", i - rules}
		}
		problems = append(problems, m.problem(f.Path, "%v", f.Err))
	}
	sources, err := readSources(fsys)
	if err != nil {
		return nil, err
	}
	problems = append(problems, set.replace(m)...)
	set.Own = sources
	set.overlay(sources)
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, problems
	}
	changelog, err := tree.ReadRegular(fsys, changelogName, maxChangelog)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", changelogName, err)
	}
	set.Changelog = string(changelog)
	return set, nil
}

// loadUnder reads the set that a manifest extends, as the start of the one that extends it.
func loadUnder(m *manifest, base Lookup, reserved []string, children []string) (*Set, error) {
	path := []any{"extends"}
	if slices.Contains(children, m.Extends) || m.Extends == m.Name {
		return nil, Problems{m.problem(path, "extends %s: a set cannot extend itself", m.Extends)}
	}
	fsys, err := base(m.Extends)
	if err != nil {
		return nil, Problems{m.problem(path, "extends %s: %v", m.Extends, err)}
	}
	under, err := load(fsys, base, reserved, append(children, m.Name))
	if err != nil {
		return nil, Problems{m.problem(path, "extends %s: %v", m.Extends, err)}
	}
	set := *under
	set.Under, set.Base, set.BaseChangelog = under, under.Name+" "+under.Version, under.Changelog
	set.Catalog.Decisions = slices.Clone(under.Catalog.Decisions)
	set.Sources = slices.Clone(under.Sources)
	return &set, nil
}

// extend adds what a manifest declares to what the sets under it declare.
func (s *Set) extend(m *manifest) Problems {
	var problems Problems
	c := &s.Catalog
	inherited := c.IDs()
	for _, d := range m.Decisions {
		switch {
		case d.ID == decision.NameID && slices.Contains(inherited, d.ID):
			own, _ := c.Find(d.ID)
			*own = d
		case slices.Contains(inherited, d.ID):
			problems = append(problems, m.problem([]any{"decisions", d.ID},
				"decision %s is already one of %s; preset or lock it instead", d.ID, m.Extends))
		default:
			c.Decisions = append(c.Decisions, d)
		}
	}
	if _, ok := c.Find(decision.NameID); !ok {
		c.Decisions = slices.Insert(c.Decisions, 0, nameDecision())
	}
	c.Presets = merged(c.Presets, m.Presets)
	c.Locked = merged(c.Locked, m.Locked)
	c.Derived = slices.Concat(c.Derived, m.Derived)
	c.Rules = slices.Concat(c.Rules, m.Rules)
	s.Rules = slices.Concat(s.Rules, m.Files)
	s.Renames = slices.Concat(s.Renames, m.Renames)
	return problems
}

// replace takes out the files of the extended set whose place others take.
func (s *Set) replace(m *manifest) Problems {
	var problems Problems
	for i, r := range m.Files {
		if r.Replaces == "" || m.Extends == "" {
			continue
		}
		at := slices.IndexFunc(s.Sources, func(under Source) bool { return under.Path == r.Replaces })
		if at < 0 {
			problems = append(problems, m.problem([]any{"files", i},
				"files: %s replaces %s, and %s has no such file%s", r.Path, r.Replaces, s.Base, s.moved(r.Replaces)))
			continue
		}
		s.Sources = slices.Delete(s.Sources, at, at+1)
	}
	return problems
}

// moved says where a file of the extended set has gone.
func (s *Set) moved(p string) string {
	if s.Under == nil {
		return ""
	}
	for _, r := range s.Under.Renames {
		if r.From == p {
			return fmt.Sprintf(": it moved to %s in %s", r.To, r.Since)
		}
	}
	return ""
}

// nameDecision is what a set has that does not declare one.
func nameDecision() decision.Decision {
	return decision.Decision{
		ID: decision.NameID, Type: decision.String, Title: "Name", Question: "What is the service called?", Deliberate: true,
		Help: "A Cargo package name that is also a DNS label: lower-case letters, digits and hyphens, a letter first.",
	}
}

func merged[V any](under, over map[string]V) map[string]V {
	all := map[string]V{}
	maps.Copy(all, under)
	maps.Copy(all, over)
	return all
}

func readSources(fsys fs.FS) ([]Source, error) {
	files, err := fs.Sub(fsys, filesDir)
	if err != nil {
		return nil, err
	}
	var sources []Source
	room := &tree.Room{}
	err = fs.WalkDir(files, ".", func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			if p == "." && errors.Is(err, fs.ErrNotExist) {
				return fs.SkipAll
			}
			return err
		}
		if entry.IsDir() {
			return nil
		}
		source, err := readSource(files, p, entry, room)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", filesDir, p, err)
		}
		sources = append(sources, source)
		return nil
	})
	return sources, err
}

func readSource(files fs.FS, p string, entry fs.DirEntry, room *tree.Room) (Source, error) {
	source := Source{Path: p, Origin: filesDir + "/" + p}
	if entry.Type()&fs.ModeSymlink != 0 {
		target, err := fs.ReadLink(files, p)
		source.Mode, source.Data = tree.ModeLink, []byte(target)
		return source, errors.Join(err, room.Take(int64(len(target))))
	}
	if !entry.Type().IsRegular() {
		return source, fmt.Errorf("neither a file nor a link")
	}
	info, err := entry.Info()
	if err != nil {
		return source, err
	}
	source.Mode = tree.NormalMode(info.Mode())
	if source.Data, err = room.ReadFile(files, p); err != nil {
		return source, err
	}
	if bare, ok := strings.CutSuffix(p, renderSuffix); ok {
		source.Path, source.Render = bare, tree.IsText(source.Data)
	}
	if source.Render && len(source.Data) > maxTemplate {
		return source, fmt.Errorf("a template of more than %d MiB", maxTemplate>>20)
	}
	return source, nil
}

// overlay puts sources over those of the same path. Two of one path within a set are left for rendering to refuse.
func (s *Set) overlay(sources []Source) {
	replaced := map[string]bool{}
	for _, source := range sources {
		replaced[source.Path] = true
	}
	s.Sources = slices.DeleteFunc(s.Sources, func(under Source) bool { return replaced[under.Path] })
	s.Sources = append(s.Sources, sources...)
	slices.SortStableFunc(s.Sources, func(a, b Source) int { return strings.Compare(a.Path, b.Path) })
}

// Mode is the mode that the rules give to a path, or the entry's own.
func (s *Set) Mode(own fs.FileMode, paths ...string) fs.FileMode {
	for _, r := range s.RulesFor(paths...) {
		if mode, _ := r.mode(); mode != 0 && own != tree.ModeLink {
			own = mode
		}
	}
	return own
}

// Owned are the paths of a rendered tree that are the team's: the set writes them once.
func (s *Set) Owned(rendered tree.Tree) []string {
	return slices.DeleteFunc(rendered.Paths(), func(p string) bool { return !s.Once(p) })
}

// Once reports whether a path is owned: written by new and never touched again.
func (s *Set) Once(p string) bool {
	return slices.ContainsFunc(s.RulesFor(p), func(r FileRule) bool { return r.Once })
}

// Rooms are the patterns of paths that are the template's to change.
func (s *Set) Rooms() []string {
	var rooms []string
	for _, r := range s.Rules {
		if r.Room {
			rooms = append(rooms, r.Path)
		}
	}
	return rooms
}

// RulesFor lists the rules that speak of any of the paths.
func (s *Set) RulesFor(paths ...string) []FileRule {
	var rules []FileRule
	for _, r := range s.Rules {
		if slices.ContainsFunc(paths, r.Matches) {
			rules = append(rules, r)
		}
	}
	return rules
}
