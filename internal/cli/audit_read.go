package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/pelletier/go-toml/v2"

	"rustgen/internal/audit"
	"rustgen/internal/tree"
)

// The most that an audit reads: of a file, of all files, and how many entries of directories it looks at.
const (
	maxAuditFile    = 4 << 20
	maxAuditSum     = 512 << 20
	maxAuditEntries = 500_000
)

// auditPlace is where an audit looks: the repository, and the Cargo package or workspace in it.
type auditPlace struct {
	// root is the top of the repository on the disk; dir and focus are below it, as audit.Input has them.
	root, dir, focus string
}

// findAuditPlace finds the package that dir lies in, its workspace and its repository. It follows no link, and opens
// nothing but small regular files named Cargo.toml.
func findAuditPlace(dir string) (auditPlace, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return auditPlace{}, err
	}
	if info, err := os.Stat(at); err != nil {
		return auditPlace{}, failed("rustgen audit DIR names a Rust service", "%s: %w", dir, bare(err))
	} else if !info.IsDir() {
		return auditPlace{}, failed("rustgen audit DIR names a Rust service", "%s: it is no directory", dir)
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
		return auditPlace{}, failed(otherServices(at, dir), "%s: %w", dir, audit.NotRust{})
	}
	workspace := workspaceOf(pkg, root)
	if root == "" {
		root = workspace
	}
	p := auditPlace{root: root}
	for _, to := range []struct {
		path string
		rel  *string
	}{{workspace, &p.dir}, {pkg, &p.focus}} {
		rel, err := filepath.Rel(root, to.path)
		if err != nil {
			return auditPlace{}, err
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
	if info.Size() > maxAuditFile {
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

// auditReader reads what an audit looks at, inside of one directory.
type auditReader struct {
	root    *os.Root
	place   auditPlace
	files   tree.Tree
	unread  []audit.Finding
	entries int
	left    int64
}

// readForAudit reads the files that the checks look at. What is not read, and matters, is said.
func readForAudit(ctx context.Context, place auditPlace) (tree.Tree, []audit.Finding, error) {
	root, err := os.OpenRoot(place.root)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	r := &auditReader{root: root, place: place, files: tree.Tree{}, left: maxAuditSum}
	err = r.walk(ctx, ".")
	return r.files, r.unread, err
}

// leftAside are directories that hold nothing of the service's own.
var leftAside = []string{".git", "node_modules", "target", "vendor", "vendored", "third_party", "third-party", ".venv", ".rustgen", ".cargo-home"}

func (r *auditReader) walk(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := r.root.Open(dir)
	if err != nil {
		r.note(dir, bare(err).Error())
		return nil
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		r.note(dir, bare(err).Error())
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		if r.entries++; r.entries > maxAuditEntries {
			if r.entries == maxAuditEntries+1 {
				r.note(p, fmt.Sprintf("from here on nothing is read: there are more than %d files", maxAuditEntries))
			}
			return nil
		}
		if e.IsDir() {
			if slices.Contains(leftAside, e.Name()) || p != "." && r.foreign(p) {
				continue
			}
			if err := r.walk(ctx, p); err != nil {
				return err
			}
			continue
		}
		if r.wanted(p) {
			r.file(p, e)
		}
	}
	return nil
}

// foreign reports whether a directory is a repository of its own.
func (r *auditReader) foreign(dir string) bool {
	_, err := r.root.Lstat(path.Join(dir, ".git"))
	return err == nil
}

func (r *auditReader) note(p, why string) {
	r.unread = append(r.unread, audit.Finding{Place: audit.Place{Path: p}, What: "not read: " + why})
}

var (
	wantedNames = regexp.MustCompile(`(?i)^(Cargo\.(toml|lock)|rust-toolchain(\.toml)?|(Dockerfile|Containerfile).*|.*\.(dockerfile|containerfile)|Makefile(\.toml)?|\.?justfile|Jenkinsfile|\.gitignore|renovate.*|\.renovaterc.*|deny\.toml|config(\.toml)?)$`)
	wantedEnds  = regexp.MustCompile(`\.(ya?ml|sh|env|service|tpl)$`)
)

// wanted reports whether a check looks at a file of that path.
func (r *auditReader) wanted(p string) bool {
	base := path.Base(p)
	if strings.HasSuffix(base, ".rs") {
		return r.place.dir == "." || strings.HasPrefix(p, r.place.dir+"/") || strings.HasPrefix(p, "xtask/")
	}
	if base == "Cargo.toml" || base == "Cargo.lock" {
		return true
	}
	if strings.HasPrefix(base, "config") && path.Base(path.Dir(p)) != ".cargo" {
		return wantedEnds.MatchString(base)
	}
	return wantedNames.MatchString(base) || wantedEnds.MatchString(base) || strings.HasPrefix(p, ".ci/") || strings.HasPrefix(p, "ci/") || base == audit.BaselineFile
}

func (r *auditReader) file(p string, e fs.DirEntry) {
	if !e.Type().IsRegular() {
		if strings.HasSuffix(p, ".rs") || path.Base(p) == "Cargo.toml" {
			r.note(p, "it is no regular file")
		}
		return
	}
	info, err := e.Info()
	switch {
	case err != nil:
		r.note(p, bare(err).Error())
		return
	case info.Size() > maxAuditFile:
		r.note(p, fmt.Sprintf("it has more than %d MiB", maxAuditFile>>20))
		return
	case info.Size() > r.left:
		r.note(p, fmt.Sprintf("the files have more than %d MiB", maxAuditSum>>20))
		return
	}
	f, err := r.root.Open(p)
	if err != nil {
		r.note(p, bare(err).Error())
		return
	}
	defer f.Close()
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.note(p, bare(err).Error())
		return
	}
	data = data[:n]
	r.left -= int64(n)
	if !tree.IsText(data) {
		if strings.HasSuffix(p, ".rs") || strings.HasPrefix(path.Base(p), "Dockerfile") {
			r.note(p, "it is no UTF-8 text")
		}
		return
	}
	r.files[p] = tree.File{Mode: tree.ModeFile, Data: data}
}
