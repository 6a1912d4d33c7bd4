package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"rustgen/internal/audit/rust"
)

// hotChecks are about what holds up every other call.
var hotChecks = []Check{
	{
		ID: "lock-await", Area: "code", Severity: Fault, Title: "No lock is held over an await",
		Why: "all who want the lock wait for what is awaited: one call at a time, however many CPUs there are; std's lock blocks " +
			"their workers as well, and can end in a deadlock",
		Mend: "take what is needed out of the lock and drop the guard before the await, or clone the client: tonic's and reqwest's are made for it",
		look: lockAwait,
	},
	{
		ID: "shared-connection", Area: "code", Severity: Fault, Title: "Calls do not share one connection behind a mutex",
		Why:  "one call is in flight, and all others wait for its answer",
		Mend: "clone the client (clones of tonic's, reqwest's and redis' multiplexed ones share a connection), or take a pool for a database",
		look: sharedConnection,
	},
	{
		ID: "client-per-call", Area: "code", Severity: Fault, Title: "Clients and connections outlive a call",
		Why:  "each call pays for a TCP and TLS handshake before it does anything, and leaves a port in TIME_WAIT",
		Mend: "make the client once at the start, keep it in the service's state and clone it",
		look: clientPerCall,
	},
	{
		ID: "unbounded-tasks", Area: "code", Severity: Fault, Title: "Tasks in flight are bounded",
		Why:  "what is spawned for each connection or message grows with the load, until the kernel ends the process",
		Mend: "a permit of a tokio::sync::Semaphore that moves into the task, or a JoinSet whose length is bounded",
		look: unboundedTasks,
	},
	{
		ID: "dropped-task", Area: "code", Severity: Advice, Title: "A task's end is noticed",
		Why:  "the task that panics or returns is gone without a word, and the service goes on without it",
		Mend: "keep the JoinHandle: await it beside the server in a select!, or hold the tasks in a JoinSet or TaskTracker",
		look: droppedTasks,
	},
	{
		ID: "cpu-on-worker", Area: "code", Severity: Fault, Title: "Nothing computes for long on an async worker",
		Why:  "a hash of a password takes a CPU for tens of milliseconds, and every call of that worker waits",
		Mend: "spawn_blocking, behind a semaphore as wide as the CPUs",
		look: func(s *service) outcome { return s.cpuOnWorkers() },
	},
	{
		ID: "serial-worker", Area: "code", Severity: Fault, Title: "No single thread computes for all calls",
		Why:  "it answers one call after the other: the others wait, whatever the number of CPUs, and nothing tells them from calls that work",
		Mend: "a thread for each CPU with a queue of its own, chosen by the key of the state; or spawn_blocking behind a semaphore as wide as the CPUs",
		look: serialWorkers,
	},
	{
		ID: "print", Area: "code", Severity: Risk, Title: "Logging does not write to the terminal itself",
		Why:  "println! takes a lock of the whole process and writes line by line: a slow reader of the log stops every worker",
		Mend: "tracing, with tracing_appender::non_blocking where lines are many",
		look: prints,
	},
}

func lockAwait(s *service) outcome { return found(slices.Clone(s.heldLocks())...) }

// findHeldLocks finds the locks that are held over an await, one a function and kind.
func (s *service) findHeldLocks() (all []Finding) {
	type key struct {
		fn    *rust.Function
		async bool
	}
	seen := map[key]bool{}
	for _, g := range s.program.HeldOverAwait() {
		u := rust.Use{File: g.File, I: g.I, Open: g.I + 1, Method: true}
		fn := g.File.Enclosing(g.I)
		if s.once(u) || g.Async && (!g.Write && !s.keepsOut(u) || !g.Uses && !s.hot[fn]) || seen[key{fn, g.Async}] {
			continue
		}
		if g.Async && !s.hot[fn] && s.builds(fn) {
			continue
		}
		seen[key{fn, g.Async}] = true
		from, to := u.Receiver()
		whose := "a lock"
		if g.Async {
			whose = "tokio's lock"
		}
		all = append(all, at(place(u), "%s of %s is held over the await in line %d", whose, g.File.Phrase(from, to), g.File.Line(g.Await)))
	}
	return all
}

// keepsOut reports whether a guard of tokio's for reading keeps calls out: it is held for one, and others write. A writer
// that waits for it lets no reader in any more.
func (s *service) keepsOut(read rust.Use) bool {
	if !s.isHot(read) {
		return false
	}
	from, to := read.Receiver()
	return slices.ContainsFunc(s.program.Methods("write"), func(u rust.Use) bool {
		wFrom, wTo := u.Receiver()
		return u.File == read.File && s.isHot(u) && u.File.Is(u.File.End(u.Open), ".", "await") && u.File.Phrase(wFrom, wTo) == read.File.Phrase(from, to)
	})
}

// connections are types that carry one call at a time, or that are made to be cloned.
var connections = []string{
	"PgConnection", "MysqlConnection", "SqliteConnection", "MultiplexedConnection", "ConnectionManager", "Channel", "PooledConnection",
}

func sharedConnection(s *service) (o outcome) {
	held := map[string]bool{}
	for _, f := range s.heldLocks() {
		held[f.Path] = true
	}
	seen := map[string]bool{}
	for _, f := range s.program.Files() {
		if !strings.Contains(f.Source, "Mutex") && !strings.Contains(f.Source, "RwLock") {
			continue
		}
		for i := range f.Len() {
			if !f.Is(i, "Mutex", "<") && !f.Is(i, "RwLock", "<") {
				continue
			}
			name := f.TypeAt(i + 2)
			if !s.isConnection(f, i+2, name) || seen[name] || held[f.Path] && !s.inStruct(f, i) {
				continue
			}
			if fn := f.Enclosing(i); fn != nil && s.startup[fn] {
				continue
			}
			seen[name] = true
			o.findings = append(o.findings, at(Place{f.Path, f.Line(i)}, "%s<%s>", f.Text(i), name))
		}
	}
	o.findings = append(o.findings, s.servedOneByOne()...)
	// Where the lock is seen to be held over the call, that is the same cause, and said there.
	if len(s.heldLocks()) > 0 {
		o.findings = slices.DeleteFunc(o.findings, func(f Finding) bool { return held[f.Path] })
	}
	return o
}

// servedOneByOne finds loops over messages that keep one connection of a pool: they work off one message at a time.
func (s *service) servedOneByOne() (all []Finding) {
	for _, u := range s.named(".acquire", ".get") {
		f, fn := u.File, u.File.Enclosing(u.I)
		from, to := u.Receiver()
		if fn == nil || !fn.Async || !strings.Contains(strings.ToLower(f.Phrase(from, to)), "pool") || !f.Is(f.End(u.Open), ".", "await") {
			continue
		}
		if _, inLoop := f.LoopAround(u.I); inLoop {
			continue
		}
		if name := f.Bound(u); name != "" && f.LoopOverMessages(fn, u.I, name) {
			all = append(all, at(place(u), "one connection of %s for all messages of a loop, in %s", f.Phrase(from, to), fn.Name))
		}
	}
	return all
}

func (s *service) inStruct(f *rust.File, i int) bool { return f.Enclosing(i) == nil }

// isConnection reports whether a type is a connection or a generated client of tonic's.
func (s *service) isConnection(f *rust.File, i int, name string) bool {
	if slices.Contains(connections, name) || name == "Connection" && (f.Names("rusqlite") || f.Names("redis")) {
		return true
	}
	if !strings.HasSuffix(name, "Client") || s.program.Declares(name) {
		return false
	}
	for j := i; j < i+12; j++ {
		if f.Is(j, "Channel") {
			return true
		}
	}
	for _, whole := range s.program.Resolve(f, i, f.PathAt(i)) {
		if strings.Contains(whole, "_client::") || whole == "reqwest::Client" {
			return true
		}
	}
	return false
}

// perCall are functions that make a client or a connection.
var perCall = []string{
	"*reqwest::Client::new", "*reqwest::Client::builder", "*reqwest::Client::default", "*reqwest::ClientBuilder::new", "reqwest::get",
	"redis::Client::open", "*PgConnection::establish", "*MysqlConnection::establish", "*SqliteConnection::establish",
	"*PgPool::connect", "*PgPoolOptions::new", "*MySqlPool::connect", "*SqlitePool::connect", "*PgConnection::connect", "*MySqlConnection::connect",
	"tokio_postgres::connect", "mongodb::Client::with_uri_str", "mongodb::Client::with_options", "*rusqlite::Connection::open",
	"async_nats::connect", "*lapin::Connection::connect", "*LdapConnAsync::new", "*SmtpTransport::relay", "*aws_config::load_from_env",
	"*FutureProducer::from_config", "awc::Client::new", "awc::Client::default", "hyper::Client::new", "sea_orm::Database::connect",
	"postgres::Client::connect", "mysql::Pool::new", "mysql::Conn::new", "mysql_async::Pool::new", "mysql_async::Conn::new", "*SessionBuilder::new",
	"neo4rs::Graph::new", "elasticsearch::Elasticsearch::default", "elasticsearch::Elasticsearch::new", "aws_config::load_defaults", "aws_config::from_env",
	"ureq::Agent::new", "ureq::AgentBuilder::new", "ureq::agent", "isahc::HttpClient::new", "surf::Client::new", "surf::client",
	"reqwest::blocking::get", "*reqwest::blocking::Client::new", "*reqwest::blocking::Client::builder", "curl::easy::Easy::new", "curl::easy::Easy2::new",
}

func clientPerCall(s *service) (o outcome) {
	all := slices.Concat(s.named(perCall...), s.connects(), s.redisConnections())
	seen := map[*rust.Function]bool{}
	for _, u := range all {
		fn := u.File.Enclosing(u.I)
		if u.Open < 0 || !s.isHot(u) || s.once(u) || seen[fn] || s.cached(u) {
			continue
		}
		seen[fn] = true
		o.findings = append(o.findings, at(place(u), "%s for each call, in %s", strings.Join(u.Parts(), "::"), fn.Name))
	}
	return o
}

// redisConnections are the places where a client of redis' opens one more connection.
func (s *service) redisConnections() (all []rust.Use) {
	if !s.depends("redis") {
		return nil
	}
	all = s.named(".get_multiplexed_async_connection", ".get_multiplexed_tokio_connection", ".get_async_connection", ".get_tokio_connection")
	for _, u := range s.named(".get_connection", ".get_connection_manager") {
		if u.File.Names("redis") && s.program.Callee(u) == nil {
			all = append(all, u)
		}
	}
	return all
}

// cached reports whether something that runs once holds what is made: a cell, an entry of a map.
func (s *service) cached(u rust.Use) bool {
	fn := u.File.Enclosing(u.I)
	if s.keeps(fn, 3) {
		return true // what makes the connections of a pool
	}
	for i := fn.From; i < fn.To; i++ {
		for _, name := range []string{"get_or_init", "get_or_try_init", "or_insert_with", "call_once", "or_insert", "insert", "get_or_insert_with", "try_get_with"} {
			if u.File.Is(i-1, ".", name) {
				return true
			}
		}
		// A static that is set once: CLIENT.set(client).
		if owner := u.File.Text(i - 2); u.File.Is(i-1, ".", "set", "(") && owner == strings.ToUpper(owner) {
			return true
		}
	}
	return false
}

// keeps reports whether a function is of what keeps connections, by the name of its file or its type, or is called by such.
func (s *service) keeps(fn *rust.Function, steps int) bool {
	if strings.Contains(strings.ToLower(path.Base(fn.File.Path)), "pool") || strings.HasSuffix(fn.Type, "Pool") || strings.HasSuffix(fn.Type, "Manager") || strings.HasSuffix(fn.Type, "Cache") {
		return true
	}
	return steps > 0 && slices.ContainsFunc(s.callers[fn], func(c *rust.Function) bool { return s.keeps(c, steps-1) })
}

// connects are the places where a connection of tonic's is made.
func (s *service) connects() (all []rust.Use) {
	for _, d := range s.dials() {
		all = append(all, d.use)
	}
	return all
}

// cpuOnWorkers finds hashing, and loops of very many turns without an await.
func (s *service) cpuOnWorkers() outcome {
	o := s.blocking(s.hashes())
	for _, f := range s.program.Files() {
		for _, fn := range f.Functions() {
			if !s.hot[fn] {
				continue
			}
			for _, l := range s.program.LongLoops(fn) {
				if f.OnWorker(l.I) {
					o.findings = append(o.findings, at(Place{f.Path, f.Line(l.I)}, "a loop of %s turns without an await", l.Turns))
				}
			}
		}
	}
	return o
}

func prints(s *service) (o outcome) {
	type count struct {
		first rust.Use
		n     int
	}
	byFile := map[string]*count{}
	var order []string
	for _, name := range []string{"println", "eprintln", "print", "eprint", "dbg"} {
		for _, u := range s.program.Named(name) {
			fn := u.File.Enclosing(u.I)
			if !u.Macro || len(u.Parts()) > 1 || fn == nil || runByHand(u.File.Path) || s.once(u) || !s.isHot(u) && !(u.OnWorker() && !s.builds(fn)) {
				continue
			}
			c := byFile[u.File.Path]
			if c == nil {
				c = &count{first: u}
				byFile[u.File.Path], order = c, append(order, u.File.Path)
			}
			if u.Line() < c.first.Line() {
				c.first = u
			}
			c.n++
		}
	}
	for _, p := range order {
		c := byFile[p]
		more := ""
		if c.n > 1 {
			more = fmt.Sprintf(", and %d more in this file", c.n-1)
		}
		o.findings = append(o.findings, at(place(c.first), "%s! in async code%s", c.first.Parts()[0], more))
	}
	return o
}
