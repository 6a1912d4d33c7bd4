package audit

import (
	"slices"
	"strings"
	"testing"

	"rustgen/internal/tree"
)

// TestMetricsOfOpentelemetry tells its crates for traces from a service that counts with them.
func TestMetricsOfOpentelemetry(t *testing.T) {
	const serves = "async fn main() { tonic::transport::Server::builder().serve(a).await; }\n"
	for _, c := range []struct {
		name, dependency, source string
		want                     State
	}{
		{"none", "", "", Failed},
		{"traces alone", "tracing-opentelemetry = \"0.31\"\nopentelemetry-otlp = \"0.30\"\n", "fn t() { opentelemetry_otlp::SpanExporter::builder(); }", Failed},
		{"a meter", "opentelemetry = \"0.30\"\n", "fn t() { opentelemetry::global::meter(\"s\"); }", Passed},
		{"a provider", "opentelemetry_sdk = \"0.30\"\n", "fn t() { opentelemetry_sdk::metrics::SdkMeterProvider::builder(); }", Passed},
		{"of tests alone", "opentelemetry = \"0.30\"\n", "#[cfg(test)]\nmod tests { fn t() { opentelemetry::global::meter(\"s\"); } }", Failed},
		{"prometheus", "prometheus = \"0.14\"\n", "", Passed},
		{"metrics", "metrics-exporter-statsd = \"0.9\"\n", "", Passed},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := tree.Tree{
				"Cargo.toml":  {Data: []byte("[package]\nname = \"s\"\n[dependencies]\ntonic = \"0.14\"\n" + c.dependency)},
				"src/main.rs": {Data: []byte(serves + c.source)},
			}
			for _, r := range run(t, files) {
				if r.ID == "metrics" && r.State != c.want {
					t.Errorf("%s, and not %s: %v %s", r.State, c.want, r.Findings, r.Note)
				}
			}
		})
	}
}

// TestAnImageWithoutServer has the workload of a service found whose image is named without the -server of its binary.
func TestAnImageWithoutServer(t *testing.T) {
	files := tree.Tree{
		"Cargo.toml":    {Data: []byte("[package]\nname = \"limits-server\"\n")},
		"src/main.rs":   {Data: []byte("fn main() {}\n")},
		"deploy/x.yaml": {Data: []byte(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {template: {spec: {containers: [{name: x, image: "acme/limits:1"}]}}}}`)},
	}
	for _, r := range run(t, files) {
		if r.ID == "memory-limit" && r.State != Failed {
			t.Errorf("%s: %s", r.State, r.Note)
		}
	}
}

// TestServersAreSurveyed holds the words by which files with servers are told to the functions that make them.
func TestServersAreSurveyed(t *testing.T) {
	for _, m := range makers {
		if !slices.ContainsFunc(serverWords, func(w string) bool { return strings.Contains(m.path, w) }) {
			t.Errorf("%s holds none of %q", m.path, serverWords)
		}
	}
}
