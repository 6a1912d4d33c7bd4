package servicetest

import (
	"os"
	"os/exec"
	"testing"
)

// layer is where the server layer is a workspace of its own.
const layer = "../../templates/hotpath"

// TestLayer holds the server layer to its own tests, once for all services: unit tests, conformance, and a planted
// violation of each ban of clippy.toml. What depends on the exporter of traces is run without it too.
func TestLayer(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the layer: left out by -short")
	}
	if _, err := exec.LookPath("cargo"); err != nil {
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "" {
			t.Fatal("there is no cargo")
		}
		t.Skip("SKIPPED: there is no cargo: the server layer is not tested")
	}
	run(t, layer, 0, "cargo", "fmt", "--all", "--check")
	run(t, layer, 0, "cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-Dwarnings")
	run(t, layer, 0, "cargo", "test", "--locked", "--workspace", "--quiet")
	run(t, layer, 0, "cargo", "test", "--locked", "--package", "hotpath-conformance", "--no-default-features", "--quiet")
}
