package tree

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand"
	"runtime"
	"testing"
)

// What does not fit one member is the same bytes on one processor and on many, and any reader takes it for one stream.
func TestMembers(t *testing.T) {
	source := rand.New(rand.NewSource(1))
	for _, size := range []int{0, 1, memberSize - 1, memberSize, memberSize + 1, 5*memberSize + 7} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			text := make([]byte, size)
			for i := range text {
				text[i] = byte('a' + source.Intn(4))
			}
			pack := func(processors int) []byte {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
				m := &members{}
				for rest := text; len(rest) > 0; {
					n := min(len(rest), 1+source.Intn(memberSize))
					if _, err := m.Write(rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				data, err := m.close()
				if err != nil {
					t.Fatal(err)
				}
				return data
			}
			one := pack(1)
			if !bytes.Equal(one, pack(4)) {
				t.Error("the bytes depend on how many processors there are")
			}
			if size == 0 {
				return
			}
			zip, err := gzip.NewReader(bytes.NewReader(one))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(zip)
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes came back, of %d (%v)", len(got), size, err)
			}
		})
	}
}
