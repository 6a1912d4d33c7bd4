package merge

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

const packDir = "objects/pack"

// packKinds are the types of objects as a pack numbers them.
var packKinds = map[string]byte{"commit": 1, "tree": 2, "blob": 3}

// flush writes all objects as a pack with its index (version 2 of both, as gitformat-pack describes them), uncompressed:
// they live for one merge.
func (s *store) flush() error {
	names := slices.Sorted(maps.Keys(s.objects))
	var pack bytes.Buffer
	pack.WriteString("PACK")
	number := func(n int) { _ = binary.Write(&pack, binary.BigEndian, uint32(n)) }
	number(2)
	number(len(names))
	zip, err := zlib.NewWriterLevel(&pack, zlib.NoCompression)
	if err != nil {
		return err
	}
	offsets, sums := make([]uint32, len(names)), make([]uint32, len(names))
	for i, name := range names {
		o := s.objects[name]
		start := pack.Len()
		offsets[i] = uint32(start)
		head(&pack, packKinds[o.kind], len(o.data))
		zip.Reset(&pack)
		if _, err := zip.Write(o.data); err != nil {
			return err
		}
		if err := zip.Close(); err != nil {
			return err
		}
		sums[i] = crc32.ChecksumIEEE(pack.Bytes()[start:])
	}
	digest := sha1.Sum(pack.Bytes())
	pack.Write(digest[:])
	at := filepath.Join(s.dir, filepath.FromSlash(packDir), "pack-"+hex.EncodeToString(digest[:]))
	if err := os.WriteFile(at+".pack", pack.Bytes(), 0o400); err != nil {
		return err
	}
	return os.WriteFile(at+".idx", index(names, offsets, sums, digest), 0o400)
}

// head writes an object's type and size, seven bits a byte after the first four.
func head(to *bytes.Buffer, kind byte, size int) {
	b := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		to.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	to.WriteByte(b)
}

// index finds objects by name.
func index(names []string, offsets, sums []uint32, pack [sha1.Size]byte) []byte {
	var out bytes.Buffer
	out.WriteString("\xfftOc")
	number := func(n uint32) { _ = binary.Write(&out, binary.BigEndian, n) }
	number(2)
	raw := make([][]byte, len(names))
	var below [256]uint32
	for i, name := range names {
		raw[i], _ = hex.DecodeString(name)
		for b := int(raw[i][0]); b < 256; b++ {
			below[b]++
		}
	}
	for _, n := range below {
		number(n)
	}
	for _, r := range raw {
		out.Write(r)
	}
	for _, n := range sums {
		number(n)
	}
	for _, n := range offsets {
		number(n)
	}
	out.Write(pack[:])
	digest := sha1.Sum(out.Bytes())
	out.Write(digest[:])
	return out.Bytes()
}
