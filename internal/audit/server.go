package audit

import (
	"regexp"
	"slices"
)

// tonicServer are the uses of tonic's own server, whose defaults are what the checks of the server are about.
func (s *service) tonicServer() []use { return s.named("tonic::transport::Server::builder") }

// told is a check that what is made in some places is told one of the methods, anywhere in the service. Where nothing is
// made, none says so.
func told(places func(*service) []use, none, missing string, methods ...string) func(*service) outcome {
	return func(s *service) (o outcome) {
		made := places(s)
		if len(made) == 0 {
			return absent("%s", none)
		}
		if len(s.named(methods...)) == 0 {
			for _, u := range made {
				o.findings = append(o.findings, at(u.Place, "%s", missing))
			}
		}
		return o
	}
}

// needs is a check of tonic's server.
func needs(missing string, methods ...string) func(*service) outcome {
	return told((*service).tonicServer, "tonic's transport server is not used", missing, methods...)
}

// stub is where a generated service is made of its handlers.
var stub = regexp.MustCompile(`(^|::)[A-Z]\w*Server::(new|from_arc|with_interceptor)$`)

var serverChecks = []Check{
	{
		ID: "streams", Area: "server", Title: "Streams at once on a connection are bounded",
		Why:  "tonic passes no limit over hyper's safe one: 60 peers that never read took gigabytes",
		Mend: "Server::builder().max_concurrent_streams(128)",
		look: needs("no max_concurrent_streams", ".max_concurrent_streams"),
	},
	{
		ID: "header-list", Area: "server", Title: "Headers are bounded",
		Why:  "floods of headers on 40 connections took gigabytes",
		Mend: "Server::builder().http2_max_header_list_size(8 << 10)",
		look: needs("no http2_max_header_list_size", ".http2_max_header_list_size"),
	},
	{
		ID: "server-keepalive", Area: "server", Title: "A peer that is gone is noticed",
		Why:  "a connection whose other side has lost power holds its memory for as long as the process lives",
		Mend: "Server::builder().http2_keepalive_interval(Some(Duration::from_secs(30)))",
		look: needs("no http2_keepalive_interval", ".http2_keepalive_interval"),
	},
	{
		ID: "server-deadline", Area: "server", Title: "A call has a deadline, whatever its caller says",
		Why:  "a call without one holds what it was given until somebody restarts the process",
		Mend: "Server::builder().timeout(...); it does not end streams, which need timeout_at of their own",
		look: needs("no timeout", append(timers, ".timeout")...),
	},
	{
		ID: "admission", Area: "server", Title: "Calls in flight are bounded over all connections",
		Why: "at 6.5 times the capacity a health check waited seconds beside calls without a bound, and 4 ms beside calls with " +
			"one; tonic's own limit counts each connection by itself",
		Mend: "a semaphore with try_acquire before the work, or tower's GlobalConcurrencyLimitLayer with load_shed",
		look: needs(
			"nothing bounds the calls of all connections together", "*::Semaphore::new", "*::GlobalConcurrencyLimitLayer::new",
			"*::ConcurrencyLimitLayer::new", ".try_acquire", ".try_acquire_owned",
		),
	},
	{
		ID: "reply-size", Area: "server", Title: "Replies are bounded, as requests are",
		Why:  "tonic takes requests of up to 4 MiB, and sends replies of any size",
		Mend: "XServer::new(handlers).max_encoding_message_size(1 << 20)",
		look: needs("no max_encoding_message_size", ".max_encoding_message_size"),
	},
	{
		ID: "connection-age", Area: "server", Title: "Connections end, so that load is spread again",
		Why:  "gRPC balances connections, not calls: a new replica gets nothing while the old connections live",
		Mend: "Server::builder().max_connection_age(...)",
		look: needs("no max_connection_age", ".max_connection_age"),
	},
	{
		ID: "connection-age-grace", Area: "server", Title: "No call is cut by the age of its connection",
		Why:  "tonic's grace ends calls that are under way: one of seven failed",
		Mend: "leave max_connection_age_grace out",
		look: func(s *service) (o outcome) {
			if len(s.tonicServer()) == 0 {
				return absent("tonic's transport server is not used")
			}
			for _, u := range s.named(".max_connection_age_grace") {
				o.findings = append(o.findings, at(u.Place, "max_connection_age_grace"))
			}
			return o
		},
	},
	{
		ID: "sigterm", Area: "server", Title: "SIGTERM stops the service in order",
		Why:  "Kubernetes sends it, and as PID 1 a process without a handler does not even end: it is killed, with its calls",
		Mend: "tokio::signal::unix::signal(SignalKind::terminate()), beside ctrl_c",
		look: func(s *service) outcome {
			if len(s.named("*::SignalKind::terminate", "*::SIGTERM", "*SIGTERM")) > 0 {
				return found()
			}
			for _, u := range s.named("*::signal::ctrl_c") {
				return found(at(u.Place, "ctrl_c hears SIGINT alone"))
			}
			return found(at(Place{}, "nothing hears SIGTERM"))
		},
	},
	{
		ID: "drain", Area: "server", Title: "Calls under way are finished before the end",
		Why:  "in a rolling restart some calls fail without it, and none with it",
		Mend: "serve_with_shutdown(address, signal), under a timeout: a silent connection holds it for hours",
		look: func(s *service) outcome {
			if len(s.named(
				".serve_with_shutdown", ".serve_with_incoming_shutdown", ".with_graceful_shutdown", ".graceful_shutdown", "*::GracefulShutdown::new",
			)) > 0 {
				return found()
			}
			for _, u := range s.named(".serve", ".serve_with_incoming") {
				return found(at(u.Place, "%s ends with the process", u.name[1:]))
			}
			return found(at(Place{}, "nothing drains"))
		},
	},
	{
		ID: "health", Area: "server", Title: "grpc.health.v1 is served",
		Why:  "probes of Kubernetes and balancers ask it; an open port says nothing",
		Mend: "tonic-health, set to NOT_SERVING before the drain",
		look: func(s *service) outcome {
			switch {
			case s.depends("tonic-health") || len(s.named("*::HealthServer::new")) > 0:
				return found()
			case len(s.tonicServer()) == 0 && !slices.ContainsFunc(s.uses, func(u use) bool { return stub.MatchString(u.name) }):
				return absent("no gRPC server is made")
			}
			return found(at(s.root.at("dependencies", ""), "tonic-health is no dependency"))
		},
	},
	{
		ID: "metrics", Area: "server", Title: "There are metrics",
		Why:  "what is not counted is noticed by its users",
		Mend: "prometheus or opentelemetry, with the names that the fleet's other services have",
		look: func(s *service) outcome {
			if s.depends("prometheus", "prometheus-client", "metrics", "metrics-exporter-prometheus", "opentelemetry", "opentelemetry_sdk", "opentelemetry-prometheus", "autometrics") {
				return found()
			}
			return found(at(s.root.at("dependencies", ""), "no crate of metrics is a dependency"))
		},
	},
}
