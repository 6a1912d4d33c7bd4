package auditrun

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/pelletier/go-toml/v2"

	"rustgen/internal/audit"
	"rustgen/internal/hint"
)

// place is where an audit looks: the repository, and the Cargo package or workspace in it.
type place struct {
	// root is the top of the repository on the disk; dir and focus are below it, as audit.Input has them.
	root, dir, focus string
}

// findPlace finds the package that dir lies in, its workspace and its repository. It follows no link, and opens
// nothing but small regular files named Cargo.toml.
func findPlace(dir string) (place, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return place{}, err
	}
	if info, err := os.Stat(at); err != nil {
		return place{}, hint.Fail("rustgen audit DIR names a Rust service", "%s: %w", dir, hint.Cause(err))
	} else if !info.IsDir() {
		return place{}, hint.Fail("rustgen audit DIR names a Rust service", "%s: it is no directory", dir)
	}
	root := repositoryOf(at)
	pkg := ""
	for d := at; within(root, d); d = filepath.Dir(d) {
		if _, ok := cargoManifest(d); ok {
			pkg = d
			break
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	if pkg == "" {
		return place{}, hint.Fail(otherServices(at, dir), "%s: %w", dir, audit.NotRust{})
	}
	workspace := workspaceOf(pkg, root)
	if root == "" {
		root = workspace
	}
	p := place{root: root}
	for _, to := range []struct {
		path string
		rel  *string
	}{{workspace, &p.dir}, {pkg, &p.focus}} {
		rel, err := filepath.Rel(root, to.path)
		if err != nil {
			return place{}, err
		}
		*to.rel = filepath.ToSlash(rel)
	}
	return p, nil
}

// within reports whether a directory is root or below it; everything is, where there is no root.
func within(root, dir string) bool {
	if root == "" {
		return true
	}
	rel, err := filepath.Rel(root, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// repositoryOf is the top of the git repository that a directory lies in, or nothing.
func repositoryOf(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// cargoManifest reads the Cargo.toml of a directory, where it is a regular file of a usual size.
func cargoManifest(dir string) (values map[string]any, ok bool) {
	name := filepath.Join(dir, "Cargo.toml")
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	if info.Size() > maxFile {
		return nil, true
	}
	if data, err := os.ReadFile(name); err == nil {
		_ = toml.Unmarshal(data, &values)
	}
	return values, true
}

// workspaceOf is the directory of the workspace that a package is a member of, or its own.
func workspaceOf(pkg, root string) string {
	if m, _ := cargoManifest(pkg); m["workspace"] != nil {
		return pkg
	}
	for d := filepath.Dir(pkg); within(root, d); d = filepath.Dir(d) {
		if m, ok := cargoManifest(d); ok {
			if w, ok := m["workspace"].(map[string]any); ok {
				if rel, err := filepath.Rel(d, pkg); err == nil && isMember(w, filepath.ToSlash(rel)) {
					return d
				}
				return pkg
			}
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	return pkg
}

func isMember(workspace map[string]any, rel string) bool {
	matches := func(key string) bool {
		list, _ := workspace[key].([]any)
		return slices.ContainsFunc(list, func(v any) bool {
			pattern, _ := v.(string)
			pattern = path.Clean(pattern)
			ok, _ := doublestar.Match(pattern, rel)
			return ok || key == "exclude" && strings.HasPrefix(rel, pattern+"/")
		})
	}
	return matches("members") && !matches("exclude")
}

// otherServices is the hint where a directory is no package: one that lies below it.
func otherServices(at, dir string) string {
	for _, pattern := range []string{"*/Cargo.toml", "*/*/Cargo.toml", "*/*/*/Cargo.toml"} {
		if found, err := filepath.Glob(filepath.Join(at, filepath.FromSlash(pattern))); err == nil && len(found) > 0 {
			if rel, err := filepath.Rel(at, filepath.Dir(found[0])); err == nil && printable(rel) {
				return "rustgen audit " + filepath.ToSlash(filepath.Join(dir, rel)) + " looks at one that lies below"
			}
		}
	}
	return "rustgen audit DIR names a Rust service"
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == ' ' || r >= 0x80 && r < 0xa0 })
}
