package live

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// RustFlags replace what .cargo/config.toml says, so that all services share one set of compiled dependencies, and one
// that was made for a newer CPU runs on an older.
const RustFlags = "RUSTFLAGS=-Ctarget-cpu=x86-64-v2"

// Target is where cargo builds. All services share it, one after the other: their dependencies are the same.
func Target() string {
	if dir := os.Getenv("CARGO_TARGET_DIR"); dir != "" {
		return dir
	}
	return filepath.Join(os.TempDir(), "rustgen-target")
}

// Build runs `cargo build` in dir and copies the binary of that name to a place of its own, safe from the next build.
func Build(dir, name, to string, env []string, args ...string) error {
	cargo := exec.Command("cargo", append([]string{
		"build", "--bin", name, "--message-format", "json-render-diagnostics",
	}, args...)...)
	cargo.Dir = dir
	cargo.Env = append(append(os.Environ(), "CARGO_TARGET_DIR="+Target(), "CARGO_TERM_COLOR=never"), env...)
	var diagnostics bytes.Buffer
	cargo.Stderr = &diagnostics
	messages, err := cargo.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", cargo, err, diagnostics.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(messages))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var message struct{ Executable string }
		if json.Unmarshal(lines.Bytes(), &message) == nil && filepath.Base(message.Executable) == name {
			built, err := os.ReadFile(message.Executable)
			if err != nil {
				return err
			}
			return os.WriteFile(to, built, 0o755)
		}
	}
	return fmt.Errorf("%s: no binary %s", cargo, name)
}
