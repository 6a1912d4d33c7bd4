package audit

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"rustgen/internal/tree"
)

// service is what the checks look at.
type service struct {
	files tree.Tree
	// manifests are all Cargo.toml, the one at the top first; root is that one.
	manifests []manifest
	root      manifest
	uses      []use
	images    []dockerfile
	objects   []object
}

// manifest is one Cargo.toml.
type manifest struct {
	path   string
	text   string
	values map[string]any
}

func read(t tree.Tree) (*service, error) {
	s := &service{files: t}
	for _, p := range t.Paths() {
		f := t[p]
		if !f.IsText() {
			continue
		}
		text := string(f.Data)
		switch name := path.Base(p); {
		case name == "Cargo.toml":
			m := manifest{path: p, text: text}
			if err := toml.Unmarshal(f.Data, &m.values); err != nil {
				return nil, fmt.Errorf("%s: %w", p, err)
			}
			s.manifests = append(s.manifests, m)
			if p == "Cargo.toml" {
				s.root = m
			}
		case strings.HasSuffix(name, ".rs") && isService(p) && !generated(text):
			s.uses = append(s.uses, uses(p, text)...)
		case isDockerfile(p, text):
			s.images = append(s.images, parseDockerfile(p, text))
		case strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"):
			s.objects = append(s.objects, parseObjects(p, text)...)
		}
	}
	if s.root.values == nil {
		return nil, NotRust{}
	}
	return s, nil
}

// isService leaves out what does not run in production: directories of tests, examples and tools.
func isService(p string) bool {
	for part := range strings.SplitSeq(path.Dir(p), "/") {
		for _, piece := range strings.FieldsFunc(part, func(r rune) bool { return r == '-' || r == '_' }) {
			if slices.Contains(apart, piece) {
				return false
			}
		}
	}
	return !slices.Contains([]string{"build.rs", "tests.rs"}, path.Base(p))
}

var apart = []string{
	"test", "tests", "testing", "integration", "mock", "mocks", "bench", "benches", "benchmark", "example", "examples", "fuzz", "loadtest",
	"vendor", "xtask",
}

// generated reports whether a tool wrote the file: prost and tonic say so on its first line.
func generated(text string) bool {
	first, _, _ := strings.Cut(text, "\n")
	return strings.Contains(first, "@generated")
}

// isDockerfile picks the image of the service: what lies at the top, or calls cargo.
func isDockerfile(p, text string) bool {
	name := path.Base(p)
	if name != "Dockerfile" && !strings.HasPrefix(name, "Dockerfile.") && !strings.HasSuffix(name, ".Dockerfile") {
		return false
	}
	return p == name || !strings.HasPrefix(p, ".") && isService(p) && strings.Contains(text, "cargo ")
}

// key finds a value of a manifest; nil if it is not there.
func (m manifest) key(keys ...string) any {
	var value any = m.values
	for _, k := range keys {
		table, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = table[k]
	}
	return value
}

// at is the line of a table's header, or of a key below it; the file where there is none.
func (m manifest) at(table, key string) Place {
	inside := false
	header := 0
	for i, line := range strings.Split(m.text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "["+table+"]":
			inside, header = true, i+1
		case strings.HasPrefix(line, "["):
			inside = false
		case inside && key != "" && regexp.MustCompile(`^`+regexp.QuoteMeta(key)+`\s*=`).MatchString(line):
			return Place{m.path, i + 1}
		}
	}
	return Place{m.path, header}
}

// depends reports whether any crate of the tree depends on one of the crates, tests and build scripts apart.
func (s *service) depends(names ...string) bool {
	for _, m := range s.manifests {
		tables := []any{m.key("dependencies"), m.key("workspace", "dependencies")}
		if targets, ok := m.key("target").(map[string]any); ok {
			for target := range targets {
				tables = append(tables, m.key("target", target, "dependencies"))
			}
		}
		for _, table := range tables {
			deps, _ := table.(map[string]any)
			for name, spec := range deps {
				if spec, ok := spec.(map[string]any); ok {
					if renamed, ok := spec["package"].(string); ok {
						name = renamed
					}
				}
				if slices.Contains(names, name) {
					return true
				}
			}
		}
	}
	return false
}

// named finds the uses of paths or methods: a whole path, or its end after "*".
func (s *service) named(names ...string) (found []use) {
	for _, u := range s.uses {
		if slices.ContainsFunc(names, func(name string) bool { return matches(u.name, name) }) {
			found = append(found, u)
		}
	}
	return found
}

func matches(have, want string) bool {
	if end, ok := strings.CutPrefix(want, "*"); ok {
		return have == strings.TrimPrefix(end, "::") || strings.HasSuffix(have, end)
	}
	return have == want
}

// line finds a pattern in a text.
func line(text string, pattern *regexp.Regexp) int {
	if at := pattern.FindStringIndex(text); at != nil {
		return 1 + strings.Count(text[:at[0]], "\n")
	}
	return 0
}

// matching are the text files whose path matches.
func (s *service) matching(pattern *regexp.Regexp) (paths []string) {
	for _, p := range s.files.Paths() {
		if pattern.MatchString(p) && s.files[p].IsText() {
			paths = append(paths, p)
		}
	}
	return paths
}

func (s *service) text(p string) string { return string(s.files[p].Data) }

// anywhere finds a pattern in the files whose path matches.
func (s *service) anywhere(paths, pattern *regexp.Regexp) (Place, bool) {
	for _, p := range s.matching(paths) {
		if n := line(s.text(p), pattern); n > 0 {
			return Place{p, n}, true
		}
	}
	return Place{}, false
}
