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
type tx struct {
	fs FS
	// dir is where the transaction keeps its own files.
	dir string
	// from is a directory with the new files, which are moved from there; "" where they are written.
	from string
}

// txDir is where the transaction of a service keeps its own files.
const txDir = ".rustgen/tx"

func (t *tx) journalTemp() string { return t.dir + "/journal.tmp" }
func (t *tx) journalName() string { return t.dir + "/journal" }

// backName is the journal of a transaction that is being taken back.
func (t *tx) backName() string { return t.dir + "/journal.back" }
func (t *tx) newDir() string   { return t.dir + "/new" }
func (t *tx) oldDir() string   { return t.dir + "/old" }

// stagedAt is where the new entry of an op waits, replacedAt where its old one goes, and repository where that of a new
// service waits.
func (t *tx) stagedAt(i int) string   { return t.newDir() + "/" + strconv.Itoa(i) }
func (t *tx) replacedAt(i int) string { return t.oldDir() + "/" + strconv.Itoa(i) }
func (t *tx) repository() string      { return t.newDir() + "/" + repository }

// repository is the directory of git's repository.
const repository = ".git"

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
	// Repository says that the repository of a new service comes last.
	Repository bool `json:"repository,omitempty"`
}

// op is one change in a journal. Digests name entries; "" is none.
type op struct {
	Path   string `json:"path"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (o op) removes() bool { return o.After == "" }

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
	return (&tx{fs: fsys, dir: txDir}).run(ctx, what, changes)
}

func (t *tx) run(ctx context.Context, what string, changes []Change) error {
	j, err := t.stage(ctx, what, changes)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return errors.Join(err, t.clear())
	}
	if err := t.fs.Rename(t.journalTemp(), t.journalName()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", t.journalName(), bare(err)), t.clear())
	}
	t.syncDir(t.dir)
	return t.finish(j)
}

// FS is what a transaction works on: links need more than afero.Fs.
type FS interface {
	afero.Fs
	afero.Symlinker
}

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
	for _, dir := range []string{t.newDir(), t.oldDir()} {
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
	var files unsynced
	defer files.close()
	made := map[string]bool{}
	for i, c := range append(removals, rest...) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := t.stageOne(j, i, c, made)
		if err != nil {
			return nil, err
		}
		if err := files.add(f); err != nil {
			return nil, err
		}
	}
	var err error
	if j.Repository, err = t.stageRepository(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	f, err := t.write(t.journalTemp(), tree.File{Mode: tree.ModeFile, Data: text}, 0)
	if err != nil {
		return nil, fmt.Errorf("write the journal: %w", bare(err))
	}
	files = append(files, f)
	return j, files.sync()
}

// stageRepository takes the repository that was made with the new files, if one was.
func (t *tx) stageRepository() (bool, error) {
	if t.from == "" {
		return false, nil
	}
	made := t.from + "/" + repository
	if there, err := t.exists(made); err != nil || !there {
		return false, err
	}
	return true, t.fs.Rename(made, t.repository())
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
	if t.from != "" {
		return t.take(i, c)
	}
	perm := c.Perm
	if perm == 0 && info != nil && info.Mode().IsRegular() && tree.NormalMode(info.Mode()) == c.File.Mode {
		perm = info.Mode().Perm()
	}
	f, err := t.write(t.stagedAt(i), *c.File, perm)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", c.Path, bare(err))
	}
	return f, nil
}

// take moves a new entry to where it waits. The open file is for syncing; a link has none.
func (t *tx) take(i int, c Change) (afero.File, error) {
	if err := t.fs.Rename(t.from+"/"+c.Path, t.stagedAt(i)); err != nil {
		return nil, fmt.Errorf("write %s: %w", c.Path, bare(err))
	}
	if c.File.IsLink() {
		return nil, nil
	}
	return t.fs.Open(t.stagedAt(i))
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

// unsynced are open files that are to be synced. They are so side by side: a file system's journal takes many at the
// price of one.
type unsynced []afero.File

// add takes a file, if there is one. Where many are open, they are synced at once: a process may have only so many.
func (u *unsynced) add(f afero.File) error {
	const most = 256
	if f != nil {
		*u = append(*u, f)
	}
	if len(*u) < most {
		return nil
	}
	err := u.sync()
	u.close()
	return err
}

func (u *unsynced) close() {
	for _, f := range *u {
		_ = f.Close()
	}
	*u = nil
}

func (u *unsynced) sync() error {
	files := *u
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
	for _, name := range []string{t.journalName(), t.backName()} {
		if err := t.fs.Remove(name); err != nil && !nothing(err) {
			return fmt.Errorf("remove %s: %w", name, bare(err))
		}
	}
	if err := t.fs.RemoveAll(t.dir); err != nil {
		return fmt.Errorf("remove %s: %w", t.dir, bare(err))
	}
	return nil
}

// nothing reports whether an error says that there is nothing at a path.
func nothing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
