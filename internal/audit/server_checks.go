package audit

import (
	"regexp"
	"slices"
	"strings"

	"rustgen/internal/audit/rust"
)

var serverChecks = []Check{
	{
		ID: "streams", Area: "server", Severity: Risk, Title: "Streams at once on a connection are bounded",
		Why:   "tonic passes no limit over hyper's safe one of 200: 60 peers that never read took gigabytes",
		Mend:  "Server::builder().max_concurrent_streams(128)",
		since: "0.1.0",
		look:  overNetwork("max_concurrent_streams", true, "max_concurrent_streams"),
	},
	{
		ID: "header-list", Area: "server", Severity: Risk, Title: "Headers are bounded",
		Why:   "hyper takes 16 KiB of headers a call unless it is told otherwise; before version 1 it took 16 MiB",
		Mend:  "Server::builder().http2_max_header_list_size(8 << 10)",
		since: "0.12.2",
		look:  headerList,
	},
	{
		ID: "server-keepalive", Area: "server", Severity: Risk, Title: "A peer that is gone is noticed",
		Why:   "a connection whose other side has lost power holds its memory for as long as the process lives",
		Mend:  "Server::builder().http2_keepalive_interval(Some(Duration::from_secs(30)))",
		since: "0.4.0",
		look:  overNetwork("http2_keepalive_interval", false, "http2_keepalive_interval", "keep_alive_interval", "tcp_keepalive"),
	},
	{
		ID: "server-deadline", Area: "server", Severity: Fault, Title: "A call has a deadline, whatever its caller says",
		Why:  "a call without one holds what it was given until somebody restarts the process",
		Mend: "Server::builder().timeout(...); it does not end streams, which need timeout_at of their own",
		look: serverDeadline,
	},
	{
		ID: "admission", Area: "server", Severity: Risk, Title: "Calls in flight are bounded over all connections",
		Why: "at 6.5 times the capacity a health check waited seconds beside calls without a bound, and 4 ms beside calls with " +
			"one; tonic's own limit counts each connection by itself",
		Mend: "a semaphore with try_acquire before the work, or tower's GlobalConcurrencyLimitLayer with load_shed",
		look: admission,
	},
	{
		ID: "reply-size", Area: "server", Severity: Advice, Title: "Replies are bounded, as requests are",
		Why:   "tonic takes requests of up to 4 MiB, and sends replies of any size",
		Mend:  "XServer::new(handlers).max_encoding_message_size(1 << 20)",
		since: "0.9.0",
		look:  replySize,
	},
	{
		ID: "connection-age", Area: "server", Severity: Advice, Title: "Connections end, so that load is spread again",
		Why:   "gRPC balances connections, not calls: a new replica gets nothing while the old connections live",
		Mend:  "Server::builder().max_connection_age(...)",
		since: "0.12.3",
		look:  connectionAge,
	},
	{
		ID: "connection-age-grace", Area: "server", Severity: Risk, Title: "No call is cut by the age of its connection",
		Why:  "tonic's grace ends calls that are under way: one of seven failed",
		Mend: "leave max_connection_age_grace out",
		look: func(s *service) (o outcome) {
			servers := s.grpcServers()
			if len(servers) == 0 {
				return s.noServer()
			}
			for _, v := range servers {
				if c, ok := v.last([]string{"max_connection_age_grace"}); ok {
					o.findings = append(o.findings, at(Place{c.File.Path, c.Line()}, "max_connection_age_grace"))
				}
			}
			return o
		},
	},
	{
		ID: "sigterm", Area: "server", Severity: Fault, Title: "SIGTERM stops the service in order",
		Why:  "Kubernetes sends it, and as PID 1 a process without a handler does not even end: it is killed, with its calls",
		Mend: "tokio::signal::unix::signal(SignalKind::terminate()), beside ctrl_c",
		look: sigterm,
	},
	{
		ID: "drain", Area: "server", Severity: Fault, Title: "Calls under way are finished before the end",
		Why:  "in a rolling restart some calls fail without it, and none with it",
		Mend: "serve_with_shutdown(address, signal), under a timeout: a silent connection holds it for hours",
		look: drain,
	},
	{
		ID: "health", Area: "server", Severity: Risk, Title: "grpc.health.v1 is served",
		Why:  "probes of Kubernetes and balancers ask it; an open port says nothing",
		Mend: "tonic-health, set to NOT_SERVING before the drain",
		look: health,
	},
	{
		ID: "metrics", Area: "server", Severity: Risk, Title: "There are metrics",
		Why:  "what is not counted is noticed by its users",
		Mend: "prometheus or opentelemetry, with the names that the fleet's other services have",
		look: countsCalls,
	},
}

// countsCalls judges whether there are metrics. The crates of opentelemetry are for traces as well: with them, something
// has to make a meter.
func countsCalls(s *service) outcome {
	missing := "no crate of metrics is a dependency"
	for _, p := range s.packages {
		for _, need := range p.needs {
			switch {
			case strings.Contains(need, "prometheus"), strings.Contains(need, "metrics"),
				slices.Contains([]string{"cadence", "statsd", "dogstatsd", "hotpath", "foundations"}, need):
				return found()
			case strings.Contains(need, "opentelemetry"):
				missing = "opentelemetry is there for traces alone: no meter is made"
			}
		}
	}
	if strings.HasPrefix(missing, "opentelemetry") {
		for _, word := range []string{"meter", "Meter", "MeterProvider", "SdkMeterProvider", "meter_provider", "meter_with_scope", "MetricsLayer"} {
			if s.mentionsWord(word) {
				return found()
			}
		}
	}
	if len(s.servers) == 0 && len(s.stubs()) == 0 {
		return absent("no server is made")
	}
	return found(at(s.rootAt("dependencies"), "%s", missing))
}

// rootAt is a table of the manifest of the package that serves.
func (s *service) rootAt(table string) Place {
	for _, v := range s.servers {
		for _, p := range s.packages {
			if p.rust == v.file().Package() {
				return p.at(table, "")
			}
		}
	}
	return s.root.at(table, "")
}

// headerList is satisfied with hyper's own bound, which tonic leaves alone, from version 1 on.
func headerList(s *service) (o outcome) {
	servers := s.grpcServers()
	if len(servers) == 0 {
		return s.noServer()
	}
	hyper := s.locked("hyper")
	old := hyper != nil && hyper.Major() < 1
	if tonic := s.locked("tonic"); tonic != nil {
		old = tonic.Major() == 0 && tonic.Minor() < 12
	}
	for _, v := range servers {
		s.told(v, "http2_max_header_list_size", !old, []string{"http2_max_header_list_size", "max_header_list_size"}, &o)
	}
	return o
}

func replySize(s *service) (o outcome) {
	servers := s.grpcServers()
	if len(servers) == 0 {
		return s.noServer()
	}
	if servers[0].kind != "tonic" {
		return absent("the bound of replies is not that of tonic's server")
	}
	calls := s.named(".max_encoding_message_size")
	for _, u := range calls {
		s.argument(rust.Call{File: u.File, Name: "max_encoding_message_size", I: u.I, Open: u.Open}, "max_encoding_message_size", &o)
	}
	if len(calls) == 0 {
		for _, v := range servers {
			o.findings = append(o.findings, at(v.place(), "no max_encoding_message_size"))
		}
	}
	return o
}

// connectionAge is judged of tonic's server: one of hyper's ends connections by graceful_shutdown.
func connectionAge(s *service) (o outcome) {
	servers := s.grpcServers()
	if len(servers) == 0 {
		return s.noServer()
	}
	for _, v := range servers {
		if v.kind != "tonic" {
			if len(s.named(".graceful_shutdown")) == 0 && v.kind != "layer" {
				o.findings = append(o.findings, at(v.place(), "no graceful_shutdown of a connection that is old"))
			}
			continue
		}
		s.told(v, "max_connection_age", false, []string{"max_connection_age"}, &o)
	}
	return o
}

// sigterm judges whether anything hears SIGTERM. actix and rocket do so by themselves.
func sigterm(s *service) outcome {
	if len(s.servers) == 0 && len(s.stubs()) == 0 {
		return s.noServer()
	}
	if s.hearsItself() {
		return found()
	}
	if unheard, ok := s.hearsTerm(); ok {
		return found(unheard...)
	}
	if s.depends("tokio-graceful-shutdown", "tokio-graceful", "async-shutdown", "shutdown-async") && len(s.named(".catch_signals")) > 0 {
		return found()
	}
	if s.depends("signal-hook", "ctrlc", "signal-hook-tokio", "async-signal") {
		if s.mentionsWord("SIGTERM") || s.features("ctrlc", "termination") {
			return found()
		}
	}
	if s.mentionsWord("SIGTERM") {
		return found()
	}
	for _, u := range s.named("*::signal::ctrl_c", "ctrlc::set_handler") {
		return found(at(place(u), "%s hears SIGINT alone", u.Parts()[len(u.Parts())-1]))
	}
	if len(s.servers) > 0 {
		return found(at(s.servers[0].place(), "nothing hears SIGTERM"))
	}
	return found(at(Place{}, "nothing hears SIGTERM"))
}

// hearsTerm reports whether SIGTERM is waited for; where only a function does that nobody calls, that is the finding.
func (s *service) hearsTerm() (unheard []Finding, ok bool) {
	for _, u := range append(s.named("*::SignalKind::terminate", "*SIGTERM", "*TERM_SIGNALS"), s.program.Named("terminate")...) {
		fn := u.File.Enclosing(u.I)
		serves := slices.ContainsFunc(s.servers, func(v server) bool { return v.file().Enclosing(v.use.I) == fn })
		if fn == nil || fn.Name == "main" || fn.Trait != "" || serves || s.program.Mentioned(fn) {
			return nil, true
		}
		unheard = []Finding{at(place(u), "%s hears SIGTERM, and nothing calls it", fn.Name)}
	}
	return unheard, len(unheard) > 0
}

// hearsItself reports whether a library that serves handles signals, in every binary with a server. Another server beside
// it may be cut off all the same: that is drain's to say.
func (s *service) hearsItself() bool {
	hears := slices.ContainsFunc(s.servers, server.hearsSignals)
	for _, p := range s.packages {
		if !hears || !s.hasBinary(p) {
			continue
		}
		closure := s.closure([]*cargoPackage{p})
		in := slices.DeleteFunc(slices.Clone(s.servers), func(v server) bool {
			return !slices.ContainsFunc(closure, func(q *cargoPackage) bool { return q.rust == v.file().Package() })
		})
		hears = len(in) == 0 || slices.ContainsFunc(in, server.hearsSignals)
	}
	return hears
}

func (v server) hearsSignals() bool {
	return v.kind == "layer" || v.kind == "rocket" || v.kind == "actix" && !v.told("disable_signals")
}

func (v server) told(method string) bool { _, ok := v.last([]string{method}); return ok }

// features reports whether a dependency has a feature switched on.
func (s *service) features(crate, feature string) bool {
	for _, m := range s.manifests() {
		for _, list := range [][]string{m.list("dependencies", crate, "features"), m.list("workspace", "dependencies", crate, "features")} {
			for _, f := range list {
				if f == feature {
					return true
				}
			}
		}
	}
	return false
}

// mentionsWord reports whether the source has a word.
func (s *service) mentionsWord(word string) bool {
	for _, f := range s.program.Files() {
		if !strings.Contains(f.Source, word) {
			continue
		}
		for i := range f.Len() {
			if f.Is(i, word) {
				return true
			}
		}
	}
	return false
}

// drain judges whether servers stop without cutting calls. Where nothing hears SIGTERM that is the cause, and said there.
func drain(s *service) (o outcome) {
	if len(s.servers) == 0 {
		return s.noServer()
	}
	if len(sigterm(s).findings) > 0 {
		return absent("nothing hears SIGTERM, which is said under sigterm")
	}
	ends := []string{"serve_with_shutdown", "serve_with_incoming_shutdown", "with_graceful_shutdown", "graceful_shutdown", "shutdown_timeout", "bind_with_graceful_shutdown", "handle"}
	for _, v := range s.servers {
		switch {
		case v.kind == "actix" || v.kind == "layer" || v.kind == "rocket" || v.kind == "other":
			continue
		case hasAny(v, ends), v.kind == "axum" && scrapedAlone(v):
			continue
		case v.kind == "hyper" || v.kind == "auto":
			if len(s.named(".graceful_shutdown", ".watch", "*::GracefulShutdown::new")) > 0 {
				continue
			}
		}
		c, ok := v.last([]string{"serve", "serve_with_incoming", "await"})
		switch {
		case ok:
			o.findings = append(o.findings, at(Place{c.File.Path, c.Line()}, "%s ends with the process", c.Name))
		case v.Lost != "":
			o.unseen = append(o.unseen, at(v.place(), "how it ends: what %s does with the server is not seen", v.Lost))
		case v.kind == "tonic" || v.kind == "axum":
			if len(v.Calls) > 0 || v.kind == "axum" {
				o.findings = append(o.findings, at(v.place(), "the server ends with the process"))
			}
		}
	}
	return o
}

// scrapedAlone reports whether all routes in the function that makes a server are for metrics and probes, which are asked
// again when they are not answered.
func scrapedAlone(v server) bool {
	f, fn := v.file(), v.file().Enclosing(v.use.I)
	if fn == nil {
		return false
	}
	routes := 0
	for i := fn.From; i < fn.To; i++ {
		switch {
		case f.Is(i, ".", "route", "("):
			routes++
			if !probed.MatchString(f.Text(i + 3)) {
				return false
			}
		case f.Is(i, ".", "nest"), f.Is(i, ".", "merge"), f.Is(i, ".", "fallback"), f.Is(i, ".", "route_service"):
			return false
		}
	}
	return routes > 0
}

var probed = regexp.MustCompile(`^"/(metrics|-?health[a-z]*|(live|ready)[a-z]*|ping)"$`)

func hasAny(v server, names []string) bool { _, ok := v.last(names); return ok }

func health(s *service) outcome {
	switch {
	case s.depends("tonic-health", "hotpath") || len(s.named("*::HealthServer::new", "*::health_reporter", "*::HealthReporter::new")) > 0 || s.servesHealth():
		return found()
	case len(s.grpcServers()) > 0 && (len(s.stubs()) > 0 || s.servers[0].kind == "tonic"):
		return found(at(s.grpcServers()[0].place(), "tonic-health is no dependency, and no other service of grpc.health.v1 was seen"))
	case len(s.grpcServers()) > 0:
		return absent("no gRPC service is made")
	}
	return s.noServer()
}

// servesHealth reports whether the service has a Health service of its own proto.
func (s *service) servesHealth() bool {
	for _, u := range s.stubs() {
		parts := u.Parts()
		if strings.Contains(parts[len(parts)-2], "Health") {
			return true
		}
	}
	return false
}
