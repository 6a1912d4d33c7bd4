package suites

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"rustgen/internal/parity/live"
)

// kinds are what the handlers are served by: the argument of the server.
var kinds = []string{"hotpath", "tonic"}

// workdir holds the server until the last test.
var workdir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "rustgen-suites-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		workdir = dir
		return m.Run()
	}())
}

// built compiles the server once.
var built = sync.OnceValues(func() (string, error) {
	to := filepath.Join(workdir, "hotpath-suites")
	const folder = "../../templates/hotpath"
	return to, live.Build(folder, "hotpath-suites", to, []string{live.RustFlags}, "--package", "hotpath-suites", "--locked")
})

// needCargo skips the test aloud without cargo, or fails it where RUSTGEN_REQUIRE_TOOLS is set.
func needCargo(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("cargo"); err != nil {
		const why = "cargo is missing: https://rustup.rs"
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "" {
			t.Fatal(why)
		}
		t.Skip("SKIPPED: " + why)
	}
}

// server is the compiled server.
func server(t *testing.T) string {
	t.Helper()
	needCargo(t)
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// tool compiles a tool of go.mod, and is where it lies then.
func tool(t *testing.T, name string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "tool", "-n", name)
	command.Stderr = os.Stderr
	path, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSpace(string(path))
}

// serve starts the server until the end of the test, and is the port on which it listens at 127.0.0.1. The server is
// started as the conformance suite does it: a message is read and another written, each after its length in four bytes.
func serve(t *testing.T, kind string) int {
	t.Helper()
	command := exec.CommandContext(t.Context(), server(t), kind)
	command.Stderr = os.Stderr
	// An empty ServerCompatRequest: no limit of a request.
	command.Stdin = strings.NewReader("\x00\x00\x00\x00")
	said, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	length := make([]byte, 4)
	if _, err := io.ReadFull(said, length); err != nil {
		t.Fatalf("the server said nothing: %v", err)
	}
	response := make([]byte, binary.BigEndian.Uint32(length))
	if _, err := io.ReadFull(said, response); err != nil {
		t.Fatal(err)
	}
	return port(t, response)
}

// port is the second field of a ServerCompatResponse.
func port(t *testing.T, response []byte) int {
	t.Helper()
	for len(response) > 0 {
		number, kind, length := protowire.ConsumeTag(response)
		if length < 0 {
			break
		}
		response = response[length:]
		if number == 2 && kind == protowire.VarintType {
			port, _ := protowire.ConsumeVarint(response)
			return int(port)
		}
		length = protowire.ConsumeFieldValue(number, kind, response)
		if length < 0 {
			break
		}
		response = response[length:]
	}
	t.Fatalf("the server did not say on which port it listens")
	return 0
}
