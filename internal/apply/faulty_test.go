package apply

import (
	"os"
	"sync"

	"github.com/spf13/afero"
)

// faulty is a file system whose n-th call fails, once or from then on.
type faulty struct {
	FS
	mu     sync.Mutex
	left   int
	broken bool
	// forever breaks every call after the first that failed, as a process that was killed makes no more.
	forever bool
	// reads counts calls that only read, too.
	reads bool
	err   error
}

func (f *faulty) fault(write bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !write && !f.reads {
		if f.broken && f.forever {
			return f.err
		}
		return nil
	}
	f.left--
	if f.left == 0 {
		f.broken = true
	}
	if f.left == 0 || f.broken && f.forever {
		return f.err
	}
	return nil
}

func (f *faulty) OpenFile(name string, flag int, mode os.FileMode) (afero.File, error) {
	if err := f.fault(flag&os.O_CREATE != 0); err != nil {
		return nil, err
	}
	file, err := f.FS.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faulty) Open(name string) (afero.File, error) {
	if err := f.fault(false); err != nil {
		return nil, err
	}
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faulty) LstatIfPossible(name string) (os.FileInfo, bool, error) {
	if err := f.fault(false); err != nil {
		return nil, true, err
	}
	return f.FS.LstatIfPossible(name)
}

func (f *faulty) MkdirAll(name string, mode os.FileMode) error {
	if err := f.fault(true); err != nil {
		return err
	}
	return f.FS.MkdirAll(name, mode)
}

func (f *faulty) Remove(name string) error {
	if err := f.fault(true); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *faulty) RemoveAll(name string) error {
	if err := f.fault(true); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

func (f *faulty) Rename(from, to string) error {
	if err := f.fault(true); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faulty) Chmod(name string, mode os.FileMode) error {
	if err := f.fault(true); err != nil {
		return err
	}
	return f.FS.Chmod(name, mode)
}

func (f *faulty) SymlinkIfPossible(target, name string) error {
	if err := f.fault(true); err != nil {
		return err
	}
	return f.FS.SymlinkIfPossible(target, name)
}

type faultyFile struct {
	afero.File
	fs *faulty
}

func (f *faultyFile) Write(data []byte) (int, error) {
	if err := f.fs.fault(true); err != nil {
		// A full disk takes what it can.
		n, _ := f.File.Write(data[:len(data)/2])
		return n, err
	}
	return f.File.Write(data)
}

// Sync does not wait for the disk, which outlives these tests anyway.
func (f *faultyFile) Sync() error { return f.fs.fault(true) }

// calm is a file system without faults.
func calm(root Root) *faulty { return &faulty{FS: root} }
