package parity

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rustgen/internal/parity/live"
)

// A Go server with its defaults ends a connection, and the calls on it, at the fourth ping in a row that comes within five
// minutes of the one before while its handler is quiet. So ours pings more rarely, unless it is told that nobody minds.
func TestQuietCallsToGoServers(t *testing.T) {
	service := instrumented(t, "go-grpc-middleware")
	_, env := service.downstream(t)
	env = append(env, "MAX_DEADLINE_MS=20000")
	for name, test := range map[string]struct {
		keepalive string
		want      codes.Code
	}{
		"by default":       {"", codes.OK},
		"pinged all along": {"200", codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			process := service.start(t, append(env, "DOWNSTREAM_USER_PRICES_KEEPALIVE_MS="+test.keepalive)...)
			caller := service.dial(t, process.Listen)
			_, err := caller.Call(within(t, 20*time.Second), "Score", live.Fields{"key": "quiet", "rounds": uint32(1)}, nil)
			if got := status.Code(err); got != test.want {
				t.Errorf("%v, want %v: %v", got, test.want, err)
			}
		})
	}
}
