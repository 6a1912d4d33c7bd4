//go:build unix

package cli

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// One signal ends a run that renders, whatever the template set keeps it busy with.
func TestSignalEndsARunThatRenders(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		work := t.TempDir()
		writeFiles(t, work, map[string]string{
			"set/template.yaml":    "name: small\nversion: 1.0.0\n",
			"set/files/a.txt.tmpl": `<% $x := until 10000 %><% range $x %><% range $x %><% range $x %><% end %><% end %><% end %>`,
		})
		cmd := rustgenIn(t, work, "new", "svc", "--yes", "--template", "set")
		var errs strings.Builder
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		began := time.Now()
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted || !strings.HasPrefix(errs.String(), "error: interrupted; nothing was written") {
			t.Errorf("%v: %v after %v, %s", signal, err, time.Since(began), &errs)
		}
	}
}
