package orderpricerclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"gitlab.com/acme/order-pricer/clients/go/order_pricer/v1"
)

// These tests run the client against the service itself. SERVICE_BINARY names it; `ci/check.sh client` builds it first.

// service is a running process of the service.
type service struct {
	listen, admin string
	process       *exec.Cmd
	exited        chan struct{}
	logs          bytes.Buffer
}

// serve starts the service with further settings, and stops it at the end of the test.
func serve(t *testing.T, settings ...string) *service {
	t.Helper()
	binary := os.Getenv("SERVICE_BINARY")
	if binary == "" {
		t.Skip("SKIPPED: SERVICE_BINARY names no build of the service: run ci/check.sh client")
	}
	s := &service{process: exec.Command(binary), exited: make(chan struct{})}
	s.process.Env = append(os.Environ(), append([]string{
		"LISTEN=127.0.0.1:0", "ADMIN=127.0.0.1:0", "MAX_DEADLINE_MS=20000", "DRAIN_DELAY_MS=300",
		"STATE_DIR=" + t.TempDir(),
		"DOWNSTREAM_FEATURES=http://" + downstream(t, nil),
		"DOWNSTREAM_USER_PROFILES=http://" + downstream(t, nil),
	}, settings...)...)
	stderr, err := s.process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.process.Process.Kill()
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
		s.process.Wait()
	}()
	select {
	case <-serving:
	case <-s.exited:
		t.Fatal("the service did not start")
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
	defer response.Body.Close()
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

// attempts is how many calls of a method the service has answered.
func (s *service) attempts(t *testing.T, method string) float64 {
	t.Helper()
	return s.metric(t, `rpc_server_call_duration_seconds_count\{[^}]*rpc_method="[^"]*/`+method+`"[^}]*\}`)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(5 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("after 5 s: not %s", what)
		}
	}
}

// raw passes messages on as they are.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = bytes.Clone(data)
	return nil
}
func (raw) Name() string { return "proto" }

// downstream is a server that answers every call with an empty message; it is shown each call.
func downstream(t *testing.T, see func(ctx context.Context, request []byte)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var request, reply []byte
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		if see != nil {
			see(stream.Context(), request)
		}
		return stream.SendMsg(&reply)
	}))
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func TestServiceAnswers(t *testing.T) {
	client := dial(t, serve(t).listen, unhurried())
	reply, err := client.Lookup(t.Context(), &orderpricerv1.LookupRequest{Key: "a"})
	if err != nil || reply.GetKey() != "a" {
		t.Errorf("%v, %v", reply, err)
	}
	if _, err := client.Score(t.Context(), &orderpricerv1.ScoreRequest{Key: "a", Payload: []byte("payload"), Rounds: 1}); err != nil {
		t.Error(err)
	}
}

func TestServiceEndsACallAtItsDeadline(t *testing.T) {
	client := dial(t, serve(t).listen, unhurried())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	stream, err := client.Watch(ctx, &orderpricerv1.WatchRequest{Events: 1_000_000, IntervalMs: 10})
	for err == nil {
		_, err = stream.Recv()
	}
	if took := time.Since(begin); status.Code(err) != codes.DeadlineExceeded || took > 3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestServiceHearsACancellation(t *testing.T) {
	s := serve(t)
	client := dial(t, s.listen, unhurried())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := client.Watch(ctx, &orderpricerv1.WatchRequest{Events: 1_000_000, IntervalMs: 10})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	inFlight := func() float64 {
		return s.metric(t, `hotpath_in_flight\{grpc_service="order_pricer.v1.OrderPricerService",grpc_method="Watch"\}`)
	}
	if inFlight() != 1 {
		t.Fatal("the call is not in flight")
	}
	cancel()
	eventually(t, "out of flight", func() bool { return inFlight() == 0 })
}

// Under more load than fits, calls are shed at once, retries wait as they are told and stay few, and the service lives.
func TestServiceShedsAndRetriesAreBounded(t *testing.T) {
	s := serve(t, "CPU_WIDTH=1")
	client := dial(t, s.listen, unhurried())
	const callers, each = 32, 20
	var answered, shed atomic.Int64
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				_, err := client.Score(t.Context(), &orderpricerv1.ScoreRequest{Rounds: 4})
				switch status.Code(err) {
				case codes.OK:
					answered.Add(1)
				case codes.ResourceExhausted:
					shed.Add(1)
				default:
					t.Errorf("%v", err)
				}
			}
		})
	}
	group.Wait()
	attempts := s.attempts(t, "Score")
	t.Logf("%d calls: %d answered, %d shed, %.0f attempts", callers*each, answered.Load(), shed.Load(), attempts)
	if answered.Load() == 0 || shed.Load() == 0 {
		t.Error("there was nothing to shed, or nothing was answered")
	}
	if attempts <= callers*each {
		t.Error("no call was retried")
	}
	if most := callers*each + 50 + 0.1*float64(answered.Load()); attempts > most+1 {
		t.Errorf("%.0f attempts, more than %.0f", attempts, most)
	}
}

func TestServiceTellsWhenToComeBack(t *testing.T) {
	s := serve(t, "CPU_WIDTH=1")
	client := dial(t, s.listen, unhurried(), grpc.WithDisableRetry())
	var told atomic.Int64
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			var trailer metadata.MD
			_, err := client.Score(t.Context(), &orderpricerv1.ScoreRequest{Rounds: 20}, grpc.Trailer(&trailer))
			if status.Code(err) != codes.ResourceExhausted {
				return
			}
			pause, err := strconv.Atoi(strings.Join(trailer.Get("grpc-retry-pushback-ms"), ","))
			if err != nil || pause < 0 {
				t.Errorf("shed with the pause %v", trailer.Get("grpc-retry-pushback-ms"))
			}
			told.Add(1)
		})
	}
	group.Wait()
	if told.Load() == 0 {
		t.Error("nothing was shed")
	}
}

func TestServiceRefusesOversize(t *testing.T) {
	s := serve(t)
	client := dial(t, s.listen, grpc.WithDefaultServiceConfig(`{}`),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(4*MaxMessageBytes)))
	_, err := client.Score(t.Context(), &orderpricerv1.ScoreRequest{Payload: make([]byte, 2*MaxMessageBytes)})
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(status.Convert(err).Message(), "larger than max") {
		t.Errorf("the caller saw %v", err)
	}
}

func TestServiceCarriesTheTraceOn(t *testing.T) {
	provider := sdktrace.NewTracerProvider()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	ctx, span := provider.Tracer("test").Start(t.Context(), "caller")
	defer span.End()
	id := span.SpanContext().TraceID()
	var settings []string
	var exported atomic.Bool
	settings = append(settings, "TRACE_RATIO=1", "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+downstream(t, func(_ context.Context, spans []byte) {
		if bytes.Contains(spans, id[:]) {
			exported.Store(true)
		}
	}))
	var passed atomic.Bool
	settings = append(settings, "DOWNSTREAM_FEATURES=http://"+downstream(t, func(ctx context.Context, _ []byte) {
		if strings.Contains(strings.Join(metadata.ValueFromIncomingContext(ctx, "traceparent"), ""), id.String()) {
			passed.Store(true)
		}
	}))
	s := serve(t, settings...)
	if _, err := dial(t, s.listen, unhurried()).Score(ctx, &orderpricerv1.ScoreRequest{Key: "a", Rounds: 1}); err != nil {
		t.Fatal(err)
	}
	if !passed.Load() {
		t.Error("the downstream service did not see the trace")
	}
	if code := s.signal(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !exported.Load() {
		t.Error("the service exported no span of the trace")
	}
}

// A client's pings, however eager, are no reason to end its connection.
func TestServiceBearsPings(t *testing.T) {
	conn, err := net.Dial("tcp", serve(t).listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.WriteSettings()
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

// SIGTERM lets a call that is under way end, refuses new ones, and exits 0.
func TestServiceDrains(t *testing.T) {
	s := serve(t)
	client := dial(t, s.listen, unhurried())
	const events = 30
	stream, err := client.Watch(t.Context(), &orderpricerv1.WatchRequest{Events: events, IntervalMs: 50})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	code := make(chan int, 1)
	go func() { code <- s.signal(t, syscall.SIGTERM) }()
	for seen := 1; ; seen++ {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			if seen != events {
				t.Errorf("%d events of %d", seen, events)
			}
			break
		} else if err != nil {
			t.Fatalf("after %d events: %v", seen, err)
		}
	}
	if code := <-code; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if conn, err := net.Dial("tcp", s.listen); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
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
	client := dial(t, "fleet:///replicas", grpc.WithResolvers(names), unhurried())
	for range 4 {
		f.callers.Go(func() {
			for {
				select {
				case <-f.stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				f.calls.Add(1)
				if _, err := client.Lookup(t.Context(), &orderpricerv1.LookupRequest{Key: "a"}); err != nil {
					f.failed.Add(1)
					f.first.CompareAndSwap(nil, err.Error())
				}
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	return f
}

// end stops the load and holds the fleet to its promise.
func (f *fleet) end(t *testing.T) {
	t.Helper()
	time.Sleep(500 * time.Millisecond)
	close(f.stop)
	f.callers.Wait()
	t.Logf("%d calls, %d failed", f.calls.Load(), f.failed.Load())
	if f.failed.Load() != 0 || f.calls.Load() < 1000 {
		t.Errorf("%d of %d calls failed; the first: %v", f.failed.Load(), f.calls.Load(), f.first.Load())
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
		eventually(t, "taking calls", func() bool { return f.replicas[i].attempts(t, "Lookup") > 0 })
	}
	f.end(t)
}

func TestReplicaThatDiesFailsNoCall(t *testing.T) {
	f := startFleet(t)
	f.replicas[0].signal(t, syscall.SIGKILL)
	time.Sleep(time.Second)
	f.end(t)
}
