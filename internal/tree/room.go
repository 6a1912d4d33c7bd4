package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// The most that a tree may hold, in an archive, in a template set, and rendered: a damaged or hostile one must not fill
// the memory.
const (
	MaxBytes = 256 << 20
	MaxFiles = 100_000
)

// Room is what is left of the most that a tree may hold. The zero value is all of it.
type Room struct {
	files int
	bytes int64
}

// Take takes the room of one more file.
func (r *Room) Take(size int64) error {
	if r.files++; r.files > MaxFiles {
		return fmt.Errorf("more than %d files", MaxFiles)
	}
	if size < 0 || size > MaxBytes-r.bytes {
		return fmt.Errorf("more than %d MiB", MaxBytes>>20)
	}
	r.bytes += size
	return nil
}

// ReadFile reads a regular file as far as there is room. What is something else is not opened: a pipe would never end.
func (r *Room) ReadFile(files fs.FS, p string) ([]byte, error) {
	data, err := ReadRegular(files, p, MaxBytes-r.bytes)
	if errors.Is(err, errTooLarge) {
		return nil, fmt.Errorf("the files are more than %d MiB together", MaxBytes>>20)
	}
	if err != nil {
		return nil, err
	}
	return data, r.Take(int64(len(data)))
}

var errTooLarge = errors.New("it is too large")

// ReadRegular reads a regular file of at most so many bytes. The caller's message names the file.
func ReadRegular(files fs.FS, p string, most int64) ([]byte, error) {
	info, err := fs.Stat(files, p)
	if err != nil {
		return nil, err
	}
	tooLarge := fmt.Errorf("%w: more than %d MiB", errTooLarge, most>>20)
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > most:
		return nil, tooLarge
	}
	f, err := files.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, 0, info.Size()+1)
	data, err = readInto(data, io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = tooLarge
	}
	return data, err
}

// readInto is io.ReadAll into a buffer that has the room already.
func readInto(data []byte, from io.Reader) ([]byte, error) {
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := from.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
	}
}
