package parity

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"rustgen/internal/parity/live"
)

// A service with tls=mutual, as it is rendered: who may call, calls, and everybody else is refused before a handler hears
// of it. Health answers whoever has proven who he is.
func TestCallers(t *testing.T) {
	tree, err := live.Render("callers", map[string]string{"tls": "mutual", "state": "stateless", "deploy": "none", "go-client": "false"})
	if err != nil {
		t.Fatal(err)
	}
	service := build(t, tree)
	process := service.start(t)
	hour, ours := time.Now().Add(time.Hour), service.authority
	// The service goes on trusting its own authority whatever these are; the callers trust ours.
	for name, c := range map[string]struct {
		trust   credentials.TransportCredentials
		code    codes.Code
		health  codes.Code
		message string
	}{
		"named":             {ours.credentials(ours.sign(t, hour, checkout)), codes.OK, codes.OK, ""},
		"named by its host": {ours.credentials(ours.sign(t, hour, "nobody.example")), codes.OK, codes.OK, ""},
		"not named": {
			ours.credentials(ours.sign(t, hour, "spiffe://acme.example/ns/shop/sa/cart")), codes.PermissionDenied, codes.OK,
			"spiffe://acme.example/ns/shop/sa/cart may not call this service",
		},
		"without a certificate": {ours.credentials(), codes.Unavailable, codes.Unavailable, ""},
		"of another authority":  {ours.credentials(newAuthority(t).sign(t, hour, checkout)), codes.Unavailable, codes.Unavailable, ""},
		"expired":               {ours.credentials(ours.sign(t, time.Now().Add(-time.Minute), checkout)), codes.Unavailable, codes.Unavailable, ""},
		"without a name":        {ours.credentials(ours.sign(t, hour)), codes.Unavailable, codes.Unavailable, ""},
		"by plain text":         {insecure.NewCredentials(), codes.Unavailable, codes.Unavailable, ""},
		"trusting others":       {newAuthority(t).credentials(ours.sign(t, hour, checkout)), codes.Unavailable, codes.Unavailable, "certificate signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			caller := service.dialWith(t, process.Listen, c.trust)
			_, err := caller.Call(within(t, 10*time.Second), "Lookup", live.Fields{"key": "a"}, nil)
			if status.Code(err) != c.code || !strings.Contains(status.Convert(err).Message(), c.message) {
				t.Errorf("a call: %v, want %v %s", err, c.code, c.message)
			}
			_, err = healthpb.NewHealthClient(caller.Conn).Check(within(t, 10*time.Second), &healthpb.HealthCheckRequest{})
			if status.Code(err) != c.health {
				t.Errorf("health: %v, want %v", err, c.health)
			}
		})
	}
	families := scrape(t, process)
	if got := families.Value("hotpath_tls_handshakes_total", "result", "done"); got < 3 {
		t.Errorf("%v handshakes were done", got)
	}
	if code := stop(t, process); code != 0 {
		t.Errorf("exit %d", code)
	}
}
