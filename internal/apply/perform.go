package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/afero"
)

// forward makes every change that is not yet made. It may be called again after any interruption.
func (t *tx) forward(j *journal) error {
	for i, o := range j.Ops {
		if o.removes() {
			if err := t.remove(i, o); err != nil {
				return fmt.Errorf("remove %s: %w", o.Path, bare(err))
			}
		}
	}
	for i, o := range j.Ops {
		if o.removes() {
			continue
		}
		if err := t.replace(i, o); err != nil {
			return fmt.Errorf("write %s: %w", o.Path, bare(err))
		}
	}
	if err := t.placeRepository(j); err != nil {
		return fmt.Errorf("write %s: %w", repository, bare(err))
	}
	t.syncDirs(j)
	return nil
}

// placeRepository puts the repository of a new service in place, which all that it has committed stands in by now.
func (t *tx) placeRepository(j *journal) error {
	if !j.Repository {
		return nil
	}
	if waiting, err := t.exists(t.repository()); err != nil || !waiting {
		return err
	}
	if there, err := t.exists(repository); err != nil || there {
		return errors.Join(err, errors.New("there is a repository already"))
	}
	return t.fs.Rename(t.repository(), repository)
}

// syncDirs makes the new names durable before the journal goes.
func (t *tx) syncDirs(j *journal) {
	dirs := map[string]bool{}
	var wait sync.WaitGroup
	for _, o := range j.Ops {
		if dir := path.Dir(o.Path); !dirs[dir] {
			dirs[dir] = true
			wait.Go(func() { t.syncDir(dir) })
		}
	}
	wait.Wait()
}

func (t *tx) exists(p string) (bool, error) {
	_, _, err := t.fs.LstatIfPossible(p)
	if nothing(err) {
		return false, nil
	}
	return err == nil, err
}

// unchanged refuses a path that somebody has changed after the run was cut off, or that leads through a link by now.
func (t *tx) unchanged(o op, want string) error {
	if link := t.linkAbove(o.Path); link != "" {
		return throughLink(link)
	}
	now, _, err := t.at(o.Path)
	if err != nil {
		return err
	}
	if digestOf(now) != want {
		return &Changed{Path: o.Path}
	}
	return nil
}

func (t *tx) remove(i int, o op) error {
	done, err := t.exists(t.replacedAt(i))
	if err != nil {
		return err
	}
	if !done {
		if err := t.unchanged(o, o.Before); err != nil {
			return err
		}
		if err := t.fs.Rename(o.Path, t.replacedAt(i)); err != nil {
			return err
		}
	}
	t.prune(path.Dir(o.Path))
	return nil
}

// prune removes directories that a removal left empty, as far as they can be.
func (t *tx) prune(dir string) {
	for ; dir != "."; dir = path.Dir(dir) {
		if !t.removeDir(dir) {
			return
		}
	}
}

// removeDir removes an empty directory, and reports whether there is none any more.
func (t *tx) removeDir(dir string) bool {
	info, _, err := t.fs.LstatIfPossible(dir)
	if err != nil {
		return nothing(err)
	}
	return info.IsDir() && t.fs.Remove(dir) == nil
}

func (t *tx) replace(i int, o op) error {
	waiting, err := t.exists(t.stagedAt(i))
	if err != nil || !waiting {
		return err
	}
	kept, err := t.exists(t.replacedAt(i))
	if err != nil {
		return err
	}
	if o.Before != "" && !kept {
		if err := t.unchanged(o, o.Before); err != nil {
			return err
		}
		if err := t.fs.Rename(o.Path, t.replacedAt(i)); err != nil {
			return err
		}
	} else if err := t.unchanged(o, ""); err != nil {
		return err
	}
	if err := t.fs.MkdirAll(path.Dir(o.Path), 0o755); err != nil {
		return err
	}
	// An empty directory may stand where the file goes; one with files in it stays, and stops the run.
	if info, _, err := t.fs.LstatIfPossible(o.Path); err == nil && info.IsDir() {
		if err := t.fs.Remove(o.Path); err != nil {
			return err
		}
	}
	return t.fs.Rename(t.stagedAt(i), o.Path)
}

// takeBack undoes what forward has done, last first.
func (t *tx) takeBack(j *journal) error {
	if err := t.fs.Rename(t.journalName(), t.backName()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take back: %w", bare(err))
	}
	for _, removals := range []bool{false, true} {
		for i := len(j.Ops) - 1; i >= 0; i-- {
			if j.Ops[i].removes() != removals {
				continue
			}
			if err := t.back(i, j.Ops[i]); err != nil {
				return fmt.Errorf("take back %s: %w", j.Ops[i].Path, bare(err))
			}
		}
		if !removals {
			for i := len(j.Dirs) - 1; i >= 0; i-- {
				t.removeDir(j.Dirs[i])
			}
		}
	}
	return t.clear()
}

func (t *tx) back(i int, o op) error {
	if !o.removes() {
		waiting, err := t.exists(t.stagedAt(i))
		if err != nil {
			return err
		}
		there, err := t.exists(o.Path)
		if err != nil {
			return err
		}
		if !waiting && there {
			if err := t.unchanged(o, o.After); err != nil {
				return err
			}
			if err := t.fs.Rename(o.Path, t.stagedAt(i)); err != nil {
				return err
			}
		}
	}
	kept, err := t.exists(t.replacedAt(i))
	if err != nil || !kept {
		return err
	}
	if err := t.unchanged(o, ""); err != nil {
		return err
	}
	if err := t.fs.MkdirAll(path.Dir(o.Path), 0o755); err != nil {
		return err
	}
	return t.fs.Rename(t.replacedAt(i), o.Path)
}

// Recovered is what became of a run that was cut off.
type Recovered struct {
	// What the run was about, and whether it is now finished or taken back.
	What     string
	Finished bool
}

// Damaged is what lies in .rustgen/tx and no run of rustgen has left there. Nothing of it is carried out.
type Damaged struct{ Err error }

func (d *Damaged) Error() string { return d.Err.Error() }
func (d *Damaged) Unwrap() error { return d.Err }

func damaged(format string, args ...any) error { return &Damaged{fmt.Errorf(format, args...)} }

// Recover finishes or takes back what an earlier run has left; nil where there was nothing. The caller holds the lock.
//
// A journal may come with a repository that somebody else made: check refuses a path that rustgen does not write.
func Recover(fsys FS, check func(path string) error) (*Recovered, error) {
	t := &tx{fs: fsys, dir: txDir}
	// A .rustgen that is a link is not entered: whoever reads the record refuses it.
	if info, _, err := fsys.LstatIfPossible(path.Dir(txDir)); err != nil || !info.IsDir() {
		return nil, nil
	}
	if _, _, err := fsys.LstatIfPossible(txDir); err != nil {
		return nil, nil
	}
	return t.recover(Check{Path: check})
}

// Check refuses what no run of rustgen has left: a path that it does not write, and a repository that it has not made.
// Where Repository is nil there is none.
type Check struct {
	Path       func(path string) error
	Repository func(files fs.FS) error
}

func (t *tx) recover(check Check) (*Recovered, error) {
	for _, dir := range []string{t.dir, t.newDir(), t.oldDir()} {
		if info, _, err := t.fs.LstatIfPossible(dir); err == nil && !info.IsDir() {
			return nil, damaged("%s is not a directory", dir)
		}
	}
	j, back, err := t.readJournal()
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, t.clear()
	}
	if err := t.checkJournal(j, check); err != nil {
		return nil, damaged("%s: %w", t.journalName(), err)
	}
	if back {
		return &Recovered{What: j.What}, t.takeBack(j)
	}
	if err := t.finish(j); err != nil {
		var cut *CutOff
		if errors.As(err, &cut) {
			return nil, err
		}
		return &Recovered{What: j.What}, nil
	}
	return &Recovered{What: j.What, Finished: true}, nil
}

// Pending is what an earlier run was about that has left a transaction, which the next writer's [Recover] ends; "" where
// there is none. It changes nothing; what Recover refuses is an error here, too.
func Pending(fsys FS, check func(path string) error) (what string, err error) {
	t := &tx{fs: fsys, dir: txDir}
	if info, _, err := fsys.LstatIfPossible(txDir); err != nil || !info.IsDir() {
		return "", nil
	}
	j, _, err := t.readJournal()
	if err != nil || j == nil {
		return "", err
	}
	if err := t.checkJournal(j, Check{Path: check}); err != nil {
		return "", damaged("%s: %w", t.journalName(), err)
	}
	return j.What, nil
}

// readJournal reads the journal, or the one of a transaction that is being taken back; nil where there is none.
func (t *tx) readJournal() (j *journal, back bool, err error) {
	for _, name := range []string{t.journalName(), t.backName()} {
		info, _, err := t.fs.LstatIfPossible(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, bare(err))
		}
		if !info.Mode().IsRegular() || info.Size() > maxJournal {
			return nil, false, damaged("%s is not a regular file of at most %d MiB", name, maxJournal>>20)
		}
		data, err := afero.ReadFile(t.fs, name)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, bare(err))
		}
		j = &journal{}
		if err := json.Unmarshal(data, j); err != nil {
			return nil, false, damaged("%s: %w", name, err)
		}
		return j, name == t.backName(), nil
	}
	return nil, false, nil
}

// checkJournal refuses a journal that Transact cannot have written, before anything of it is done.
func (t *tx) checkJournal(j *journal, check Check) error {
	if j.Repository {
		if err := t.checkRepository(check); err != nil {
			return err
		}
	}
	for i, o := range j.Ops {
		if err := check.Path(o.Path); err != nil {
			return err
		}
		if o.Before == "" && o.After == "" {
			return fmt.Errorf("%s: there is nothing to do", o.Path)
		}
		// A link that is to be removed first is in no path's way.
		if link := t.linkAbove(o.Path); link != "" && !removed(j, link) {
			return throughLink(link)
		}
		if err := t.checkKept(i, o); err != nil {
			return err
		}
	}
	above := map[string]bool{}
	for _, o := range j.Ops {
		for dir := path.Dir(o.Path); dir != "."; dir = path.Dir(dir) {
			above[dir] = true
		}
	}
	for _, dir := range j.Dirs {
		if !above[dir] {
			return fmt.Errorf("%s: no change is made in this directory", dir)
		}
	}
	return nil
}

// checkRepository refuses a repository that waits for its place and is not the one that was made for a new service.
func (t *tx) checkRepository(check Check) error {
	if check.Repository == nil {
		return errors.New("no repository comes with a change of a service")
	}
	info, _, err := t.fs.LstatIfPossible(t.repository())
	if nothing(err) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return errors.Join(err, fmt.Errorf("%s is not a directory", t.repository()))
	}
	if there, err := t.exists(repository); err != nil || there {
		return errors.Join(err, errors.New("it holds a repository, and there is one already"))
	}
	return check.Repository(afero.NewIOFS(afero.NewBasePathFs(t.fs, t.repository())))
}

// checkKept refuses a file that waits for its place, or that has given way, and is not the one that the journal names.
func (t *tx) checkKept(i int, o op) error {
	for at, want := range map[string]string{t.stagedAt(i): o.After, t.replacedAt(i): o.Before} {
		f, _, err := t.at(at)
		if err != nil {
			return err
		}
		if f != nil && digestOf(f) != want {
			return fmt.Errorf("%s is not what the journal says of %s", at, o.Path)
		}
	}
	return nil
}

// linkAbove is the link that a path leads through, the outermost of several; "" for none.
func (t *tx) linkAbove(p string) string {
	link := ""
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if info, _, err := t.fs.LstatIfPossible(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			link = dir
		}
	}
	return link
}

// patience is how long Lock waits for another run, or for the children that a killed one leaves for a moment.
const patience = 3 * time.Second

// Lock keeps other runs of rustgen out of a directory.
func Lock(dir string) (unlock func(), err error) {
	lock := flock.New(dir, flock.SetFlag(os.O_RDONLY))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	held, err := lock.TryLockContext(ctx, 20*time.Millisecond)
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("lock %s: %w", dir, bare(err))
	}
	if !held {
		return nil, fmt.Errorf("another rustgen is at work in %s", dir)
	}
	return func() { _ = lock.Unlock() }, nil
}
