package audit

import "regexp"

// timers end whatever they are put around.
var timers = []string{"tokio::time::timeout", "tokio::time::timeout_at"}

// dials finds where connections to other services are made, but for those that a function makes and drops under a
// timer: a health check of the process by itself, say.
func (s *service) dials() (found []use) {
	timed := map[[2]any]bool{}
	for _, u := range s.named(timers...) {
		timed[[2]any{u.Path, u.within}] = true
	}
	for _, u := range s.uses {
		if u.called && (endpoint.MatchString(u.name) || generatedClient.MatchString(u.name)) && !timed[[2]any{u.Path, u.within}] {
			found = append(found, u)
		}
	}
	return found
}

// endpoint is where a connection of tonic begins.
var endpoint = regexp.MustCompile(`^tonic::transport::(Endpoint::(from_static|from_shared|new|from)|Channel::(from_static|from_shared|builder|balance_list))$`)

// generatedClient is a stub that connects by itself, as the tutorials of tonic have it.
var generatedClient = regexp.MustCompile(`(^|::)[A-Z]\w*Client::connect$`)

// dialled is a check of every connection to another service.
func dialled(missing string, methods ...string) func(*service) outcome {
	return told((*service).dials, "no other service is called", missing, methods...)
}

var clientChecks = []Check{
	{
		ID: "call-deadline", Area: "client", Title: "Every call to another service has a deadline",
		Why:  "a service that answers no more holds every call that waits for it, and with them this one",
		Mend: "Endpoint::timeout, or Request::set_timeout with what is left of the caller's time",
		look: dialled("no timeout", append(timers, ".timeout", ".set_timeout")...),
	},
	{
		ID: "connect-timeout", Area: "client", Title: "Connecting has a bound",
		Why:  "an address that drops packets is given up after two minutes",
		Mend: "Endpoint::connect_timeout(Duration::from_secs(1))",
		look: dialled("no connect_timeout", ".connect_timeout", ".set_connect_timeout"),
	},
	{
		ID: "client-keepalive", Area: "client", Title: "A service that is gone is noticed",
		Why:  "calls go into a connection that nobody reads until TCP gives up, after a quarter of an hour",
		Mend: "Endpoint::http2_keep_alive_interval(30 s) and keep_alive_timeout(10 s)",
		look: dialled("no http2_keep_alive_interval", ".http2_keep_alive_interval", ".tcp_keepalive"),
	},
}
