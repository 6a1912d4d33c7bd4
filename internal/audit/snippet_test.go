package audit

import (
	"strings"
	"testing"

	"rustgen/internal/tree"
)

func TestSnippets(t *testing.T) {
	const tonic = "[package]\nname = \"s\"\n[dependencies]\ntonic = \"0.14\"\ntokio = \"1\"\nreqwest = \"0.12\"\n"
	const actix = "[package]\nname = \"s\"\n[dependencies]\nactix-web = \"4\"\n"
	for _, c := range []struct {
		name, manifest, source, check string
		state                         State
	}{
		{"another client's timeout is no deadline of the server", tonic, "async fn f() { let h = reqwest::Client::builder().timeout(d).build(); tonic::transport::Server::builder().serve(a).await; }", "server-deadline", Failed},
		{"Duration::MAX is no deadline", tonic, "async fn f() { tonic::transport::Server::builder().timeout(Duration::MAX).serve(a).await; }", "server-deadline", Failed},
		{"None is no bound of streams", tonic, "async fn f() { tonic::transport::Server::builder().max_concurrent_streams(None).serve(a).await; }", "streams", Failed},
		{"a constant is read", tonic, "const N: u32 = 64; async fn f() { tonic::transport::Server::builder().max_concurrent_streams(N).serve(a).await; }", "streams", Passed},
		{"an unknown value is not seen", tonic, "async fn f(n: Option<u32>) { tonic::transport::Server::builder().max_concurrent_streams(n).serve(a).await; }", "streams", NotSeen},
		{"a glob is resolved", tonic, "use tonic::transport::*; async fn f() { Server::builder().serve(a).await; }", "streams", Failed},
		{"std's lock over an await", tonic, "async fn h(m: &std::sync::Mutex<u32>) { let g = m.lock().unwrap(); sleep(d).await; drop(g) }", "lock-await", Failed},
		{"a lock that is dropped before", tonic, "async fn h(m: &std::sync::Mutex<u32>) { let g = m.lock().unwrap(); drop(g); sleep(d).await; }", "lock-await", Passed},
		{"a glob of channels", tonic, "use tokio::sync::mpsc::*; fn f() { unbounded_channel::<u8>(); }", "unbounded-channel", Failed},
		{"run is no door by its name", tonic, "async fn f(x: X) { x.run(move || std::fs::read(\"x\")).await; }", "blocking", Failed},
		{"an own helper that hands on", tonic, "fn off<F: FnOnce()>(f: F) { tokio::task::spawn_blocking(move || f()); } async fn g() { off(|| { std::fs::read(\"x\"); }); }", "blocking", Passed},
		{"actix hears SIGTERM", actix, "async fn main() { actix_web::HttpServer::new(|| App::new()).bind(a)?.run().await }", "sigterm", Passed},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := tree.Tree{"Cargo.toml": {Data: []byte(c.manifest)}, "src/main.rs": {Data: []byte(c.source)}}
			for _, r := range run(t, files) {
				if r.ID == c.check && r.State != c.state {
					t.Errorf("%s is %s, not %s: %v %v", r.ID, r.State, c.state, r.Findings, r.Unseen)
				}
			}
		})
	}
}

func TestGenericsWithoutEndAreReadInLinearTime(t *testing.T) {
	files := tree.Tree{"Cargo.toml": {Data: []byte("[package]\nname = \"s\"\n")}, "src/main.rs": {Data: []byte(strings.Repeat("a::<", 200_000))}}
	run(t, files)
}
