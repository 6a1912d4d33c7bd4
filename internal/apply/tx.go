package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"sync"
	"syscall"

	"github.com/spf13/afero"

	"rustgen/internal/tree"
)

// A transaction changes files of a directory all or not at all. It goes in three steps:
//
//  1. Every new file is written in full under .rustgen/tx/new, with the journal that names every change. A run that
//     ends before the journal has its name has changed nothing.
//  2. The journal gets its name. From here on the next run finishes what this one does not.
//  3. Each change is one or two renames within the directory: the old entry goes to .rustgen/tx/old, the new one takes
//     its place. Nothing is copied, so that no disk can be too full for it. A change that cannot be made, in a read-only
//     directory for one, has all of them taken back.
const (
	txDir       = ".rustgen/tx"
	journalTemp = txDir + "/journal.tmp"
	journalName = txDir + "/journal"
	// backName is the journal of a transaction that is being taken back.
	backName = txDir + "/journal.back"
	newDir   = txDir + "/new"
	oldDir   = txDir + "/old"
)

// maxJournal is the most that a journal may take: 100,000 changes with long paths.
const maxJournal = 64 << 20

// Change is what becomes of one path: a new entry, or none.
type Change struct {
	Path string
	// File is nil where the path is removed.
	File *tree.File
	// Perm are the permissions of a new file. 0 gives those of the file that it replaces, where they mean the same, or else
	// the usual ones.
	Perm fs.FileMode
	// Before is what the caller has seen at the path; nil for nothing. If something else is there by now, nothing is done.
	Before *tree.File
}

// journal is the plan of a transaction as it lies on the disk.
type journal struct {
	What string   `json:"what"`
	Ops  []op     `json:"ops"`
	Dirs []string `json:"dirs"`
}

// op is one change in a journal. Digests name entries; "" is none.
type op struct {
	Path   string `json:"path"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (o op) removes() bool { return o.After == "" }

// stagedAt is where the new entry of an op waits, replacedAt where its old one goes.
func stagedAt(i int) string   { return newDir + "/" + strconv.Itoa(i) }
func replacedAt(i int) string { return oldDir + "/" + strconv.Itoa(i) }

// digestOf names the content of an entry, its kind, and whether it can be executed.
func digestOf(f *tree.File) string {
	if f == nil {
		return ""
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%o\x00", f.Mode)
	sum.Write(f.Data)
	return hex.EncodeToString(sum.Sum(nil))
}

// Transact carries out changes as one: removals first, then the rest in their order. what names them for whoever
// finishes a run that was cut off. The caller holds the lock.
func Transact(ctx context.Context, fsys FS, what string, changes []Change) error {
	t := &tx{fs: fsys}
	j, err := t.stage(ctx, what, changes)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return errors.Join(err, t.clear())
	}
	if err := t.fs.Rename(journalTemp, journalName); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", journalName, bare(err)), t.clear())
	}
	t.syncDir(txDir)
	return t.finish(j)
}

// FS is what a transaction works on: links need more than afero.Fs.
type FS interface {
	afero.Fs
	afero.Symlinker
}

type tx struct{ fs FS }

// finish makes the changes of a journal, or takes them back where one cannot be made.
func (t *tx) finish(j *journal) error {
	err := t.forward(j)
	if err == nil {
		if err := t.clear(); err != nil {
			return &CutOff{What: j.What, Err: err}
		}
		return nil
	}
	if undo := t.takeBack(j); undo != nil {
		return &CutOff{What: j.What, Err: errors.Join(err, undo)}
	}
	return err
}

// CutOff is a transaction that could neither be finished, to the removal of its journal, nor taken back; the next run
// tries again. Any other error of a transaction says that nothing was changed.
type CutOff struct {
	What string
	Err  error
}

func (c *CutOff) Error() string { return fmt.Sprintf("%s was cut off: %v", c.What, c.Err) }
func (c *CutOff) Unwrap() error { return c.Err }

// Changed says that a path is not as it was when its change was planned.
type Changed struct{ Path string }

func (c *Changed) Error() string { return c.Path + " has changed in the meantime" }

// stage writes everything that takes room on the disk.
func (t *tx) stage(ctx context.Context, what string, changes []Change) (*journal, error) {
	for _, dir := range []string{newDir, oldDir} {
		if err := t.fs.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("create %s: %w", dir, bare(err))
		}
	}
	j := &journal{What: what}
	var removals, rest []Change
	for _, c := range changes {
		if c.File == nil {
			removals = append(removals, c)
		} else {
			rest = append(rest, c)
		}
	}
	var files []afero.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	made := map[string]bool{}
	for i, c := range append(removals, rest...) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := t.stageOne(j, i, c, made)
		if err != nil {
			return nil, err
		}
		if f != nil {
			files = append(files, f)
		}
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	f, err := t.write(journalTemp, tree.File{Mode: tree.ModeFile, Data: text}, 0)
	if err != nil {
		return nil, fmt.Errorf("write the journal: %w", bare(err))
	}
	files = append(files, f)
	return j, syncAll(files)
}

func (t *tx) stageOne(j *journal, i int, c Change, made map[string]bool) (afero.File, error) {
	now, info, err := t.at(c.Path)
	if err != nil {
		return nil, err
	}
	if digestOf(now) != digestOf(c.Before) {
		return nil, &Changed{Path: c.Path}
	}
	j.Ops = append(j.Ops, op{c.Path, digestOf(c.Before), digestOf(c.File)})
	if c.File == nil {
		return nil, nil
	}
	if err := t.newDirs(j, made, path.Dir(c.Path)); err != nil {
		return nil, err
	}
	perm := c.Perm
	if perm == 0 && info != nil && info.Mode().IsRegular() && tree.NormalMode(info.Mode()) == c.File.Mode {
		perm = info.Mode().Perm()
	}
	f, err := t.write(stagedAt(i), *c.File, perm)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", c.Path, bare(err))
	}
	return f, nil
}

// newDirs notes the directories that the changes make, so that taking back removes them.
func (t *tx) newDirs(j *journal, made map[string]bool, dir string) error {
	if dir == "." || made[dir] {
		return nil
	}
	made[dir] = true
	if err := t.newDirs(j, made, path.Dir(dir)); err != nil {
		return err
	}
	info, _, err := t.fs.LstatIfPossible(dir)
	switch {
	case nothing(err):
		j.Dirs = append(j.Dirs, dir)
	case err != nil:
		return fmt.Errorf("%s: %w", dir, bare(err))
	case !info.IsDir() && !removed(j, dir):
		return throughLink(dir)
	case !info.IsDir():
		j.Dirs = append(j.Dirs, dir)
	}
	return nil
}

func throughLink(dir string) error {
	return fmt.Errorf("%s is not a directory, and rustgen does not write through links", dir)
}

func removed(j *journal, p string) bool {
	for _, o := range j.Ops {
		if o.Path == p && o.removes() {
			return true
		}
	}
	return false
}

// write makes a file that did not exist, with the given permissions; 0 leaves them to the umask. At no moment has it more
// than those. The open file is for syncing; a link has none.
func (t *tx) write(at string, f tree.File, perm fs.FileMode) (afero.File, error) {
	if f.IsLink() {
		return nil, t.fs.SymlinkIfPossible(string(f.Data), at)
	}
	mode := f.Mode
	if perm != 0 {
		mode &= perm
	}
	out, err := t.fs.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	if _, err := out.Write(f.Data); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if perm != 0 {
		info, err := out.Stat()
		if err == nil && info.Mode().Perm() != perm {
			err = t.fs.Chmod(at, perm)
		}
		if err != nil {
			return nil, errors.Join(err, out.Close())
		}
	}
	return out, nil
}

// syncAll syncs side by side: a file system's journal takes many at the price of one.
func syncAll(files []afero.File) error {
	errs := make([]error, len(files))
	var wait sync.WaitGroup
	for i, f := range files {
		wait.Go(func() {
			if err := f.Sync(); err != nil {
				errs[i] = fmt.Errorf("sync: %w", bare(err))
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// syncDir makes the names in a directory durable. Not every system can; the order of renames is then the file system's.
func (t *tx) syncDir(dir string) {
	if f, err := t.fs.Open(dir); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}

// at reads what stands at a path; nil for nothing, or for a directory. A link on the way is not followed.
func (t *tx) at(p string) (*tree.File, fs.FileInfo, error) {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if info, _, err := t.fs.LstatIfPossible(dir); err == nil && !info.IsDir() {
			return nil, nil, nil
		}
	}
	info, _, err := t.fs.LstatIfPossible(p)
	switch {
	case nothing(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", p, bare(err))
	case info.IsDir():
		return nil, nil, nil
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := t.fs.ReadlinkIfPossible(p)
		return &tree.File{Mode: tree.ModeLink, Data: []byte(target)}, info, err
	}
	if !info.Mode().IsRegular() || info.Size() > tree.MaxBytes {
		return nil, nil, fmt.Errorf("%s: it is not a regular file of at most %d MiB", p, tree.MaxBytes>>20)
	}
	data, err := afero.ReadFile(t.fs, p)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p, bare(err))
	}
	return &tree.File{Mode: tree.NormalMode(info.Mode()), Data: data}, info, nil
}

// clear removes the transaction's own files, the journal first: without one there is nothing to finish.
func (t *tx) clear() error {
	for _, name := range []string{journalName, backName} {
		if err := t.fs.Remove(name); err != nil && !nothing(err) {
			return fmt.Errorf("remove %s: %w", name, bare(err))
		}
	}
	if err := t.fs.RemoveAll(txDir); err != nil {
		return fmt.Errorf("remove %s: %w", txDir, bare(err))
	}
	return nil
}

// nothing reports whether an error says that there is nothing at a path.
func nothing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
