package parity

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"rustgen/internal/parity/live"
)

// scenario makes every kind of call once or more, and checks the codes: a comparison of two servers that both did
// something else would be worth nothing.
func scenario(t *testing.T, c live.Caller) {
	is := func(what string, err error, want codes.Code) {
		t.Helper()
		if got := status.Code(err); got != want {
			t.Errorf("%s: %v, want %v: %v", what, got, want, err)
		}
	}
	scored := func(ctx context.Context, what, key string, want codes.Code) {
		t.Helper()
		_, err := c.Call(ctx, "Score", live.Fields{"key": key, "rounds": uint32(1)}, nil)
		is(what, err, want)
	}
	soon := func() context.Context { return within(t, 10*time.Second) }
	for range 3 {
		scored(soon(), "score", "a", codes.OK)
	}
	for range 2 {
		_, err := c.Call(soon(), "Lookup", live.Fields{"key": "a"}, nil)
		is("lookup", err, codes.OK)
	}
	scored(soon(), "a downstream that is not there", "unavailable", codes.Unavailable)
	scored(soon(), "a downstream that refuses us", "denied", codes.Internal)
	// Late by the service's own deadline: a caller resets a stream as its deadline passes, and whichever comes first is
	// counted, CANCELLED or DEADLINE_EXCEEDED, in Go as here.
	scored(soon(), "a late score", "slow", codes.DeadlineExceeded)
	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	scored(cancelled, "a score given up", "slow", codes.Canceled)

	events := func(ctx context.Context, what string, events, interval uint32, take int, then func(), want codes.Code) {
		t.Helper()
		next, err := c.Stream(ctx, "Watch", live.Fields{"key": "a", "events": events, "interval_ms": interval})
		is(what, err, codes.OK)
		for range take {
			_, err := next()
			is(what, err, codes.OK)
		}
		then()
		_, err = next()
		if want == codes.OK && errors.Is(err, io.EOF) {
			return
		}
		is(what, err, want)
	}
	events(soon(), "a whole stream", 3, 5, 3, func() {}, codes.OK)
	events(soon(), "a late stream", 9, 10_000, 1, func() {}, codes.DeadlineExceeded)
	cancelled, cancel = context.WithCancel(t.Context())
	events(cancelled, "a stream given up", 9, 200, 2, cancel, codes.Canceled)

	check := healthpb.NewHealthClient(c.Conn)
	for range 2 {
		_, err := check.Check(soon(), &healthpb.HealthCheckRequest{})
		is("health", err, codes.OK)
	}
	_, err := check.Check(soon(), &healthpb.HealthCheckRequest{Service: "nobody"})
	is("health of nobody", err, codes.NotFound)
	cancelled, cancel = context.WithCancel(t.Context())
	watch, err := check.Watch(cancelled, &healthpb.HealthCheckRequest{})
	is("health watch", err, codes.OK)
	_, err = watch.Recv()
	is("health watch", err, codes.OK)
	cancel()
	_, err = watch.Recv()
	is("health watch", err, codes.Canceled)

	if names := services(t, c.Conn); len(names) < 3 {
		t.Errorf("reflection lists %v", names)
	}

	err = c.Conn.Invoke(soon(), "/"+string(c.API.Service.FullName())+"/Missing", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
	is("no such method", err, codes.Unimplemented)
	_, err = c.Call(soon(), "Score", live.Fields{"payload": make([]byte, maxMessage+1)}, nil)
	is("a message over the cap", err, codes.ResourceExhausted)
	// A message of another type: its bytes are no UTF-8 where a key should be.
	err = c.Conn.Invoke(soon(), live.Path(c.API.Service, "Lookup"), &garbage, &healthpb.HealthCheckResponse{}, grpc.ForceCodec(raw{}))
	is("a request that is no message", err, codes.Internal)
}

// services asks reflection for the names of all services.
func services(t testing.TB, conn *grpc.ClientConn) []string {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	list := &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{ListServices: ""},
	}
	if err := stream.Send(list); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatalf("reflection ended with %v", err)
	}
	var names []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	return names
}

var garbage = []byte{0xff, 0xff, 0xff}

// raw sends bytes as they are.
type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { return nil }
