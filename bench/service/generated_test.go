package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"rustgen/internal/parity/live"
)

var update = flag.Bool("update", false, "write the copies again")

// The proto and the Go stubs that all servers share are copies of what is generated: they must not fall behind.
func TestCopiesAreCurrent(t *testing.T) {
	tree, err := live.Render("hello", map[string]string{"downstream": "prices"})
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		"proto/hello/v1/hello.proto":           "proto/hello/v1/hello.proto",
		"proto/foreign/prices/v1/prices.proto": "proto/prices/v1/prices.proto",
		"clients/go/hello/v1/hello.pb.go":      "hellov1/hello.pb.go",
		"clients/go/hello/v1/hello_grpc.pb.go": "hellov1/hello_grpc.pb.go",
	} {
		file, ok := tree.Files[from]
		if !ok {
			t.Fatalf("no %s is generated", from)
		}
		kept, err := os.ReadFile(to)
		if err == nil && bytes.Equal(kept, file.Data) {
			continue
		}
		if !*update {
			t.Errorf("%s is not what is generated (%v): go test . -run Copies -update", to, err)
			continue
		}
		if err := os.WriteFile(to, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The edits must find their place in what is generated.
func TestEditsFit(t *testing.T) {
	tree, err := source()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		if !bytes.Contains(tree.Files[e.file].Data, []byte(e.new)) {
			t.Errorf("%s is not edited", e.file)
		}
	}
}
