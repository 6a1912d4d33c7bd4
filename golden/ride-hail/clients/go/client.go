// Package ridehailclient connects Go services to ride-hail.
//
//	conn, err := ridehailclient.Dial("dns:///ride-hail.ride-hail:50051")
//
// The stubs of the API take this connection. They stand in a package for each proto package, under its path: those of
// acme.orders.v1 in example.com/ride-hail/clients/go/acme/orders/v1. internal/generate writes them.
//
// One connection serves a whole process: it is safe for concurrent use, balances over all replicas and reconnects by
// itself.
package ridehailclient

import (
	_ "embed"
	"errors"
	"fmt"
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
)

// MaxMessageBytes is the cap on a message, the service's and (in service_config.json) the client's: what is larger fails
// before it is sent.
const MaxMessageBytes = 1048576

// serviceConfig holds deadline, retries, balancing and health checking, for every method alike; what is said of one
// method by its name goes before it. The deadline is that of a call without one; the service's own is never longer. A
// retry is for what did not begin (UNAVAILABLE) and for load that the service shed, after the pause that it asked for.
// Retries are at most a tenth of the calls that succeed, and a burst of fifty.
//
//go:embed service_config.json
var serviceConfig string

// Dial makes a connection to the service; it does not wait for it. A target without a scheme is looked up in DNS, where
// the headless Service lists every replica. Options come after those set here and override them: transport credentials
// above all, without which the connection is in plain text, for a mesh to encrypt.
func Dial(target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	metrics, err := registered(prometheus.DefaultRegisterer)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
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
		grpc.WithChainUnaryInterceptor(metrics.UnaryClientInterceptor()),
		grpc.WithChainStreamInterceptor(metrics.StreamClientInterceptor()),
	}, options...)...)
}

// registered is the process's one set of grpc_client metrics: another client may have registered it before.
func registered(registry prometheus.Registerer) (*grpcprom.ClientMetrics, error) {
	metrics := grpcprom.NewClientMetrics(grpcprom.WithClientHandlingTimeHistogram())
	err := registry.Register(metrics)
	if already := new(prometheus.AlreadyRegisteredError); errors.As(err, already) {
		if existing, ok := already.ExistingCollector.(*grpcprom.ClientMetrics); ok {
			return existing, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("grpc_client metrics: %w", err)
	}
	return metrics, nil
}
