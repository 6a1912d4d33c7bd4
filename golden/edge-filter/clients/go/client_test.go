package edgefilterclient

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// These tests hold the settings of Dial against a Go server, by the calls of gRPC's own test service.

// recorder is a Go server that answers as it is told and remembers what came.
type recorder struct {
	grpc_testing.UnimplementedTestServiceServer
	answer func(attempt int, ctx context.Context) (*grpc_testing.SimpleResponse, error)

	mu       sync.Mutex
	attempts int
	timed    bool          // the last call had a deadline
	left     time.Duration // until then
	traceID  string
	asked    []string // of whose health
}

func (r *recorder) UnaryCall(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	r.mu.Lock()
	r.attempts++
	attempt := r.attempts
	at, timed := ctx.Deadline()
	r.timed, r.left = timed, time.Until(at)
	if parent := metadata.ValueFromIncomingContext(ctx, "traceparent"); len(parent) == 1 {
		r.traceID = strings.Split(parent[0], "-")[1]
	}
	r.mu.Unlock()
	if r.answer != nil {
		return r.answer(attempt, ctx)
	}
	return &grpc_testing.SimpleResponse{}, nil
}

// health is the recorder's health service, which always says the same.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	recorder *recorder
	status   grpc_health_v1.HealthCheckResponse_ServingStatus
}

func (h health) Watch(request *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: h.status}); err != nil {
		return err
	}
	h.recorder.mu.Lock()
	h.recorder.asked = append(h.recorder.asked, request.GetService())
	h.recorder.mu.Unlock()
	<-stream.Context().Done()
	return nil
}

// count is the number of calls that came.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts
}

// start serves the recorder and dials it.
func (r *recorder) start(t *testing.T, options ...grpc.DialOption) grpc_testing.TestServiceClient {
	t.Helper()
	address := r.listen(t, grpc_health_v1.HealthCheckResponse_SERVING)
	return grpc_testing.NewTestServiceClient(dial(t, address, options...))
}

// listen serves the recorder, as healthy as it is told to be, and returns its address.
func (r *recorder) listen(t *testing.T, status grpc_health_v1.HealthCheckResponse_ServingStatus) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64<<20), serverSide())
	grpc_testing.RegisterTestServiceServer(server, r)
	grpc_health_v1.RegisterHealthServer(server, health{recorder: r, status: status})
	run(t, server, listener)
	return listener.Addr().String()
}

// run serves until the end of the test.
func run(t *testing.T, server *grpc.Server, listener net.Listener) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
}

// closed closes at the end of the test.
func closed(t *testing.T, what io.Closer) {
	t.Helper()
	t.Cleanup(func() {
		if err := what.Close(); err != nil {
			t.Error(err)
		}
	})
}

func dial(t *testing.T, target string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := Dial(target, append(callerSide(t), options...)...)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, conn)
	return conn
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(15 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("after 15 s: not %s", what)
		}
	}
}

// unhurried has a deadline that no slow machine misses, and is the client in all else.
func unhurried() grpc.DialOption {
	const deadline = `"timeout":"1s"`
	config, err := serviceConfig(protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	return grpc.WithDefaultServiceConfig(strings.ReplaceAll(config, deadline, `"timeout":"20s"`))
}

// refuse answers with a code, and with what the service says of retries ("" for nothing).
func refuse(ctx context.Context, code codes.Code, pushback string) (*grpc_testing.SimpleResponse, error) {
	if pushback != "" {
		if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", pushback)); err != nil {
			return nil, err
		}
	}
	return nil, status.Error(code, "refused")
}

func TestCallWithoutDeadlineGetsOne(t *testing.T) {
	r := &recorder{}
	client := r.start(t)
	// A short deadline may have passed before the call is sent: another one is.
	eventually(t, "a call that is sent", func() bool {
		_, err := client.UnaryCall(t.Context(), &grpc_testing.SimpleRequest{})
		return err == nil || r.count() > 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	const most = 1000 * time.Millisecond
	if !r.timed || r.left > most {
		t.Errorf("the service saw a deadline (%v) in %v, not within %v", r.timed, r.left, most)
	}
}

func TestRetries(t *testing.T) {
	for name, test := range map[string]struct {
		code     codes.Code
		pushback string
		attempts int
	}{
		"a replica gone":              {codes.Unavailable, "", 1},
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
			r := &recorder{answer: func(attempt int, ctx context.Context) (*grpc_testing.SimpleResponse, error) {
				if attempt == 1 {
					return refuse(ctx, test.code, test.pushback)
				}
				return &grpc_testing.SimpleResponse{}, nil
			}}
			_, err := r.start(t, unhurried()).UnaryCall(t.Context(), &grpc_testing.SimpleRequest{})
			if r.count() != test.attempts {
				t.Errorf("%d attempts, not %d", r.count(), test.attempts)
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
	r := &recorder{answer: func(_ int, ctx context.Context) (*grpc_testing.SimpleResponse, error) {
		return refuse(ctx, codes.ResourceExhausted, "0")
	}}
	client := r.start(t, unhurried())
	for range calls {
		if _, err := client.UnaryCall(t.Context(), &grpc_testing.SimpleRequest{}); status.Code(err) != codes.ResourceExhausted {
			t.Fatalf("the caller saw %v", err)
		}
	}
	if r.count() > calls+50 {
		t.Errorf("%d calls made %d attempts", calls, r.count())
	}
	if r.count() == calls {
		t.Error("no call was retried")
	}
}

func TestOversizeIsRefusedBeforeItIsSent(t *testing.T) {
	r := &recorder{}
	client := r.start(t)
	_, err := client.UnaryCall(t.Context(), &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: make([]byte, MaxMessageBytes)}})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the caller saw %v", err)
	}
	if r.count() != 0 {
		t.Error("the service saw the call")
	}
}

func TestOversizeReplyIsRefused(t *testing.T) {
	r := &recorder{answer: func(int, context.Context) (*grpc_testing.SimpleResponse, error) {
		return &grpc_testing.SimpleResponse{Payload: &grpc_testing.Payload{Body: make([]byte, MaxMessageBytes)}}, nil
	}}
	_, err := r.start(t, unhurried()).UnaryCall(t.Context(), &grpc_testing.SimpleRequest{})
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
	client := grpc_testing.NewTestServiceClient(dial(t, "two:///replicas", grpc.WithResolvers(names), unhurried()))
	const calls = 20
	call := func() {
		for range calls {
			if _, err := client.UnaryCall(t.Context(), &grpc_testing.SimpleRequest{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	call()
	eventually(t, "asked for the health of the whole server", func() bool {
		stops.mu.Lock()
		defer stops.mu.Unlock()
		return slices.Contains(stops.asked, "")
	})
	call()
	if serves.count() != 2*calls || stops.count() != 0 {
		t.Errorf("%d calls to the one that serves, %d to the one that does not", serves.count(), stops.count())
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
	if _, err := r.start(t, unhurried()).UnaryCall(ctx, &grpc_testing.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := span.SpanContext().TraceID().String(); r.traceID != want {
		t.Errorf("the service saw trace %q, not %q", r.traceID, want)
	}
}

func TestTwoConnectionsShareTheirMetrics(t *testing.T) {
	for range 2 {
		if _, err := (&recorder{}).start(t, unhurried()).UnaryCall(t.Context(), &grpc_testing.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "grpc_client_handled_total" {
			return
		}
	}
	t.Error("no grpc_client_handled_total")
}

// Whoever registers the metrics of gRPC's clients before the first call, under these names or the older library's, is
// not disturbed, and no call fails.
func TestMetricsOfOthersAreNoHindrance(t *testing.T) {
	clash := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "grpc_client_handled_total", Help: "Of others."}, []string{"of_others"})
	for name, register := range map[string]func(*prometheus.Registry) (*grpcprom.ClientMetrics, error){
		"the same library's": func(registry *prometheus.Registry) (*grpcprom.ClientMetrics, error) {
			theirs := grpcprom.NewClientMetrics()
			return theirs, registry.Register(theirs)
		},
		"another library's": func(registry *prometheus.Registry) (*grpcprom.ClientMetrics, error) {
			return nil, registry.Register(clash)
		},
		"nobody's": func(*prometheus.Registry) (*grpcprom.ClientMetrics, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			theirs, err := register(registry)
			if err != nil {
				t.Fatal(err)
			}
			if found := registered(registry); found == nil || theirs != nil && found != theirs {
				t.Errorf("%v is taken, and not %v", found, theirs)
			}
		})
	}
}

// A connection that was made and has not been used leaves the names to the process.
func TestDialRegistersNothing(t *testing.T) {
	before := prometheus.DefaultRegisterer
	registry := prometheus.NewRegistry()
	prometheus.DefaultRegisterer = registry
	t.Cleanup(func() { prometheus.DefaultRegisterer = before })
	dial(t, "127.0.0.1:1")
	if err := registry.Register(grpcprom.NewClientMetrics()); err != nil {
		t.Error(err)
	}
}

// An API with a method of each kind, as the stubs of a proto would register it.
const (
	writes  = "/retries.test.v1.Store/Write"
	reads   = "/retries.test.v1.Store/Read"
	follows = "/retries.test.v1.Store/Follow"
)

var registerStore = sync.OnceValue(func() error {
	method := func(name string, level descriptorpb.MethodOptions_IdempotencyLevel, streams bool) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String(".google.protobuf.Empty"), OutputType: proto.String(".google.protobuf.Empty"),
			ServerStreaming: proto.Bool(streams), Options: &descriptorpb.MethodOptions{IdempotencyLevel: level.Enum()},
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("retries/test/v1/store.proto"), Package: proto.String("retries.test.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/empty.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Store"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Write", descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN, false),
			method("Read", descriptorpb.MethodOptions_NO_SIDE_EFFECTS, false),
			method("Follow", descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN, true),
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	return protoregistry.GlobalFiles.RegisterFile(file)
})

// answer serves every method of every API with one handler, and says that it is healthy.
func answer(t *testing.T, listener net.Listener, handler grpc.StreamHandler) {
	t.Helper()
	server := grpc.NewServer(grpc.UnknownServiceHandler(handler), serverSide())
	grpc_health_v1.RegisterHealthServer(server, health{recorder: &recorder{}, status: grpc_health_v1.HealthCheckResponse_SERVING})
	run(t, server, listener)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// breaker is a server that executes a call, and then breaks the connection instead of answering.
type breaker struct {
	net.Listener
	executed atomic.Int64
	mu       sync.Mutex
	open     []net.Conn
}

func (b *breaker) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err == nil {
		b.mu.Lock()
		b.open = append(b.open, conn)
		b.mu.Unlock()
	}
	return conn, err
}

func (b *breaker) execute(_ any, stream grpc.ServerStream) error {
	if err := stream.RecvMsg(new(emptypb.Empty)); err != nil {
		return err
	}
	b.executed.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed error
	for _, conn := range b.open {
		failed = errors.Join(failed, conn.Close())
	}
	b.open = nil
	if failed != nil {
		return failed
	}
	return status.Error(codes.Internal, "nobody sees this")
}

// What was executed is not executed again, unless the proto says that it may be.
func TestBrokenConnectionRepeatsOnlyWhatIsIdempotent(t *testing.T) {
	if err := registerStore(); err != nil {
		t.Fatal(err)
	}
	for method, most := range map[string]int64{writes: 1, reads: 2} {
		t.Run(method, func(t *testing.T) {
			b := &breaker{Listener: listen(t)}
			answer(t, b, b.execute)
			err := dial(t, b.Addr().String(), unhurried()).Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{})
			if status.Code(err) != codes.Unavailable {
				t.Errorf("the caller saw %v", err)
			}
			if executed := b.executed.Load(); executed != most {
				t.Errorf("executed %d times, not %d", executed, most)
			}
		})
	}
}

// A stream lasts as long as it is open: the deadline of calls that answer once is not its.
func TestStreamHasNoDefaultDeadline(t *testing.T) {
	if err := registerStore(); err != nil {
		t.Fatal(err)
	}
	timed := make(chan bool, 1)
	listener := listen(t)
	answer(t, listener, func(_ any, stream grpc.ServerStream) error {
		_, has := stream.Context().Deadline()
		timed <- has
		return nil
	})
	conn := dial(t, listener.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, follows); err != nil {
		t.Fatal(err)
	}
	if <-timed {
		t.Error("the service saw a deadline")
	}
}

// What service_config.json says of a method or of a service by its name is not said again.
func TestNamedMethodsKeepTheirSettings(t *testing.T) {
	if err := registerStore(); err != nil {
		t.Fatal(err)
	}
	kinds := methodsByKind(protoregistry.GlobalFiles, map[methodName]bool{{Service: "retries.test.v1.Store"}: true})
	for _, names := range kinds {
		for _, name := range names {
			if name.Service == "retries.test.v1.Store" {
				t.Errorf("%s has a second entry", name.Method)
			}
		}
	}
	config, err := serviceConfig(protoregistry.GlobalFiles)
	if err != nil || !json.Valid([]byte(config)) {
		t.Errorf("%v: %s", err, config)
	}
}
