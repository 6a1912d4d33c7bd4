package suites

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fullstorydev/grpcurl"
	"github.com/jhump/protoreflect/grpcreflect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"rustgen/internal/layertest"
	"rustgen/internal/parity/live"
)

// rides is the kept service around an API that exists, with the handlers of the team that internal/servicetest plays.
func rides(t *testing.T, dir string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS("../../golden/ride-hail")); err != nil {
		t.Fatal(err)
	}
	handlers, err := os.ReadFile("../servicetest/testdata/ride-hail/src/handlers.rs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "src/handlers.rs"), handlers, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := layertest.Share(dir); err != nil {
		t.Fatal(err)
	}
}

// start builds the service in a folder, as it is built for a debugger, and starts it until the end of the test.
func start(t *testing.T, dir, name string) *live.Process {
	t.Helper()
	needCargo(t)
	binary := filepath.Join(t.TempDir(), name)
	if err := live.Build(dir, name, binary, []string{live.RustFlags}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	process, err := live.Start(ctx, binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Kill)
	return process
}

// caller calls a service whose protos it has not: it asks for them by reflection.
type caller struct {
	conn   *grpc.ClientConn
	source grpcurl.DescriptorSource
}

func newCaller(t *testing.T, address string) caller {
	t.Helper()
	conn, err := grpcurl.BlockingDial(t.Context(), "tcp", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	reflection := grpcreflect.NewClientAuto(t.Context(), conn)
	t.Cleanup(func() {
		reflection.Reset()
		_ = conn.Close()
	})
	return caller{conn, grpcurl.DescriptorSourceFromServer(t.Context(), reflection)}
}

// call makes a call with requests as JSON, one after the other, and returns its replies, without spaces, and its status.
func (c caller) call(t *testing.T, method, requests string) (string, codes.Code) {
	t.Helper()
	parser, formatter, err := grpcurl.RequestParserAndFormatter(grpcurl.FormatJSON, c.source, strings.NewReader(requests), grpcurl.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var replies bytes.Buffer
	handler := &grpcurl.DefaultEventHandler{Out: &replies, Formatter: formatter}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := grpcurl.InvokeRPC(ctx, c.source, c.conn, method, nil, handler, parser.Next); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return strings.Join(strings.Fields(replies.String()), ""), handler.Status.Code()
}

// Each kind of method of an own API is called by reflection, and so are two versions of a service, and one without methods is
// listed.
func TestOwnAPI(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ride-hail")
	rides(t, dir)
	process := start(t, dir, "ride-hail")
	c := newCaller(t, process.Listen)
	services, err := grpcurl.ListServices(c.source)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ride.v1.Rides", "ride.v1.Drivers", "ride.v2.Rides", "grpc.health.v1.Health"} {
		if !slices.Contains(services, name) {
			t.Errorf("%s is not among %q", name, services)
		}
	}
	for name, call := range map[string]struct {
		method, requests, replies string
		code                      codes.Code
	}{
		"unary":            {"ride.v1.Rides/Start", `{"rider": "ada"}`, `{"id":"ada"}`, codes.OK},
		"of a version":     {"ride.v2.Rides/Start", `{"rider": "ada", "labels": {"a": "b"}}`, `{"id":"ada"}`, codes.OK},
		"server streaming": {"ride.v1.Rides/Watch", `{"id": "1"}`, `{"latitude":1,"longitude":0.5}{"latitude":2,"longitude":0.5}{"latitude":3,"longitude":0.5}`, codes.OK},
		"client streaming": {"ride.v1.Rides/Upload", `{"latitude": 1} {"latitude": 2}`, `{}`, codes.OK},
		"refused":          {"ride.v1.Rides/Upload", `{"latitude": 1}`, ``, codes.InvalidArgument},
		"bidirectional":    {"ride.v1.Rides/Type", `{"latitude": 1} {"longitude": 2}`, `{"longitude":1}{"latitude":2}`, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			if replies, code := c.call(t, call.method, call.requests); replies != call.replies || code != call.code {
				t.Errorf("%s: %s, not %s, and %s, not %s", call.method, replies, call.replies, code, call.code)
			}
		})
	}
	t.Run("README", func(t *testing.T) {
		followsReadme(t, dir, process.Listen, "ride.v2.Rides\n", "rpc Watch (", `"status": "SERVING"`)
	})
	t.Run("load", func(t *testing.T) { lacksWorkload(t, dir, process.Listen) })
}

// lacksWorkload runs the load test of a service that has none of its team's calls yet: it says so, and is not green.
func lacksWorkload(t *testing.T, dir, address string) {
	t.Helper()
	load := exec.CommandContext(t.Context(), "cargo", "run", "--quiet", "--package", "loadtest", "--", "run", "--quick", "--scale", "0.1",
		"--target", "http://"+address, "--out", t.TempDir())
	load.Dir = dir
	load.Env = append(os.Environ(), live.RustFlags, "CARGO_TARGET_DIR="+live.Target(), "CARGO_TERM_COLOR=never")
	out, err := load.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "loadtest/src/workload.rs does not say yet what `heavy` calls") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The lines of the sample's README work as they stand, too.
func TestSample(t *testing.T) {
	tree, err := live.Render("hello", map[string]string{"layer": "registry"})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "hello")
	if err := tree.Write(dir); err != nil {
		t.Fatal(err)
	}
	followsReadme(t, dir, start(t, dir, "hello").Listen, "hello.v1.HelloService\n", "rpc Score (", `"status": "SERVING"`, `"key": "a"`)
}

// followsReadme runs the lines of a README that call the service, at the address where it listens here, and looks for what
// each must print.
func followsReadme(t *testing.T, dir, address string, prints ...string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^grpcurl .*$`).FindAllString(string(readme), -1)
	if len(lines) != len(prints) {
		t.Fatalf("the README calls it by %q", lines)
	}
	program := tool(t, "github.com/fullstorydev/grpcurl/cmd/grpcurl")
	for i, line := range lines {
		command := strings.Replace(line, "localhost:50051", address, 1)
		if command == line {
			t.Errorf("%s names another address", line)
		}
		shell := exec.CommandContext(t.Context(), "bash", "-c", `grpcurl() { "$GRPCURL" "$@"; }; `+command)
		shell.Env = append(os.Environ(), "GRPCURL="+program)
		if out, err := shell.CombinedOutput(); err != nil || !strings.Contains(string(out), prints[i]) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}
