// Package edgefilterclient connects Go services to edge-filter.
//
//	conn, err := edgefilterclient.Dial("dns:///edge-filter.edge-filter:50051")
//
// The stubs of the API take this connection. They stand in a package for each proto package, under its path: those of
// acme.orders.v1 in example.com/edge-filter/clients/go/acme/orders/v1. internal/generate writes them.
//
// One connection serves a whole process: it is safe for concurrent use, balances over all replicas and reconnects by
// itself.
package edgefilterclient

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/health" // a replica that says NOT_SERVING gets no calls
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// MaxMessageBytes is the cap on a message, the service's and (in service_config.json) the client's: what is larger fails
// before it is sent.
const MaxMessageBytes = 1048576

// Dial makes a connection to the service; it does not wait for it. A target without a scheme is looked up in DNS, where
// the headless Service lists every replica. Options come after those set here and override them.
//
// The connection speaks TLS, and the service's certificate is for the host of the target. WithCA and WithCertificate say where
// the files are that it needs, which are read again for each connection that gRPC makes: what is rotated is used without a
// restart. A file that is missing or wrong at first is an error of Dial; one that is later leaves what was read before in
// use. Transport credentials of one's own need no files: WithCA("") and WithCertificate("", "") go with them.
func Dial(target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	config, err := serviceConfig(protoregistry.GlobalFiles)
	if err != nil {
		return nil, err
	}
	metrics := sync.OnceValue(func() *grpcprom.ClientMetrics { return registered(prometheus.DefaultRegisterer) })
	secure, err := transport(options)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(secure),
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

// settings holds deadline, retries, balancing and health checking. Its entry without a name is for every method; an entry
// that names a method, or a service, goes before it. The deadline is that of a call without one; the service's own is
// never longer. Load that the service shed (RESOURCE_EXHAUSTED) was not begun, and is retried after the pause that it
// asked for. Retries are at most a tenth of the calls that succeed, and a burst of fifty.
// A call is retried once: one that aborts its replica looks like a replica gone, and must not visit them all.
//
//go:embed service_config.json
var settings string

// methodName is a name of a method config in gRPC's service config.
type methodName struct {
	Service string `json:"service,omitempty"`
	Method  string `json:"method,omitempty"`
}

// serviceConfig returns the settings with an entry for each known method that differs from the others: a stream has no
// deadline of its own, and a call that the proto marks as idempotent (option idempotency_level) is repeated also when its
// replica is gone (UNAVAILABLE), since nobody knows whether that replica has executed it. Known are the methods whose stubs
// the process has linked.
func serviceConfig(known *protoregistry.Files) (string, error) {
	var config map[string]any
	if err := json.Unmarshal([]byte(settings), &config); err != nil {
		return "", fmt.Errorf("service_config.json: %w", err)
	}
	var named struct {
		MethodConfig []struct{ Name []methodName }
	}
	if err := json.Unmarshal([]byte(settings), &named); err != nil {
		return "", fmt.Errorf("service_config.json: %w", err)
	}
	taken := map[methodName]bool{}
	common := -1
	for i, entry := range named.MethodConfig {
		for _, name := range entry.Name {
			taken[name] = true
			if name == (methodName{}) {
				common = i
			}
		}
	}
	if common < 0 {
		return settings, nil
	}
	entries := config["methodConfig"].([]any)
	methods := methodsByKind(known, taken)
	for _, kind := range []methodKind{{streams: true}, {idempotent: true}, {streams: true, idempotent: true}} {
		if names := methods[kind]; len(names) > 0 {
			entries = append(entries, kind.entry(entries[common].(map[string]any), names))
		}
	}
	config["methodConfig"] = entries
	text, err := json.Marshal(config)
	return string(text), err
}

// methodKind is what a method's retries and deadline follow from.
type methodKind struct{ streams, idempotent bool }

// methodsByKind groups the known methods that are not plain calls and that the settings do not name themselves.
func methodsByKind(known *protoregistry.Files, taken map[methodName]bool) map[methodKind][]methodName {
	kinds := map[methodKind][]methodName{}
	known.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				kind := methodKind{method.IsStreamingClient() || method.IsStreamingServer(), idempotent(method)}
				name := methodName{string(service.FullName()), string(method.Name())}
				if kind != (methodKind{}) && !taken[name] && !taken[methodName{Service: name.Service}] {
					kinds[kind] = append(kinds[kind], name)
				}
			}
		}
		return true
	})
	return kinds
}

// idempotent says whether a method may be executed twice. gRPC's own health check reads only, which its proto does not say.
func idempotent(method protoreflect.MethodDescriptor) bool {
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	marked := ok && options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
	return marked || method.FullName() == "grpc.health.v1.Health.Check"
}

// entry is the common method config, changed for methods of this kind.
func (kind methodKind) entry(common map[string]any, names []methodName) map[string]any {
	entry := maps.Clone(common)
	entry["name"] = names
	if kind.streams {
		delete(entry, "timeout")
	}
	if retries, ok := entry["retryPolicy"].(map[string]any); ok && kind.idempotent {
		retries = maps.Clone(retries)
		codes, _ := retries["retryableStatusCodes"].([]any)
		retries["retryableStatusCodes"] = append(slices.Clone(codes), "UNAVAILABLE")
		entry["retryPolicy"] = retries
	}
	return entry
}
