package parity

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rustgen/internal/parity/live"
)

// family is where a dialect counts the calls that ended, by method and code.
type family struct {
	name   string
	labels func(service, method string, code codes.Code) []string
}

func calledFamily(service built) family {
	if service.Text("metrics") == "otelgrpc" {
		return family{"rpc_server_call_duration_seconds", func(service, method string, code codes.Code) []string {
			return []string{"rpc_method", service + "/" + method, "rpc_response_status_code", protocolName(code)}
		}}
	}
	return family{"grpc_server_handled_total", func(service, method string, code codes.Code) []string {
		return []string{"grpc_service", service, "grpc_method", method, "grpc_code", code.String()}
	}}
}

// protocolName is a code as gRPC's own documents spell it.
func protocolName(code codes.Code) string {
	for name, value := range map[string]codes.Code{
		"OK": codes.OK, "CANCELLED": codes.Canceled, "DEADLINE_EXCEEDED": codes.DeadlineExceeded,
		"RESOURCE_EXHAUSTED": codes.ResourceExhausted, "INTERNAL": codes.Internal,
	} {
		if value == code {
			return name
		}
	}
	return code.String()
}

// Whatever becomes of a call, it is counted once, under the code that its caller saw.
func TestCountedOnce(t *testing.T) {
	for _, dialect := range []string{"go-grpc-middleware", "otelgrpc"} {
		t.Run(dialect, func(t *testing.T) {
			service := instrumented(t, dialect)
			_, env := service.downstream(t)
			process := service.start(t, append(env, "MAX_DEADLINE_MS=2000")...)
			caller := service.dial(t, process.Listen)

			var mu sync.Mutex
			seen := map[string]map[codes.Code]float64{"Score": {}, "Lookup": {}}
			call := func(ctx context.Context, method string, fields live.Fields) {
				_, err := caller.Call(ctx, method, fields, nil)
				mu.Lock()
				defer mu.Unlock()
				seen[method][status.Code(err)]++
			}
			ctx := within(t, 20*time.Second)
			call(ctx, "Score", live.Fields{"key": "a", "rounds": uint32(1)})
			given, giveUp := context.WithCancel(ctx)
			time.AfterFunc(100*time.Millisecond, giveUp)
			call(given, "Score", live.Fields{"key": "slow"})
			var flood sync.WaitGroup
			for range 60 {
				flood.Go(func() { call(ctx, "Score", live.Fields{"key": "a", "rounds": uint32(1_000_000)}) })
			}
			flood.Wait()
			call(ctx, "Lookup", live.Fields{"key": "a"})
			// The drain that follows a panic waits for this stream, and while it does the process can be scraped.
			if _, err := caller.Stream(ctx, "Watch", live.Fields{"events": uint32(9), "interval_ms": uint32(1000)}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the stream is under way", func() bool {
				return scrape(t, process).Value("hotpath_in_flight", "grpc_method", "Watch") == 1
			})
			call(ctx, "Lookup", live.Fields{"key": panics})

			for method, code := range map[string][]codes.Code{
				"Score":  {codes.OK, codes.Canceled, codes.DeadlineExceeded, codes.ResourceExhausted},
				"Lookup": {codes.OK, codes.Internal},
			} {
				for _, code := range code {
					if seen[method][code] == 0 {
						t.Fatalf("no call of %s ended with %v: %v", method, code, seen[method])
					}
				}
			}
			counts, own := calledFamily(service), string(service.api.Service.FullName())
			got := map[string]map[codes.Code]float64{}
			var families live.Families
			for range 20 {
				families = scrape(t, process)
				for method := range seen {
					got[method] = map[codes.Code]float64{}
					for code := range codes.Code(17) {
						if value := families.Value(counts.name, counts.labels(own, method, code)...); value > 0 {
							got[method][code] = value
						}
					}
				}
				if maps.EqualFunc(seen, got, maps.Equal) {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			if !maps.EqualFunc(seen, got, maps.Equal) {
				t.Errorf("counted %v, and the caller saw %v", got, seen)
			}
			if shed := families.Value("hotpath_shed_total"); shed != seen["Score"][codes.ResourceExhausted] {
				t.Errorf("%v calls counted as shed, and %v were", shed, seen["Score"][codes.ResourceExhausted])
			}
			if count := families.Value("hotpath_panics_total"); count != 1 {
				t.Errorf("%v panics", count)
			}
			_, page, err := process.Get("/metrics")
			if err != nil {
				t.Fatal(err)
			}
			lint(t, page)
			if code := process.Wait(30 * time.Second); code != 70 {
				t.Errorf("exit %d after a panic", code)
			}
		})
	}
}
