package parity

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"

	"rustgen/internal/parity/live"
)

// reference is a Go service of the same API, as the fleet's are written.
type reference struct {
	listen   string
	registry *prometheus.Registry
}

// families is what it exports, through the text that a scraper reads.
func (r reference) families(t testing.TB) live.Families {
	t.Helper()
	page := httptest.NewRecorder()
	promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	families, err := live.Parse(page.Body.String())
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// dialect is how a Go service is instrumented.
type dialect func(t testing.TB, registry *prometheus.Registry) (server []grpc.ServerOption, client []grpc.DialOption, ready func(*grpc.Server))

func goGRPCMiddleware(t testing.TB, registry *prometheus.Registry) ([]grpc.ServerOption, []grpc.DialOption, func(*grpc.Server)) {
	server := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram())
	client := grpcprom.NewClientMetrics(grpcprom.WithClientHandlingTimeHistogram())
	registry.MustRegister(server, client)
	return []grpc.ServerOption{
			grpc.ChainUnaryInterceptor(server.UnaryServerInterceptor()),
			grpc.ChainStreamInterceptor(server.StreamServerInterceptor()),
		}, []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(client.UnaryClientInterceptor()),
			grpc.WithChainStreamInterceptor(client.StreamClientInterceptor()),
		}, func(s *grpc.Server) { server.InitializeMetrics(s) }
}

func otelGRPC(t testing.TB, registry *prometheus.Registry) ([]grpc.ServerOption, []grpc.DialOption, func(*grpc.Server)) {
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	provider := otelgrpc.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(exporter)))
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(provider))},
		[]grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler(provider))},
		func(*grpc.Server) {}
}

const (
	maxMessage = 1 << 20
	round      = 2500 * time.Microsecond
	// ownDeadline is how long either service lets a call take.
	ownDeadline = 300 * time.Millisecond
)

// goServer serves the API of b in Go, and asks the same downstream.
func goServer(t testing.TB, b built, instrumented dialect, downstream string) reference {
	t.Helper()
	registry := prometheus.NewRegistry()
	serverOptions, clientOptions, ready := instrumented(t, registry)
	conn, err := grpc.NewClient("passthrough:///"+downstream, append(clientOptions,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	server := grpc.NewServer(append(serverOptions, grpc.MaxRecvMsgSize(maxMessage))...)
	server.RegisterService(live.Describe(b.api.Service, live.Handlers{
		"Score":  live.Unary(func(ctx context.Context, r *dynamicpb.Message) (live.Fields, error) { return score(ctx, b, conn, r) }),
		"Lookup": live.Unary(lookup),
		"Watch":  live.Streaming(watch),
	}), struct{}{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	ready(server)
	return reference{serve(t, server), registry}
}

func score(ctx context.Context, b built, conn *grpc.ClientConn, request *dynamicpb.Message) (live.Fields, error) {
	ctx, cancel := context.WithTimeout(ctx, ownDeadline)
	defer cancel()
	for name, service := range b.api.Called {
		kind := service.Methods().ByName("Get")
		reply := dynamicpb.NewMessage(kind.Output())
		asked := live.Message(kind.Input(), live.Fields{"key": live.Get(request, "key").String()})
		if err := conn.Invoke(ctx, live.Path(service, "Get"), asked, reply); err != nil {
			return nil, failed(ctx, name, err)
		}
	}
	select {
	case <-time.After(round * time.Duration(live.Get(request, "rounds").Uint())):
		return live.Fields{"score": 1.0}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// failed is what a caller is told when a call to another service failed.
func failed(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	switch code := status.Code(err); code {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.Canceled:
		return status.Error(codes.Unavailable, name)
	case codes.DeadlineExceeded:
		return status.Error(code, name)
	default:
		return status.Error(codes.Internal, name)
	}
}

func lookup(_ context.Context, request *dynamicpb.Message) (live.Fields, error) {
	return live.Fields{"key": live.Get(request, "key").String()}, nil
}

func watch(ctx context.Context, request *dynamicpb.Message, send func(live.Fields) error) error {
	ctx, cancel := context.WithTimeout(ctx, ownDeadline)
	defer cancel()
	interval := time.Duration(live.Get(request, "interval_ms").Uint()) * time.Millisecond
	for seq := range live.Get(request, "events").Uint() {
		if seq > 0 {
			select {
			case <-time.After(interval):
			case <-ctx.Done():
				return status.FromContextError(ctx.Err()).Err()
			}
		}
		if err := send(live.Fields{"seq": seq + 1, "key": live.Get(request, "key").String()}); err != nil {
			return err
		}
	}
	return nil
}
