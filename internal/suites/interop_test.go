package suites

import (
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// interopCases are all that the client has and that need neither credentials nor xDS.
var interopCases = []string{
	"cancel_after_begin", "cancel_after_first_response", "channel_soak", "client_streaming", "custom_metadata", "empty_stream",
	"empty_unary", "large_unary", "pick_first_unary", "ping_pong", "rpc_soak", "server_streaming", "special_status_message",
	"status_code_and_message", "timeout_on_sleeping_server", "unimplemented_method", "unimplemented_service",
}

// notServed are the other cases of the client, and why.
var notServed = map[string]string{
	"compute_engine_channel_credentials": google, "compute_engine_creds": google, "google_default_credentials": google,
	"jwt_token_creds": google, "oauth2_auth_token": google, "per_rpc_creds": google, "service_account_creds": google,
	"orca_oob": orca, "orca_per_rpc": orca,
}

const (
	google = "needs TLS and an account at Google"
	orca   = "asks for the load reports of xDS balancing, a library of its own in grpc-go that tonic has no counterpart of"
)

func TestInterop(t *testing.T) {
	client := tool(t, "google.golang.org/grpc/interop/client")
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			port := strconv.Itoa(serve(t, kind))
			for _, name := range interopCases {
				t.Run(name, func(t *testing.T) {
					command := exec.CommandContext(t.Context(), client,
						"--server_host", "127.0.0.1", "--server_port", port, "--test_case", name)
					command.WaitDelay = time.Second
					if out, err := command.CombinedOutput(); err != nil {
						t.Errorf("%v\n%s", err, out)
					}
				})
			}
		})
	}
}

// A case that a later version of the client has is not forgotten.
func TestInteropCasesAreComplete(t *testing.T) {
	help, _ := exec.CommandContext(t.Context(), tool(t, "google.golang.org/grpc/interop/client"), "--help").CombinedOutput()
	names := regexp.MustCompile(`(?m)^\s{8,}(\w+) ?: `).FindAllSubmatch(help, -1)
	if len(names) < 20 {
		t.Fatalf("only %d cases in the help of the client:\n%s", len(names), help)
	}
	for _, match := range names {
		name := string(match[1])
		if _, known := notServed[name]; !known && !slices.Contains(interopCases, name) {
			t.Errorf("the client has the case %s: run it, or say why not", name)
		}
	}
}
