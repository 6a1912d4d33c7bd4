package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"rustgen/internal/tree"
)

func clean(t testing.TB) tree.Tree {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/clean.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := tree.Tree{}
	for _, f := range archive.Files {
		files[f.Name] = tree.File{Mode: tree.ModeFile, Data: f.Data}
	}
	return files
}

// run goes through all checks for a tree whose top is the service's.
func run(t testing.TB, files tree.Tree) []Result {
	t.Helper()
	report, err := Run(context.Background(), Input{Files: files, Dir: ".", Focus: "."}, Checks())
	if err != nil {
		t.Fatal(err)
	}
	return report.Results
}

// faults is what the checks find: the check, the place and the words.
func faults(t testing.TB, files tree.Tree) (all []string) {
	t.Helper()
	for _, r := range run(t, files) {
		if (r.State == Failed) != (len(r.Findings) > 0) {
			t.Errorf("%s is %s, with %d findings", r.ID, r.State, len(r.Findings))
		}
		for _, f := range r.Findings {
			all = append(all, fmt.Sprintf("%s %s: %s", r.ID, f.Place, f.What))
		}
	}
	return all
}

func TestCleanServicePassesEveryCheck(t *testing.T) {
	for _, r := range run(t, clean(t)) {
		if r.State != Passed {
			t.Errorf("%s: %s %s %v", r.ID, r.State, r.Note, r.Findings)
		}
	}
}

// planted are faults: the text of a file is replaced (with nothing to replace, it is added at its end), or the file is
// removed where new is empty too.
var planted = []struct {
	file, old, new string
	want           []string
}{
	{"Cargo.lock", "", "", []string{"lockfile : there is no Cargo.lock"}},
	{".gitignore", "", "Cargo.lock\n", []string{"lockfile .gitignore:2: git ignores Cargo.lock"}},
	{"Cargo.toml", "lto = \"fat\"\n", "", []string{"release-profile Cargo.toml:14: [profile.release] has no lto"}},
	{"Cargo.toml", `"fat"`, "false", []string{"release-profile Cargo.toml:15: [profile.release] has lto = false"}},
	{"Cargo.toml", "codegen-units = 1\n", "", []string{"release-profile Cargo.toml:14: [profile.release] has no codegen-units, so there are 16"}},
	{"Cargo.toml", "units = 1", "units = 4", []string{"release-profile Cargo.toml:16: [profile.release] has codegen-units = 4"}},
	{"Cargo.toml", "panic = \"unwind\"\n", "", []string{"panic-strategy Cargo.toml:14: [profile.release] has no panic, so it is unwind"}},
	{"Cargo.toml", `"debuginfo"`, "true", []string{"backtraces Cargo.toml:18: strip takes the names away too"}},
	{"Cargo.toml", "rust-version = \"1.95\"\n", "", []string{"rust-version Cargo.toml:1: there is no rust-version"}},
	{"Cargo.toml", `"1", features`, `"*", features`, []string{`wildcards Cargo.toml:7: tokio = "*"`}},
	{".cargo/config.toml", "x86-64-v3", "native", []string{"target-cpu .cargo/config.toml:3: target-cpu=native"}},
	{"src/main.rs", "channels::channel::<u8>(64)", "channels::unbounded_channel::<u8>()", []string{"unbounded-channel src/main.rs:23: tokio::sync::mpsc::unbounded_channel"}},
	{"src/main.rs", "channels::channel::<u8>(64)", "std::sync::mpsc::channel::<u8>()", []string{"unbounded-channel src/main.rs:23: std::sync::mpsc::channel"}},
	{"src/main.rs", "let slots =", "thread::sleep(Span::ZERO);\n    let slots =", []string{"blocking src/main.rs:22: std::thread::sleep in async code; tokio::time::sleep does not block"}},
	{"src/handlers.rs", "let _slot", "let _last = tokio::spawn(async { std::fs::File::open(\"x\") });\n        let _slot", []string{"blocking src/handlers.rs:8: std::fs::File::open in async code; tokio::fs does not block"}},
	{"src/main.rs", ".max_blocking_threads(4)", ".max_blocking_threads(usize::MAX)", []string{"blocking-pool src/main.rs:17: max_blocking_threads is told usize::MAX, which is no bound"}},
	{"Cargo.toml", "strip =", "debug-assertions = true\nstrip =", []string{"release-checks Cargo.toml:18: [profile.release] debug-assertions = true"}},
	{"src/handlers.rs", ".catch_unwind()", "", []string{"handler-panic Cargo.toml:14: panics unwind, and nothing catches them"}},
	{"Cargo.toml", "jemalloc = { package = \"tikv-jemallocator\", version = \"0.6\" }\n", "", []string{"allocator Cargo.toml:5: the system's allocator, with an arena for every thread"}},
	{"Dockerfile", "_RJEM_MALLOC_CONF", "MALLOC_CONF", []string{"jemalloc-options Dockerfile:9: MALLOC_CONF is not read"}},
	{"src/main.rs", ".max_concurrent_streams(128)", "", []string{"streams src/main.rs:31: no max_concurrent_streams"}},
	{"src/main.rs", "(8 << 10)", "(u32::MAX)", []string{"header-list src/main.rs:33: http2_max_header_list_size is told u32::MAX, which is no bound"}},
	{"src/main.rs", ".http2_keepalive_interval(Some(Span::from_secs(30)))", "", []string{"server-keepalive src/main.rs:31: no http2_keepalive_interval"}},
	{"src/main.rs", ".max_connection_age(Span::from_secs(300))", "", []string{"connection-age src/main.rs:31: no max_connection_age"}},
	{"src/main.rs", ".max_connection_age(", ".max_connection_age_grace(Span::ZERO).max_connection_age(", []string{"connection-age-grace src/main.rs:35: max_connection_age_grace"}},
	{"src/main.rs", ".max_encoding_message_size(1 << 20)", "", []string{"reply-size src/main.rs:31: no max_encoding_message_size"}},
	{"src/main.rs", "signal(SignalKind::terminate())", "tokio::signal::ctrl_c()", []string{"sigterm src/main.rs:24: ctrl_c hears SIGINT alone"}},
	{"src/main.rs", "signal(SignalKind::terminate())", "never()", []string{"sigterm src/main.rs:31: nothing hears SIGTERM"}},
	{"src/main.rs", `.serve_with_shutdown("[::]:50051".parse()?, async move { drop(stop.recv().await) })`, `.serve("[::]:50051".parse()?)`, []string{"drain src/main.rs:38: serve ends with the process"}},
	{"Cargo.toml", "tonic-health = \"0.14\"\n", "", []string{"health src/main.rs:31: tonic-health is no dependency, and no other service of grpc.health.v1 was seen"}},
	{"Cargo.toml", "prometheus = \"0.14\"\n", "", []string{"metrics Cargo.toml:5: no crate of metrics is a dependency"}},
	{"src/main.rs", ".connect_timeout(Span::from_secs(1))", "", []string{"connect-timeout src/main.rs:25: no connect_timeout"}},
	{"src/main.rs", ".http2_keep_alive_interval(Span::from_secs(30))", "", []string{"client-keepalive src/main.rs:25: no http2_keep_alive_interval"}},
	{"Dockerfile", "debian:${SUITE}-slim", "rust:1.95", []string{"image-base Dockerfile:5: the image is made from rust:1.95, which holds a compiler"}},
	{"Dockerfile", "debian:${SUITE}-slim", "debian", []string{"image-pinned Dockerfile:5: FROM debian"}},
	{"Dockerfile", "1.95-${SUITE}", "latest", []string{"image-pinned Dockerfile:2: FROM rust:latest"}},
	{"Dockerfile", "USER 65532:65532\n", "", []string{"image-user Dockerfile:5: no USER, so it is root"}},
	{"Dockerfile", "65532:65532", "root", []string{"image-user Dockerfile:6: USER root is root"}},
	{"Dockerfile", "65532:65532", "\"${USER_ID:-0}\"", []string{`image-user Dockerfile:6: USER "${USER_ID:-0}" is root`}},
	{"Dockerfile", "65532:65532", "quotes", []string{"image-user Dockerfile:6: USER quotes is no number"}},
	{"Dockerfile", `["/quotes"]`, "/quotes", []string{"image-exec Dockerfile:10: ENTRYPOINT in the shell form"}},
	{"Dockerfile", `ENTRYPOINT ["/quotes"]`, "", []string{"image-exec Dockerfile:5: neither ENTRYPOINT nor CMD"}},
	{"Dockerfile", " --locked", "", []string{"image-locked Dockerfile:3: cargo without --locked"}},
	{"deploy/deployment.yaml", `requests: {memory: 256Mi}`, `requests: {memory: 64Mi}`, []string{"memory-limit deploy/deployment.yaml:14: quotes requests 64Mi of memory, and may use 256Mi"}},
	{"deploy/deployment.yaml", `, memory: 256Mi}`, `}`, []string{"memory-limit deploy/deployment.yaml:11: quotes has no memory limit"}},
	{"deploy/deployment.yaml", `cpu: "2", `, ``, []string{"cpu-workers deploy/deployment.yaml:11: quotes has no CPU limit"}},
	{"deploy/deployment.yaml", `livenessProbe`, `startupProbe`, []string{"probes deploy/deployment.yaml:11: quotes has no livenessProbe"}},
	{"deploy/deployment.yaml", `preStop`, `postStart`, []string{"pre-stop deploy/deployment.yaml:11: quotes has no lifecycle.preStop"}},
	{"deploy/deployment.yaml", `runAsNonRoot: true`, `fsGroup: 1`, []string{"pod-security deploy/deployment.yaml:11: quotes may run as root"}},
	{"deploy/deployment.yaml", `Escalation: false`, `Escalation: true`, []string{"pod-security deploy/deployment.yaml:11: quotes may escalate its privileges"}},
	{"deploy/deployment.yaml", `PodDisruptionBudget`, `NetworkPolicy`, []string{"disruption-budget deploy/deployment.yaml:1: there is no PodDisruptionBudget"}},
	{".github/workflows/check.yml", ` -- -D warnings`, ``, []string{"ci-clippy .github/workflows/check.yml: no cargo clippy with -D warnings"}},
	{".github/workflows/check.yml", `cargo deny check advisories`, `true`, []string{"ci-advisories .github/workflows/check.yml: neither cargo-deny nor cargo-audit"}},
	{".github/workflows/check.yml", `@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7`, `@v7`, []string{"ci-pinned .github/workflows/check.yml:4: uses: actions/checkout@v7"}},
}

// plantedBeside are the checks that more than one edit breaks.
var plantedBeside = map[string][][3]string{
	// Two places ask for a timeout, and either would do for the other.
	"server-deadline": {
		{"src/main.rs", ".timeout(Span::from_secs(1))", ""},
		{"src/main.rs", ".timeout(Span::from_millis(200))", ""},
	},
	"lock-await":        {{"src/handlers.rs", "let _slot", "let held = self.state.lock().unwrap();\n self.later().await;\n let _slot"}},
	"shared-connection": {{"src/handlers.rs", "pub struct Handlers;", "pub struct Handlers { c: Mutex<PricesClient<tonic::transport::Channel>> }"}},
	"client-per-call":   {{"src/handlers.rs", "let _slot", "let client = pb::prices_client::PricesClient::connect(u).await?;\n let _slot"}},
	"unbounded-tasks":   {{"src/handlers.rs", "", "async fn listen(l: L) { loop { let (s, _) = l.accept().await?; tokio::spawn(serve(s)); } }\n"}},
	"image-release":     {{"Dockerfile", "--release --locked", "--locked"}, {"Dockerfile", "target/release", "target/debug"}},
	"dropped-task":      {{"src/main.rs", "let (queue", "tokio::spawn(async move { loop { tick().await; } });\n let (queue"}},
	"cpu-on-worker":     {{"src/handlers.rs", "let _slot", "let h = bcrypt::hash(body, 12)?;\n let _slot"}},
	"serial-worker": {{"src/handlers.rs", "let _slot", "let (to, from) = tokio::sync::oneshot::channel();\n let _slot"}, {
		"src/main.rs", "", "fn work(rx: R) { std::thread::spawn(move || { while let Some(m) = rx.blocking_recv() { m.to.send(bcrypt::hash(m.p, 12)); } }); }\n",
	}},
	"print": {{"src/handlers.rs", "let _slot", "println!(\"{body:?}\");\n let _slot"}},
	"admission": {
		{"src/main.rs", "Semaphore::new(64)", "Slots(64)"},
		{"src/handlers.rs", ".try_acquire()", ".wait()"},
	},
}

// edited replaces one text in one file.
func edited(t *testing.T, files tree.Tree, file, old, new string) tree.Tree {
	t.Helper()
	files = files.Clone()
	text := string(files[file].Data)
	switch {
	case old == "" && new == "":
		delete(files, file)
		return files
	case old == "":
		text += new
	case strings.Count(text, old) != 1:
		t.Fatalf("%s holds this %d times: %s", file, strings.Count(text, old), old)
	default:
		text = strings.Replace(text, old, new, 1)
	}
	files[file] = tree.File{Mode: tree.ModeFile, Data: []byte(text)}
	return files
}

func TestEachFaultBreaksItsCheckAlone(t *testing.T) {
	broken := map[string]bool{}
	for _, p := range planted {
		got := faults(t, edited(t, clean(t), p.file, p.old, p.new))
		if !slices.Equal(got, p.want) {
			t.Errorf("%s: %q for %q:\n got %q\nwant %q", p.file, p.new, p.old, got, p.want)
		}
		for _, f := range got {
			broken[strings.Fields(f)[0]] = true
		}
	}
	for id, edits := range plantedBeside {
		files := clean(t)
		for _, e := range edits {
			files = edited(t, files, e[0], e[1], e[2])
		}
		if got := faults(t, files); !slices.ContainsFunc(got, func(f string) bool { return strings.HasPrefix(f, id+" ") }) {
			t.Errorf("%s is not among %q", id, got)
		} else {
			broken[id] = true
		}
	}
	broken["call-deadline"] = slices.ContainsFunc(
		faults(t, edited(t, edited(t, clean(t), "src/main.rs", ".timeout(Span::from_secs(1))", ""), "src/main.rs", ".timeout(Span::from_millis(200))", "")),
		func(f string) bool { return strings.HasPrefix(f, "call-deadline src/main.rs:25") },
	)
	for _, c := range Checks() {
		if !broken[c.ID] {
			t.Errorf("no planted fault breaks %s", c.ID)
		}
	}
}

// TestGeneratedServicesPass holds the templates to their own checklist: nothing is found, and nothing is not seen.
func TestGeneratedServicesPass(t *testing.T) {
	cases, err := filepath.Glob("../../golden/*/Cargo.toml")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no golden service: %v", err)
	}
	for _, manifest := range cases {
		dir := filepath.Dir(manifest)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			files, err := tree.FromFS(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range faults(t, files) {
				t.Error(f)
			}
			for _, r := range run(t, files) {
				if r.State == NotSeen {
					t.Errorf("%s is not seen: %v", r.ID, r.Unseen)
				}
			}
		})
	}
}

// TestModuleOfTwoParents: a file that two modules declare by its path is found through each of them.
func TestModuleOfTwoParents(t *testing.T) {
	files := tree.Tree{
		"Cargo.toml":    {Data: []byte("[package]\nname = \"s\"\n")},
		"src/main.rs":   {Data: []byte("#[path = \"./db/mod.rs\"]\nmod db;\nmod calls;\nfn main() {}")},
		"src/calls.rs":  {Data: []byte("#[path = \"./db/mod.rs\"]\nmod db;\npub use db::pg::connect;\nasync fn f() { connect(); }")},
		"src/db/mod.rs": {Data: []byte("pub mod pg;")},
		"src/db/pg.rs":  {Data: []byte("pub fn connect() { std::fs::read(\"x\"); }")},
	}
	want := "blocking src/calls.rs:4: connect in async code calls std::fs::read (src/db/pg.rs:1); tokio::fs does not block"
	if got := faults(t, files); !slices.Contains(got, want) {
		t.Errorf("%q is not among %q", want, got)
	}
}

func TestWhatIsNotThereIsLeftOut(t *testing.T) {
	files := tree.Tree{
		"Cargo.toml":  {Mode: tree.ModeFile, Data: []byte("[workspace]\nmembers = [\"svc\"]\n")},
		"src/main.rs": {Mode: tree.ModeFile, Data: []byte("fn main() {}")},
	}
	for _, r := range run(t, files) {
		if slices.Contains([]string{"client", "image", "kubernetes", "pipeline"}, r.Area) && (r.State != NoMatch || r.Note == "") {
			t.Errorf("%s is %s", r.ID, r.State)
		}
	}
}

func TestNoService(t *testing.T) {
	_, err := Run(t.Context(), Input{Files: tree.Tree{}, Dir: ".", Focus: "."}, Checks())
	if !errors.As(err, new(NotRust)) {
		t.Errorf("got %v", err)
	}
	_, err = Run(t.Context(), Input{Files: tree.Tree{"Cargo.toml": {Data: []byte("[package\n")}}, Dir: ".", Focus: "."}, Checks())
	if err == nil || !strings.HasPrefix(err.Error(), "Cargo.toml: ") {
		t.Errorf("got %v", err)
	}
}

func TestChecksAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Checks() {
		if seen[c.ID] || c.Title == "" || c.Why == "" || c.Mend == "" || c.Area == "" || c.look == nil {
			t.Errorf("%q is there twice, or lacks something", c.ID)
		}
		for _, text := range []string{c.Title, c.Why, c.Mend} {
			if strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q ends with a full stop, which the report adds", c.ID, text)
			}
		}
		seen[c.ID] = true
	}
}

// FuzzRead feeds the readers what is no Rust, no Dockerfile and no YAML: they end.
func FuzzRead(f *testing.F) {
	for _, file := range clean(f) {
		f.Add(string(file.Data))
	}
	for _, seed := range []string{"r#\"", "'", "b'", "/* /*", "use a::{b, {c", "async fn f(", "#[cfg(test)]", "::<", "FROM\nFROM a AS a\nUSER $", "\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files := tree.Tree{"Cargo.toml": {}, "src/a.rs": {Data: []byte(text)}, "Dockerfile": {Data: []byte(text)}, "k.yaml": {Data: []byte(text)}}
		if _, err := Run(t.Context(), Input{Files: files, Dir: ".", Focus: "."}, Checks()); err != nil {
			t.Fatal(err)
		}
	})
}
