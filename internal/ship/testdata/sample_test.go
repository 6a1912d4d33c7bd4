package helloclient

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	api "example.com/hello/clients/go/hello/v1"
)

// These tests are planted beside the client's own for what only calls of the sample API can show: its stubs, work that
// takes CPU, and streams that a handler writes.

// serveSample starts the service, and in the place of those that it calls a server that answers every call with an empty
// message; see is shown the context of each.
func serveSample(t *testing.T, see func(ctx context.Context), settings ...string) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(new(emptypb.Empty)); err != nil {
			return err
		}
		if see != nil {
			see(stream.Context())
		}
		return stream.SendMsg(new(emptypb.Empty))
	}))
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	address := "=http://" + listener.Addr().String()
	return serve(t, append(settings, "DOWNSTREAM_USER_STORE"+address, "DOWNSTREAM_PRICES"+address)...)
}

func sample(t *testing.T, s *service, options ...grpc.DialOption) api.HelloServiceClient {
	t.Helper()
	return api.NewHelloServiceClient(dial(t, s.listen, append([]grpc.DialOption{unhurried()}, options...)...))
}

// watch opens a stream of events and waits for the first.
func watch(t *testing.T, ctx context.Context, client api.HelloServiceClient, events, interval uint32) grpc.ServerStreamingClient[api.WatchEvent] {
	t.Helper()
	stream, err := client.Watch(ctx, &api.WatchRequest{Events: events, IntervalMs: interval})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestSampleAnswers(t *testing.T) {
	client := sample(t, serveSample(t, nil))
	reply, err := client.Lookup(t.Context(), &api.LookupRequest{Key: "a"})
	if err != nil || reply.GetKey() != "a" {
		t.Errorf("%v, %v", reply, err)
	}
	if _, err := client.Score(t.Context(), &api.ScoreRequest{Key: "a", Payload: []byte("payload"), Rounds: 1}); err != nil {
		t.Error(err)
	}
}

func TestSampleStreamEnds(t *testing.T) {
	s := serveSample(t, nil)
	client := sample(t, s)
	inFlight := func() float64 {
		return s.metric(t, `hotpath_in_flight\{grpc_method="Watch",grpc_service="[^"]*Service"\}`)
	}
	for name, test := range map[string]struct {
		within time.Duration
		cancel bool
		want   codes.Code
	}{
		"at its deadline": {500 * time.Millisecond, false, codes.DeadlineExceeded},
		"when called off": {15 * time.Second, true, codes.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), test.within)
			defer cancel()
			stream, err := client.Watch(ctx, &api.WatchRequest{Events: 1_000_000, IntervalMs: 10})
			for seen := 0; err == nil; seen++ {
				_, err = stream.Recv()
				if seen == 1 && test.cancel {
					if inFlight() != 1 {
						t.Error("the call is not in flight")
					}
					cancel()
				}
			}
			if status.Code(err) != test.want {
				t.Errorf("it ends with %v", err)
			}
			eventually(t, "out of flight", func() bool { return inFlight() == 0 })
		})
	}
}

// Under more load than the CPU carries, calls are shed at once and told when to come back, retries stay few, and the
// service lives.
func TestSampleShedsUnderLoad(t *testing.T) {
	s := serveSample(t, nil, "CPU_WIDTH=1")
	client := sample(t, s)
	const callers, each = 32, 20
	var answered, shed atomic.Int64
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				var trailer metadata.MD
				_, err := client.Score(t.Context(), &api.ScoreRequest{Rounds: 4}, grpc.Trailer(&trailer))
				switch status.Code(err) {
				case codes.OK:
					answered.Add(1)
				case codes.ResourceExhausted:
					shed.Add(1)
					told := strings.Join(trailer.Get("grpc-retry-pushback-ms"), ",")
					if pause, err := strconv.Atoi(told); err != nil || pause < 0 {
						t.Errorf("shed with the pause %q", told)
					}
				default:
					t.Errorf("%v", err)
				}
			}
		})
	}
	group.Wait()
	// Counted in either dialect.
	attempts := s.metric(t, `(?:grpc_server_handled_total|rpc_server_call_duration_seconds_count)\{[^}]*(?:grpc_method="|/)Score"[^}]*\}`)
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

// The cap of the service's own methods is the client's.
func TestSampleRefusesOversize(t *testing.T) {
	s := serveSample(t, nil)
	client := api.NewHelloServiceClient(dial(t, s.listen, grpc.WithDefaultServiceConfig(`{}`),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(2*MaxMessageBytes))))
	// Beside the payload, a message has a few bytes for its tag and its length.
	for size, want := range map[int]codes.Code{MaxMessageBytes - 10: codes.OK, MaxMessageBytes: codes.ResourceExhausted} {
		_, err := client.Score(t.Context(), &api.ScoreRequest{Payload: make([]byte, size)})
		if status.Code(err) != want || err != nil && !strings.Contains(err.Error(), "larger than max") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// SIGTERM lets a stream that a handler writes end, and the process exits 0.
func TestSampleStreamOutlivesSIGTERM(t *testing.T) {
	s := serveSample(t, nil)
	const events = 30
	stream := watch(t, t.Context(), sample(t, s), events, 50)
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
