package helloclient

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/metadata"

	api "example.com/hello/clients/go/hello/v1"
)

// The trace of a caller goes through the service to those that it calls.
func TestSampleCarriesTheTraceOn(t *testing.T) {
	provider := sdktrace.NewTracerProvider()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	ctx, span := provider.Tracer("test").Start(t.Context(), "caller")
	defer span.End()
	var passed atomic.Int64
	s := serveSample(t, func(ctx context.Context) {
		parent := strings.Join(metadata.ValueFromIncomingContext(ctx, "traceparent"), "")
		if strings.Contains(parent, span.SpanContext().TraceID().String()) {
			passed.Add(1)
		}
	})
	if _, err := sample(t, s).Score(ctx, &api.ScoreRequest{Key: "a", Rounds: 1}); err != nil {
		t.Fatal(err)
	}
	if passed.Load() != 2 {
		t.Errorf("of two downstream services %d saw the trace", passed.Load())
	}
}
