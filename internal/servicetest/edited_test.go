package servicetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rustgen/internal/tree"
)

// edited is a service of the first release as a team has it months later. What the team did is testdata/edits/NAME.patch.
type edited struct {
	// answers are its decisions, sub is the folder of the repository that it lies in; bare is one in no repository.
	answers []string
	sub     string
	bare    bool
	// verdicts are what the upgrade must say of some paths.
	verdicts map[string]string
	// resolved are the conflicts that it must leave, each with what the team makes of the two sides; with nil the file goes.
	resolved map[string]func(yours, template string) string
	// byHand is what the changelog says that a team has to do after the upgrade.
	byHand []edit
	// tests are the team's own.
	tests []string
}

// libByHand are the steps of the changelog in a src/lib.rs, policyByHand those in a src/policy.rs with that reserve.
func libByHand(pkg, called string) []edit {
	include := "    include!(concat!(env!(\"OUT_DIR\"), \"/pb.rs\"));\n"
	return []edit{
		{"src/lib.rs", fmt.Sprintf("    tonic::include_proto!(%q);\n\n    pub use %s_service_server as server;\n", pkg+".v1", pkg), include},
		{"src/lib.rs", "mod handlers;", "pub mod app;\nmod handlers;"},
		{"src/lib.rs", `
/// The service, for ` + "`main`" + ` and for tests.
pub fn app() -> hotpath::App {
    hotpath::App {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")),
` + called + `        policies: policy::POLICIES,
        defaults: policy::DEFAULTS,
        start: handlers::start,
    }
}
`, ""},
	}
}

func policyByHand() []edit {
	return []edit{
		{"src/policy.rs", "use hotpath::{Defaults, Policy};", "use hotpath::Policy;"},
		{"src/policy.rs", `/// The root of every bound.
pub(crate) const DEFAULTS: Defaults = Defaults {
    memory: 536870912,
    max_message: 1048576,
    deadline: Duration::from_millis(1000),
    reserve: RESERVE,
};

`, ""},
		{"src/policy.rs", "\nconst RESERVE", "\npub(crate) const RESERVE"},
		{"src/policy.rs", "crate::app()", "crate::app::app()"},
	}
}

var teams = map[string]edited{
	// An RPC, a dependency, a module that moved, tests through the front door, tuned manifests, a new overlay, a deleted
	// autoscaler, a step in the pipeline.
	"quote-engine": {
		verdicts: map[string]string{
			"Cargo.toml": "merged", "src/handlers.rs": "skipped", "deploy/base/hpa.yaml": "kept-deleted", ".github/workflows/check.yml": "merged", "README.md": "merged",
		},
		// Both depend on something more.
		resolved: map[string]func(yours, template string) string{
			"Cargo.lock": func(yours, template string) string {
				return template + strings.TrimPrefix(yours, " \"protox\",\n")
			},
		},
		byHand: slices.Concat(libByHand("quote_engine", ""), policyByHand(), []edit{
			{"src/handlers.rs", "use crate::pb::server::QuoteEngineService as", "use crate::pb::quote_engine::v1::quote_engine_service_server::QuoteEngineService as"},
			{"src/handlers.rs", "use crate::pb::server::QuoteEngineServiceServer as", "use crate::pb::quote_engine::v1::quote_engine_service_server::QuoteEngineServiceServer as"},
			{"src/handlers.rs", "use crate::pb::{", "use crate::pb::quote_engine::v1::{"},
			{"src/handlers.rs", "pub(crate) fn start(host", "pub(crate) async fn start(host"},
			{"tests/quote.rs", "use quote_engine::pb::{", "use service::pb::quote_engine::v1::{"},
			{"tests/quote.rs", "quote_engine::app()", "service::app::app()"},
		}),
		tests: []string{
			"pricing::tests::a_larger_size_has_a_wider_spread", "pricing::score::tests::it_ends_with_its_caller",
			"a_quote_has_both_sides", "too_large_a_size_is_out_of_range",
		},
	},
	// In a folder of a larger repository: a state that grew and was renamed, a new RPC, the real API of the service that is
	// called, a deeper queue, a README with an editor's line endings, a stage in the pipeline.
	"cart-ledger": {
		answers: []string{
			"--state", "stateful", "--downstream", "prices", "--queue", "128", "--metrics", "otelgrpc", "--ci", "gitlab", "--go-client=false",
		},
		sub:      "services/cart-ledger",
		verdicts: map[string]string{"README.md": "merged", "src/handlers.rs": "skipped", "deploy/base/pdb.yaml": "kept-deleted"},
		// Both added a stage.
		resolved: map[string]func(yours, template string) string{
			".gitlab-ci.yml": func(_, template string) string { return strings.Replace(template, "]", ", announce]", 1) },
		},
		byHand: slices.Concat(libByHand("cart_ledger", "        called: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/called.bin\")),\n"), policyByHand(), []edit{
			{"src/lib.rs", "pub mod app;\nmod handlers;", "mod handlers;"},
			{"src/lib.rs", "mod downstream;", "pub mod app;\nmod downstream;"},
			{"src/handlers.rs", "use crate::pb::server::CartLedgerService as", "use crate::pb::cart_ledger::v1::cart_ledger_service_server::CartLedgerService as"},
			{"src/handlers.rs", "use crate::pb::server::CartLedgerServiceServer as", "use crate::pb::cart_ledger::v1::cart_ledger_service_server::CartLedgerServiceServer as"},
			{"src/handlers.rs", "use crate::pb::{", "use crate::pb::cart_ledger::v1::{"},
			{"src/handlers.rs", "pub(crate) fn start(host", "pub(crate) async fn start(host"},
			{"src/downstream.rs", `#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the protos")]
mod api {
    pub(crate) mod prices {
        ::tonic::include_proto!("prices.v1");

        pub(crate) use prices_service_client::PricesServiceClient as Client;
    }
}

`, ""},
			{"src/downstream.rs", "use hotpath::", "use crate::pb::prices::v1::{self as prices, prices_service_client::PricesServiceClient};\nuse hotpath::"},
			{"src/downstream.rs", "prices: api::prices::Client<Outbound>", "prices: PricesServiceClient<Outbound>"},
			{"src/downstream.rs", "prices: api::prices::Client::new(", "prices: PricesServiceClient::new("},
			{"src/downstream.rs", "host.downstream(\"prices\", \"http://127.0.0.1:50061\")?", "crate::app::downstream::prices(host)?"},
			{"src/downstream.rs", "api::prices::GetRequest", "prices::GetRequest"},
			{"tests/ledger.rs", "use cart_ledger::pb::{LastRequest, cart_ledger_service_client::CartLedgerServiceClient};\n", ""},
			{
				"tests/ledger.rs", "use tonic::transport",
				"use service::pb::cart_ledger::v1::{LastRequest, cart_ledger_service_client::CartLedgerServiceClient};\nuse tonic::transport",
			},
			{"tests/ledger.rs", "cart_ledger::app()", "service::app::app()"},
		}),
		tests: []string{"ledger::tests::a_snapshot_of_version_1_is_read", "before_the_first_score_there_is_no_last"},
	},
	// In no repository, and edited in the template's own room: in a file that moved since, in one that is gone since, and
	// in one that stayed.
	"edge-cache": {
		answers: []string{
			"--allocator", "mimalloc", "--runtime", "current-thread", "--panic", "unwind", "--base", "scratch", "--ci", "none",
			"--deploy", "none", "--go-client=false", "--memory", "128MiB",
		},
		bare: true,
		verdicts: map[string]string{
			"src/score.rs": "kept", "tests/conformance/main.rs": "deleted", "crates/hotpath/src/connections.rs": "moved",
		},
		// That tower says warnings alone, which the team wanted too, the layer does by itself.
		resolved: map[string]func(yours, template string) string{
			"crates/hotpath-telemetry/src/logs.rs": func(_, template string) string { return template },
			"crates/hotpath/src/decisions.rs":      nil,
		},
		tests: []string{"score::tests::a_round_is_small"},
	},
}

// TestEditedServices upgrades services of the first release that teams have edited to the set of today: no edit is lost, and
// after the steps that the changelog names what comes out compiles and passes its tests, the team's own among them.
func TestEditedServices(t *testing.T) {
	rustgen, set := program(t), unpack(t, firstRelease)
	for name, team := range teams {
		t.Run(name, func(t *testing.T) {
			patch, err := filepath.Abs(filepath.Join("testdata", "edits", name+".patch"))
			if err != nil {
				t.Fatal(err)
			}
			repo := filepath.Join(t.TempDir(), "repo")
			dir := filepath.Join(repo, team.sub)
			args := []string{"new", name, "--yes", "--vcs", "none", "--template", set, "--dir", dir}
			run(t, ".", 0, rustgen, append(args, team.answers...)...)
			if !team.bare {
				run(t, ".", 0, "git", "init", "--quiet", "--initial-branch=main", repo)
			}
			team.commit(t, repo, "bootstrap")
			run(t, repo, 0, "git", "apply", "--whitespace=nowarn", "--directory="+team.sub, patch)
			team.commit(t, repo, "months of work")
			before := snapshot(t, dir)

			verdicts, moved := team.upgrade(t, rustgen, dir)
			for p, want := range team.verdicts {
				if verdicts[p] != want {
					t.Errorf("%s is %q, want %q", p, verdicts[p], want)
				}
			}
			after := snapshot(t, dir)
			team.checkEdits(t, patch, moved, before, after)
			if after.Equal(before) {
				t.Fatal("the upgrade changed nothing")
			}
			team.commit(t, repo, "upgrade")
			for _, e := range team.byHand {
				service(dir).edit(t, e.file, e.old, e.new)
			}
			checkBuild(t, dir, name, team.tests)
		})
	}
}

// upgrade merges the newest set in, ends it as the team does, and returns the verdicts, and where files went that moved.
func (e edited) upgrade(t *testing.T, rustgen, dir string, flags ...string) (verdicts, moved map[string]string) {
	t.Helper()
	code, check := 0, 0
	if len(e.resolved) > 0 {
		code, check = 3, 4
	}
	out := run(t, dir, code, rustgen, append([]string{"upgrade", "--yes", "--json"}, flags...)...)
	var report struct {
		Files []struct{ Path, Verdict, From string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	verdicts, moved = map[string]string{}, map[string]string{}
	for _, f := range report.Files {
		verdicts[f.Path], moved[f.From] = f.Verdict, f.Path
		if _, ok := e.resolved[f.Path]; ok != strings.HasPrefix(f.Verdict, "conflict") {
			t.Errorf("%s is %q", f.Path, f.Verdict)
		}
	}
	run(t, dir, check, rustgen, "status", "--check=conflicts,damaged")
	for p, both := range e.resolved {
		e.resolve(t, dir, p, both)
	}
	if len(e.resolved) > 0 {
		run(t, dir, 0, rustgen, "upgrade", "--continue")
		run(t, dir, 0, rustgen, "status", "--check=conflicts,damaged")
	}
	return verdicts, moved
}

var markers = regexp.MustCompile(`(?s)<<<<<<< yours\n(.*?)\|\|\|\|\|\|\| base [0-9.]+\n.*?=======\n(.*?)>>>>>>> template [0-9.]+\n`)

// resolve makes one file of a conflict's two sides.
func (e edited) resolve(t *testing.T, dir, p string, both func(yours, template string) string) {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(p))
	if both == nil {
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
	} else {
		data, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		found := markers.FindAllSubmatchIndex(data, -1)
		if len(found) != 1 {
			t.Fatalf("%s has %d conflicts:\n%s", p, len(found), data)
		}
		m := found[0]
		text := string(data[:m[0]]) + both(string(data[m[2]:m[3]]), string(data[m[4]:m[5]])) + string(data[m[1]:])
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !e.bare {
		run(t, dir, 0, "git", "add", p)
	}
}

var fileHeader = regexp.MustCompile(`^(\+\+\+|---|rename from|rename to) (?:[ab]/)?(.*)$`)

// checkEdits looks for everything that a patch did in the upgraded service: lines that it added, but for those that the
// team resolved, files that it moved away, programs.
func (e edited) checkEdits(t *testing.T, patch string, moved map[string]string, before, after tree.Tree) {
	t.Helper()
	data, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, p := range after.Paths() {
		all.Write(after[p].Data)
	}
	file := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if m := fileHeader.FindStringSubmatch(line); m != nil {
			if _, ok := after[m[2]]; ok && m[1] == "rename from" {
				t.Errorf("%s, which the team moved away, is back", m[2])
			}
			file = m[2]
			continue
		}
		if _, ok := e.resolved[cmp.Or(moved[file], file)]; ok {
			continue
		}
		// With another line ending it is still the template's line.
		if added, ok := strings.CutPrefix(line, "+"); ok && !bytes.Contains(data, []byte("\n-"+added+"\n")) && !bytes.Contains(all.Bytes(), []byte(added)) {
			t.Errorf("the team's line is lost: %s", added)
		}
	}
	for _, p := range before.Paths() {
		if _, ok := after[p]; !ok && before[p].Mode == tree.ModeExec {
			t.Errorf("the program %s is gone", p)
		}
	}
}

func (e edited) commit(t *testing.T, repo, message string) {
	t.Helper()
	if e.bare {
		return
	}
	run(t, repo, 0, "git", "add", "--all")
	run(t, repo, 0, "git", "-c", "user.name=team", "-c", "user.email=team@example.com", "commit", "--quiet", "--message", message)
}
