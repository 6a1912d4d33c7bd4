package ship

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// container is a running image.
type container struct {
	image
	id, listen string
}

// start runs the image as the manifest does, on an address of its own, until the end of the test.
func (i image) start(options ...string) (*container, error) {
	t := i.t
	d, err := i.build("prod")
	if err != nil {
		t.Fatal(err)
	}
	manifest := d.template.Spec.Containers[0]
	memory := manifest.Resources.Limits.Memory().Value()
	c := &container{image: i, listen: freeAddress(t)}
	args := []string{"docker", "run", "--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--memory", fmt.Sprint(memory), "--memory-swap", fmt.Sprint(memory),
		"--cpus", fmt.Sprint(manifest.Resources.Limits.Cpu().AsApproximateFloat64()),
		"--health-interval", "500ms", "--health-retries", "3"}
	for _, mount := range manifest.VolumeMounts {
		args = append(args, "--tmpfs", mount.MountPath+":uid=65532,gid=65532,mode=0700")
	}
	for _, variable := range manifest.Env {
		args = append(args, "--env", variable.Name+"="+variable.Value)
	}
	args = append(args, "--env", "LISTEN="+c.listen, "--env", "ADMIN="+freeAddress(t))
	output, err := exec.Command("docker", append(append(args[1:], options...), i.tag)...).Output()
	if c.id = strings.TrimSpace(string(output)); c.id == "" {
		t.Fatalf("docker run: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", "--tail", "20", c.id).CombinedOutput()
			t.Logf("%s", logs)
		}
		exec.Command("docker", "rm", "--force", c.id).Run()
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		switch s := c.state(); {
		case s.Status != "running":
			return nil, fmt.Errorf("it does not start: %+v", s)
		case s.Health.Status == "healthy":
			return c, c.privileges(s.Pid)
		case s.Health.Status == "unhealthy":
			return nil, errors.New("it is unhealthy")
		}
	}
	return nil, errors.New("it does not become healthy")
}

type state struct {
	Status, Error string
	ExitCode, Pid int
	OOMKilled     bool
	Health        struct{ Status string }
}

func (c *container) state() state {
	var s state
	if err := json.Unmarshal([]byte(mustRun(c.t, ".", "docker", "inspect", "--format", "{{json .State}}", c.id)), &s); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// ended waits for the process to end.
func (c *container) ended() state {
	mustRun(c.t, ".", "timeout", "60", "docker", "wait", c.id)
	return c.state()
}

var unprivileged = []string{`(?m)^Uid:\t65532\t65532\t65532\t65532$`, `(?m)^Gid:\t65532\t65532\t65532\t65532$`, `(?m)^CapEff:\t0+$`, `(?m)^CapBnd:\t0+$`, `(?m)^NoNewPrivs:\t1$`}

// privileges says what the kernel lets the process do that it should not.
func (c *container) privileges(pid int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	for _, line := range unprivileged {
		if !regexp.MustCompile(line).Match(status) {
			return fmt.Errorf("the process is not what %s says:\n%s", line, status)
		}
	}
	return nil
}

func (c *container) drive(mode string, args ...string) error {
	output, err := run(c.t, ".", append([]string{c.driver, "-mode", mode, "-target", c.listen}, args...)...)
	c.t.Logf("%s", output)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", mode, err, output)
	}
	return nil
}

// drains stops it in the middle of a stream, which must end whole.
func (i image) drains() error {
	c, err := i.start("--env", "MAX_DEADLINE_MS=20000")
	if err != nil {
		return err
	}
	if err := c.drive("drain", "-stop", c.id, "-grace", fmt.Sprint(i.data["grace_seconds"])); err != nil {
		return err
	}
	if s := c.ended(); s.ExitCode != 0 || s.OOMKilled {
		return fmt.Errorf("it ended with %+v", s)
	}
	return nil
}

// panics sends what a handler panics on. As process 1 it has no default action for SIGABRT, so abort ends it by a fault.
func (i image) panics() error {
	codes := map[string]int{"": 70, "--init": 70}
	if i.data["panic"] == "abort" {
		codes = map[string]int{"": 139, "--init": 134}
	}
	for option, want := range codes {
		options := []string{}
		if option != "" {
			options = append(options, option)
		}
		c, err := i.start(options...)
		if err != nil {
			return err
		}
		if err := c.drive("panic"); err != nil {
			return err
		}
		if s := c.ended(); s.ExitCode != want {
			return fmt.Errorf("with %q it ended with %+v, not %d", option, s, want)
		}
	}
	return nil
}

// bearsOverload sends far more than fits: it serves on, and the kernel has no reason to kill it.
func (i image) bearsOverload() error {
	c, err := i.start()
	if err != nil {
		return err
	}
	return c.bears()
}

func (c *container) bears() error {
	err := c.drive("overload")
	s := c.state()
	if s.Status != "running" || s.OOMKilled || s.Health.Status != "healthy" {
		return fmt.Errorf("under overload: %+v", s)
	}
	if err == nil {
		c.t.Logf("peak memory, of the kernel's count: %.1f MB", float64(c.peakMemory())/1e6)
	}
	return err
}

// peakMemory is the highest that the kernel counted for the container.
func (c *container) peakMemory() int64 {
	for _, pattern := range []string{"/sys/fs/cgroup/memory/docker/%s/memory.max_usage_in_bytes", "/sys/fs/cgroup/docker/%s/memory.peak"} {
		if text, err := os.ReadFile(fmt.Sprintf(pattern, c.id)); err == nil {
			peak, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			if err != nil {
				c.t.Fatal(err)
			}
			return peak
		}
	}
	c.t.Fatal("the kernel does not say what the container used")
	return 0
}

// buildDriver builds the caller that the containers are driven with, against the rendered Go client.
func buildDriver(t *testing.T) string {
	t.Helper()
	dir := renderTree(t, cases["default"]).write(t)
	source, err := os.ReadFile("testdata/driver.go")
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "clients/go/driver")
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "main.go"), source, 0o644); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "driver")
	mustRun(t, filepath.Join(dir, "clients/go"), "go", "build", "-o", binary, "./driver")
	return binary
}
