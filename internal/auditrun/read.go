package auditrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"rustgen/internal/audit"
	"rustgen/internal/hint"
	"rustgen/internal/lazyregexp"
	"rustgen/internal/tree"
)

// The most that an audit reads: of a file, of all files, and how many entries of directories it looks at.
const (
	maxFile    = 4 << 20
	maxSum     = 512 << 20
	maxEntries = 500_000
)

// reader reads what an audit looks at, inside of one directory.
type reader struct {
	root    *os.Root
	place   place
	files   tree.Tree
	unread  []audit.Finding
	entries int
	left    int64
}

// readFiles reads the files that the checks look at. What is not read, and matters, is said.
func readFiles(ctx context.Context, at place) (tree.Tree, []audit.Finding, error) {
	root, err := os.OpenRoot(at.root)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	r := &reader{root: root, place: at, files: tree.Tree{}, left: maxSum}
	err = r.walk(ctx, ".")
	return r.files, r.unread, err
}

// leftAside are directories that hold nothing of the service's own.
var leftAside = []string{".git", "node_modules", "target", "vendor", "vendored", "third_party", "third-party", ".venv", ".rustgen", ".cargo-home"}

func (r *reader) walk(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := r.root.Open(dir)
	if err != nil {
		r.note(dir, hint.Cause(err).Error())
		return nil
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		r.note(dir, hint.Cause(err).Error())
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		if r.entries++; r.entries > maxEntries {
			if r.entries == maxEntries+1 {
				r.note(p, fmt.Sprintf("from here on nothing is read: there are more than %d files", maxEntries))
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
func (r *reader) foreign(dir string) bool {
	_, err := r.root.Lstat(path.Join(dir, ".git"))
	return err == nil
}

func (r *reader) note(p, why string) {
	r.unread = append(r.unread, audit.Finding{Place: audit.Place{Path: p}, What: "not read: " + why})
}

var (
	wantedNames = lazyregexp.New(`(?i)^(Cargo\.(toml|lock)|rust-toolchain(\.toml)?|(Dockerfile|Containerfile).*|.*\.(dockerfile|containerfile)|Makefile(\.toml)?|\.?justfile|Jenkinsfile|\.gitignore|renovate.*|\.renovaterc.*|deny\.toml|config(\.toml)?)$`)
	wantedEnds  = lazyregexp.New(`\.(ya?ml|sh|env|service|tpl)$`)
)

// wanted reports whether a check looks at a file of that path.
func (r *reader) wanted(p string) bool {
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

func (r *reader) file(p string, e fs.DirEntry) {
	if !e.Type().IsRegular() {
		if strings.HasSuffix(p, ".rs") || path.Base(p) == "Cargo.toml" {
			r.note(p, "it is no regular file")
		}
		return
	}
	info, err := e.Info()
	switch {
	case err != nil:
		r.note(p, hint.Cause(err).Error())
		return
	case info.Size() > maxFile:
		r.note(p, fmt.Sprintf("it has more than %d MiB", maxFile>>20))
		return
	case info.Size() > r.left:
		r.note(p, fmt.Sprintf("the files have more than %d MiB", maxSum>>20))
		return
	}
	f, err := r.root.Open(p)
	if err != nil {
		r.note(p, hint.Cause(err).Error())
		return
	}
	defer f.Close()
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.note(p, hint.Cause(err).Error())
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
