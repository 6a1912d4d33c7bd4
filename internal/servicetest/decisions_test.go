package servicetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rustgen/internal/layertest"
)

// replaced is the API of a team in the place of the sample's.
const replaced = `syntax = "proto3";

package hello.v1;

service HelloService {
  rpc Price(PriceRequest) returns (PriceReply);
}

message PriceRequest {
  string item = 1;
}

message PriceReply {
  uint64 cents = 1;
}
`

// replacedFiles are what a team writes for it in the files that it owns; the empty ones it deletes.
var replacedFiles = map[string]string{
	"proto/hello/v1/hello.proto": replaced,
	"src/score.rs":               "",
	"src/lib.rs": `//! Prices.
pub mod app;
mod handlers;
mod policy;

/// The messages, clients and servers of the protos, in modules that are nested as their packages are.
#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the protos")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/pb.rs"));
}
`,
	"src/policy.rs": `//! What each method may take.
use hotpath::Policy;

/// Nothing lives as long as the process.
pub(crate) const RESERVE: u64 = 0;

pub(crate) const POLICIES: &[(&str, Policy)] = &[("Price", Policy::light().request(1 << 10).reply(1 << 10))];
`,
	"src/handlers.rs": `//! The price of an item.
use crate::pb::hello::v1::hello_service_server::{HelloService, HelloServiceServer};
use crate::pb::hello::v1::{PriceReply, PriceRequest};
use hotpath::{Failure, Host, Routes};
use tonic::{Request, Response, Status};

struct Prices;

pub(crate) async fn start(_host: &mut Host) -> Result<Routes, Failure> {
    Ok(Routes::default().with(HelloServiceServer::new(Prices)))
}

#[tonic::async_trait]
impl HelloService for Prices {
    async fn price(&self, request: Request<PriceRequest>) -> Result<Response<PriceReply>, Status> {
        Ok(Response::new(PriceReply { cents: request.into_inner().item.len() as u64 }))
    }
}
`,
	"tests/service.rs": `//! The price of an item.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
use hotpath::{Env, Server};
use service::pb::hello::v1::{PriceRequest, hello_service_client::HelloServiceClient};
use tonic::transport::Channel;

#[tokio::test]
async fn an_item_has_a_price() {
    let env = [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0")];
    let server = Server::start(&service::app::app(), Env::from_pairs(env)).await.unwrap();
    let channel = Channel::from_shared(format!("http://{}", server.listen())).unwrap().connect().await.unwrap();
    let reply = HelloServiceClient::new(channel).price(PriceRequest { item: "abc".into() }).await.unwrap();
    assert_eq!(reply.into_inner().cents, 3);
    server.stop(true).await;
}
`,
	"loadtest/src/workload.rs": `//! What the callers of the service do.
use crate::client::Caller;
use crate::pb::hello::v1::{PriceRequest, hello_service_client::HelloServiceClient};
pub use crate::pb::hello::v1::hello_service_server::SERVICE_NAME as SERVICE;
use std::time::Duration;
use tonic::Status;

pub const DEADLINE: Duration = Duration::from_secs(1);
pub const CHEAP_RATE: f64 = 50.0;

pub async fn heavy(caller: Caller, n: u64) -> Result<(), Status> {
    let request = PriceRequest { item: n.to_string() };
    HelloServiceClient::new(caller).price(request).await.map(drop)
}

pub async fn cheap(caller: Caller, n: u64) -> Result<(), Status> {
    heavy(caller, n).await
}
`,
}

// TestEveryDecision changes each decision in turn in a service whose sample API was replaced: there is no conflict, no
// file of the team is touched, and after all of them the service compiles without a warning and passes its tests.
func TestEveryDecision(t *testing.T) {
	rustgen := program(t)
	dir := filepath.Join(t.TempDir(), "hello")
	run(t, ".", 0, rustgen, "new", "hello", "--yes", "--vcs", "none", "--dir", dir, "--layer", "registry")
	for p, text := range replacedFiles {
		at := filepath.Join(dir, filepath.FromSlash(p))
		if text == "" {
			if err := os.Remove(at); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range []string{
		"state=stateful panic=unwind", "panic=unwind", "allocator=jemalloc", "runtime=current-thread", "memory=1GiB",
		"max-message=256KiB", "deadline=2s", "downstream=pricing", "downstream=pricing,stock", "queue=128", "metrics=otelgrpc",
		"traces=none", "base=scratch", "target-cpu=x86-64-v3", "ci=gitlab", "deploy=none", "deploy=kubernetes", "go-client=false",
		"tls=server", "tls=mutual", "tls=none",
		"package=prices.v1", "name=goodbye",
	} {
		t.Run(change, func(t *testing.T) {
			out := run(t, dir, 0, rustgen, append([]string{"set"}, strings.Fields(change)...)...)
			if want := said[change]; !strings.Contains(out, want) || want == "" && strings.Contains(out, "now yours to write") {
				t.Errorf("the report does not say %q:\n%s", want, out)
			}
			for p, text := range replacedFiles {
				data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
				if text == "" && err == nil || text != "" && string(data) != text {
					t.Errorf("%s was touched (%v)", p, err)
				}
			}
		})
	}
	run(t, dir, 0, rustgen, "status", "--check=conflicts,damaged,drift")
	if testing.Short() {
		return
	}
	share(t, dir)
	run(t, dir, 0, "cargo", "clippy", "--package", "goodbye", "--package", "loadtest", "--all-targets", "--", "-Dwarnings")
	run(t, dir, 0, "cargo", "test", "--quiet", "--package", "goodbye", "--package", "loadtest")
}

// TestNameAndPackage changes both in a service that nobody has edited: it builds.
func TestNameAndPackage(t *testing.T) {
	rustgen := program(t)
	dir := filepath.Join(t.TempDir(), "hello")
	run(t, ".", 0, rustgen, "new", "hello", "--yes", "--vcs", "none", "--dir", dir, "--layer", "registry")
	run(t, dir, 0, rustgen, "set", "name=goodbye")
	run(t, dir, 0, rustgen, "set", "package=farewell.v1")
	if testing.Short() {
		return
	}
	share(t, dir)
	run(t, dir, 0, "cargo", "check", "--package", "goodbye", "--package", "loadtest", "--all-targets")
}

// said is what the report of a change tells the team to write.
var said = map[string]string{
	"state=stateful panic=unwind": `host.store::<state::Counts>("counts")?`,
	"downstream=pricing":          "app::downstream::pricing(host)?",
	"downstream=pricing,stock":    "app::downstream::stock(host)?\n",
	"tls=server":                  "tests call by TLS: rustgen diff --owned shows how",
	"tls=mutual":                  "InterceptedService::new(server, auth::Allowed::new(host.env()))",
	"tls=none":                    "tests call by plain text again",
	"queue=128":                   `host.queue("NAME", app::QUEUE, worker)?`,
}

// share has a service take the layer in place. Without cargo the tests that call it end there.
func share(t *testing.T, dir string) {
	t.Helper()
	if _, err := exec.LookPath("cargo"); err != nil {
		if os.Getenv("RUSTGEN_REQUIRE_TOOLS") != "" {
			t.Fatal("there is no cargo")
		}
		t.Skip("SKIPPED: there is no cargo: the service is not compiled")
	}
	if err := layertest.Share(dir); err != nil {
		t.Fatal(err)
	}
}
