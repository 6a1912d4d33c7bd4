package audit

import (
	"regexp"
	"strings"
)

var codeChecks = []Check{
	{
		ID: "unbounded-channel", Area: "code", Title: "Every channel has a bound",
		Why:  "a queue without one grows while its reader is slow, until the kernel ends the process",
		Mend: "tokio::sync::mpsc::channel with a bound and try_send: shed what does not fit",
		look: func(s *service) (o outcome) {
			for _, u := range s.named(
				"*::mpsc::unbounded_channel", "*::mpsc::unbounded", "*async_channel::unbounded", "*flume::unbounded",
				"*crossbeam_channel::unbounded", "*crossbeam::channel::unbounded", "*kanal::unbounded", "std::sync::mpsc::channel",
			) {
				if u.called {
					o.findings = append(o.findings, at(u.Place, "%s", u.name))
				}
			}
			return o
		},
	},
	{
		ID: "blocking", Area: "code", Title: "Nothing blocks an async worker",
		Why:  "while one call sleeps or waits for a disk, every other call of its worker waits with it",
		Mend: "the same of tokio, or spawn_blocking behind a bound",
		look: func(s *service) (o outcome) {
			for _, u := range s.uses {
				if u.async && u.called && blocks(u.name) {
					o.findings = append(o.findings, at(u.Place, "%s in async code", u.name))
				}
			}
			return o
		},
	},
	{
		ID: "blocking-pool", Area: "code", Title: "The blocking pool is bounded",
		Why:  "tokio starts up to 512 threads: at 6.5 times the capacity a health check waited seconds for a CPU beside them",
		Mend: "tokio::runtime::Builder::max_blocking_threads, and a semaphore as wide as the CPUs before spawn_blocking",
		look: func(s *service) (o outcome) {
			bounded := len(s.named(".max_blocking_threads")) > 0
			doors := 0
			for _, u := range s.named("*::spawn_blocking", ".spawn_blocking") {
				if !u.called {
					continue
				}
				doors++
				if !bounded {
					o.findings = append(o.findings, at(u.Place, "%s, and no max_blocking_threads", u.name))
				}
			}
			if doors == 0 {
				return absent("nothing calls spawn_blocking")
			}
			return o
		},
	},
	{
		ID: "handler-panic", Area: "code", Title: "A handler's panic is seen",
		Why:  "tonic answers it CANCELLED, which clients take for their own doing, and nothing counts it",
		Mend: `panic = "abort", or a boundary (catch_unwind, tower-http's CatchPanicLayer) that answers INTERNAL and counts`,
		look: func(s *service) outcome {
			switch {
			case s.root.key("profile", "release", "panic") == "abort":
				return found()
			case len(s.named(".catch_unwind", "*::catch_unwind", "*CatchPanicLayer", "*CatchPanicLayer::new", "*CatchPanicLayer::custom")) > 0:
				return found()
			}
			return found(at(s.root.at("profile.release", ""), "panics unwind, and nothing catches them"))
		},
	},
	{
		ID: "allocator", Area: "code", Title: "The allocator was chosen and told its bounds",
		Why:  "glibc keeps an arena for every thread, and grows to gigabytes; musl's own is slow with threads",
		Mend: "glibc: MALLOC_ARENA_MAX=2 or mallopt(M_ARENA_MAX, 2); else #[global_allocator] jemalloc or mimalloc",
		look: func(s *service) outcome {
			ours := s.depends("tikv-jemallocator", "jemallocator", "mimalloc", "snmalloc-rs", "rpmalloc")
			arenas := len(s.named("*libc::M_ARENA_MAX")) > 0
			if _, ok := s.anywhere(settings, regexp.MustCompile(`MALLOC_ARENA_MAX|glibc\.malloc\.arena_max`)); ok {
				arenas = true
			}
			if ours || arenas {
				return found()
			}
			return found(at(s.root.at("dependencies", ""), "the system's allocator, with an arena for every thread"))
		},
	},
	{
		ID: "jemalloc-options", Area: "code", Title: "What jemalloc is told reaches it",
		Why:  "tikv-jemallocator prefixes its names: MALLOC_CONF is not read, _RJEM_MALLOC_CONF is",
		Mend: "compile the options in (#[unsafe(export_name = \"_rjem_malloc_conf\")]), or name _RJEM_MALLOC_CONF",
		look: func(s *service) outcome {
			if !s.depends("tikv-jemallocator", "jemallocator") {
				return absent("there is no jemalloc")
			}
			if place, ok := s.anywhere(settings, regexp.MustCompile(`(^|[^_\w])MALLOC_CONF\b`)); ok {
				return found(at(place, "MALLOC_CONF is not read"))
			}
			return found()
		},
	},
}

// settings are the files in which a process is given its environment.
var settings = regexp.MustCompile(`(^|/)(Dockerfile[^/]*|[^/]*\.Dockerfile|[^/]*\.(ya?ml|env|sh|service)|\.cargo/config(\.toml)?)$`)

// blocks reports whether a call holds its thread.
func blocks(name string) bool {
	switch {
	case name == "std::thread::sleep", name == "std::net::TcpStream::connect", name == ".blocking_recv", name == ".blocking_send":
		return true
	case name == "std::thread::park", strings.HasSuffix(name, "Runtime::block_on"), name == ".block_on":
		return true
	case strings.HasPrefix(name, "std::fs::"), strings.HasPrefix(name, "reqwest::blocking::"), strings.HasPrefix(name, "ureq::"):
		return true
	case strings.HasPrefix(name, "std::process::Command::"):
		return name != "std::process::Command::new"
	}
	return false
}
