package audit

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/bmatcuk/doublestar/v4"
	"github.com/pelletier/go-toml/v2"

	"rustgen/internal/audit/rust"
	"rustgen/internal/tree"
)

// manifest is one Cargo.toml.
type manifest struct {
	path   string
	text   string
	values map[string]any
}

func parseManifest(p string, f tree.File) (manifest, error) {
	m := manifest{path: p, text: string(f.Data)}
	return m, toml.Unmarshal(f.Data, &m.values)
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

func (m manifest) list(keys ...string) (all []string) {
	values, _ := m.key(keys...).([]any)
	for _, v := range values {
		if text, ok := v.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// at is the line of a table's header, or of a key below it; the file where there is none.
func (m manifest) at(table, key string) Place {
	inside := false
	header := 0
	pattern := regexp.MustCompile(`^` + regexp.QuoteMeta(key) + `\s*=`)
	for i, line := range strings.Split(m.text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "["+table+"]":
			inside, header = true, i+1
		case strings.HasPrefix(line, "["):
			inside = false
		case inside && key != "" && pattern.MatchString(line):
			return Place{m.path, i + 1}
		}
	}
	return Place{m.path, header}
}

// dependencies are those that a manifest has for its code: the names that it uses, and the packages that they are.
func (m manifest) dependencies(workspace manifest) map[string]string {
	all := map[string]string{}
	tables := []any{m.key("dependencies")}
	if targets, ok := m.key("target").(map[string]any); ok {
		for target := range targets {
			tables = append(tables, m.key("target", target, "dependencies"))
		}
	}
	for _, table := range tables {
		deps, _ := table.(map[string]any)
		for name, spec := range deps {
			all[name] = name
			given, _ := spec.(map[string]any)
			if given["workspace"] == true {
				given, _ = workspace.key("workspace", "dependencies", name).(map[string]any)
			}
			if renamed, ok := given["package"].(string); ok {
				all[name] = renamed
			}
		}
	}
	return all
}

// cargoPackage is a package of the workspace.
type cargoPackage struct {
	manifest
	rust *rust.Package
	// needs are the names of packages that its code depends on.
	needs []string
}

func (p *cargoPackage) name() string { name, _ := p.key("package", "name").(string); return name }

// dir is where it lies.
func (p *cargoPackage) dir() string { return path.Dir(p.path) }

func ident(name string) string { return strings.ReplaceAll(name, "-", "_") }

// asPackage finds the crates of a package.
func (s *service) asPackage(m manifest) *cargoPackage {
	p := &cargoPackage{manifest: m}
	dir := path.Dir(m.path)
	p.rust = &rust.Package{Ident: ident(p.name()), Dir: dir, Renames: map[string]string{}, Dependencies: map[string]bool{}}
	for name, pkg := range m.dependencies(s.root) {
		p.needs = append(p.needs, pkg)
		p.rust.Dependencies[ident(name)] = true
		if name != pkg {
			p.rust.Renames[ident(name)] = ident(pkg)
		}
	}
	slices.Sort(p.needs)
	p.rust.Library = path.Join(dir, "src/lib.rs")
	if lib, ok := m.key("lib", "path").(string); ok {
		p.rust.Library = path.Join(dir, lib)
	}
	if name, ok := m.key("lib", "name").(string); ok {
		p.rust.Ident = ident(name)
	}
	p.rust.Binaries = append(p.rust.Binaries, path.Join(dir, "src/main.rs"))
	bins, _ := m.key("bin").([]any)
	for _, b := range bins {
		if bin, ok := b.(map[string]any); ok {
			if at, ok := bin["path"].(string); ok {
				p.rust.Binaries = append(p.rust.Binaries, path.Join(dir, at))
			}
		}
	}
	below := path.Join(dir, "src/bin") + "/"
	for name := range s.files {
		if rest, ok := strings.CutPrefix(name, below); ok && strings.HasSuffix(rest, ".rs") && (!strings.Contains(rest, "/") || path.Base(rest) == "main.rs") {
			p.rust.Binaries = append(p.rust.Binaries, name)
		}
	}
	slices.Sort(p.rust.Binaries)
	return p
}

// readPackages finds the members of the workspace, as Cargo does; a member that is no TOML is noted.
func (s *service) readPackages() error {
	top := path.Join(s.dir, "Cargo.toml")
	f, ok := s.files[top]
	if !ok {
		return NotRust{}
	}
	root, err := parseManifest(top, f)
	if err != nil {
		return &BadManifest{top, err}
	}
	s.root = root
	members := []string{top}
	if s.root.key("workspace") != nil {
		members = append(members, s.members()...)
	}
	s.addMembers(members)
	return nil
}

// BadManifest is the error of a Cargo.toml at the top that is no TOML.
type BadManifest struct {
	Path string
	Err  error
}

func (e *BadManifest) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *BadManifest) Unwrap() error { return e.Err }

// addMembers reads manifests, and those that they depend on by path.
func (s *service) addMembers(pending []string) {
	seen := map[string]bool{}
	for len(pending) > 0 {
		p := pending[0]
		pending = pending[1:]
		if seen[p] {
			continue
		}
		seen[p] = true
		f, ok := s.files[p]
		if !ok {
			continue
		}
		m, err := parseManifest(p, f)
		if err != nil {
			s.notes = append(s.notes, at(Place{p, 0}, "it is no TOML, so its package is left out: %s", firstLine(err.Error())))
			continue
		}
		if m.key("package", "name") != nil {
			s.packages = append(s.packages, s.asPackage(m))
		}
		for _, table := range []string{"dependencies", "workspace"} {
			deps, _ := m.key(table).(map[string]any)
			if table == "workspace" {
				deps, _ = m.key("workspace", "dependencies").(map[string]any)
			}
			for _, name := range slices.Sorted(maps.Keys(deps)) {
				if spec, ok := deps[name].(map[string]any); ok {
					if at, ok := spec["path"].(string); ok {
						pending = append(pending, path.Join(path.Dir(p), at, "Cargo.toml"))
					}
				}
			}
		}
	}
}

func firstLine(text string) string { first, _, _ := strings.Cut(text, "\n"); return first }

// members are the manifests that the workspace names, without those that it excludes.
func (s *service) members() (all []string) {
	globs, excluded := s.root.list("workspace", "members"), s.root.list("workspace", "exclude")
	for _, p := range s.paths {
		if path.Base(p) != "Cargo.toml" {
			continue
		}
		dir, ok := below(s.dir, path.Dir(p))
		if !ok || slices.ContainsFunc(excluded, func(e string) bool { _, in := below(path.Clean(e), dir); return in }) {
			continue
		}
		if slices.ContainsFunc(globs, func(g string) bool { ok, _ := doublestar.Match(path.Clean(g), dir); return ok }) {
			all = append(all, p)
		}
	}
	return all
}

// below is a path inside a directory, from there.
func below(dir, p string) (string, bool) {
	if dir == "." {
		return p, true
	}
	if p == dir {
		return ".", true
	}
	return strings.CutPrefix(p, dir+"/")
}

// locked is the version of a crate in Cargo.lock; where there are several, the oldest. Without Cargo.lock it is what the
// manifests ask for.
func (s *service) locked(name string) *semver.Version {
	if v := s.lock()[name]; v != nil {
		return v
	}
	for _, m := range s.manifests() {
		for _, table := range [][]string{{"dependencies"}, {"workspace", "dependencies"}} {
			spec := m.key(append(table, name)...)
			if given, ok := spec.(map[string]any); ok {
				spec = given["version"]
			}
			if text, ok := spec.(string); ok {
				if v, err := semver.NewVersion(strings.TrimLeft(text, "=^~> ")); err == nil {
					return v
				}
			}
		}
	}
	return nil
}

// readLock reads Cargo.lock; where a crate has several versions, the oldest holds.
func (s *service) readLock() map[string]*semver.Version {
	var lock struct {
		Package []struct{ Name, Version string }
	}
	_ = toml.Unmarshal(s.files[path.Join(s.dir, "Cargo.lock")].Data, &lock)
	all := map[string]*semver.Version{}
	for _, p := range lock.Package {
		v, err := semver.NewVersion(p.Version)
		if err == nil && (all[p.Name] == nil || v.LessThan(all[p.Name])) {
			all[p.Name] = v
		}
	}
	return all
}

// fitting is how to mend a check with the version of tonic that there is.
func (s *service) fitting(c Check) string {
	if c.since == "" {
		return c.Mend
	}
	have, since := s.locked("tonic"), semver.MustParse(c.since)
	if have == nil || !have.LessThan(since) {
		return c.Mend
	}
	return "tonic " + have.String() + " has no such setting: upgrade it to " + c.since + " or newer first, then " + c.Mend
}

// manifests are those of the workspace and of the packages that are judged.
func (s *service) manifests() []manifest {
	all := []manifest{s.root}
	for _, p := range s.packages {
		if p.path != s.root.path {
			all = append(all, p.manifest)
		}
	}
	return all
}

// depends reports whether any judged package depends on one of the crates, tests and build scripts apart.
func (s *service) depends(names ...string) bool {
	for _, p := range s.packages {
		if slices.ContainsFunc(p.needs, func(n string) bool { return slices.Contains(names, n) }) {
			return true
		}
	}
	return false
}
