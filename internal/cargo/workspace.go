// Package cargo reads the manifest of a Cargo workspace, and edits it so that the workspace leaves a directory alone. It
// is pure.
package cargo

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/pelletier/go-toml/v2"

	"rustgen/internal/lazyregexp"
)

// ManifestName is the file that makes a directory a Cargo package or workspace.
const ManifestName = "Cargo.toml"

// Workspace is what a manifest says of the packages that belong to it.
type Workspace struct {
	Members []string `toml:"members"`
	Exclude []string `toml:"exclude"`
}

// ReadWorkspace reads the workspace that a manifest declares; nil where it declares none.
func ReadWorkspace(manifest []byte) (*Workspace, error) {
	var m struct {
		Workspace *Workspace `toml:"workspace"`
	}
	if err := toml.Unmarshal(manifest, &m); err != nil {
		return nil, err
	}
	return m.Workspace, nil
}

// Claim is how a workspace takes a directory for one of its packages.
type Claim int

// The claims.
const (
	// Unclaimed directories are not the workspace's.
	Unclaimed Claim = iota
	// ByPattern directories match a pattern among the members; exclude leaves them out.
	ByPattern
	// ByName directories are members that are written out; Cargo passes over an exclude for them.
	ByName
)

// Claims reports how the workspace takes the directory dir, which is relative to it, or one of the directories below
// dir. member is the entry that does.
func (w *Workspace) Claims(dir string, below []string) (claim Claim, member string) {
	for _, excluded := range w.Exclude {
		if within(dir, path.Clean(excluded)) {
			return w.named(dir)
		}
	}
	if claim, member = w.named(dir); claim != Unclaimed {
		return claim, member
	}
	for _, pattern := range w.Members {
		for _, at := range append([]string{dir}, below...) {
			if ok, err := doublestar.Match(path.Clean(pattern), at); ok && err == nil {
				return ByPattern, pattern
			}
		}
	}
	return Unclaimed, ""
}

// named finds a member that is written out and lies in dir.
func (w *Workspace) named(dir string) (Claim, string) {
	for _, member := range w.Members {
		if within(path.Clean(member), dir) {
			return ByName, member
		}
	}
	return Unclaimed, ""
}

// within reports whether p is dir or lies below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// ErrLayout says that a manifest writes its workspace in a way that Exclude does not edit.
var ErrLayout = errors.New("its [workspace] is not a table of its own")

var (
	header       = lazyregexp.New(`^\s*\[\s*workspace\s*\]\s*(#.*)?$`)
	anyHeader    = lazyregexp.New(`^\s*\[+[A-Za-z0-9_."' -]+\]+\s*(#.*)?$`)
	excludeStart = lazyregexp.New(`^(\s*exclude\s*=\s*\[)(.*)$`)
)

// Exclude adds a directory to the exclude list of a workspace, and changes nothing else of the manifest.
func Exclude(manifest []byte, dir string) ([]byte, error) {
	ending := "\n"
	if strings.Contains(string(manifest), "\r\n") {
		ending = "\r\n"
	}
	lines := strings.Split(strings.ReplaceAll(string(manifest), "\r\n", "\n"), "\n")
	start := slices.IndexFunc(lines, header.MatchString)
	if start < 0 {
		return nil, ErrLayout
	}
	edited := insert(lines, start, strconv.Quote(dir))
	out := []byte(strings.Join(edited, ending))
	if err := sameButExclude(manifest, out, dir); err != nil {
		return nil, err
	}
	return out, nil
}

// insert puts an item into the exclude list of the table that starts at a line, or a list of it below that line.
func insert(lines []string, start int, item string) []string {
	for i := start + 1; i < len(lines) && !anyHeader.MatchString(lines[i]); i++ {
		m := excludeStart.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		switch rest := strings.TrimSpace(m[2]); {
		case rest == "" || strings.HasPrefix(rest, "#"):
			return slices.Insert(slices.Clone(lines), i+1, "    "+item+",")
		case strings.HasPrefix(rest, "]"):
			lines = slices.Clone(lines)
			lines[i] = m[1] + item + rest
			return lines
		default:
			lines = slices.Clone(lines)
			lines[i] = m[1] + item + ", " + rest
			return lines
		}
	}
	return slices.Insert(slices.Clone(lines), start+1, "exclude = ["+item+"]")
}

// sameButExclude refuses an edit that did anything else than add one directory to the exclude list.
func sameButExclude(before, after []byte, dir string) error {
	var was, is map[string]any
	if err := toml.Unmarshal(before, &was); err != nil {
		return err
	}
	if err := toml.Unmarshal(after, &is); err != nil {
		return ErrLayout
	}
	workspace, ok := was["workspace"].(map[string]any)
	if !ok {
		return ErrLayout
	}
	list, _ := workspace["exclude"].([]any)
	workspace["exclude"] = append([]any{dir}, list...)
	if !reflect.DeepEqual(was, is) {
		return ErrLayout
	}
	return nil
}

// Line is what a person would add to a manifest to the same end.
func Line(dir string) string { return fmt.Sprintf("exclude = [%q]", dir) }
