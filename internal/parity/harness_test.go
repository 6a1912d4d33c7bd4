package parity

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"

	"rustgen/internal/parity/live"
)

// starts is how long a debug build may take until it serves, on a busy machine.
const starts = 20 * time.Second

// need finds a program; without it the test is skipped aloud, or fails where RUSTGEN_REQUIRE_TOOLS is set.
func need(t testing.TB, tool, how string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	why := tool + " is missing: " + how
	if os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
	return ""
}

// workdir holds trees and binaries until the last test.
var workdir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "rustgen-parity-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		workdir = dir
		return m.Run()
	}())
}

// built is a rendered service and its debug binary.
type built struct {
	*live.Tree
	api    *live.API
	binary string
	// authority signs for the service and its callers, where it speaks TLS.
	authority authority
}

// build compiles a service.
func build(t testing.TB, tree *live.Tree, env ...string) built {
	t.Helper()
	need(t, "cargo", "https://rustup.rs")
	name := tree.Text("name")
	dir := filepath.Join(workdir, name)
	if err := tree.Write(dir); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(workdir, name+".binary")
	if err := live.Build(dir, name, binary, append(env, live.RustFlags)); err != nil {
		t.Fatal(err)
	}
	api, err := tree.API(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := built{Tree: tree, api: api, binary: binary}
	if b.tls() {
		b.authority = newAuthority(t)
	}
	return b
}

// tls says whether the port for calls speaks it.
func (b built) tls() bool { return b.Text("tls") != "none" }

// start starts the service and stops it with the test.
func (b built) start(t testing.TB, env ...string) *live.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), starts)
	defer cancel()
	if b.tls() {
		env = append(b.authority.environment(t), env...)
	}
	process, err := live.Start(ctx, b.binary, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Kill()
		if t.Failed() {
			t.Logf("the log of the service:\n%s", process.Log())
		}
	})
	return process
}

// stop asks the service to end, and returns its exit code.
func stop(t testing.TB, process *live.Process) int {
	t.Helper()
	if err := process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return process.Wait(30 * time.Second)
}

func (b built) dial(t testing.TB, address string) live.Caller {
	t.Helper()
	if b.tls() {
		own := b.authority.sign(t, time.Now().Add(time.Hour), checkout)
		return b.dialWith(t, address, b.authority.credentials(own))
	}
	return live.Caller{API: b.api, Conn: dial(t, address)}
}

func (b built) dialWith(t testing.TB, address string, trust credentials.TransportCredentials) live.Caller {
	t.Helper()
	return live.Caller{API: b.api, Conn: dialWith(t, address, trust)}
}

func dial(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	return dialWith(t, address, insecure.NewCredentials())
}

func dialWith(t testing.TB, address string, trust credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(trust), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func scrape(t testing.TB, process *live.Process) live.Families {
	t.Helper()
	families, err := process.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// within is the context of one call that must come back.
func within(t testing.TB, most time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for something that happens soon, and says what did not.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// serve runs a Go server until the test ends.
func serve(t testing.TB, server *grpc.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// downstream answers for every service that the tree calls, as its key says.
func (b built) downstream(t testing.TB) (address string, env []string) {
	t.Helper()
	server := grpc.NewServer()
	for _, service := range b.api.Called {
		server.RegisterService(live.Describe(service, live.Handlers{"Get": live.Unary(answer)}), struct{}{})
	}
	address = serve(t, server)
	for name := range b.api.Called {
		env = append(env, "DOWNSTREAM_"+upperSnake(name)+"=http://"+address)
	}
	return address, env
}

func answer(ctx context.Context, request *dynamicpb.Message) (live.Fields, error) {
	switch key := live.Get(request, "key").String(); key {
	case "unavailable":
		return nil, status.Error(codes.Unavailable, "planted")
	case "denied":
		return nil, status.Error(codes.PermissionDenied, "planted")
	case "slow":
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	case "quiet":
		select {
		case <-time.After(2 * time.Second):
			return live.Fields{"value": "at last"}, nil
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	default:
		return live.Fields{"value": "price of " + key}, nil
	}
}
