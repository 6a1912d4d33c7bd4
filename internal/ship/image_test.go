package ship

import (
	"archive/tar"
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The images are built and run for real. That takes minutes and root: RUSTGEN_IMAGES asks for it.
func TestImages(t *testing.T) {
	engine(t)
	driver := buildDriver(t)
	base := bases(t, renderTree(t, cases["default"]))
	for _, given := range []answers{
		{"name": "hello"},
		{"name": "hello", "base": "scratch", "allocator": "mimalloc", "state": "stateful", "metrics": "otelgrpc", "memory": "128MiB"},
	} {
		r := plantPanic(t, renderTree(t, given))
		kind := r.data["base"].(string)
		t.Run(kind, func(t *testing.T) {
			i := image{t: t, rendered: r, dir: repository(t, r), tag: "rustgen-" + kind, driver: driver}
			if kind == "distroless" {
				i.base = base
			}
			began := time.Now()
			// As the pipeline builds it, and its own check of it.
			output := mustRun(t, i.dir, "env", "IMAGE="+i.tag, "ci/check.sh", "image")
			t.Logf("built and checked in %v", time.Since(began).Round(time.Second))
			for _, violation := range append(rebuilt(output, "hello"), i.contents()...) {
				t.Error(violation)
			}
			for name, check := range map[string]func(image) error{
				"drains": image.drains, "panics": image.panics, "bears overload": image.bearsOverload,
			} {
				t.Run(name, func(t *testing.T) {
					if err := check(i.in(t)); err != nil {
						t.Error(err)
					}
				})
			}
			t.Run("faults", func(t *testing.T) { i.in(t).faults() })
			if kind == "distroless" {
				t.Run("builds again", func(t *testing.T) { i.in(t).buildsAgain() })
			}
		})
	}
}

// image is a tree whose image is built under a tag.
type image struct {
	rendered
	t      *testing.T
	dir    string
	tag    string
	base   string // the image below it, if any
	driver string // the program that calls it
}

// in is the image for a part of the test.
func (i image) in(t *testing.T) image {
	i.t = t
	return i
}

var (
	buildStep = regexp.MustCompile(`(?m)^#(\d+) \[build +\d+/\d+\] RUN (.*)$`)
	cached    = regexp.MustCompile(`(?m)^#(\d+) CACHED$`)
	compiled  = regexp.MustCompile(`(?m)^#(\d+) [0-9.]+ +Compiling (\S+) `)
)

// own are the crates whose code is in the service's tree, as far as they are in its image.
func own(name string) []string {
	return []string{name, "hotpath", "hotpath-build", "hotpath-telemetry"}
}

// rebuilt are the crates that a build of the image compiled with the code, though they are the dependencies'.
func rebuilt(output, name string) []string {
	var found []string
	steps := map[string]string{}
	for _, step := range buildStep.FindAllStringSubmatch(output, -1) {
		steps[step[1]] = step[2]
	}
	for _, crate := range compiled.FindAllStringSubmatch(output, -1) {
		if strings.HasPrefix(steps[crate[1]], "find ") && !slices.Contains(own(name), crate[2]) {
			found = append(found, "a change of the sources compiles "+crate[2]+" again")
		}
	}
	return found
}

// A build log in which the code's layer compiles a dependency.
func TestRebuiltFault(t *testing.T) {
	const output = `
#8 [build 7/9] RUN mkdir -p src && cargo auditable build
#8 2.1    Compiling tokio v1.48.0
#9 [build 9/9] RUN find build.rs src && cargo auditable build
#9 1.1    Compiling hello v0.1.0 (/src)
#9 1.2    Compiling tonic v0.14.2
`
	if found := rebuilt(output, "hello"); !slices.Equal(found, []string{"a change of the sources compiles tonic again"}) {
		t.Errorf("%q", found)
	}
}

// buildsAgain builds after a change of the sources: its own crates, and nothing else.
func (i image) buildsAgain() {
	t := i.t
	// A change that no earlier run made, or its layer would come from the cache.
	r := i.with(t, "src/handlers.rs", "planted", fmt.Sprintf("planted in %d", time.Now().UnixNano()))
	began := time.Now()
	output := mustRun(t, r.write(t), "docker", "build", ".")
	t.Logf("built again in %v", time.Since(began).Round(time.Second))
	fresh := map[string]string{}
	for _, step := range buildStep.FindAllStringSubmatch(output, -1) {
		fresh[step[1]] = step[2]
	}
	for _, step := range cached.FindAllStringSubmatch(output, -1) {
		delete(fresh, step[1])
	}
	for _, step := range fresh {
		if !strings.HasPrefix(step, "find ") {
			t.Errorf("a change of the sources runs again: %s", step)
		}
	}
	if crates := compiled.FindAllStringSubmatch(output, -1); len(fresh) != 1 || len(crates) != len(own("hello")) {
		t.Errorf("it ran %q and compiled %q", slices.Collect(maps.Values(fresh)), crates)
	}
	for _, violation := range rebuilt(output, "hello") {
		t.Error(violation)
	}
}

// contents says what is in the image that should not be, and what is not that should.
func (i image) contents() []string {
	t := i.t
	name := i.data["name"].(string)
	var found findings
	size, below := imageSize(t, i.tag), int64(0)
	files, binary := i.files(i.tag, name)
	want := []string{name}
	if i.data["stateful"].(bool) {
		want = append(want, "state/")
		state := files["state/"]
		found.wrong(state != nil && state.Uid == 65532 && state.Mode&0o777 == 0o700, "the state's folder is %+v", state)
	}
	if i.base != "" {
		below = imageSize(t, i.base)
		inBase, _ := i.files(i.base, name)
		for path, header := range inBase {
			if kept := files[path]; kept != nil && kept.Size == header.Size && kept.Mode == header.Mode && kept.ModTime.Equal(header.ModTime) {
				delete(files, path)
			}
		}
	} else {
		found.wrong(size < 8e6, "scratch: %d bytes, not under 8 MB", size)
	}
	for path := range files {
		found.wrong(slices.Contains(want, path) || engineOwn.MatchString(path), "it holds %s beside its base and the binary", path)
	}
	found.wrong(files[name] != nil && files[name].Mode&0o777 == 0o755, "the binary is %+v", files[name])
	found.wrong(size-below == int64(len(binary)), "image %d, base %d, binary %d bytes", size, below, len(binary))
	found.wrong(len(binary) < 8e6, "the binary has %d bytes, not under 8 MB", len(binary))
	if dependencies, err := billOfMaterials(binary); err != nil || !slices.Contains(dependencies, "tonic") {
		found.wrong(false, "the binary's list of its dependencies is %v, %v", dependencies, err)
	}
	t.Logf("%s: image %.1f MB, of which binary %.1f MB", i.tag, float64(size)/1e6, float64(len(binary))/1e6)
	return found
}

// engineOwn is what the engine lays into every container.
var engineOwn = regexp.MustCompile(`^([.]dockerenv|dev/.*|proc/|sys/|etc/(|hostname|hosts|mtab|resolv[.]conf))$`)

// files are the entries of an image's file system, and the content of one.
func (i image) files(tag, content string) (map[string]*tar.Header, []byte) {
	t := i.t
	id := strings.TrimSpace(mustRun(t, ".", "docker", "create", "--network", "none", tag, "/none"))
	defer mustRun(t, ".", "docker", "rm", id)
	exported := filepath.Join(t.TempDir(), "exported")
	mustRun(t, ".", "docker", "export", "--output", exported, id)
	file, err := os.Open(exported)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	files := map[string]*tar.Header{}
	var data []byte
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, data
		}
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = header
		if header.Name == content {
			if data, err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// billOfMaterials is the list of crates that cargo-auditable writes into the binary.
func billOfMaterials(binary []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return nil, err
	}
	section := file.Section(".dep-v0")
	if section == nil {
		return nil, errors.New("no section .dep-v0")
	}
	reader, err := zlib.NewReader(section.Open())
	if err != nil {
		return nil, err
	}
	var list struct{ Packages []struct{ Name string } }
	if err := json.NewDecoder(reader).Decode(&list); err != nil {
		return nil, err
	}
	var names []string
	for _, crate := range list.Packages {
		names = append(names, crate.Name)
	}
	return names, nil
}

func imageSize(t *testing.T, tag string) int64 {
	t.Helper()
	size, err := strconv.ParseInt(strings.TrimSpace(mustRun(t, ".", "docker", "image", "inspect", "--format", "{{.Size}}", tag)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// faults are planted in the last stage, whose build is quick. Each must be found by a check above.
func (i image) faults() {
	own := "COPY --from=build /out/hello /hello\n"
	type fault struct {
		old, new string
		check    func(image) error
		found    string
	}
	contents := func(i image) error { return errors.New(strings.Join(i.contents(), "\n")) }
	faults := []fault{
		{`"healthcheck"]`, `"health"]`, image.drains, "it is unhealthy"},
		{`ENTRYPOINT ["/hello"]`, "ENTRYPOINT exec /hello", image.drains, "it does not start"},
		{"USER 65532:65532", "STOPSIGNAL SIGKILL\nUSER 65532:65532", image.drains, "drain: exit status 1"},
		{own, own + "COPY --from=build /src/Cargo.lock /\n", contents, "it holds Cargo.lock"},
		{own, "COPY --from=build --chmod=0777 /out/hello /hello\n", contents, "the binary is"},
	}
	if i.base != "" {
		faults = append(faults, fault{"FROM ${RUNTIME}", "FROM scratch", image.drains, "it does not start"},
			fault{"USER 65532:65532", "USER 0:0", image.drains, "the process is not what"})
	}
	if i.data["stateful"].(bool) {
		faults = append(faults, fault{"--chown=65532:65532 ", "", contents, "the state's folder is"},
			fault{"USER 65532:65532", "USER 10001:10001", image.drains, "it does not start"})
	}
	for _, fault := range faults {
		i.t.Run(fault.found, func(t *testing.T) {
			faulty := i.in(t)
			faulty.tag = "rustgen-faulty"
			mustRun(t, i.with(t, "Dockerfile", fault.old, fault.new).write(t), "docker", "build", "--tag", faulty.tag, ".")
			if err := fault.check(faulty); err == nil || !strings.Contains(err.Error(), fault.found) {
				t.Errorf("%q was not found: %v", fault.found, err)
			}
		})
	}
	if i.base == "" {
		return
	}
	// A budget far above what the container may use is held to that, which is too little here for a single call.
	i.t.Run("a budget above the limit", func(t *testing.T) {
		_, err := i.in(t).start("--memory", "8m", "--memory-swap", "8m", "--env", "MEMORY_BUDGET=8GiB")
		if err == nil || !strings.Contains(err.Error(), "ExitCode:78") {
			t.Errorf("it is not held to the container's limit: %v", err)
		}
	})
	// A process that no longer fits, because its limit was cut under it, is killed under load, and that is noticed.
	i.t.Run("a limit that is cut", func(t *testing.T) {
		c, err := i.in(t).start()
		if err != nil {
			t.Fatal(err)
		}
		mustRun(t, ".", "docker", "update", "--memory", "8m", "--memory-swap", "8m", c.id)
		if err := c.bears(); err == nil || !strings.Contains(err.Error(), "ExitCode:137") {
			t.Errorf("the kernel's kill was not noticed: %v", err)
		}
	})
}
