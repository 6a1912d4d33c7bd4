package ship

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// targetDir is shared by all builds of services: their dependencies are the same.
func targetDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("CARGO_TARGET_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "rustgen-target")
	}
	return dir
}

// binary builds the service of a tree and keeps its binary from the next build.
func (r rendered) binary(t *testing.T, dir string, options ...string) string {
	t.Helper()
	need(t, "cargo", "https://rustup.rs")
	name := r.data["name"].(string)
	target := targetDir(t)
	t.Setenv("CARGO_TARGET_DIR", target)
	mustRun(t, dir, append([]string{"cargo", "build", "--quiet", "--locked", "--bin", name}, options...)...)
	profile := "debug"
	if slices.Contains(options, "--release") {
		profile = "release"
	}
	built, err := os.ReadFile(filepath.Join(target, profile, name))
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(kept, built, 0o755); err != nil {
		t.Fatal(err)
	}
	return kept
}

// The tree's own step: stubs, vet, and the client's tests against the service, in both dialects; and beside them tests
// of what only calls of the sample API can show.
func TestClientAgainstService(t *testing.T) {
	for name, planted := range map[string][]string{
		"full": {"sample_test.go", "downstream_test.go"}, "stateful": {"sample_test.go"},
	} {
		t.Run(name, func(t *testing.T) {
			r := renderTree(t, cases[name])
			dir := r.write(t)
			for _, file := range planted {
				r.plant(t, dir, file)
			}
			t.Setenv("SERVICE_BINARY", r.binary(t, dir))
			output := mustRun(t, dir, "ci/check.sh", "client")
			if strings.Contains(output, "SKIPPED") {
				t.Error("skipped")
			}
			if formatted := mustRun(t, filepath.Join(dir, "clients/go"), "gofmt", "-l", "."); formatted != "" {
				t.Errorf("gofmt would change %s", formatted)
			}
			for _, module := range []string{"clients/go", "clients/go/internal/generate"} {
				mustRun(t, filepath.Join(dir, module), "go", "mod", "tidy", "-diff")
			}
			t.Log(output)
		})
	}
}

// plant lays a test for the sample API of hello into the client's module, with the names of this service.
func (r rendered) plant(t *testing.T, dir, file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) string { return r.data[name].(string) }
	names := strings.NewReplacer(
		"package helloclient", "package "+value("go_package"),
		"example.com/hello/clients/go/hello/v1", value("go_module")+"/"+value("package_path"),
		"HelloService", value("service"),
	)
	if err := os.WriteFile(filepath.Join(dir, "clients/go", file), []byte(names.Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The client's own tests name nothing of the API: with another API in its place they pass as they are.
func TestClientOfAnotherAPI(t *testing.T) {
	r := anotherAPI(t, renderTree(t, cases["default"]))
	dir := r.write(t)
	mustRun(t, filepath.Join(dir, generate), "go", "run", ".")
	stubs := mustRun(t, filepath.Join(dir, "clients/go"), "find", ".", "-name", "*.pb.go")
	if want := "./acme/tally/v3/tally.pb.go\n./acme/tally/v3/tally_grpc.pb.go\n"; stubs != want {
		t.Errorf("its stubs are\n%s", stubs)
	}
	t.Setenv("SERVICE_BINARY", r.binary(t, dir))
	if output := mustRun(t, dir, "ci/check.sh", "client"); strings.Contains(output, "SKIPPED") {
		t.Errorf("skipped:\n%s", output)
	}
}

// A query that panics takes one replica where it unwinds, and at most two where it aborts; never the fleet.
func TestQueryOfDeath(t *testing.T) {
	for _, strategy := range []string{"unwind", "abort"} {
		t.Run(strategy, func(t *testing.T) {
			r := plantPanic(t, renderTree(t, answers{"name": "hello", "panic": strategy}))
			dir := r.write(t)
			r.plant(t, dir, "planted_test.go")
			t.Setenv("PANIC", strategy)
			// The strategy is that of the release profile; the debug build takes it over.
			t.Setenv("CARGO_PROFILE_DEV_PANIC", strategy)
			t.Setenv("SERVICE_BINARY", r.binary(t, dir))
			mustRun(t, filepath.Join(dir, "clients/go"), "go", "test", "-count=1", "-run", "QueryOfDeath", ".")
		})
	}
}

// plantPanic makes the service panic on a key.
func plantPanic(t *testing.T, r rendered) rendered {
	t.Helper()
	const line = "let key = request.into_inner().key;"
	return r.with(t, "src/handlers.rs", line, line+"\n        assert!(key != \"panic\", \"planted\");")
}

// Each promise of the client is held by a test: with the promise broken, its tests fail.
func TestClientFaults(t *testing.T) {
	r := renderTree(t, cases["default"])
	dir := r.write(t)
	t.Setenv("SERVICE_BINARY", r.binary(t, dir))
	for name, fault := range map[string]struct{ file, old, new string }{
		"no deadline":       {"service_config.json", `"timeout": "1s",`, ""},
		"no balancing":      {"service_config.json", "round_robin", "pick_first"},
		"no health checks":  {"service_config.json", `"healthCheckConfig": {"serviceName": ""},`, ""},
		"no retries":        {"service_config.json", `"RESOURCE_EXHAUSTED"`, `"ABORTED"`},
		"retries of errors": {"service_config.json", `"RESOURCE_EXHAUSTED"`, `"RESOURCE_EXHAUSTED", "INTERNAL"`},
		"executed twice":    {"service_config.json", `"RESOURCE_EXHAUSTED"`, `"RESOURCE_EXHAUSTED", "UNAVAILABLE"`},
		"read once":         {"client.go", "ok && kind.idempotent", "ok && false"},
		"streams that end":  {"client.go", `delete(entry, "timeout")`, "_ = entry"},
		"no throttling":     {"service_config.json", `"retryThrottling"`, `"retry"`},
		"no cap on sending": {"service_config.json", `"maxRequestMessageBytes": 1048576,`, ""},
		"another cap":       {"client.go", "MaxMessageBytes = 1048576", "MaxMessageBytes = 1048577"},
		"of one service":    {"service_config.json", `[{}]`, `[{"service": "hello.v1.HelloService"}]`},
		"no trace":          {"client.go", "propagation.TraceContext{}, ", ""},
		"no metrics":        {"client.go", "metrics().UnaryClientInterceptor()(ctx, method, request, reply, conn, invoke, options...)", "invoke(ctx, method, request, reply, conn, options...)"},
		"metrics twice":     {"client.go", "return existing", "_ = existing"},
		"metrics at once":   {"client.go", "return grpc.NewClient(", "metrics()\n\treturn grpc.NewClient("},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := r.with(t, "clients/go/"+fault.file, fault.old, fault.new).write(t)
			output, err := run(t, filepath.Join(faulty, "clients/go"), "go", "test", "-count=1", "-failfast", "-vet=off", ".")
			if err == nil {
				t.Errorf("passed:\n%s", output)
			}
			if strings.Contains(output, "[build failed]") {
				t.Fatalf("the fault does not compile:\n%s", output)
			}
		})
	}
}

// A client that speaks TLS keeps what it promises of the files that it needs: with the promise broken, its tests fail.
func TestClientTLSFaults(t *testing.T) {
	r := renderTree(t, answers{"name": "hello", "tls": "mutual"})
	for name, fault := range map[string]struct{ old, new string }{
		"none":               {"package helloclient", "package helloclient"},
		"read once":          {"credentials.NewTLS(config).ClientHandshake", "r.TransportCredentials.ClientHandshake"},
		"broken by a file":   {"config = r.last.Load()", "return nil, nil, err"},
		"not the last files": {"r.last.Store(config)\n\t} else", "_ = config\n\t} else"},
		"trusts everybody":   {"MinVersion: tls.VersionTLS12", "InsecureSkipVerify: true"},
		"shows nothing":      {"config.Certificates = []tls.Certificate{certificate}", "_ = certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := r.with(t, "clients/go/tls.go", fault.old, fault.new).write(t)
			output, err := run(t, filepath.Join(faulty, "clients/go"), "go", "test", "-count=1", "-failfast", "-vet=off", "-run", "TLS|Dial|Rotation", ".")
			if (err == nil) != (name == "none") {
				t.Errorf("%v:\n%s", err, output)
			}
			if strings.Contains(output, "[build failed]") {
				t.Fatalf("the fault does not compile:\n%s", output)
			}
		})
	}
}

// TestClientLint holds the Go client against what a Go team's pipeline runs without a configuration of its own.
func TestClientLint(t *testing.T) {
	tool := need(t, "golangci-lint", "go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0")
	for name, given := range map[string]answers{
		"default": cases["default"], "otel": cases["otel"],
		"server": {"name": "hello", "tls": "server"}, "mutual": {"name": "hello", "tls": "mutual"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := renderTree(t, given).write(t)
			mustRun(t, filepath.Join(dir, "clients/go"), tool, "run", "--no-config", "./...")
		})
	}
}
