package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/afero"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/lazyregexp"
	"rustgen/internal/tree"
)

// FS is the file system of a service.
type FS interface {
	afero.Fs
	afero.Symlinker
}

var (
	// ErrNone says that a directory holds no service that rustgen made.
	ErrNone = errors.New("there is no service that rustgen made")
	// ErrAbsent says that there is no such directory.
	ErrAbsent = errors.New("there is no such directory")
	// ErrEdited says that the record is not as rustgen wrote it.
	ErrEdited = errors.New("it was changed by hand or by a merge, and does not match its checksum")
	// ErrNewer says that a record is of a format that this rustgen does not know.
	ErrNewer = errors.New("it was written by a newer rustgen")
	// ErrPointer says that there is a pointer of Git LFS in the place of the snapshot.
	ErrPointer = errors.New("there is a pointer of Git LFS in its place")
	// ErrSnapshot says that the snapshot is not the one that the record speaks of.
	ErrSnapshot = errors.New("it is not the snapshot that answers.yaml speaks of")
)

// Service is a service that exists: its record and the snapshot of what the template last wrote.
type Service struct {
	Record *Record
	Base   tree.Tree
	// Conflicts are those that an upgrade left; nil where none are.
	Conflicts *Conflicts
}

// Find looks for a service in dir and above it, and returns its directory.
func Find(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(at); errors.Is(err, os.ErrNotExist) {
		return "", ErrAbsent
	}
	for {
		if _, err := os.Lstat(filepath.Join(at, filepath.FromSlash(AnswersPath))); err == nil {
			return at, nil
		}
		if _, err := os.Lstat(filepath.Join(at, Dir)); err == nil {
			return at, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", ErrNone
		}
		at = up
	}
}

// ReadRecord reads the record alone.
func ReadRecord(from FS) (*Record, error) {
	answers, err := readOwn(from, AnswersPath)
	if err != nil {
		return nil, err
	}
	return Decode(answers)
}

// Load reads what rustgen keeps in a service, and refuses what rustgen did not write.
func Load(from FS) (*Service, error) {
	record, err := ReadRecord(from)
	if err != nil {
		return nil, err
	}
	s := &Service{Record: record}
	if s.Conflicts, err = ReadConflicts(from); err != nil {
		return nil, err
	}
	snapshot, err := readOwn(from, SnapshotPath)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(snapshot, lfsPointer) {
		return nil, fmt.Errorf("%s: %w", SnapshotPath, ErrPointer)
	}
	if digest(snapshot) != record.Snapshot {
		return nil, fmt.Errorf("%s: %w", SnapshotPath, ErrSnapshot)
	}
	if s.Base, err = tree.FromArchive(snapshot); err != nil {
		return nil, fmt.Errorf("%s: %w", SnapshotPath, err)
	}
	return s, nil
}

// lfsPointer is how a file begins that Git LFS keeps elsewhere.
var lfsPointer = []byte("version https://git-lfs.github.com/spec/")

// Vouches reports whether a record is as rustgen wrote it, and the snapshot is the one that it speaks of.
func Vouches(answers, snapshot []byte) bool {
	record, err := Decode(answers)
	return err == nil && digest(snapshot) == record.Snapshot
}

// readOwn reads a file of the record, which is never a link.
func readOwn(from FS, p string) ([]byte, error) {
	var info fs.FileInfo
	for _, at := range []string{Dir, p} {
		var err error
		if info, _, err = from.LstatIfPossible(at); err != nil {
			return nil, fmt.Errorf("%s: %w", at, bare(err))
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("%s: it is a link", at)
		}
	}
	return readBounded(from, p, info, maxOwn(p))
}

func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Conflicts are what an upgrade left to a person.
type Conflicts struct {
	From  string         `yaml:"from"`
	To    string         `yaml:"to"`
	Paths []ConflictPath `yaml:"conflicts"`
}

// ConflictPath is one path with a conflict.
type ConflictPath struct {
	Path string `yaml:"path" json:"path"`
	Kind string `yaml:"kind" json:"kind"`
	// Marked says that there are markers in the file.
	Marked bool `yaml:"marked,omitempty" json:"marked"`
}

const conflictsHeader = "# What the last upgrade could not decide. `rustgen upgrade --continue` removes this file when all is resolved.\n"

// File is the list as it lies in a service.
func (c *Conflicts) File() (tree.File, error) {
	data, err := yaml.Marshal(c)
	return tree.File{Mode: tree.ModeFile, Data: append([]byte(conflictsHeader), data...)}, err
}

// ReadConflicts reads the list alone; nil where there is none.
func ReadConflicts(from FS) (*Conflicts, error) {
	if _, _, err := from.LstatIfPossible(ConflictsPath); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	data, err := readOwn(from, ConflictsPath)
	if err != nil {
		return nil, err
	}
	var c Conflicts
	if err := yaml.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %s", ConflictsPath, strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " "))
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", ConflictsPath, err)
	}
	return &c, nil
}

// Marked reports whether a file still has markers of the upgrade.
func (c *Conflicts) Marked(from FS, at ConflictPath) (bool, error) {
	if !at.Marked {
		return false, nil
	}
	t, err := Worktree(from, nil, nil, []string{at.Path})
	if err != nil {
		return false, err
	}
	return HalfMerged(t[at.Path].Data), nil
}

// HalfMerged reports whether a file has lines that begin or end a conflict, whoever wrote them: git checkout --merge and
// editors put others in the place of an upgrade's.
func HalfMerged(data []byte) bool { return hasLine(data, marker.Match) }

// Markers reports whether a file has markers that an upgrade has written, which say "yours".
func Markers(data []byte) bool { return hasLine(data, ownMarker.Match) }

var (
	marker    = lazyregexp.New(`^(<{7,}|>{7,}) \S`)
	ownMarker = lazyregexp.New(`^<{7,} yours(:.*)?\r?\n?$`)
)

func hasLine(data []byte, match func(line []byte) bool) bool {
	for line := range bytes.Lines(data) {
		if match(line) {
			return true
		}
	}
	return false
}

// Own reads the files that rustgen keeps in a service, as far as there are any.
func Own(from FS) (tree.Tree, error) {
	t := tree.Tree{}
	for _, p := range files {
		info, _, err := from.LstatIfPossible(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, bare(err))
		}
		if t[p], err = ReadFile(from, p, info); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Salvage reads what is still good of a damaged record: the answers, edited or not, and the snapshot if it is the one
// that they speak of; else nil.
func Salvage(from FS) (record *Record, base tree.Tree, edited bool, err error) {
	answers, err := readOwn(from, AnswersPath)
	if err != nil {
		return nil, nil, false, err
	}
	if record, err = decode(answers); err != nil {
		return nil, nil, false, err
	}
	_, wrong := Decode(answers)
	edited = wrong != nil
	snapshot, err := readOwn(from, SnapshotPath)
	if err != nil || digest(snapshot) != record.Snapshot {
		return record, nil, edited, nil
	}
	if base, err = tree.FromArchive(snapshot); err != nil {
		return record, nil, edited, nil
	}
	return record, base, edited, nil
}
