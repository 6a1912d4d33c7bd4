package audit

import (
	"slices"
	"strings"

	"rustgen/internal/audit/rust"
)

// dial is one place where a connection to another service is made, and what it is told.
type dial struct {
	use rust.Use
	// kind is endpoint, stub (a generated client that connects by itself) or http.
	kind string
	rust.Traced
}

func (d dial) place() Place { return place(d.use) }

// last is the last call of one of the methods.
func (d dial) last(methods []string) (rust.Call, bool) { return server{Traced: d.Traced}.last(methods) }

// dials finds where connections to other services are made, but for those that a function makes and drops under a timer: a
// health check of the process by itself, say.
func (s *service) dials() (all []dial) {
	timed := map[*rust.Function]bool{}
	for _, u := range s.named("tokio::time::timeout", "tokio::time::timeout_at") {
		timed[u.File.Enclosing(u.I)] = true
	}
	add := func(u rust.Use, kind string) {
		if u.Open >= 0 && !timed[u.File.Enclosing(u.I)] {
			all = append(all, dial{u, kind, s.program.Trace(u)})
		}
	}
	for _, path := range []string{
		"*transport::Endpoint::from_static", "*transport::Endpoint::from_shared", "*transport::Endpoint::new", "*transport::Endpoint::from",
		"*transport::Endpoint::try_from", "*transport::Channel::from_static", "*transport::Channel::from_shared", "*transport::Channel::builder",
		"*transport::channel::Channel::from_static", "*transport::channel::Channel::from_shared", "*transport::channel::Endpoint::from_shared",
		"*transport::channel::Endpoint::new",
	} {
		for _, u := range s.named(path) {
			if s.isTonic(u) {
				add(u, "endpoint")
			}
		}
	}
	for _, u := range s.program.Named("connect") {
		parts := u.Parts()
		if n := len(parts); n >= 2 && strings.HasSuffix(parts[n-2], "Client") && s.isGenerated(u, parts[n-2]) {
			add(u, "stub")
		}
	}
	return all
}

// isGenerated tells a client that tonic generated from another of the name.
func (s *service) isGenerated(u rust.Use, name string) bool {
	if s.program.Declares(name) || !s.depends("tonic") {
		return false
	}
	for _, whole := range s.program.Spelled(u) {
		if strings.Contains(whole, "_client::") {
			return true
		}
		if first, _, _ := strings.Cut(whole, "::"); slices.Contains([]string{"tungstenite", "mongodb", "redis", "kube", "async_nats", "russh", "sea_orm", "tokio_postgres", "postgres"}, first) {
			return false
		}
	}
	return name != "Client"
}

// https are the clients of HTTP that are made.
func (s *service) https() (all []dial) {
	for _, u := range s.named("*reqwest::Client::new", "*reqwest::Client::builder", "*reqwest::Client::default", "*reqwest::ClientBuilder::new", "reqwest::get", "curl::easy::Easy::new", "curl::easy::Easy2::new") {
		if u.Open >= 0 {
			all = append(all, dial{u, "http", s.program.Trace(u)})
		}
	}
	return all
}

var clientChecks = []Check{
	{
		ID: "call-deadline", Area: "client", Severity: Fault, Title: "Every call to another service has a deadline",
		Why:  "a service that answers no more holds every call that waits for it, and with them this one",
		Mend: "Endpoint::timeout, reqwest's ClientBuilder::timeout, or Request::set_timeout with what is left of the caller's time",
		look: callDeadline,
	},
	{
		ID: "connect-timeout", Area: "client", Severity: Risk, Title: "Connecting has a bound",
		Why:  "an address that drops packets is given up after two minutes",
		Mend: "Endpoint::connect_timeout(Duration::from_secs(1))", since: "0.5.0",
		look: dialled("connect_timeout", "connect_timeout"),
	},
	{
		ID: "client-keepalive", Area: "client", Severity: Risk, Title: "A service that is gone is noticed",
		Why:  "calls go into a connection that nobody reads until TCP gives up, after a quarter of an hour",
		Mend: "Endpoint::http2_keep_alive_interval(30 s) and keep_alive_timeout(10 s)", since: "0.5.0",
		look: dialled("http2_keep_alive_interval", "http2_keep_alive_interval", "tcp_keepalive"),
	},
}

// callDeadline judges the deadline of every client. One that is told nothing at all is one finding, here.
func callDeadline(s *service) (o outcome) {
	all := append(s.dials(), s.https()...)
	if len(all) == 0 {
		return absent("no other service is called")
	}
	for _, d := range all {
		switch c, ok := d.last([]string{"timeout"}); {
		case ok:
			s.argument(c, "timeout", &o)
		case s.timedElsewhere(d):
		case d.Lost != "" && d.kind != "http":
			o.unseen = append(o.unseen, at(d.place(), "a deadline: what %s does with the endpoint is not seen", d.Lost))
		case d.kind == "http":
			o.findings = append(o.findings, at(d.place(), "%s has no timeout of its own", strings.Join(d.use.Parts(), "::")))
		default:
			o.findings = append(o.findings, at(d.place(), "no timeout"))
		}
	}
	return o
}

// timedElsewhere reports whether calls through a client get their deadline one by one, or from a layer around it.
func (s *service) timedElsewhere(d dial) bool {
	f := d.use.File
	if d.kind == "http" {
		for _, u := range s.program.Methods("timeout") {
			if u.File.Package() == f.Package() && (u.File == f || u.File.Names("reqwest")) && !isBuilder(u) {
				return true
			}
		}
		return len(s.timers(f)) > 0
	}
	for _, u := range append(s.program.Methods("set_timeout"), s.named("*TimeoutLayer::new", "*GrpcTimeout::new", "*Timeout::new")...) {
		if u.File.Package() == f.Package() {
			return true
		}
	}
	return len(s.timers(f)) > 0 || d.chainHolds("layer") && s.chainMentions(d, "imeout")
}

func (d dial) chainHolds(name string) bool { _, ok := d.last([]string{name}); return ok }

func (s *service) chainMentions(d dial, text string) bool {
	for _, c := range d.Calls {
		if from, to := c.Args(); strings.Contains(s.program.Expand(c.File, from, to), text) {
			return true
		}
	}
	return false
}

// isBuilder reports whether a timeout is that of a server's or an endpoint's builder, or of another client, not of a
// request.
func isBuilder(u rust.Use) bool {
	from, to := u.Receiver()
	text := u.File.Phrase(from, to)
	return strings.Contains(text, "Client::") || strings.Contains(text, "ClientBuilder::") || strings.Contains(text, "Server::") || strings.Contains(text, "Endpoint") || strings.Contains(text, "Channel::")
}

// timers are the timers around awaits in a file.
func (s *service) timers(f *rust.File) (all []rust.Use) {
	for _, u := range s.named("tokio::time::timeout", "tokio::time::timeout_at") {
		if u.File == f && u.Open >= 0 {
			all = append(all, u)
		}
	}
	return all
}

// dialled is a check of every endpoint that is told something: one without a deadline is found by call-deadline.
func dialled(missing string, methods ...string) func(*service) outcome {
	return func(s *service) (o outcome) {
		all := s.dials()
		if len(all) == 0 {
			return absent("no other service is called by gRPC")
		}
		told := 0
		for _, d := range all {
			if d.kind == "stub" || len(d.Calls) == 0 || !d.chainHolds("timeout") && !s.timedElsewhere(d) && !d.chainHolds("connect_timeout") {
				continue
			}
			told++
			switch c, ok := d.last(methods); {
			case ok:
				s.argument(c, missing, &o)
			case d.Lost != "":
				o.unseen = append(o.unseen, at(d.place(), "%s: what %s does with the endpoint is not seen", missing, d.Lost))
			default:
				o.findings = append(o.findings, at(d.place(), "no %s", missing))
			}
		}
		if told == 0 {
			return absent("no endpoint is told anything, which is said under call-deadline")
		}
		return o
	}
}
