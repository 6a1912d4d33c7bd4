package project

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"rustgen/internal/tree"
)

// Undo is what the last upgrade replaced, and how to have it back.
type Undo struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Created are paths that were not there before.
	Created []string `json:"created"`
	// After are the digests of what the upgrade wrote, "" for what it removed.
	After map[string]string `json:"after"`
	// Index are the entries of git's index that gave way to the stages of a conflict, as git update-index reads them.
	Index []string `json:"index"`
	// Links are the links among the replaced files: they may lead anywhere, which an archive refuses.
	Links map[string]string `json:"links"`
	// Modes are the permissions of replaced and removed files that have others than usual: a tree knows only whether a file
	// is executable.
	Modes map[string]fs.FileMode `json:"modes,omitempty"`
	// Before holds the replaced and removed files; those of the record too.
	Before tree.Tree `json:"-"`
}

const (
	undoManifest = "undo.json"
	maxManifest  = 64 << 20
	undoFiles    = "files/"
)

// File is the undo record as it lies in a service.
func (u *Undo) File() (tree.File, error) {
	t := tree.Tree{}
	u.Links = map[string]string{}
	for p, f := range u.Before {
		if f.IsLink() {
			u.Links[p] = string(f.Data)
		} else {
			t[undoFiles+p] = f
		}
	}
	manifest, err := json.MarshalIndent(u, "", "  ")
	if err != nil {
		return tree.File{}, err
	}
	t[undoManifest] = tree.File{Mode: tree.ModeFile, Data: manifest}
	data, err := t.Archive()
	return tree.File{Mode: tree.ModeFile, Data: data}, err
}

// ReadUndo reads the undo record. Where there is none the error is fs.ErrNotExist.
func ReadUndo(from FS) (*Undo, error) {
	data, err := readOwn(from, UndoPath)
	if err != nil {
		return nil, err
	}
	t, err := tree.FromArchive(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", UndoPath, err)
	}
	u := &Undo{Before: tree.Tree{}}
	if len(t[undoManifest].Data) > maxManifest {
		return nil, fmt.Errorf("%s: %s is larger than %d MiB", UndoPath, undoManifest, maxManifest>>20)
	}
	if err := json.Unmarshal(t[undoManifest].Data, u); err != nil {
		return nil, fmt.Errorf("%s: %w", UndoPath, err)
	}
	for p, target := range u.Links {
		u.Before[p] = tree.File{Mode: tree.ModeLink, Data: []byte(target)}
	}
	for p, f := range t {
		if p, ok := strings.CutPrefix(p, undoFiles); ok {
			u.Before[p] = f
		}
	}
	if err := u.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", UndoPath, err)
	}
	return u, nil
}

// Digest names the content and mode of a file, for [Undo.After].
func Digest(f tree.File) string {
	kind := fs.FileMode(0)
	if f.IsLink() {
		kind = 1
	} else if f.Mode == tree.ModeExec {
		kind = 2
	}
	return fmt.Sprintf("%d:%s", kind, digest(f.Data))
}

// Note records what becomes of a path.
func (u *Undo) Note(p string, before, after *tree.File) {
	if before != nil {
		u.Before[p] = *before
	} else {
		u.Created = append(u.Created, p)
	}
	u.After[p] = ""
	if after != nil {
		u.After[p] = Digest(*after)
	}
}

// Paths lists what the upgrade changed.
func (u *Undo) Paths() []string { return slices.Sorted(maps.Keys(u.After)) }

// Now reads what stands there by now, with the undo record itself.
func (u *Undo) Now(from FS, view *View) (tree.Tree, error) {
	own, err := Own(from)
	if err != nil {
		return nil, err
	}
	now, err := Worktree(from, view, nil, slices.DeleteFunc(u.Paths(), func(p string) bool { return strings.HasPrefix(p, Dir+"/") }))
	if err != nil {
		return nil, err
	}
	maps.Copy(now, own)
	return now, nil
}

// AsWritten reports whether a path is as the upgrade left it.
func (u *Undo) AsWritten(p string, now tree.Tree) bool {
	f, ok := now[p]
	if !ok {
		return u.After[p] == ""
	}
	return u.After[p] == Digest(f)
}
