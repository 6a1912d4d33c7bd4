package audit

import (
	"slices"
	"strings"

	"rustgen/internal/audit/rust"
)

// blockingCall is a function, or a method of a crate, that holds the thread that calls it.
type blockingCall struct {
	// path is as service.spelled takes it. crate, for a method, is what its file has to name.
	path, crate string
	// instead is the async counterpart.
	instead string
	// awaited says that it is async in name, and blocks while it is polled.
	awaited bool
	// args is the least number of tokens between its parentheses; none says that there are none.
	args int
	none bool
}

// onRayon is how a service waits for rayon's threads without holding its own, readOnce what is better than an async read, and
// onDisk how a database in the process is asked.
const (
	onRayon  = "rayon::spawn with an answer by tokio::sync::oneshot"
	onDisk   = "spawn_blocking behind a bound"
	readOnce = "reading it once at the start"
)

// blockingCalls are those that wait: for a disk, the network, a process, another thread, a model.
var blockingCalls = []blockingCall{
	{path: "std::thread::sleep", instead: "tokio::time::sleep"},
	{path: "std::thread::scope", instead: "spawn_blocking"},
	{path: ".install", crate: "rayon", instead: onRayon, args: 1}, {path: "rayon::join", instead: onRayon}, {path: "rayon::scope", instead: onRayon},
	{path: ".par_iter", crate: "rayon", instead: onRayon, none: true}, {path: ".into_par_iter", crate: "rayon", instead: onRayon, none: true},
	{path: ".par_iter_mut", crate: "rayon", instead: onRayon, none: true}, {path: ".par_chunks", crate: "rayon", instead: onRayon, args: 1},
	{path: "dotenv::dotenv", instead: readOnce}, {path: "dotenvy::dotenv", instead: readOnce},
	{path: "dotenv::from_filename", instead: readOnce}, {path: "dotenvy::from_filename", instead: readOnce},
	{path: "std::thread::park", instead: "tokio::sync::Notify"},
	{path: "std::net::TcpStream::connect", instead: "tokio::net::TcpStream"},
	{path: "std::net::TcpStream::connect_timeout", instead: "tokio::net::TcpStream"},
	{path: "std::net::UdpSocket::bind", instead: "tokio::net::UdpSocket"},
	{path: ".to_socket_addrs", crate: "ToSocketAddrs", instead: "tokio::net::lookup_host", none: true},
	{path: "futures::executor::block_on", instead: ".await"}, {path: "futures_executor::block_on", instead: ".await"},
	{path: "futures_lite::future::block_on", instead: ".await"}, {path: "pollster::block_on", instead: ".await"},
	{path: "*Runtime::block_on", instead: ".await"}, {path: ".block_on", instead: ".await", args: 1},
	{path: ".blocking_recv", instead: "recv().await", none: true}, {path: ".blocking_send", instead: "send().await", args: 1},
	{path: ".blocking_lock", instead: "lock().await", none: true},
	{path: "reqwest::blocking::get", instead: "reqwest::Client"}, {path: "*reqwest::blocking::Client::new", instead: "reqwest::Client"},
	{path: "*reqwest::blocking::Client::builder", instead: "reqwest::Client"},
	{path: "*reqwest::blocking::ClientBuilder::new", instead: "reqwest::Client"},
	{path: "ureq::get", instead: "reqwest::Client"}, {path: "ureq::post", instead: "reqwest::Client"},
	{path: "ureq::request", instead: "reqwest::Client"}, {path: "ureq::agent", instead: "reqwest::Client"},
	{path: "ureq::put", instead: "reqwest::Client"}, {path: "ureq::delete", instead: "reqwest::Client"},
	{path: "minreq::get", instead: "reqwest::Client"}, {path: "attohttpc::get", instead: "reqwest::Client"},
	{path: ".get_connection", crate: "redis", instead: "get_multiplexed_async_connection or ConnectionManager"},
	{path: ".query", crate: "redis::cmd", instead: "query_async", args: 1},
	{path: "diesel::Connection::establish", instead: "diesel_async"}, {path: "*PgConnection::establish", crate: "diesel", instead: "diesel_async"},
	{path: "*MysqlConnection::establish", crate: "diesel", instead: "diesel_async"},
	{path: "*SqliteConnection::establish", crate: "diesel", instead: "spawn_blocking behind a bound"},
	{path: ".load", crate: "diesel", instead: "diesel_async", args: 1}, {path: ".get_result", crate: "diesel", instead: "diesel_async", args: 1},
	{path: ".get_results", crate: "diesel", instead: "diesel_async", args: 1}, {path: ".execute", crate: "diesel", instead: "diesel_async", args: 1},
	{path: ".first", crate: "diesel", instead: "diesel_async", args: 1}, {path: ".load_iter", crate: "diesel", instead: "diesel_async", args: 1},
	{path: "*rusqlite::Connection::open", instead: "spawn_blocking behind a bound, or sqlx"},
	{path: ".execute", crate: "rusqlite", instead: "spawn_blocking behind a bound, or sqlx", args: 1},
	{path: ".query_row", crate: "rusqlite", instead: "spawn_blocking behind a bound, or sqlx", args: 1},
	{path: ".query_map", crate: "rusqlite", instead: "spawn_blocking behind a bound, or sqlx", args: 1},
	{path: ".execute_batch", crate: "rusqlite", instead: "spawn_blocking behind a bound, or sqlx", args: 1},
	{path: ".prepare", crate: "rusqlite", instead: "spawn_blocking behind a bound, or sqlx", args: 1},
	{path: "postgres::Client::connect", instead: "tokio_postgres or sqlx"}, {path: "mysql::Pool::new", instead: "mysql_async or sqlx"},
	{path: "mysql::Conn::new", instead: "mysql_async or sqlx"}, {path: ".get", crate: "r2d2", instead: "bb8 or deadpool", none: true}, {path: "memcache::connect", instead: "an async client"},
	{path: "memcache::Client::connect", instead: "an async client"}, {path: "ldap3::LdapConn::new", instead: "ldap3::LdapConnAsync"},
	{path: ".run", crate: "ort", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1},
	{path: ".run", crate: "tract_onnx", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1},
	{path: ".run", crate: "onnxruntime", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1},
	{path: ".embed", crate: "fastembed", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1},
	{path: ".embed_documents", crate: "FastEmbed", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1, awaited: true},
	{path: ".embed_query", crate: "FastEmbed", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1, awaited: true},
	{path: ".get", crate: "rocksdb", instead: onDisk, args: 1}, {path: ".put", crate: "rocksdb", instead: onDisk, args: 1},
	{path: ".delete", crate: "rocksdb", instead: onDisk, args: 1}, {path: ".merge", crate: "rocksdb", instead: onDisk, args: 1},
	{path: ".write", crate: "rocksdb", instead: onDisk, args: 1}, {path: ".get_cf", crate: "rocksdb", instead: onDisk, args: 1},
	{path: ".put_cf", crate: "rocksdb", instead: onDisk, args: 1}, {path: ".multi_get", crate: "rocksdb", instead: onDisk, args: 1},
	{path: ".scan_devices", crate: "udev", instead: "spawn_blocking", none: true},
	{path: ".perform", crate: "curl", instead: "reqwest::Client", none: true},
	{path: ".forward", crate: "tch", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1},
	{path: ".forward_t", crate: "tch", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1},
	{path: ".forward", crate: "candle_core", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1},
	{path: ".predict", crate: "lightgbm3", instead: "spawn_blocking behind a semaphore as wide as the CPUs", args: 1},
}

// fileCalls are the functions of std::fs that go to a disk; tokio::fs has them all.
var fileCalls = strings.Fields(`read read_to_string write copy create_dir create_dir_all metadata symlink_metadata remove_file
remove_dir remove_dir_all rename read_dir canonicalize hard_link set_permissions read_link exists File::open File::create
File::create_new OpenOptions::new`)

// hashCalls are those that compute for milliseconds or more, by design.
var hashCalls = []blockingCall{
	{path: "bcrypt::hash"}, {path: "bcrypt::verify"}, {path: "bcrypt::hash_with_result"}, {path: "bcrypt::hash_with_salt"},
	{path: "argon2::hash_encoded"}, {path: "argon2::verify_encoded"}, {path: "argon2::hash_raw"},
	{path: "scrypt::scrypt"}, {path: "*scrypt::scrypt_simple"}, {path: "*pbkdf2::pbkdf2_hmac"}, {path: "*pbkdf2::pbkdf2"},
	{path: "*pbkdf2::derive"}, {path: "*pbkdf2::verify"}, {path: "*RsaPrivateKey::new"}, {path: "*Rsa::generate"},
	{path: ".hash_password", args: 1}, {path: ".hash_password_simple", args: 1}, {path: ".hash_password_into", args: 1},
	{path: ".hash_password_customized", args: 1}, {path: ".verify_password", args: 1},
	{path: ".get_qr_base64", none: true}, {path: ".get_qr_png", none: true},
	{path: "djangohashers::check_password"}, {path: "pwhash::bcrypt::verify"}, {path: "pwhash::bcrypt::hash"},
	{path: "rquickjs::Runtime::new"},
}

// hashers are crates of which one must be a dependency for the methods among hashCalls to be theirs.
var hashers = []string{"argon2", "scrypt", "pbkdf2", "password-hash", "password-auth", "bcrypt", "yescrypt", "totp-rs"}

// cause is why a function blocks: what it calls, and where.
type cause struct {
	use  rust.Use
	what string
	mend string
	// atStart says that it is what services do at their start: reading files, opening databases.
	atStart bool
}

// neverRight are calls that no start of a service needs either.
func neverRight(path string) bool {
	return strings.HasPrefix(path, "std::thread::") || strings.HasSuffix(path, "block_on") || strings.Contains(path, "blocking_")
}

// blocking finds what blocks an async worker: the calls themselves, and calls of the service's own functions that lead to
// them. One function is one finding for a kind of call.
func (s *service) blocking(calls []cause) (o outcome) {
	var direct []cause
	through := map[*rust.Function]cause{}
	for _, c := range calls {
		fn := c.use.File.Enclosing(c.use.I)
		switch {
		case c.use.OnWorker():
			_, again := c.use.File.LoopAround(c.use.I)
			if !c.atStart || !s.once(c.use) && (again || !s.builds(fn)) && !runByHand(c.use.File.Path) && !s.rereads[fn] && !(s.makesServer(fn) && !again) {
				direct = append(direct, c)
			}
		case fn != nil && !c.use.File.Off(c.use.I):
			if _, ok := through[fn]; !ok {
				through[fn] = c
			}
		}
	}
	for range 6 {
		if !s.spread(through) {
			break
		}
	}
	type key struct {
		fn   *rust.Function
		what string
	}
	seen := map[key]bool{}
	for _, c := range direct {
		fn := c.use.File.Enclosing(c.use.I)
		if k := (key{fn, c.mend}); fn == nil || !seen[k] {
			seen[k] = true
			o.findings = append(o.findings, at(place(c.use), "%s in async code%s", c.what, instead(c.mend)))
		}
	}
	o.findings = append(o.findings, s.leading(through)...)
	return o
}

// leading finds the calls in async code of functions that block: one finding for each place that blocks.
func (s *service) leading(through map[*rust.Function]cause) (all []Finding) {
	seen := map[rust.Use]bool{}
	for _, u := range s.program.Edges() {
		c, ok := through[u.Callee]
		if !ok || seen[c.use] || !s.reaches(u) || u.Callee.Async || !u.OnWorker() || s.once(u.Use) || s.builds(u.Caller) {
			continue
		}
		seen[c.use] = true
		all = append(all, at(place(u.Use), "%s in async code calls %s (%s)%s", u.Callee.Name, c.what, place(c.use), instead(c.mend)))
	}
	return all
}

// reaches reports whether a call is taken to reach its function: one of several implementations is, where what runs for calls
// holds any of them.
func (s *service) reaches(u rust.Edge) bool { return !u.Maybe || u.Object && s.hot[u.Caller] }

func instead(mend string) string {
	if mend == "" {
		return ""
	}
	return "; " + mend + " does not block"
}

// watchesFiles reports whether a function waits for changes of files, which are rare.
func watchesFiles(fn *rust.Function) bool {
	if fn == nil {
		return false
	}
	for i := fn.From; i < fn.To; i++ {
		if fn.File.Is(i, "RecommendedWatcher") || fn.File.Is(i, "recommended_watcher") || fn.File.Is(i, "PollWatcher") || fn.File.Is(i, "new_debouncer") {
			return true
		}
	}
	return false
}

// makesServer reports whether a function makes a server, so that what stands in it runs once for the server and not for calls.
func (s *service) makesServer(fn *rust.Function) bool {
	return !s.hot[fn] && slices.ContainsFunc(s.servers, func(v server) bool { return v.file().Enclosing(v.use.I) == fn })
}

// builds reports whether a function makes something once, as constructors do, and no call reaches it.
func (s *service) builds(fn *rust.Function) bool {
	if fn == nil || s.hot[fn] {
		return false
	}
	for _, prefix := range []string{"new", "from_", "build", "init", "setup", "load_config", "start", "bootstrap", "with_", "try_new", "connect", "open", "create_pool", "main", "shutdown", "stop", "load_tls", "load_cert"} {
		if strings.HasPrefix(fn.Name, prefix) {
			return true
		}
	}
	return strings.Contains(fn.Name, "establish") || fn.Trait == "Drop" || fn.Trait == "Default"
}

// spread adds the sync functions that call one that blocks.
func (s *service) spread(through map[*rust.Function]cause) (more bool) {
	for _, u := range s.program.Edges() {
		c, ok := through[u.Callee]
		if _, known := through[u.Caller]; !ok || known || !s.reaches(u) || u.Caller.Async || u.OnWorker() || u.File.Off(u.I) {
			continue
		}
		through[u.Caller] = c
		more = true
	}
	return more
}

// waits finds all calls that wait.
func (s *service) waits() (all []cause) {
	for _, c := range blockingCalls {
		all = append(all, s.calls(c)...)
	}
	for _, name := range fileCalls {
		all = append(all, s.calls(blockingCall{path: "std::fs::" + name, instead: "tokio::fs"})...)
	}
	all = append(all, s.processes()...)
	return append(all, s.threads()...)
}

// hashes finds all calls that compute for long.
func (s *service) hashes() (all []cause) {
	cheap := s.cheapBcrypt()
	for _, c := range hashCalls {
		if strings.HasPrefix(c.path, ".") && !s.depends(hashers...) || cheap && strings.HasPrefix(c.path, "bcrypt::") {
			continue
		}
		all = append(all, s.calls(c)...)
	}
	return all
}

// cheapBcrypt reports whether all hashes of bcrypt are made at a cost that is written down and takes about a millisecond. That
// is too little for passwords, but holds no worker up.
func (s *service) cheapBcrypt() bool {
	cheap := false
	for _, u := range s.named("bcrypt::hash") {
		if u.Open < 0 {
			continue
		}
		last := u.File.End(u.Open) - 2
		if u.File.Is(last, ",") {
			last--
		}
		if cost := u.File.Text(last); cost != "4" && cost != "5" {
			return false
		}
		cheap = true
	}
	return cheap
}

// calls finds the calls of one entry.
func (s *service) calls(c blockingCall) (all []cause) {
	for _, u := range s.named(c.path) {
		if u.Open < 0 || c.crate != "" && !u.File.Names(c.crate) && !(c.crate == "r2d2" && s.isPool(u)) {
			continue
		}
		from, to := u.Open+1, u.File.End(u.Open)-1
		if to-from < c.args || c.none && to != from || u.File.Is(to+1, ".", "await") && !c.awaited {
			continue
		}
		if c.crate == "diesel" && (u.File.Names("diesel_async") || !s.isDiesel(u, from, to)) {
			continue
		}
		if c.crate == "rocksdb" && !isDatabase(u) {
			continue
		}
		if c.crate == "ort" && !u.File.Names("inputs") && !u.File.Names("Session") {
			continue
		}
		if strings.HasPrefix(c.path, "std::fs::") && inMemory(u.File.Phrase(from, to), u.File.Source) {
			continue
		}
		name, _ := s.spelled(u, c.path)
		all = append(all, cause{u, strings.TrimPrefix(name, "."), c.instead, !neverRight(c.path)})
	}
	return all
}

// isDatabase reports whether a method is called on what is named a database, and not on a map beside it.
func isDatabase(u rust.Use) bool {
	from, to := u.Receiver()
	name := strings.ToLower(u.File.Text(to - 1))
	return to > from && (name == "db" || strings.HasSuffix(name, "_db") || strings.Contains(name, "rocks"))
}

// isPool reports whether a method is called on what is named a pool, in a service whose pools are synchronous.
func (s *service) isPool(u rust.Use) bool {
	from, to := u.Receiver()
	return strings.Contains(strings.ToLower(u.File.Phrase(from, to)), "pool") &&
		s.depends("r2d2", "diesel") && !s.depends("bb8", "deadpool", "deadpool-postgres", "deadpool-redis", "deadpool-diesel", "diesel-async", "mobc")
}

// inMemory reports whether a path is of a file system that no disk is behind: it is written down in the call, or it is a name
// in a file that writes such paths down.
func inMemory(argument, source string) bool {
	text := argument
	if !strings.Contains(argument, `"`) {
		text = source
	}
	return strings.Contains(text, `"/proc/`) || strings.Contains(text, `"/sys/`) || strings.Contains(text, `"/dev/shm/`)
}

// isDiesel tells a method of diesel from another of the name by its argument: a connection.
func (s *service) isDiesel(u rust.Use, from, to int) bool {
	if !u.Method {
		return true
	}
	text := strings.ToLower(u.File.Phrase(from, to))
	return strings.Contains(text, "conn") || strings.Contains(text, "&mut") || strings.Contains(text, "db") || strings.Contains(text, "pool")
}

// processes finds std::process::Command with what waits for it.
func (s *service) processes() (all []cause) {
	for _, u := range s.named("std::process::Command::new") {
		if u.Open < 0 {
			continue
		}
		for _, c := range s.program.Trace(u).Calls {
			if slices.Contains([]string{"output", "status", "wait", "wait_with_output"}, c.Name) && !c.Awaited {
				all = append(all, cause{rust.Use{File: c.File, I: c.I, Open: c.Open, Method: true}, "std::process::Command::" + c.Name, "tokio::process::Command", true})
			}
		}
	}
	return all
}

// threads finds what waits for threads of std: a join of a handle, a receive of a channel.
func (s *service) threads() (all []cause) {
	for _, maker := range []struct {
		path, method, what, instead string
	}{
		{"std::thread::spawn", "join", "std::thread::JoinHandle::join", "spawn_blocking(...).await"},
		{"std::sync::mpsc::channel", "recv", "std::sync::mpsc::Receiver::recv", "tokio::sync::mpsc"},
		{"std::sync::mpsc::sync_channel", "recv", "std::sync::mpsc::Receiver::recv", "tokio::sync::mpsc"},
	} {
		made := map[*rust.Function]bool{}
		for _, u := range s.named(maker.path) {
			if u.Open >= 0 {
				made[u.File.Enclosing(u.I)] = true
			}
		}
		for _, u := range s.program.Methods(maker.method) {
			if fn := u.File.Enclosing(u.I); fn == nil || !made[fn] || u.File.Is(u.File.End(u.Open), ".", "await") || u.File.End(u.Open) != u.Open+2 {
				continue
			}
			if from, to := u.Receiver(); to != from+1 {
				continue
			}
			all = append(all, cause{u, maker.what, maker.instead, true})
		}
	}
	return all
}
