package edgefilterclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

// service is a running process of the service.
type service struct {
	listen, admin string
	process       *exec.Cmd
	exited        chan struct{}
	ended         error // how it exited
	logs          bytes.Buffer
}

func binary(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("SERVICE_BINARY")
	if binary == "" {
		t.Skip("SKIPPED: SERVICE_BINARY names no build of the service: run ci/check.sh client")
	}
	return binary
}

// serve starts the service with further settings, and stops it at the end of the test.
func serve(t *testing.T, settings ...string) *service {
	t.Helper()
	s := &service{process: exec.Command(binary(t)), exited: make(chan struct{})}
	s.process.Env = append(os.Environ(), append([]string{
		"LISTEN=127.0.0.1:0", "ADMIN=127.0.0.1:0", "MAX_DEADLINE_MS=20000", "DRAIN_DELAY_MS=300",
	}, settings...)...)
	s.process.Env = append(s.process.Env, serviceSide(t)...)
	stderr, err := s.process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		<-s.exited
		if t.Failed() {
			t.Logf("the service's log:\n%s", s.logs.String())
		}
	})
	serving := make(chan struct{})
	go func() {
		defer close(s.exited)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&s.logs, lines.Text())
			var line struct{ Message, Listen, Admin string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "serving" {
				s.listen, s.admin = line.Listen, line.Admin
				close(serving)
			}
		}
		s.ended = s.process.Wait()
	}()
	select {
	case <-serving:
	case <-s.exited:
		t.Fatalf("the service did not start: %v", s.ended)
	case <-time.After(30 * time.Second):
		t.Fatal("the service does not start")
	}
	return s
}

// signal sends a signal and returns the exit code, -1 where the signal ended the process.
func (s *service) signal(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(30 * time.Second):
		t.Fatalf("the service does not end on %v", signal)
	}
	return s.process.ProcessState.ExitCode()
}

// metric sums the series of the service's metrics that match.
func (s *service) metric(t *testing.T, series string) float64 {
	t.Helper()
	response, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	closed(t, response.Body)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, line := range regexp.MustCompile(`(?m)^(?:`+series+`) (\S+)$`).FindAllSubmatch(body, -1) {
		value, err := strconv.ParseFloat(string(line[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// checks is how many health checks the service has answered.
func (s *service) checks(t *testing.T) float64 {
	t.Helper()
	return s.metric(t, `grpc_server_handled_total\{[^}]*grpc_method="Check"[^}]*\}`)
}

// inFlight is how many health checks are under way, and how many may be.
func (s *service) inFlight(t *testing.T) (now, most float64) {
	t.Helper()
	const check = `\{grpc_method="Check",grpc_service="grpc.health.v1.Health"\}`
	return s.metric(t, "hotpath_in_flight"+check), s.metric(t, "hotpath_in_flight_limit"+check)
}

// underWay waits until so many health checks are.
func (s *service) underWay(t *testing.T, count float64) {
	t.Helper()
	eventually(t, fmt.Sprint(count, " health checks in flight"), func() bool {
		now, _ := s.inFlight(t)
		return now == count
	})
}

// hold begins a health check and does not say what it asks: the service has the call in flight until it is told.
func hold(t *testing.T, ctx context.Context, conn *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	call, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, grpc_health_v1.Health_Check_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// fill holds as many health checks as may be in flight, over a connection of their own.
func (s *service) fill(t *testing.T) (release context.CancelFunc) {
	t.Helper()
	ctx, release := context.WithCancel(t.Context())
	conn := dial(t, s.listen, unhurried())
	_, most := s.inFlight(t)
	for range int(most) {
		hold(t, ctx, conn)
	}
	s.underWay(t, most)
	return release
}

type reflection = grpc.BidiStreamingClient[grpc_reflection_v1.ServerReflectionRequest, grpc_reflection_v1.ServerReflectionResponse]

func reflect(t *testing.T, conn *grpc.ClientConn) reflection {
	t.Helper()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func ask(t *testing.T, stream reflection, request *grpc_reflection_v1.ServerReflectionRequest) *grpc_reflection_v1.ServerReflectionResponse {
	t.Helper()
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// services are the names of the API's services.
func services(t *testing.T, stream reflection) []string {
	t.Helper()
	var names []string
	response := ask(t, stream, &grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	})
	for _, service := range response.GetListServicesResponse().GetService() {
		if !strings.HasPrefix(service.GetName(), "grpc.") {
			names = append(names, service.GetName())
		}
	}
	return names
}

// fleet is three replicas behind one client, under steady load.
type fleet struct {
	replicas      [3]*service
	calls, failed atomic.Int64
	first         atomic.Value
	stop          chan struct{}
	callers       sync.WaitGroup
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{stop: make(chan struct{})}
	addresses := make([]resolver.Address, len(f.replicas))
	for i := range f.replicas {
		f.replicas[i] = serve(t)
		addresses[i].Addr = f.replicas[i].listen
	}
	names := manual.NewBuilderWithScheme("fleet")
	names.InitialState(resolver.State{Addresses: addresses})
	client := grpc_health_v1.NewHealthClient(dial(t, "fleet:///replicas", grpc.WithResolvers(names), unhurried()))
	for range 4 {
		f.callers.Go(func() {
			for {
				select {
				case <-f.stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				f.calls.Add(1)
				// A replica that drains knows no service any more, and answers so.
				if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil && status.Code(err) != codes.NotFound {
					f.failed.Add(1)
					f.first.CompareAndSwap(nil, err.Error())
				}
			}
		})
	}
	for _, replica := range f.replicas {
		eventually(t, "taking calls", func() bool { return replica.checks(t) > 0 })
	}
	f.more(t)
	return f
}

// more waits for some hundred calls more.
func (f *fleet) more(t *testing.T) {
	t.Helper()
	enough := f.calls.Load() + 300
	eventually(t, "300 calls more", func() bool { return f.calls.Load() >= enough })
}

// end stops the load and holds the fleet to its promise.
func (f *fleet) end(t *testing.T) {
	t.Helper()
	f.more(t)
	close(f.stop)
	f.callers.Wait()
	t.Logf("%d calls, %d failed", f.calls.Load(), f.failed.Load())
	if f.failed.Load() != 0 {
		t.Errorf("%d of %d calls failed; the first: %v", f.failed.Load(), f.calls.Load(), f.first.Load())
	}
}
