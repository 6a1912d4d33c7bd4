package ship

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clientShim is the docker that the tests, and the scripts that they run, find first: the engine has no network of its
// own, so what is built and run shares the machine's, and the images that a Dockerfile names by digest are those of bases.
const clientShim = `#!/bin/sh
case $1 in
build)
    shift
    exec /usr/bin/docker build --network host --build-arg BUILDER="$SHIM_BUILDER" --build-arg RUNTIME="$SHIM_RUNTIME" "$@"
    ;;
run)
    shift
    exec /usr/bin/docker run --network host "$@"
    ;;
esac
exec /usr/bin/docker "$@"
`

// engine runs a container engine until the end of the test, with Debian's programs and as root. What it built stays in
// the user's cache, so that the next run finds bases and dependencies there; nothing else of the machine is touched: no
// bridge, no packet filter, no other engine's images.
func engine(t *testing.T) {
	t.Helper()
	asked(t, "RUSTGEN_IMAGES")
	dockerd := need(t, "dockerd", "apt-get install docker.io")
	if _, err := os.Stat("/usr/bin/docker"); err != nil {
		missing(t, "/usr/bin/docker is missing: apt-get install docker.io")
	}
	if os.Geteuid() != 0 {
		missing(t, "only root can run a container engine")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "rustgen")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(cache, "engine.lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}

	// Not t.TempDir(): a socket's path must be short.
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The engine leaves a mount behind.
		_ = syscall.Unmount(filepath.Join(dir, "exec/netns/default"), syscall.MNT_DETACH)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	config, err := json.Marshal(map[string]any{
		"hosts": []string{"unix://" + filepath.Join(dir, "sock")}, "data-root": filepath.Join(cache, "engine"),
		"exec-root": filepath.Join(dir, "exec"), "pidfile": filepath.Join(dir, "pid"),
		"bridge": "none", "iptables": false, "ip6tables": false,
		"builder": map[string]any{"gc": map[string]any{"enabled": true, "defaultKeepStorage": "8GB"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"config.json": string(config), "docker": clientShim} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(dir, "sock"))
	t.Setenv("DOCKER_BUILDKIT", "1")
	startEngine(t, dockerd, dir)
	t.Cleanup(func() { exec.Command("docker", "image", "prune", "--force").Run() })
}

func startEngine(t *testing.T, dockerd, dir string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	daemon := exec.Command(dockerd, "--config-file", filepath.Join(dir, "config.json"))
	daemon.Stdout, daemon.Stderr = log, log
	// It ends with this process, however that ends. The kernel looks at the thread, so one thread is kept for it.
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := daemon.Start()
		started <- err
		if err == nil {
			daemon.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		daemon.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Error("the container engine does not stop")
			daemon.Process.Kill()
		}
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, err := run(t, ".", "docker", "info"); err == nil {
			return
		}
		select {
		case <-ended:
			deadline = time.Now()
		default:
		}
	}
	text, _ := os.ReadFile(log.Name())
	t.Fatalf("the container engine does not start:\n%s", text)
}

// bases makes the images that a Dockerfile starts from, under the names that it gives them, where the cache has none of
// this toolchain.
func bases(t *testing.T, r rendered) (below string) {
	t.Helper()
	_, arguments, err := parseDockerfile(r.Tree["Dockerfile"].Data)
	if err != nil {
		t.Fatal(err)
	}
	builder := builderImage.FindStringSubmatch(arguments["BUILDER"])
	if builder == nil {
		t.Fatalf("the builder is %q", arguments["BUILDER"])
	}
	rust, suite := builder[1], builder[2]
	// Made here, they have no digest: clientShim builds from their tags.
	below, _, _ = strings.Cut(arguments["RUNTIME"], "@")
	t.Setenv("SHIM_BUILDER", "rust:"+rust+"-"+suite)
	t.Setenv("SHIM_RUNTIME", below)
	toolchain := mustRun(t, ".", "rustc", "--version")
	if !strings.HasPrefix(toolchain, "rustc "+rust+".") {
		t.Logf("the image of Rust %s is made of this machine's %s", rust, toolchain)
	}
	script, err := os.ReadFile("testdata/bases.sh")
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("%x", sha256.Sum256(append(script, toolchain...)))
	for _, image := range []string{"rust:" + rust + "-" + suite, below} {
		if kept, err := run(t, ".", "docker", "image", "inspect", "--format", `{{index .Config.Labels "key"}}`, image); err != nil || strings.TrimSpace(kept) != key {
			need(t, "debootstrap", "apt-get install debootstrap")
			t.Log(mustRun(t, ".", "testdata/bases.sh", rust, suite, below, key))
			break
		}
	}
	return below
}
