package parity

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"rustgen/internal/parity/live"
)

// Differences that stay.
var (
	goGRPCMiddlewareDiffers = []deliberate{
		{`^grpc_client_\w+\{.*\}: Go does not export it$`,
			"series of the client side stand at zero from the start, as the server's do: a rate over the first failure is seen"},
		{`^grpc_server_\w+\{.*grpc_method="List",grpc_service="grpc.health.v1.Health".*: only Go exports it$`,
			"the health service of tonic has no List yet"},
		{`^grpc_server_(started_total|handling_seconds)\{grpc_method="Score",.*: value 8, in Go 7$`, overTheCap},
		{`^grpc_server_handled_total\{grpc_code="ResourceExhausted",grpc_method="Score",.*: value 1, in Go 0$`, overTheCap},
		{`^grpc_server_(started_total|handling_seconds|msg_received_total)\{grpc_method="Lookup",.*: value 3, in Go 2$`, noMessage},
		{`^grpc_server_handled_total\{grpc_code="Internal",grpc_method="Lookup",.*: value 1, in Go 0$`, noMessage},
	}
	otelGRPCDiffers = []deliberate{
		{`^target_info: only Go exports it$`,
			"OpenTelemetry's resource; the labels of the scrape's target name the service already"},
	}
)

// speaker are the labels that name the library that measured: they cannot be the same.
var speaker = []string{"otel_scope_name", "otel_scope_version"}

const (
	overTheCap = "grpc-go refuses a unary request over the cap before any interceptor runs, so Go's counters never see it; " +
		"here every call is counted"
	noMessage = "grpc-go decodes a unary request before any interceptor runs, so Go's counters never see one that is no message; " +
		"here every call is counted"
)

// panics is the key of a lookup that panics.
const panics = "panic"

var instrumentedOnce = map[string]built{}

// instrumented is a service that speaks a dialect, calls one other service, and panics when it is told to.
func instrumented(t *testing.T, dialect string) built {
	t.Helper()
	if service, ok := instrumentedOnce[dialect]; ok {
		return service
	}
	tree, err := live.Render("parity-"+strings.Split(dialect, "-")[0], map[string]string{
		"metrics": dialect, "downstream": "user-prices", "panic": "unwind", "deadline": ownDeadline.String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	const line = "let key = request.into_inner().key;"
	tree, err = tree.With("src/handlers.rs", line, line+"\n        assert!(key != \""+panics+"\", \"planted\");")
	if err != nil {
		t.Fatal(err)
	}
	// A stream has no deadline of the service's own unless its method is given one, as the Go service's is.
	const watch = `("Watch", Policy::light()`
	tree, err = tree.With("src/policy.rs", watch, watch+fmt.Sprintf(".deadline(Duration::from_millis(%d))", ownDeadline.Milliseconds()))
	if err != nil {
		t.Fatal(err)
	}
	instrumentedOnce[dialect] = build(t, tree)
	return instrumentedOnce[dialect]
}

// Both dialects, each beside a Go service that uses the library, with the same calls to both.
func TestDialects(t *testing.T) {
	for _, d := range []struct {
		name       string
		families   *regexp.Regexp
		goes       dialect
		deliberate []deliberate
	}{
		{"go-grpc-middleware", regexp.MustCompile("^grpc_"), goGRPCMiddleware, goGRPCMiddlewareDiffers},
		{"otelgrpc", regexp.MustCompile("^(rpc_|otel_|target_)"), otelGRPC, otelGRPCDiffers},
	} {
		t.Run(d.name, func(t *testing.T) {
			service := instrumented(t, d.name)
			downstream, env := service.downstream(t)
			goes := goServer(t, service, d.goes, downstream)
			ours := service.start(t, env...)
			for name, address := range map[string]string{"go": goes.listen, "ours": ours.Listen} {
				t.Run(name, func(t *testing.T) { scenario(t, service.dial(t, address)) })
			}
			// What was cancelled is counted a moment after its caller has left.
			var left []string
			for range 20 {
				left = unexplained(differences(goes.families(t), scrape(t, ours), d.families), d.deliberate)
				if len(left) == 0 {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			for _, difference := range left {
				t.Error(difference)
			}
		})
	}
}
