package ship

import (
	"encoding/json"
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

// The images are built and run for real. That takes minutes and a container engine: RUSTGEN_IMAGES asks for it.
func engine(t *testing.T) {
	t.Helper()
	asked(t, "RUSTGEN_IMAGES")
	need(t, "docker", "apt-get install docker.io")
	if _, err := run(t, ".", "docker", "info"); err != nil {
		startEngine(t)
	}
	for _, image := range []string{"rust:1.95-bookworm", "gcr.io/distroless/cc-debian12:nonroot"} {
		if _, err := run(t, ".", "docker", "image", "inspect", image); err != nil {
			need(t, "debootstrap", "apt-get install debootstrap")
			t.Log(mustRun(t, ".", "testdata/bases.sh", "1.95", "bookworm", "gcr.io/distroless/cc-debian12:nonroot"))
			break
		}
	}
}

// startEngine runs a container engine of its own for the test, where none runs.
func startEngine(t *testing.T) {
	t.Helper()
	need(t, "dockerd", "apt-get install docker.io")
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	host := "unix://" + filepath.Join(dir, "sock")
	daemon := exec.Command("dockerd", "--host", host, "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"), "--bridge=none", "--iptables=false", "--ip6tables=false")
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		missing(t, "no container engine: "+err.Error())
	}
	t.Cleanup(func() {
		daemon.Process.Signal(os.Interrupt)
		daemon.Wait()
		os.RemoveAll(dir)
	})
	t.Setenv("DOCKER_HOST", host)
	for range 100 {
		if _, err := run(t, ".", "docker", "info"); err == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	missing(t, "the container engine does not start:\n"+string(text))
}

// build makes the image of a tree. The network of the machine is the one that reaches the registry of crates.
func buildImage(t *testing.T, dir, tag string) string {
	t.Helper()
	output := mustRun(t, dir, "env", "DOCKER_BUILDKIT=0", "docker", "build", "--network", "host", "--tag", tag, ".")
	return output
}

// container is a running image, under the limits of the manifest.
type container struct {
	id, listen, admin string
}

func startContainer(t *testing.T, r rendered, tag string, port int, options ...string) *container {
	t.Helper()
	c := &container{listen: fmt.Sprintf("127.0.0.1:%d", port), admin: fmt.Sprintf("127.0.0.1:%d", port+1)}
	c.id = strings.TrimSpace(mustRun(t, ".", append(append([]string{
		"docker", "run", "--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host",
		"--memory", fmt.Sprint(r.data["memory"]), "--memory-swap", fmt.Sprint(r.data["memory"]),
		"--env", "LISTEN=" + c.listen, "--env", "ADMIN=" + c.admin,
	}, options...), tag)...))
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", "--tail", "20", c.id).CombinedOutput()
			t.Logf("%s", logs)
		}
		exec.Command("docker", "rm", "--force", c.id).Run()
	})
	for range 100 {
		if _, err := run(t, ".", "docker", "exec", "--env", "LISTEN="+c.listen, c.id, "/"+r.data["name"].(string), "healthcheck"); err == nil {
			return c
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the container does not become healthy")
	return nil
}

type state struct {
	Status    string
	ExitCode  int
	OOMKilled bool
}

func (c *container) state(t *testing.T) state {
	t.Helper()
	var s state
	if err := json.Unmarshal([]byte(mustRun(t, ".", "docker", "inspect", "--format", "{{json .State}}", c.id)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func imageSize(t *testing.T, tag string) float64 {
	t.Helper()
	size, err := strconv.ParseFloat(strings.TrimSpace(mustRun(t, ".", "docker", "image", "inspect", "--format", "{{.Size}}", tag)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return size / 1e6
}

var compiled = regexp.MustCompile(`(?m)^\s+Compiling (\S+) `)

func TestImages(t *testing.T) {
	engine(t)
	driver := buildDriver(t)
	port := 41000
	for _, given := range []answers{
		{"name": "hello"},
		{"name": "hello", "base": "scratch", "allocator": "mimalloc", "state": "stateful", "metrics": "otelgrpc", "memory": "128MiB"},
	} {
		r := plantPanic(t, renderTree(t, given))
		base := r.data["base"].(string)
		t.Run(base, func(t *testing.T) {
			dir := r.write(t)
			tag := "rustgen-" + base
			buildImage(t, dir, tag)

			// What is in it.
			size := imageSize(t, tag)
			t.Logf("%s: %.1f MB", base, size)
			if base == "scratch" && size >= 8 {
				t.Errorf("scratch: %.1f MB, not under 8", size)
			}
			if base == "distroless" {
				if added := size - imageSize(t, "gcr.io/distroless/cc-debian12:nonroot"); added >= 8 {
					t.Errorf("distroless: %.1f MB more than its base", added)
				}
			}
			if output := mustRun(t, ".", "docker", "run", "--rm", "--read-only", "--network", "none", tag, "limits"); !strings.Contains(output, "memory") {
				t.Errorf("limits: %s", output)
			}

			// A change of the sources builds the service's own crates, and nothing else.
			changed := r.with(t, "src/handlers.rs", "planted", "sown")
			changed.writeTo(t, dir)
			for _, crate := range compiled.FindAllStringSubmatch(buildImage(t, dir, tag), -1) {
				if name := crate[1]; name != "hello" && name != "hotpath" {
					t.Errorf("a change of the sources compiles %s again", name)
				}
			}

			var options []string
			if r.data["stateful"].(bool) {
				options = []string{"--tmpfs", "/state:uid=65532,gid=65532,mode=0700"}
			}
			t.Run("drains", func(t *testing.T) {
				port += 2
				c := startContainer(t, r, tag, port, append(options, "--env", "MAX_DEADLINE_MS=20000")...)
				if user := strings.TrimSpace(mustRun(t, ".", "docker", "inspect", "--format", "{{.Config.User}}", c.id)); user != "65532:65532" {
					t.Errorf("it runs as %q", user)
				}
				mustRun(t, ".", driver, "-mode", "drain", "-target", c.listen, "-stop", c.id)
				if s := c.state(t); s.ExitCode != 0 || s.OOMKilled {
					t.Errorf("it ended with %+v", s)
				}
			})
			t.Run("panics", func(t *testing.T) {
				port += 2
				c := startContainer(t, r, tag, port, options...)
				mustRun(t, ".", driver, "-mode", "panic", "-target", c.listen)
				want := map[string]int{"abort": 139, "unwind": 70}[r.data["panic"].(string)]
				s := c.state(t)
				for range 50 {
					if s = c.state(t); s.Status == "exited" {
						break
					}
					time.Sleep(200 * time.Millisecond)
				}
				if s.ExitCode != want && !(want == 139 && s.ExitCode == 134) {
					t.Errorf("it ended with %+v, not %d", s, want)
				}
			})
			t.Run("bears overload", func(t *testing.T) {
				port += 2
				c := startContainer(t, r, tag, port, options...)
				t.Log(mustRun(t, ".", driver, "-mode", "overload", "-target", c.listen))
				if s := c.state(t); s.Status != "running" || s.OOMKilled {
					t.Errorf("under overload: %+v", s)
				}
				t.Logf("peak memory: %s", mustRun(t, ".", "docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", c.id))
			})
		})
	}
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
