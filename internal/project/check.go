package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/Masterminds/semver/v3"

	"rustgen/internal/decision"
	"rustgen/internal/lazyregexp"
	"rustgen/internal/tree"
	"rustgen/internal/vcs"
)

// What lies in .rustgen may come with a repository that somebody else made. It is read as far as rustgen could have
// written it, and its values are checked when they are decoded: they are printed, merged, and compared.
const (
	maxText    = 1 << 20
	maxArchive = tree.MaxBytes
	maxRooms   = 1000
)

// maxOwn is the most that is read of each of rustgen's own files.
func maxOwn(p string) int64 {
	if strings.HasSuffix(p, ".gz") {
		return maxArchive
	}
	return maxText
}

// readBounded reads a regular file of at most so many bytes; info is of the file itself and not of what a link leads to.
func readBounded(from FS, p string, info fs.FileInfo, most int64) ([]byte, error) {
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: it is not a regular file", p)
	case info.Size() > most:
		return nil, fmt.Errorf("%s: it is larger than %d MiB", p, most>>20)
	}
	f, err := from.Open(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, bare(err))
	}
	defer f.Close()
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return data[:n], nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, bare(err))
	}
	// What has grown in the meantime is read as it is now, as far as there is room.
	rest, err := io.ReadAll(io.LimitReader(f, most-info.Size()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, bare(err))
	}
	return append(data, rest...), nil
}

var (
	idForm     = lazyregexp.New(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	commitForm = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	kindForm   = lazyregexp.New(`^[a-z]{1,32}(-[a-z]{1,32}){0,4}$`)
	// indexForm is an entry of git's index: mode, object, stage, and the path behind a tab.
	indexForm = lazyregexp.New(`^(100644|100755|120000) ([0-9a-f]{40}|[0-9a-f]{64}) [0-3]\t`)
)

func checkVersion(what, version string) error {
	if _, err := semver.StrictNewVersion(version); err != nil {
		return fmt.Errorf("%s %+q is not a semantic version", what, version)
	}
	return nil
}

// check refuses what no rustgen has recorded.
func (r *Record) check() error {
	if r.Template == "" || r.Version == "" || len(r.Decisions) == 0 {
		return errors.New("it names no template, no version or no decisions")
	}
	if !idForm.MatchString(r.Template) {
		return fmt.Errorf("template %+q is not the name of a template set", r.Template)
	}
	if err := checkVersion("version", r.Version); err != nil {
		return err
	}
	if name, version, ok := strings.Cut(r.Extends, " "); r.Extends != "" {
		if !ok || !idForm.MatchString(name) {
			return fmt.Errorf("extends %+q does not name a template set and its version", r.Extends)
		}
		if err := checkVersion("extends", version); err != nil {
			return err
		}
	}
	if r.Source != "" && (!vcs.IsURL(r.Source) || strings.ContainsFunc(r.Source, unseen)) {
		return fmt.Errorf("source %+q is not a git URL", r.Source)
	}
	if r.Commit != "" && !commitForm.MatchString(r.Commit) {
		return fmt.Errorf("commit %+q is not the name of a commit", r.Commit)
	}
	for _, p := range r.Owned {
		if err := tree.CheckPath(p); err != nil {
			return fmt.Errorf("owned: %w", err)
		}
	}
	if len(r.Rooms) > maxRooms {
		return fmt.Errorf("it has more than %d rooms", maxRooms)
	}
	for _, room := range r.Rooms {
		if err := tree.CheckPattern(room); err != nil {
			return fmt.Errorf("rooms: %w", err)
		}
	}
	for id, d := range r.Decisions {
		if err := checkRecorded(id, d); err != nil {
			return err
		}
	}
	return nil
}

func checkRecorded(id string, d decision.Recorded) error {
	if !idForm.MatchString(id) {
		return fmt.Errorf("decision %+q is not kebab-case", id)
	}
	switch d.Origin {
	case decision.Chosen, decision.Preset, decision.Locked, decision.Defaulted:
	default:
		return fmt.Errorf("decision %s: from %+q is not one of chosen, preset, locked, default", id, d.Origin)
	}
	texts, ok := d.Value.Texts()
	if !ok {
		return fmt.Errorf("decision %s: its value is neither a text nor a list of texts", id)
	}
	for _, text := range texts {
		if strings.ContainsFunc(text, unseen) {
			return fmt.Errorf("decision %s: the value %+q has a character that is not printed", id, text)
		}
	}
	return nil
}

// unseen reports whether a character does something else than to be printed.
func unseen(r rune) bool { return unicode.IsControl(r) || tree.Invisible(r) }

// check refuses a list of conflicts that no upgrade has left.
func (c *Conflicts) check() error {
	if err := errors.Join(checkVersion("from", c.From), checkVersion("to", c.To)); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	for _, at := range c.Paths {
		if err := CheckPath(at.Path); err != nil {
			return err
		}
		if !kindForm.MatchString(at.Kind) {
			return fmt.Errorf("%s: %+q is no kind of conflict", at.Path, at.Kind)
		}
	}
	return nil
}

// check refuses paths that no upgrade has written: the record may come with a repository that somebody else made.
func (u *Undo) check() error {
	for _, p := range slices.Concat(u.Paths(), u.Before.Paths(), u.Created) {
		if err := CheckPath(p); err != nil {
			return err
		}
	}
	for p := range u.Before {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if _, ok := u.Before[dir]; ok {
				return fmt.Errorf("%q is both a file and the directory of %q", dir, p)
			}
		}
	}
	for p, mode := range u.Modes {
		if f, ok := u.Before[p]; !ok || mode != mode.Perm() || f.Mode != tree.NormalMode(mode) {
			return fmt.Errorf("%q has not had the permissions %#o", p, uint32(mode))
		}
	}
	for _, entry := range u.Index {
		_, p, _ := strings.Cut(entry, "\t")
		if !indexForm.MatchString(entry) {
			return fmt.Errorf("%+q is no entry of git's index", entry)
		}
		if err := CheckPath(p); err != nil {
			return err
		}
	}
	for what, version := range map[string]string{"from": u.From, "to": u.To} {
		if err := checkVersion(what, version); err != nil {
			return err
		}
	}
	return nil
}
