package audit

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/audit/rust"
)

// server is one place where a server is made, and what it is told.
type server struct {
	use rust.Use
	// kind is tonic, hyper, auto (hyper's of HTTP/1 and 2), axum, actix, rocket or other.
	kind string
	rust.Traced
}

func (v server) file() *rust.File { return v.use.File }
func (v server) place() Place     { return place(v.use) }

// makers are the functions that make servers, and of which kind.
var makers = []struct{ path, kind string }{
	{"*transport::Server::builder", "tonic"}, {"*transport::Server::default", "tonic"},
	{"*server::conn::http2::Builder::new", "hyper"}, {"hyper::server::conn::Http::new", "hyper"},
	{"*conn::auto::Builder::new", "auto"},
	{"axum::serve", "axum"}, {"axum::Server::bind", "axum"}, {"axum_server::bind", "axum"}, {"axum_server::from_tcp", "axum"},
	{"actix_web::HttpServer::new", "actix"},
	{"grpcio::ServerBuilder::new", "other"}, {"warp::serve", "other"}, {"poem::Server::new", "other"}, {"volo_grpc::server::Server::new", "other"},
	{"hotpath::run", "layer"}, {"rocket::build", "rocket"}, {"rocket::custom", "rocket"}, {"salvo::Server::new", "other"},
}

// serverWords are such that the source of a file that makes a server holds one of them.
var serverWords = []string{"Server", "serve", "Builder", "Http", "hotpath", "rocket"}

// findServers finds where servers are made, and follows what each is told.
func (s *service) findServers() (all []server) {
	for _, m := range makers {
		for _, u := range s.named(m.path) {
			if u.Open < 0 || m.kind == "tonic" && !s.isTonic(u) {
				continue
			}
			if m.kind == "layer" && s.program.Callee(u) != nil {
				continue // its source is in the tree, and is judged itself
			}
			all = append(all, server{u, m.kind, s.program.Trace(u)})
		}
	}
	return all
}

// isTonic tells tonic's server from another of the name, by the dependencies of the package.
func (s *service) isTonic(u rust.Use) bool {
	for _, whole := range s.program.Spelled(u) {
		if strings.HasPrefix(whole, "tonic::") {
			return true
		}
	}
	pkg := u.File.Package()
	return pkg == nil || s.depends("tonic")
}

// grpcServers are those that answer gRPC: tonic's and hyper's; hyper's of both protocols where there is no other.
func (s *service) grpcServers() (all []server) {
	for _, kinds := range [][]string{{"tonic", "hyper", "layer"}, {"auto"}} {
		for _, v := range s.servers {
			if slices.Contains(kinds, v.kind) {
				all = append(all, v)
			}
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// stubs are the places where a generated service is made of its handlers.
func (s *service) stubs() (all []rust.Use) {
	for _, last := range []string{"new", "from_arc", "with_interceptor"} {
		for _, u := range s.program.Named(last) {
			parts := u.Parts()
			if n := len(parts); u.Open >= 0 && n >= 2 && strings.HasSuffix(parts[n-2], "Server") && len(parts[n-2]) > len("Server") && s.isStub(u) {
				all = append(all, u)
			}
		}
	}
	return all
}

// isStub tells a generated XServer from a type of the service's own that is named so.
func (s *service) isStub(u rust.Use) bool {
	parts := u.Parts()
	owner := parts[len(parts)-2]
	if s.program.Declares(owner) || owner == "HttpServer" || owner == "TcpServer" || owner == "MockServer" {
		return false
	}
	return s.depends("tonic")
}

// noServer is the outcome of a check of a gRPC server where none is seen.
func (s *service) noServer() outcome {
	switch stubs := s.stubs(); {
	case len(stubs) > 0:
		return unseen(place(stubs[0]), "a service is made here, and nothing that serves it was seen: tonic's transport::Server, hyper's http2::Builder or axum::serve")
	case len(s.servers) > 0 && !s.depends("tonic", "grpcio", "volo-grpc"):
		return absent("it serves no gRPC")
	case len(s.servers) > 0:
		v := s.servers[0]
		return unseen(v.place(), "gRPC may be served by %s: its bounds are not known here", strings.Join(v.use.Parts(), "::"))
	case s.depends("grpcio", "volo-grpc", "grpc"):
		return unseen(s.root.at("dependencies", ""), "gRPC is served by another library than tonic")
	case s.depends("tonic") && s.builtByTonic():
		return unseen(s.root.at("dependencies", ""), "no server of tonic, hyper or axum was seen to be made")
	}
	return absent("no server is made")
}

// builtByTonic reports whether handlers of tonic are there.
func (s *service) builtByTonic() bool {
	for fn := range s.hot {
		if fn.Trait != "" {
			return true
		}
	}
	return false
}

// overNetwork is a check that every gRPC server is told a method with a bound, but for those behind a Unix socket: their
// peers are processes of the same machine, which do not vanish unnoticed, and are few. hyperHas says that hyper's own
// default is such a bound, which only tonic takes away.
func overNetwork(name string, hyperHas bool, methods ...string) func(*service) outcome {
	return func(s *service) (o outcome) {
		servers := s.grpcServers()
		if len(servers) == 0 {
			return s.noServer()
		}
		for _, v := range servers {
			if !onUnixSocket(v) {
				s.told(v, name, hyperHas && v.kind != "tonic", methods, &o)
			}
		}
		return o
	}
}

// onUnixSocket reports whether a server is given its connections in a function that listens at a Unix socket.
func onUnixSocket(v server) bool {
	fn := v.file().Enclosing(v.use.I)
	if _, ok := v.last([]string{"serve_with_incoming", "serve_with_incoming_shutdown"}); !ok || fn == nil {
		return false
	}
	for i := fn.From; i < fn.To; i++ {
		if v.file().Is(i, "UnixListener") || v.file().Is(i, "UnixListenerStream") {
			return true
		}
	}
	return false
}

// told judges what one server is told of one setting.
func (s *service) told(v server, name string, safe bool, methods []string, o *outcome) {
	if v.kind == "layer" {
		return
	}
	last, ok := v.last(methods)
	switch {
	case ok:
		s.argument(last, name, o)
	case safe:
	case v.Lost != "":
		o.unseen = append(o.unseen, at(v.place(), "%s: what %s does with the builder is not seen", name, v.Lost))
	default:
		o.findings = append(o.findings, at(v.place(), "no %s", name))
	}
}

// last is the last call of one of the methods: it is what holds.
func (v server) last(methods []string) (rust.Call, bool) {
	for _, c := range slices.Backward(v.Calls) {
		if slices.Contains(methods, c.Name) {
			return c, true
		}
	}
	return rust.Call{}, false
}

// argument judges the value that a setting has.
func (s *service) argument(c rust.Call, name string, o *outcome) {
	from, to := c.Args()
	p := Place{c.File.Path, c.Line()}
	switch s.program.Bound(c.File, from, to) {
	case rust.Unbounded:
		o.findings = append(o.findings, at(p, "%s is told %s, which is no bound", name, c.File.Phrase(from, to)))
	case rust.Unknown:
		o.unseen = append(o.unseen, at(p, "the value of %s: %s", name, c.File.Phrase(from, to)))
	}
}

// layers is the text of all that a server is wrapped in, the values of its variables among it.
func (s *service) layers(v server) string {
	var b strings.Builder
	for _, c := range v.Calls {
		if c.Name == "layer" || c.Name == "option_layer" || c.Name == "serve" || strings.HasPrefix(c.Name, "serve_") || c.Name == "add_service" {
			from, to := c.Args()
			fmt.Fprintf(&b, " %s", s.program.Expand(c.File, from, to))
		}
	}
	from, to := v.use.Open+1, v.file().End(v.use.Open)-1
	fmt.Fprintf(&b, " %s", s.program.Expand(v.file(), from, to))
	return b.String()
}

// serverDeadline judges whether calls end in time.
func serverDeadline(s *service) (o outcome) {
	servers := s.grpcServers()
	if len(servers) == 0 {
		return s.noServer()
	}
	for _, v := range servers {
		if v.kind == "layer" || s.endsCalls(v) {
			continue
		}
		if c, ok := v.last([]string{"timeout"}); ok {
			s.argument(c, "timeout", &o)
			continue
		}
		if v.Lost != "" {
			o.unseen = append(o.unseen, at(v.place(), "a deadline: what %s does with the builder is not seen", v.Lost))
			continue
		}
		o.findings = append(o.findings, at(v.place(), "no timeout"))
	}
	return o
}

// endsCalls reports whether a layer, or the service's own middleware, gives calls a deadline.
func (s *service) endsCalls(v server) bool {
	text := s.layers(v)
	if strings.Contains(text, "TimeoutLayer") || strings.Contains(text, ". timeout (") {
		return true
	}
	for _, u := range s.named("tokio::time::timeout", "tokio::time::timeout_at") {
		fn := u.File.Enclosing(u.I)
		if u.Open < 0 || fn == nil || u.File.Package() != v.file().Package() {
			continue
		}
		if fn.Name == "call" && fn.Trait != "" || v.kind != "tonic" && s.answers(fn) {
			return true
		}
	}
	return false
}

// answers reports whether a function is on the way of calls in a server of hyper's: it is hot, or serves connections.
func (s *service) answers(fn *rust.Function) bool {
	return s.hot[fn] || strings.Contains(fn.Name, "serve") || fn.Name == "execute" || fn.Name == "call"
}

// admission judges whether the calls of all connections together are bounded.
func admission(s *service) (o outcome) {
	servers := s.grpcServers()
	if len(servers) == 0 {
		return s.noServer()
	}
	for _, v := range servers {
		text := s.layers(v)
		if v.kind == "layer" || strings.Contains(text, "ConcurrencyLimitLayer") || strings.Contains(text, ". concurrency_limit (") {
			continue
		}
		if s.permits() {
			continue
		}
		if v.Lost != "" {
			o.unseen = append(o.unseen, at(v.place(), "a bound of the calls in flight: what %s does with the builder is not seen", v.Lost))
			continue
		}
		o.findings = append(o.findings, at(v.place(), "nothing bounds the calls of all connections together"))
	}
	return o
}

// permits reports whether what runs for calls takes a permit first.
func (s *service) permits() bool {
	for _, u := range s.named(".try_acquire", ".try_acquire_owned", ".acquire", ".acquire_owned", ".try_acquire_many", ".try_acquire_many_owned", ".acquire_many_owned") {
		fn := u.File.Enclosing(u.I)
		if (s.hot[fn] || fn != nil && strings.HasPrefix(fn.Name, "call")) && !calledOn(u, "pool", "conn", "db") && !forgets(u) {
			return true
		}
	}
	// A permit of its own making: a count of what is in flight that is compared before it grows.
	for _, u := range s.named(".fetch_update", ".compare_exchange", ".compare_exchange_weak") {
		if s.isHot(u) && calledOn(u, "flight", "permit", "slots", "concurren", "running", "active") {
			return true
		}
	}
	return false
}

// forgets reports whether a permit is given up for something else to give back, so that it counts no calls.
func forgets(u rust.Use) bool {
	calls, _ := u.File.Chain(u.I - 1)
	return slices.ContainsFunc(calls, func(c rust.Call) bool { return c.Name == "forget" })
}

// calledOn reports whether what a method is called on has a name with one of some words in it.
func calledOn(u rust.Use, words ...string) bool {
	from, to := u.Receiver()
	name := strings.ToLower(u.File.Phrase(from, to))
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}
