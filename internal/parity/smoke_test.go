package parity

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"rustgen/internal/decision"
	"rustgen/internal/parity/live"
)

// Every kept service: built, started, called as a Go service would, flooded, stopped, and started again.
func TestKeptServices(t *testing.T) {
	data, err := os.ReadFile("../../golden/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]map[string]decision.Raw
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		// What is called is the sample's API; a service around another one is compiled and tested in golden.
		if api := cases[name]["api"]; api.String() == "own" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			tree, err := live.RenderYAML(name, cases[name])
			if err != nil {
				t.Fatal(err)
			}
			smoke(t, build(t, tree))
		})
	}
}

func smoke(t *testing.T, service built) {
	_, env := service.downstream(t)
	env = append(env, "STATE_DIR="+t.TempDir(), "DRAIN_DELAY_MS=1000")
	if missing := lacks(t, service, env); missing != "" {
		t.Logf("the rest is not run: %s", missing)
		return
	}
	process := service.start(t, env...)
	caller := service.dial(t, process.Listen)
	t.Run("limits", func(t *testing.T) { printsLimits(t, service) })
	t.Run("health", func(t *testing.T) { isHealthy(t, service, process, caller) })
	t.Run("reflection", func(t *testing.T) { listsServices(t, service, caller) })
	scored := t.Run("calls", func(t *testing.T) { answersCalls(t, service, caller) })
	t.Run("metrics", func(t *testing.T) { exports(t, service, process) })
	t.Run("shed", func(t *testing.T) { sheds(t, process, caller) })
	t.Run("stop", func(t *testing.T) { stops(t, process, caller) })
	if service.Data["stateful"].(bool) && scored {
		t.Run("restart", func(t *testing.T) {
			again := service.start(t, env...)
			if count := counted(t, service.dial(t, again.Listen), "a"); count != 2 {
				t.Errorf("%d calls are remembered, and there were 2", count)
			}
			if code := stop(t, again); code != 0 {
				t.Errorf("exit %d", code)
			}
		})
	}
}

// lacks is what the service says that this machine's CPU lacks. It must say so rather than die of it.
func lacks(t *testing.T, service built, env []string) string {
	t.Helper()
	limits := exec.CommandContext(t.Context(), service.binary, "limits")
	limits.Env = append(os.Environ(), env...)
	output, err := limits.CombinedOutput()
	if err == nil {
		return ""
	}
	level := service.Text("target_cpu")
	if limits.ProcessState.ExitCode() != 78 || !strings.Contains(string(output), "compiled for "+level+", and this CPU has no ") {
		t.Fatalf("limits: %v\n%s", err, output)
	}
	return string(output)
}

func printsLimits(t *testing.T, service built) {
	output, err := exec.CommandContext(t.Context(), service.binary, "limits").Output()
	if err != nil {
		t.Fatal(err)
	}
	var limits struct {
		Process struct {
			Memory int64 `json:"memory_bytes"`
			Calls  int64 `json:"call_memory_bytes"`
		}
		Methods map[string]struct {
			InFlight int64 `json:"in_flight"`
		}
	}
	if err := json.Unmarshal(output, &limits); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	decided := service.Data["memory"].(int64)
	if limits.Process.Memory <= 0 || limits.Process.Memory > decided || limits.Process.Calls >= limits.Process.Memory {
		t.Errorf("a budget of %d bytes, and these limits: %s", decided, output)
	}
	for _, method := range []string{"Score", "Lookup", "Watch"} {
		if limits.Methods[string(service.api.Service.FullName())+"/"+method].InFlight < 1 {
			t.Errorf("no bound on the calls of %s: %s", method, output)
		}
	}
}

func isHealthy(t *testing.T, service built, process *live.Process, caller live.Caller) {
	for _, name := range []string{"", string(service.api.Service.FullName())} {
		if got := serving(t, caller, name); got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q is %v", name, got)
		}
	}
	for _, page := range []string{"/healthz", "/readyz"} {
		if code, body, err := process.Get(page); err != nil || code != http.StatusOK {
			t.Errorf("%s: %d %s %v", page, code, body, err)
		}
	}
	if code, _, err := process.Get("/nothing"); err != nil || code != http.StatusNotFound {
		t.Errorf("a page that is not there: %d %v", code, err)
	}
	const closed = "127.0.0.1:1"
	calls := 0
	if service.tls() {
		calls = 1 // A health check has no certificate, and asks the admin port alone.
	}
	for ports, want := range map[[2]string]int{
		{process.Listen, closed}: calls,
		{closed, process.Admin}:  0, // as where callers have all connections
		{closed, closed}:         1,
	} {
		check := exec.CommandContext(t.Context(), service.binary, "healthcheck")
		check.Env = append(os.Environ(), "LISTEN="+ports[0], "ADMIN="+ports[1])
		output, err := check.CombinedOutput()
		if got := check.ProcessState.ExitCode(); got != want {
			t.Errorf("healthcheck of %v: exit %d, want %d: %v %s", ports, got, want, err, output)
		}
	}
}

func serving(t *testing.T, caller live.Caller, name string) healthpb.HealthCheckResponse_ServingStatus {
	t.Helper()
	answer, err := healthpb.NewHealthClient(caller.Conn).Check(within(t, 5*time.Second), &healthpb.HealthCheckRequest{Service: name})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetStatus()
}

func listsServices(t *testing.T, service built, caller live.Caller) {
	names := services(t, caller.Conn)
	slices.Sort(names)
	want := []string{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", string(service.api.Service.FullName())}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("reflection lists %v, want %v", names, want)
	}
}

func answersCalls(t *testing.T, service built, caller live.Caller) {
	var digests []uint64
	for range 2 {
		reply, err := caller.Call(within(t, 10*time.Second), "Score", live.Fields{"key": "a", "payload": []byte("p"), "rounds": uint32(1)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, live.Get(reply, "digest").Uint())
		if live.Get(reply, "score").Float() <= 0 {
			t.Errorf("no score in %v", reply)
		}
		answers := live.Get(reply, "downstream").List()
		if answers.Len() != len(service.api.Called) {
			t.Fatalf("%d services were asked, and there are %d", answers.Len(), len(service.api.Called))
		}
		for i := range answers.Len() {
			if got := answers.Get(i).String(); got != "price of a" {
				t.Errorf("a downstream answered %q", got)
			}
		}
	}
	if digests[0] != digests[1] || digests[0] == 0 {
		t.Errorf("the same request gave the digests %v", digests)
	}
	want := uint64(0)
	if service.Data["stateful"].(bool) {
		want = 2
	}
	if count := counted(t, caller, "a"); count != want {
		t.Errorf("lookup counts %d, want %d", count, want)
	}
	next, err := caller.Stream(within(t, 10*time.Second), "Watch", live.Fields{"key": "k", "events": uint32(3), "interval_ms": uint32(1)})
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 3; seq++ {
		event, err := next()
		if err != nil {
			t.Fatal(err)
		}
		if live.Get(event, "seq").Uint() != seq || live.Get(event, "key").String() != "k" {
			t.Errorf("event %d is %v", seq, event)
		}
	}
	if _, err := next(); err == nil || status.Code(err) == codes.OK {
		t.Errorf("a fourth of three events")
	} else if err.Error() != "EOF" {
		t.Errorf("the stream ended with %v", err)
	}
}

func counted(t *testing.T, caller live.Caller, key string) uint64 {
	t.Helper()
	reply, err := caller.Call(within(t, 10*time.Second), "Lookup", live.Fields{"key": key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return live.Get(reply, "count").Uint()
}

// exports looks for what dashboards and alerts read, and lets Prometheus's own linter read the page.
func exports(t *testing.T, service built, process *live.Process) {
	families := scrape(t, process)
	calls, own := calledFamily(service), string(service.api.Service.FullName())
	for method, want := range map[string]float64{"Score": 2, "Lookup": 1, "Watch": 1} {
		if got := families.Value(calls.name, calls.labels(own, method, codes.OK)...); got != want {
			t.Errorf("%s of %s: %v, want %v", calls.name, method, got, want)
		}
	}
	names := []string{
		"hotpath_memory_limit_bytes", "hotpath_memory_in_use_bytes", "hotpath_memory_budget_bytes", "hotpath_in_flight",
		"hotpath_in_flight_limit", "hotpath_shed_total", "hotpath_cpu_width", "hotpath_cpu_busy", "hotpath_cpu_wait_seconds",
		"hotpath_connections", "hotpath_connections_limit", "hotpath_connections_refused_total", "hotpath_worker_busy_ratio",
		"hotpath_workers", "hotpath_blocking_threads", "hotpath_panics_total", "hotpath_build_info",
		"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
		"process_start_time_seconds",
	}
	if service.Text("queue") != "none" {
		names = append(names, "hotpath_queue_depth", "hotpath_queue_capacity", "hotpath_queue_dropped_total")
	}
	for _, name := range names {
		if len(families[name].GetMetric()) == 0 {
			t.Errorf("no %s", name)
		}
	}
	// The CPU is the one that the code was compiled for, which the tests decide.
	built := map[string]string{"target_cpu": strings.TrimPrefix(live.RustFlags, "RUSTFLAGS=-Ctarget-cpu=")}
	for _, label := range []string{"state", "panic", "allocator", "runtime"} {
		built[label] = service.Text(label)
	}
	for label, value := range built {
		if families.Value("hotpath_build_info", label, value) != 1 {
			t.Errorf("hotpath_build_info does not say %s=%s", label, value)
		}
	}
	if got := families.Value("hotpath_memory_budget_bytes"); got <= 0 || got > float64(service.Data["memory"].(int64)) {
		t.Errorf("a budget of %v bytes", got)
	}
	_, page, err := process.Get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	lint(t, page)
}

// lint is `promtool check metrics`.
func lint(t *testing.T, page string) {
	t.Helper()
	promtool := exec.CommandContext(t.Context(), need(t, "promtool", "apt-get install prometheus"), "check", "metrics")
	promtool.Stdin = strings.NewReader(page)
	if output, err := promtool.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, output)
	}
}

// sheds floods the heavy method with three times what may be in flight, and more than a connection has streams, of large
// calls: what is too much is refused with pushback, nothing else than refusals and passed deadlines comes back, health
// answers all the while, and everything is free again afterwards.
func sheds(t *testing.T, process *live.Process, caller live.Caller) {
	families := scrape(t, process)
	limit := int(families.Value("hotpath_in_flight_limit", "grpc_method", "Score"))
	if limit < 1 || limit > 1000 {
		t.Fatalf("%d calls of Score may be in flight", limit)
	}
	before := families.Value("hotpath_shed_total")
	calls, payload := max(3*limit, 400), make([]byte, 200<<10)
	ctx := within(t, 30*time.Second)
	flooding, done := context.WithCancel(ctx)
	healthy := make(chan error, 1)
	go func() { healthy <- staysHealthy(flooding, caller) }()

	var mu sync.Mutex
	seen := map[codes.Code]int{}
	var pushback []string
	var flood sync.WaitGroup
	for range calls {
		flood.Go(func() {
			var trailer metadata.MD
			_, err := caller.Call(ctx, "Score", live.Fields{"key": "flood", "payload": payload, "rounds": uint32(1_000_000)}, &trailer)
			mu.Lock()
			defer mu.Unlock()
			seen[status.Code(err)]++
			if status.Code(err) == codes.ResourceExhausted {
				pushback = append(pushback, trailer.Get("grpc-retry-pushback-ms")...)
			}
		})
	}
	flood.Wait()
	done()
	if err := <-healthy; err != nil {
		t.Errorf("health during the flood: %v", err)
	}
	shed := seen[codes.ResourceExhausted]
	if shed < limit || shed+seen[codes.DeadlineExceeded] != calls {
		t.Errorf("%d calls at once, %d may be in flight: %v", calls, limit, seen)
	}
	if len(pushback) != shed {
		t.Errorf("%d calls were shed, and %d were told when to come back", shed, len(pushback))
	}
	for _, ms := range pushback {
		if n, err := strconv.Atoi(ms); err != nil || n < 1 {
			t.Fatalf("grpc-retry-pushback-ms: %q", ms)
		}
	}
	var last live.Families
	eventually(t, "everything is free again", func() bool {
		last = scrape(t, process)
		return last.Value("hotpath_in_flight") == 0 && last.Value("hotpath_memory_in_use_bytes") == 0 && last.Value("hotpath_cpu_busy") == 0
	})
	if got := last.Value("hotpath_shed_total") - before; got != float64(shed) {
		t.Errorf("hotpath_shed_total counts %v of %d", got, shed)
	}
	counted(t, caller, "a")
}

// staysHealthy asks until ctx ends; each answer has a second.
func staysHealthy(ctx context.Context, caller live.Caller) error {
	client := healthpb.NewHealthClient(caller.Conn)
	for asked := 0; ; asked++ {
		if ctx.Err() != nil {
			if asked == 0 {
				return fmt.Errorf("never asked")
			}
			return nil
		}
		check, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		answer, err := client.Check(check, &healthpb.HealthCheckRequest{})
		cancel()
		if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("%v: %w", answer.GetStatus(), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stops: not ready and not serving at once, still answering for a while, and then gone with exit 0.
func stops(t *testing.T, process *live.Process, caller live.Caller) {
	if err := process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process says that it stops", func() bool {
		code, _, err := process.Get("/readyz")
		if err != nil {
			t.Fatal(err)
		}
		return code == http.StatusServiceUnavailable
	})
	if got := serving(t, caller, ""); got != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("stopping, and %v", got)
	}
	counted(t, caller, "a")
	if code := process.Wait(30 * time.Second); code != 0 {
		t.Errorf("exit %d", code)
	}
}
