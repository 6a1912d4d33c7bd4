package orderpricerclient

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"gitlab.com/acme/order-pricer/clients/go/order_pricer/v1"
)

// recorder is a Go server that answers as it is told and remembers what came.
type recorder struct {
	orderpricerv1.UnimplementedOrderPricerServiceServer
	answer func(attempt int, ctx context.Context) (*orderpricerv1.LookupReply, error)

	mu       sync.Mutex
	attempts int
	deadline time.Duration
	traceID  string
}

func (r *recorder) Lookup(ctx context.Context, request *orderpricerv1.LookupRequest) (*orderpricerv1.LookupReply, error) {
	r.mu.Lock()
	r.attempts++
	attempt := r.attempts
	if at, ok := ctx.Deadline(); ok {
		r.deadline = time.Until(at)
	}
	if parent := metadata.ValueFromIncomingContext(ctx, "traceparent"); len(parent) == 1 {
		r.traceID = strings.Split(parent[0], "-")[1]
	}
	r.mu.Unlock()
	if r.answer != nil {
		return r.answer(attempt, ctx)
	}
	return &orderpricerv1.LookupReply{Key: request.GetKey()}, nil
}

// health is a health service that always says the same.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	status grpc_health_v1.HealthCheckResponse_ServingStatus
}

func (h health) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: h.status}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// start serves the recorder and dials it.
func (r *recorder) start(t *testing.T, options ...grpc.DialOption) orderpricerv1.OrderPricerServiceClient {
	t.Helper()
	return dial(t, r.listen(t, grpc_health_v1.HealthCheckResponse_SERVING), options...)
}

// listen serves the recorder, as healthy as it is told to be, and returns its address.
func (r *recorder) listen(t *testing.T, status grpc_health_v1.HealthCheckResponse_ServingStatus) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	orderpricerv1.RegisterOrderPricerServiceServer(server, r)
	grpc_health_v1.RegisterHealthServer(server, health{status: status})
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func dial(t *testing.T, target string, options ...grpc.DialOption) orderpricerv1.OrderPricerServiceClient {
	t.Helper()
	conn, err := Dial(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return orderpricerv1.NewOrderPricerServiceClient(conn)
}

// unhurried has a deadline that no slow machine misses, and is the client in all else.
func unhurried() grpc.DialOption {
	const deadline = `"timeout": "0.25s"`
	return grpc.WithDefaultServiceConfig(strings.Replace(serviceConfig, deadline, `"timeout": "20s"`, 1))
}

// refuse answers with a code, and with what the service says of retries ("" for nothing).
func refuse(ctx context.Context, code codes.Code, pushback string) (*orderpricerv1.LookupReply, error) {
	if pushback != "" {
		grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", pushback))
	}
	return nil, status.Error(code, "refused")
}

func TestCallWithoutDeadlineGetsOne(t *testing.T) {
	r := &recorder{}
	// On a slow machine a short deadline may pass; what counts is what the service saw of it.
	r.start(t).Lookup(t.Context(), &orderpricerv1.LookupRequest{})
	const most = 250 * time.Millisecond
	if r.deadline <= 0 || r.deadline > most {
		t.Errorf("the service saw a deadline in %v, not within %v", r.deadline, most)
	}
}

func TestRetries(t *testing.T) {
	for name, test := range map[string]struct {
		code     codes.Code
		pushback string
		attempts int
	}{
		"a replica gone":              {codes.Unavailable, "", 2},
		"shed, with a pause":          {codes.ResourceExhausted, "5", 2},
		"shed, never to be retried":   {codes.ResourceExhausted, "-1", 1},
		"a query that panics":         {codes.Internal, "", 1},
		"too late":                    {codes.DeadlineExceeded, "", 1},
		"a mistake of the caller":     {codes.InvalidArgument, "", 1},
		"an unknown error":            {codes.Unknown, "", 1},
		"aborted, for the caller":     {codes.Aborted, "", 1},
		"gone, and asked not to come": {codes.Unavailable, "-1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{answer: func(attempt int, ctx context.Context) (*orderpricerv1.LookupReply, error) {
				if attempt == 1 {
					return refuse(ctx, test.code, test.pushback)
				}
				return &orderpricerv1.LookupReply{}, nil
			}}
			_, err := r.start(t, unhurried()).Lookup(t.Context(), &orderpricerv1.LookupRequest{})
			if r.attempts != test.attempts {
				t.Errorf("%d attempts, not %d", r.attempts, test.attempts)
			}
			if want := map[int]codes.Code{1: test.code, 2: codes.OK}[test.attempts]; status.Code(err) != want {
				t.Errorf("the caller saw %v, not %v", err, want)
			}
		})
	}
}

// When everything is refused, retries end by themselves: a storm would keep the service down.
func TestRetriesAreThrottled(t *testing.T) {
	const calls = 500
	r := &recorder{answer: func(_ int, ctx context.Context) (*orderpricerv1.LookupReply, error) {
		return refuse(ctx, codes.ResourceExhausted, "0")
	}}
	client := r.start(t, unhurried())
	for range calls {
		if _, err := client.Lookup(t.Context(), &orderpricerv1.LookupRequest{}); status.Code(err) != codes.ResourceExhausted {
			t.Fatalf("the caller saw %v", err)
		}
	}
	if r.attempts > calls+50 {
		t.Errorf("%d calls made %d attempts", calls, r.attempts)
	}
	if r.attempts == calls {
		t.Error("no call was retried")
	}
}

func TestOversizeIsRefusedBeforeItIsSent(t *testing.T) {
	r := &recorder{}
	client := r.start(t)
	_, err := client.Lookup(t.Context(), &orderpricerv1.LookupRequest{Key: strings.Repeat("k", MaxMessageBytes)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the caller saw %v", err)
	}
	if r.attempts != 0 {
		t.Error("the service saw the call")
	}
}

func TestOversizeReplyIsRefused(t *testing.T) {
	r := &recorder{answer: func(int, context.Context) (*orderpricerv1.LookupReply, error) {
		return &orderpricerv1.LookupReply{Key: strings.Repeat("k", MaxMessageBytes)}, nil
	}}
	_, err := r.start(t, unhurried()).Lookup(t.Context(), &orderpricerv1.LookupRequest{})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the caller saw %v", err)
	}
}

func TestReplicaThatDoesNotServeGetsNoCall(t *testing.T) {
	var serves, stops recorder
	names := manual.NewBuilderWithScheme("two")
	names.InitialState(resolver.State{Addresses: []resolver.Address{
		{Addr: serves.listen(t, grpc_health_v1.HealthCheckResponse_SERVING)},
		{Addr: stops.listen(t, grpc_health_v1.HealthCheckResponse_NOT_SERVING)},
	}})
	client := dial(t, "two:///replicas", grpc.WithResolvers(names), unhurried())
	const calls = 20
	for range calls {
		if _, err := client.Lookup(t.Context(), &orderpricerv1.LookupRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if serves.attempts != calls || stops.attempts != 0 {
		t.Errorf("%d calls to the one that serves, %d to the one that does not", serves.attempts, stops.attempts)
	}
}

func TestTraceGoesOn(t *testing.T) {
	provider := sdktrace.NewTracerProvider()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	ctx, span := provider.Tracer("test").Start(t.Context(), "caller")
	defer span.End()
	r := &recorder{}
	if _, err := r.start(t, unhurried()).Lookup(ctx, &orderpricerv1.LookupRequest{}); err != nil {
		t.Fatal(err)
	}
	if want := span.SpanContext().TraceID().String(); r.traceID != want {
		t.Errorf("the service saw trace %q, not %q", r.traceID, want)
	}
}

func TestCallsAreMeasured(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	if _, err := (&recorder{}).start(t, unhurried()).Lookup(t.Context(), &orderpricerv1.LookupRequest{}); err != nil {
		t.Fatal(err)
	}
	var measured metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &measured); err != nil {
		t.Fatal(err)
	}
	for _, scope := range measured.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if metric.Name == "rpc.client.call.duration" {
				return
			}
		}
	}
	t.Error("no rpc.client.call.duration")
}
