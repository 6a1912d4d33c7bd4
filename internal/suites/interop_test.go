package suites

import (
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// interopCases are all that the client has and that need no credentials.
var interopCases = []string{
	"cancel_after_begin", "cancel_after_first_response", "channel_soak", "client_streaming", "custom_metadata", "empty_stream",
	"empty_unary", "large_unary", "orca_oob", "orca_per_rpc", "pick_first_unary", "ping_pong", "rpc_soak", "server_streaming", "special_status_message",
	"status_code_and_message", "timeout_on_sleeping_server", "unimplemented_method", "unimplemented_service",
}

// needAccount are the other cases of the client: they need TLS and an account at Google.
var needAccount = []string{
	"compute_engine_channel_credentials", "compute_engine_creds", "google_default_credentials", "jwt_token_creds",
	"oauth2_auth_token", "per_rpc_creds", "service_account_creds",
}

// reads makes the client look at the load that servers report.
const reads = `{"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}`

func TestInterop(t *testing.T) {
	client := tool(t, "google.golang.org/grpc/interop/client")
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			port := strconv.Itoa(serve(t, kind))
			for _, name := range interopCases {
				t.Run(name, func(t *testing.T) {
					command := exec.CommandContext(t.Context(), client, "--server_host", "127.0.0.1", "--server_port", port, "--test_case", name)
					if strings.HasPrefix(name, "orca_") {
						command.Args = append(command.Args, "--service_config_json", reads)
					}
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
		if !slices.Contains(interopCases, name) && !slices.Contains(needAccount, name) {
			t.Errorf("the client has the case %s: run it, or say why not", name)
		}
	}
}
