package audit

import (
	"path"
	"strings"

	"rustgen/internal/audit/rust"
	"rustgen/internal/lazyregexp"
)

var codeChecks = []Check{
	{
		ID: "unbounded-channel", Area: "code", Severity: Fault, Title: "Every channel has a bound",
		Why:  "a queue without one grows while its reader is slow, until the kernel ends the process",
		Mend: "tokio::sync::mpsc::channel with a bound and try_send: shed what does not fit",
		look: unboundedChannels,
	},
	{
		ID: "blocking", Area: "code", Severity: Fault, Title: "Nothing blocks an async worker",
		Why:  "while one call sleeps or waits for a disk, a database or a model, every other call of its worker waits with it",
		Mend: "the async counterpart, or spawn_blocking behind a bound",
		look: func(s *service) outcome { return s.blocking(s.waits()) },
	},
	{
		ID: "blocking-pool", Area: "code", Severity: Advice, Title: "The blocking pool is bounded",
		Why:  "tokio starts up to 512 threads: at 6.5 times the capacity a health check waited seconds for a CPU beside them",
		Mend: "tokio::runtime::Builder::max_blocking_threads, and a semaphore as wide as the CPUs before spawn_blocking",
		look: func(s *service) (o outcome) {
			bounds := s.named(".max_blocking_threads")
			doors := 0
			for _, u := range s.named("*::spawn_blocking", ".spawn_blocking") {
				if u.Open < 0 {
					continue
				}
				doors++
				if len(bounds) == 0 && !takesPermit(enclosing(u)) {
					o.findings = append(o.findings, at(place(u), "%s, and no max_blocking_threads", strings.Join(u.Parts(), "::")))
				}
			}
			if doors == 0 {
				return absent("nothing calls spawn_blocking")
			}
			for _, u := range bounds {
				s.argument(rust.Call{File: u.File, Name: "max_blocking_threads", I: u.I, Open: u.Open}, "max_blocking_threads", &o)
			}
			return o
		},
	},
	{
		ID: "handler-panic", Area: "code", Severity: Advice, Title: "A handler's panic is seen",
		Why:  "tonic answers it CANCELLED, which clients take for their own doing, and nothing counts it",
		Mend: `panic = "abort", or a boundary (catch_unwind, tower-http's CatchPanicLayer) that answers INTERNAL and counts`,
		look: func(s *service) outcome {
			switch {
			case s.panics() == "abort", s.depends("hotpath"):
				// The layer catches a handler's panic, answers INTERNAL and counts it, also where it comes from a registry.
				return found()
			case len(s.named(".catch_unwind", "*::catch_unwind", "*CatchPanicLayer::new", "*CatchPanicLayer::custom")) > 0 || s.mentionsWord("CatchPanicLayer"):
				return found()
			case len(s.grpcServers()) == 0:
				return s.noServer()
			}
			return found(at(s.root.at("profile.release", ""), "panics unwind, and nothing catches them"))
		},
	},
	{
		ID: "allocator", Area: "code", Severity: Advice, Title: "The allocator was chosen and told its bounds",
		Why:  "glibc keeps an arena for every thread, and grows to gigabytes; musl's own is slow with threads",
		Mend: "glibc: MALLOC_ARENA_MAX=2 or mallopt(M_ARENA_MAX, 2); else #[global_allocator] jemalloc or mimalloc",
		look: func(s *service) outcome {
			if s.hasAllocator() || s.depends("hotpath") || len(s.named("*libc::M_ARENA_MAX")) > 0 {
				return found()
			}
			if _, ok := s.anywhere(environment, lazyregexp.New(`MALLOC_ARENA_MAX|glibc\.malloc\.arena_max`)); ok {
				return found()
			}
			return found(at(s.rootAt("dependencies"), "the system's allocator, with an arena for every thread"))
		},
	},
	{
		ID: "jemalloc-options", Area: "code", Severity: Risk, Title: "What jemalloc is told reaches it",
		Why:  "tikv-jemallocator prefixes its names: MALLOC_CONF is not read, _RJEM_MALLOC_CONF is",
		Mend: "compile the options in (#[unsafe(export_name = \"_rjem_malloc_conf\")]), or name _RJEM_MALLOC_CONF",
		look: func(s *service) outcome {
			if !s.depends("tikv-jemallocator", "jemallocator") {
				return absent("there is no jemalloc")
			}
			for _, crate := range []string{"tikv-jemallocator", "jemallocator"} {
				for _, feature := range []string{"unprefixed_malloc_on_supported_platforms", "unprefixed_malloc"} {
					if s.features(crate, feature) {
						return found()
					}
				}
			}
			if place, ok := s.anywhere(environment, lazyregexp.New(`(?m)^[^#\n]*(^|[^_\w])MALLOC_CONF\b`)); ok {
				return found(at(place, "MALLOC_CONF is not read"))
			}
			return found()
		},
	},
}

// hasAllocator reports whether an allocator is a dependency that the code really uses.
func (s *service) hasAllocator() bool {
	if !s.depends("tikv-jemallocator", "jemallocator", "mimalloc", "snmalloc-rs", "rpmalloc", "tcmalloc") {
		return false
	}
	for _, f := range s.program.Files() {
		if strings.Contains(f.Source, "global_allocator") {
			return true
		}
	}
	return false
}

func enclosing(u rust.Use) *rust.Function {
	if fn := u.File.Enclosing(u.I); fn != nil {
		return fn
	}
	return &rust.Function{File: u.File}
}

// channels are those without a bound; std's and crossbeam's besides.
var channels = []string{
	"*::mpsc::unbounded_channel", "*::mpsc::unbounded", "async_channel::unbounded", "flume::unbounded", "crossbeam_channel::unbounded",
	"crossbeam::channel::unbounded", "kanal::unbounded", "kanal::unbounded_async", "std::sync::mpsc::channel", "postage::mpsc::unbounded",
	"*UnboundedSender::new",
}

// constructors of channels whose bound is their argument.
var boundedChannels = []string{"*::mpsc::channel", "async_channel::bounded", "flume::bounded", "crossbeam_channel::bounded"}

func unboundedChannels(s *service) (o outcome) {
	for _, u := range s.named(channels...) {
		if u.Open < 0 {
			continue
		}
		whole, _ := s.spelled(u, channels...)
		if watchesFiles(u.File.Enclosing(u.I)) || strings.HasPrefix(whole, "std::") && s.isLocal(u) {
			continue
		}
		o.findings = append(o.findings, at(place(u), "%s", whole))
	}
	for _, u := range s.named(boundedChannels...) {
		if whole, _ := s.spelled(u, boundedChannels...); u.Open < 0 || strings.HasPrefix(whole, "std::") {
			continue
		}
		if from, to := u.Open+1, u.File.End(u.Open)-1; to > from && s.program.Bound(u.File, from, to) == rust.Unbounded && !u.File.Is(from, "0") {
			o.findings = append(o.findings, at(place(u), "a channel told %s, which is no bound", u.File.Phrase(from, to)))
		}
	}
	return o
}

// isLocal reports whether a channel of std's carries one signal, or what its own function receives.
func (s *service) isLocal(u rust.Use) bool {
	f, fn := u.File, u.File.Enclosing(u.I)
	if f.Is(u.Open-4, "<", "(", ")", ">") {
		return true
	}
	receiver := ""
	if f.Is(u.Open, "(", ")", ";") {
		receiver = f.PairBound(u)
	}
	if fn == nil || receiver == "" {
		return false
	}
	for i := u.Open; i < fn.To; i++ {
		if f.Is(i, receiver, ".") && (f.Is(i+2, "recv") || f.Is(i+2, "recv_timeout") || f.Is(i+2, "iter")) && f.Enclosing(i) == fn {
			return true
		}
	}
	return false
}

// environment are the files in which a process is given its environment.
var environment = lazyregexp.New(`(^|/)(Dockerfile[^/]*|Containerfile[^/]*|[^/]*\.[Dd]ockerfile|[^/]*\.(ya?ml|env|sh|service)|\.cargo/config(\.toml)?)$`)

// profile is a key of the profile that the release is built with, in Cargo.toml or in .cargo/config.toml.
func (s *service) profile(key string) any {
	if v := s.root.key("profile", "release", key); v != nil {
		return v
	}
	for _, name := range []string{".cargo/config.toml", ".cargo/config"} {
		p := path.Join(s.dir, name)
		if f, ok := s.files[p]; ok {
			if m, err := parseManifest(p, f); err == nil {
				if v := m.key("profile", "release", key); v != nil {
					return v
				}
			}
		}
	}
	return nil
}

// panics is what a panic does in the release: unwind unless it says otherwise.
func (s *service) panics() string { text, _ := s.profile("panic").(string); return text }
