package tree

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/gzip"
)

// The most that an archive may unpack to: a damaged or hostile one must not fill the memory.
const (
	maxArchiveBytes = 256 << 20
	maxArchiveFiles = 100_000
)

// Archive packs the tree as a gzip-compressed tar. The same tree gives the same bytes: paths are sorted, and times and
// owners are left out.
func (t Tree) Archive() ([]byte, error) {
	size := 0
	for _, f := range t {
		size += len(f.Data)
	}
	var out bytes.Buffer
	out.Grow(size / 4)
	zip, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	pack := tar.NewWriter(zip)
	for _, p := range t.Paths() {
		f := t[p]
		head := &tar.Header{Name: p, Mode: int64(f.Mode.Perm()), Format: tar.FormatPAX}
		if f.IsLink() {
			head.Typeflag, head.Linkname = tar.TypeSymlink, string(f.Data)
		} else {
			head.Typeflag, head.Size = tar.TypeReg, int64(len(f.Data))
		}
		if err := pack.WriteHeader(head); err != nil {
			return nil, fmt.Errorf("archive %s: %w", p, err)
		}
		if f.IsLink() {
			continue
		}
		if _, err := pack.Write(f.Data); err != nil {
			return nil, fmt.Errorf("archive %s: %w", p, err)
		}
	}
	if err := errors.Join(pack.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// FromArchive unpacks what Archive packed. It refuses what Archive cannot have written: unclean paths, other kinds of
// entries, duplicates, links that lead outside, and more than 256 MiB.
func FromArchive(data []byte) (Tree, error) {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("not a gzip archive: %w", err)
	}
	limited := &io.LimitedReader{R: zip, N: maxArchiveBytes}
	t := Tree{}
	for pack := tar.NewReader(limited); ; {
		head, err := pack.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("damaged archive: %w", err)
		}
		if _, ok := t[head.Name]; ok {
			return nil, fmt.Errorf("damaged archive: %q stands in it twice", head.Name)
		}
		if len(t) == maxArchiveFiles {
			return nil, fmt.Errorf("archive holds more than %d files", maxArchiveFiles)
		}
		switch head.Typeflag {
		case tar.TypeReg:
			data, err := io.ReadAll(pack)
			if err != nil {
				return nil, fmt.Errorf("damaged archive: %s: %w", head.Name, err)
			}
			t[head.Name] = File{Mode: NormalMode(fs.FileMode(head.Mode)), Data: data}
		case tar.TypeSymlink:
			t[head.Name] = File{Mode: ModeLink, Data: []byte(head.Linkname)}
		default:
			return nil, fmt.Errorf("damaged archive: %q is neither a file nor a link", head.Name)
		}
	}
	// The checksum of gzip stands after the end of the tar: read on to it.
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return nil, fmt.Errorf("damaged archive: %w", err)
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("archive unpacks to more than %d MiB", maxArchiveBytes>>20)
	}
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("damaged archive: %w", err)
	}
	return t, nil
}
