package internal_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	rustBlock   = regexp.MustCompile("(?s)```rust\n(.*?)```")
	indentation = regexp.MustCompile(`(?m)^ +`)
)

// TestTheReadmesRustIsCompiled holds the Rust in the README of services to that of a conformance test, which compiles and runs
// it. Only the indentation may differ.
func TestTheReadmesRustIsCompiled(t *testing.T) {
	read := func(file string) string {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	compiled := indentation.ReplaceAllString(read("../templates/hotpath/conformance/tests/conformance/seams.rs"), "")
	blocks := rustBlock.FindAllStringSubmatch(read("../templates/hotpath/files/README.md.tmpl"), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d blocks of Rust in the README, want one for each seam", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(compiled, indentation.ReplaceAllString(block[1], "")) {
			t.Errorf("no test compiles this part of the README:\n%s", block[1])
		}
	}
}
