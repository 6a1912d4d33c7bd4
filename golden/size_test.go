package golden

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"testing"

	"rustgen/internal/tree"
)

// What a reader can hold in the head. A line of code is one that is neither empty nor only a comment, above the file's
// unit tests.
const (
	mostOfSrc   = 250
	mostOfAFile = 400 // of all its lines
	mostFiles   = 60  // of a service, without the layer
)

// TestSize holds what a service is given to its limits, in every kept service; one of them holds the layer.
func TestSize(t *testing.T) {
	for _, s := range services(t) {
		t.Run(s.name, func(t *testing.T) {
			src, files := 0, 0
			for _, p := range s.tree.Paths() {
				if !strings.HasPrefix(p, "crates/") {
					files++
				}
				if path.Ext(p) != ".rs" {
					continue
				}
				code, all := lines(s.tree[p])
				if strings.HasPrefix(p, "src/") {
					src += code
				}
				if all > mostOfAFile {
					t.Errorf("%s has %d lines, and %d is the most", p, all, mostOfAFile)
				}
				if keeps := []string{"alloc.rs", "target_cpu.rs"}; bytes.Contains(s.tree[p].Data, []byte("unsafe {")) && !slices.Contains(keeps, path.Base(p)) {
					t.Errorf("%s is unsafe", p)
				}
			}
			if src >= mostOfSrc {
				t.Errorf("%d lines of code in src", src)
			}
			if s.name == "hello" && files > mostFiles {
				t.Errorf("%d files without the layer", files)
			}
			t.Logf("%d lines of code in src, %d files without the layer", src, files)
		})
	}
}

// lines of code of a Rust file, and all of its lines.
func lines(f tree.File) (code, all int) {
	tests := false
	for line := range bytes.Lines(f.Data) {
		all++
		line = bytes.TrimSpace(line)
		tests = tests || bytes.Equal(line, []byte("#[cfg(test)]"))
		if !tests && len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			code++
		}
	}
	return code, all
}
