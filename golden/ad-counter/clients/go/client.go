// Package adcounterclient connects Go services to ad-counter.
//
//	conn, err := adcounterclient.Dial("dns:///ad-counter.ad-counter:50051")
//
// The stubs of the API take this connection. They stand in a package for each proto package, under its path: those of
// acme.orders.v1 in gitlab.com/acme/ad-counter/clients/go/acme/orders/v1. internal/generate writes them.
//
// One connection serves a whole process: it is safe for concurrent use, balances over all replicas and reconnects by
// itself.
package adcounterclient

import (
	"context"
	"errors"
	"sync"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // a replica that says NOT_SERVING gets no calls
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// MaxMessageBytes is the cap on a message, the service's and (in service_config.json) the client's: what is larger fails
// before it is sent.
const MaxMessageBytes = 1048576

// Dial makes a connection to the service; it does not wait for it. A target without a scheme is looked up in DNS, where
// the headless Service lists every replica. Options come after those set here and override them: transport credentials
// above all, without which the connection is in plain text, for a mesh to encrypt.
func Dial(target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	config, err := serviceConfig(protoregistry.GlobalFiles)
	if err != nil {
		return nil, err
	}
	metrics := sync.OnceValue(func() *grpcprom.ClientMetrics { return registered(prometheus.DefaultRegisterer) })
	return grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(config),
		// A dead peer is noticed within 40 s, but only while calls wait for it: idle connections send no pings.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: time.Second,
		}),
		// The trace goes on in the service, whatever propagator the process has set.
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
			otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		)),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
			return metrics().UnaryClientInterceptor()(ctx, method, request, reply, conn, invoke, options...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
			return metrics().StreamClientInterceptor()(ctx, desc, conn, method, stream, options...)
		}),
	}, options...)...)
}

// registered returns the grpc_client metrics of the process: those that it has registered by its first call, with or
// without the histogram, or ones that are registered now. Where other metrics have their names, as those of the older
// go-grpc-prometheus do, the calls of this connection are not exported: a clash of names is no reason to refuse calls.
func registered(registry prometheus.Registerer) *grpcprom.ClientMetrics {
	metrics := grpcprom.NewClientMetrics(grpcprom.WithClientHandlingTimeHistogram())
	for _, candidate := range []*grpcprom.ClientMetrics{metrics, grpcprom.NewClientMetrics()} {
		err := registry.Register(candidate)
		if err == nil {
			return candidate
		}
		if already := new(prometheus.AlreadyRegisteredError); errors.As(err, already) {
			if existing, ok := already.ExistingCollector.(*grpcprom.ClientMetrics); ok {
				return existing
			}
		}
	}
	return metrics
}
