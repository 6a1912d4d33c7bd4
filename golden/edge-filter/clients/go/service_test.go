package edgefilterclient

// These tests run the client against the service itself, by what it answers whatever its API is: health checks,
// reflection and metrics. SERVICE_BINARY names it; `ci/check.sh client` builds it first.

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

func TestServiceIsHealthyAndDescribesItself(t *testing.T) {
	conn := dial(t, serve(t).listen, unhurried())
	stream := reflect(t, conn)
	names := services(t, stream)
	if len(names) == 0 {
		t.Error("reflection lists no service of the API")
	}
	for _, name := range names {
		response := ask(t, stream, &grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
		})
		if len(response.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
			t.Errorf("reflection does not describe %s: %v", name, response.GetErrorResponse())
		}
	}
	for _, name := range append(names, "") {
		reply, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
		if err != nil || reply.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("the health of %q: %v, %v", name, reply, err)
		}
	}
}

func TestServiceEndsACallAtItsDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		longest string
		caller  time.Duration
	}{
		"the caller's":  {"20000", 300 * time.Millisecond},
		"the service's": {"300", 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "MAX_DEADLINE_MS="+test.longest)
			ctx, cancel := context.WithTimeout(t.Context(), test.caller)
			defer cancel()
			begin := time.Now()
			err := hold(t, ctx, dial(t, s.listen, unhurried())).RecvMsg(&grpc_health_v1.HealthCheckResponse{})
			if took := time.Since(begin); status.Code(err) != codes.DeadlineExceeded || took > 10*time.Second {
				t.Errorf("%v after %v", err, took)
			}
			s.underWay(t, 0)
		})
	}
}

func TestServiceHearsACancellation(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hold(t, ctx, dial(t, s.listen, unhurried()))
	s.underWay(t, 1)
	cancel()
	s.underWay(t, 0)
}

// When there is room for no call more, calls are shed at once, retries wait as they are told and stay few, and the
// service lives.
func TestServiceShedsAndRetriesAreBounded(t *testing.T) {
	s := serve(t)
	release := s.fill(t)
	defer release()
	client := grpc_health_v1.NewHealthClient(dial(t, s.listen, unhurried()))
	before := s.checks(t)
	const callers, each = 20, 5
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.ResourceExhausted {
					t.Errorf("the caller saw %v", err)
				}
			}
		})
	}
	group.Wait()
	if attempts := s.checks(t) - before; attempts <= callers*each || attempts > callers*each+50 {
		t.Errorf("%d calls made %.0f attempts", callers*each, attempts)
	}
	release()
	s.underWay(t, 0)
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestServiceTellsWhenToComeBack(t *testing.T) {
	s := serve(t)
	defer s.fill(t)()
	var trailer metadata.MD
	client := grpc_health_v1.NewHealthClient(dial(t, s.listen, unhurried(), grpc.WithDisableRetry()))
	_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("the caller saw %v", err)
	}
	told := strings.Join(trailer.Get("grpc-retry-pushback-ms"), ",")
	if pause, err := strconv.Atoi(told); err != nil || pause <= 0 {
		t.Errorf("shed with the pause %q", told)
	}
}

func TestServiceRefusesOversize(t *testing.T) {
	s := serve(t)
	conn := dial(t, s.listen, grpc.WithDefaultServiceConfig(`{}`),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(4*MaxMessageBytes)))
	large := &grpc_health_v1.HealthCheckRequest{Service: strings.Repeat("x", 2*MaxMessageBytes)}
	_, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), large)
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(status.Convert(err).Message(), "larger than max") {
		t.Errorf("the caller saw %v", err)
	}
}

// The client refuses what the service would, and nothing else.
func TestServiceHasTheSameCap(t *testing.T) {
	output, err := exec.Command(binary(t), "limits").Output()
	if err != nil {
		t.Fatal(err)
	}
	var limits struct {
		Process struct {
			MaxMessage int `json:"max_message_bytes"`
		}
	}
	if err := json.Unmarshal(output, &limits); err != nil || limits.Process.MaxMessage != MaxMessageBytes {
		t.Errorf("the service takes messages of %d bytes, the client of %d: %v", limits.Process.MaxMessage, MaxMessageBytes, err)
	}
}

// A client's pings, however eager, are no reason to end its connection.
func TestServiceBearsPings(t *testing.T) {
	conn, err := connectTLS(t, serve(t).listen)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, conn)
	framer := http2.NewFramer(conn, conn)
	_, written := io.WriteString(conn, http2.ClientPreface)
	if err := errors.Join(conn.SetDeadline(time.Now().Add(10*time.Second)), written, framer.WriteSettings()); err != nil {
		t.Fatal(err)
	}
	for i := range byte(100) {
		if err := framer.WritePing(false, [8]byte{i}); err != nil {
			t.Fatal(err)
		}
	}
	for answered := 0; answered < 100; {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("after %d answers: %v", answered, err)
		}
		switch frame := frame.(type) {
		case *http2.PingFrame:
			answered++
		case *http2.GoAwayFrame:
			t.Fatalf("after %d answers: GOAWAY %v %s", answered, frame.ErrCode, frame.DebugData())
		}
	}
}

// SIGTERM is told to who watches the health, lets a call that is under way end, refuses new ones, and exits 0.
func TestServiceDrains(t *testing.T) {
	s := serve(t)
	conn := dial(t, s.listen, unhurried())
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	underWay := reflect(t, conn)
	names := services(t, underWay)
	code := make(chan int, 1)
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{
		grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING,
	} {
		if reply, err := watch.Recv(); err != nil || reply.GetStatus() != want {
			t.Fatalf("who watches is told %v, %v, and not %v", reply, err, want)
		}
		if want == grpc_health_v1.HealthCheckResponse_SERVING {
			go func() { code <- s.signal(t, syscall.SIGTERM) }()
		}
	}
	eventually(t, "refusing new connections", func() bool {
		conn, err := net.Dial("tcp", s.listen)
		if err == nil {
			closed(t, conn)
		}
		return err != nil
	})
	if again := services(t, underWay); !slices.Equal(again, names) {
		t.Errorf("the call under way is answered %v, and was answered %v", again, names)
	}
	if err := underWay.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := underWay.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the call under way ends with %v", err)
	}
	if code := <-code; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestRollingRestartFailsNoCall(t *testing.T) {
	f := startFleet(t)
	for i, old := range f.replicas {
		if code := old.signal(t, syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
		f.replicas[i] = serve(t, "LISTEN="+old.listen)
		// As a rollout does: the next one stops when this one takes calls.
		eventually(t, "taking calls", func() bool { return f.replicas[i].checks(t) > 0 })
	}
	f.end(t)
}

func TestReplicaThatDiesFailsNoCall(t *testing.T) {
	f := startFleet(t)
	f.replicas[0].signal(t, syscall.SIGKILL)
	f.end(t)
}
