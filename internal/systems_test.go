package internal_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The program compiles where developers sit, though only Linux runs its tests.
func TestOtherSystems(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the program for other systems: left out by -short")
	}
	for _, system := range []string{"darwin/arm64", "windows/amd64", "linux/arm64"} {
		t.Run(system, func(t *testing.T) {
			goos, goarch, _ := strings.Cut(system, "/")
			cmd := exec.Command("go", "vet", "../cmd/...", "../internal/...")
			cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
