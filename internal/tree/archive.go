package tree

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Archive packs the tree as a gzip-compressed tar. The same tree gives the same bytes: paths are sorted, and times and
// owners are left out.
func (t Tree) Archive() ([]byte, error) {
	zip := &members{}
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
	err := pack.Close()
	data, zipped := zip.close()
	if err := errors.Join(err, zipped); err != nil {
		return nil, err
	}
	return data, nil
}

// FromArchive unpacks what Archive packed. It refuses what Archive cannot have written: unclean paths, other kinds of
// entries, sparse files, duplicates, links that lead outside, and more than 100,000 files or 256 MiB.
func FromArchive(data []byte) (Tree, error) {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("not a gzip archive: %w", err)
	}
	// The heads of the entries take room in the stream, too, and none in the tree.
	limited := &io.LimitedReader{R: zip, N: 2 * MaxBytes}
	t := Tree{}
	room := Room{}
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
		if t[head.Name], err = entry(pack, head, &room); err != nil {
			return nil, err
		}
	}
	// The checksum of gzip stands after the end of the tar: read on to it.
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return nil, fmt.Errorf("damaged archive: %w", err)
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("archive unpacks to more than %d MiB", 2*MaxBytes>>20)
	}
	if err := t.CheckContained(); err != nil {
		return nil, fmt.Errorf("damaged archive: %w", err)
	}
	return t, nil
}

// entry reads one entry. A sparse file is refused: a few bytes of the archive would be any number in memory.
func entry(pack *tar.Reader, head *tar.Header, room *Room) (File, error) {
	for key := range head.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return File{}, fmt.Errorf("damaged archive: %q is a sparse file", head.Name)
		}
	}
	if err := room.Take(head.Size); err != nil {
		return File{}, fmt.Errorf("archive holds %w", err)
	}
	switch head.Typeflag {
	case tar.TypeReg:
		data, err := readInto(make([]byte, 0, min(head.Size+1, 1<<20)), io.LimitReader(pack, head.Size))
		if err != nil || int64(len(data)) != head.Size {
			return File{}, fmt.Errorf("damaged archive: %s: %w", head.Name, cmp.Or(err, io.ErrUnexpectedEOF))
		}
		return File{Mode: NormalMode(fs.FileMode(head.Mode)), Data: data}, nil
	case tar.TypeSymlink:
		return File{Mode: ModeLink, Data: []byte(head.Linkname)}, nil
	default:
		return File{}, fmt.Errorf("damaged archive: %q is neither a file nor a link", head.Name)
	}
}
