package servicetest

import (
	"fmt"
	"strings"
	"testing"
)

// mutant is a service with one of the faults that the gates are there for.
type mutant struct {
	answers []string
	edits   []edit
	gate    string // breaks
	cause   string // is named in its cause
}

type edit struct{ file, old, new string }

var mutants = map[string]mutant{
	"CPU work on the workers": {
		answers: []string{"--layer", "registry"},
		edits: []edit{{
			file: "src/handlers.rs",
			old:  "self.cpu.run(move |call| score(&payload, rounds, || call.check())).await?",
			new:  "score(&payload, rounds, || Ok::<_, Status>(()))?",
		}},
		gate:  "cheap-p99",
		cause: "CPU work runs on the runtime's workers",
	},
	"no semaphore": {
		edits: []edit{
			{
				file: "crates/hotpath/src/limits.rs",
				old:  "let in_flight = policy.in_flight.unwrap_or(most).max(1);",
				new:  "let in_flight = most.max(1 << 24);",
			},
			{
				file: "crates/hotpath/src/limits.rs",
				old:  "most: if deadline.is_some() { self.call_memory } else { self.call_memory / 100 * ENDLESS_SHARE },",
				new:  "most: u64::MAX,",
			},
			{
				file: "crates/hotpath/src/server.rs",
				old:  "memory: Budget::new(host.limits.call_memory),",
				new:  "memory: Budget::new(host.limits.call_memory << 12),",
			},
		},
		gate:  "burst-goodput",
		cause: "no admission limit held",
	},
	// A worker slower than its callers, as it comes; the bound would have refused them.
	"an unbounded channel": {
		answers: []string{"--queue", "64"},
		edits: []edit{
			{file: "crates/hotpath/src/queue.rs", old: "mpsc::Sender<", new: "mpsc::UnboundedSender<"},
			{file: "crates/hotpath/src/queue.rs", old: "mpsc::Receiver<", new: "mpsc::UnboundedReceiver<"},
			{file: "crates/hotpath/src/queue.rs", old: "mpsc::channel(length)", new: "mpsc::unbounded_channel()"},
			{
				file: "crates/hotpath/src/queue.rs",
				old:  "self.items.try_send(item).map_err(|error| {",
				new:  "self.items.send(item).map_err(mpsc::error::TrySendError::from).map_err(|error| {",
			},
			{file: "src/handlers.rs", old: "    score: f64,\n}", new: "    score: f64,\n    body: Vec<u8>,\n}"},
			{
				file: "src/handlers.rs",
				old:  "self.scored.push(Scored { digest, score })?",
				new:  "self.scored.push(Scored { digest, score, body: vec![1; 16 << 10] })?",
			},
			{
				file: "src/handlers.rs",
				old:  "    if let Some(Scored { digest, score }) = best {",
				new:  "    tokio::time::sleep(Duration::from_secs(60)).await;\n    if let Some(Scored { digest, score, .. }) = best {",
			},
		},
		gate:  "rss-after-burst",
		cause: "a channel has no bound",
	},
	"a leak": {
		answers: []string{"--layer", "registry"},
		edits: []edit{{
			file: "src/handlers.rs",
			old:  "        Ok(Response::new(ScoreReply { score, digest, downstream }))",
			new:  "        vec![1u8; 16 << 10].leak();\n        Ok(Response::new(ScoreReply { score, digest, downstream }))",
		}},
		gate:  "rss-after-burst",
		cause: "a leak",
	},
}

// TestMutants shows that the gates can fail: each fault breaks its gate, and the cause that is printed is the fault.
func TestMutants(t *testing.T) {
	unquiet := spare
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			quiet(t, "RUSTGEN_MUTANTS")
			s := render(t, m.answers...)
			for _, e := range m.edits {
				s.edit(t, e.file, e.old, e.new)
			}
			// Faults of this size show without link-time optimisation, which is most of the build.
			s.judge(t, &unquiet, m.missed, quickBuild...)
		})
	}
}

// missed says how the gates failed to find the fault.
func (m mutant) missed(gates verdicts) []string {
	for _, gate := range gates {
		switch {
		case gate.Gate != m.gate:
		case gate.State != "broken":
			return []string{fmt.Sprintf("%s is %s: %s, allowed %s", gate.Gate, gate.State, gate.Measured, gate.Limit)}
		case !strings.Contains(gate.Cause, m.cause):
			return []string{fmt.Sprintf("%s broke, and the cause is said to be %q, not %q", gate.Gate, gate.Cause, m.cause)}
		default:
			return nil
		}
	}
	return []string{"there is no gate " + m.gate}
}

// TestMutantsApply keeps the mutants in step with the services, where they are not run.
func TestMutantsApply(t *testing.T) {
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			s := render(t, m.answers...)
			for _, e := range m.edits {
				s.edit(t, e.file, e.old, e.new)
			}
		})
	}
}
