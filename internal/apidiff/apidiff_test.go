package apidiff_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"rustgen/internal/apidiff"
	"rustgen/internal/proto"
	"rustgen/internal/tree"
)

const messages = "message Ask { string id = 1; }\nmessage Trip { string id = 1; }\n"

// api compiles protos by their paths.
func api(t *testing.T, files map[string]string) *proto.API {
	t.Helper()
	fs := fstest.MapFS{}
	for p, text := range files {
		fs["proto/"+p] = &fstest.MapFile{Data: []byte("syntax = \"proto3\";\n" + text)}
	}
	own, err := proto.Within(fs, "proto")
	if err != nil {
		t.Fatal(err)
	}
	read, err := proto.Read(t.Context(), proto.Files{FS: fs}, &proto.Source{Roots: []string{"proto"}, Own: own})
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func rust(files map[string]string) tree.Tree {
	service := tree.Tree{"rustfmt.toml": {Mode: tree.ModeFile, Data: []byte("max_width = 120\n")}}
	for p, text := range files {
		service[p] = tree.File{Mode: tree.ModeFile, Data: []byte(text)}
	}
	return service
}

func summary(d *apidiff.Diff) string {
	var b strings.Builder
	for _, m := range d.Missing {
		fmt.Fprintf(&b, "missing %s %s\n", m.Method, strings.Join(m.Parts, "+"))
	}
	for _, c := range d.Changed {
		fmt.Fprintf(&b, "changed %s %s -> %s at %s\n", c.Method, c.Was, c.Is, c.Place)
	}
	for _, g := range d.Gone {
		fmt.Fprintf(&b, "gone %s %s at %s\n", g.Method, g.Part, g.Place)
	}
	for _, a := range d.Ambiguous {
		fmt.Fprintf(&b, "ambiguous %s %s\n", a.Key, strings.Join(a.Methods, " "))
	}
	return b.String()
}

const policies = "use hotpath::Policy;\nconst POLICIES: &[(&str, Policy)] = &[\n%s];\n"

func TestCompare(t *testing.T) {
	t.Parallel()
	rides := map[string]string{"ride/v1/ride.proto": "package ride.v1;\nservice Rides {\n  rpc Start(Ask) returns (Trip);\n  rpc Type(stream Ask) returns (stream Trip);\n}\n" + messages}
	admins := map[string]string{
		"billing/v1/a.proto": "package billing.v1;\nservice Admin { rpc Get(Ask) returns (Trip); }\n" + messages,
		"users/v1/a.proto":   "package users.v1;\nservice Admin { rpc Get(Ask) returns (Trip); }\n" + messages,
	}
	whole := "impl crate::pb::ride::v1::rides_server::Rides for H {\n    async fn start() {}\n    type TypeStream = X;\n    async fn r#type(r: Streaming<Ask>) {}\n}\n"
	for _, c := range []struct {
		name   string
		protos map[string]string
		rust   map[string]string
		want   string
	}{
		{"all is there", rides, map[string]string{
			"src/handlers.rs": whole, "src/policy.rs": fmt.Sprintf(policies, "    (\"Start\", X),\n    (\"Rides/Type\", X),\n"),
		}, ""},
		{"nothing is there", rides, nil, "missing /ride.v1.Rides/Start handler+policy\nmissing /ride.v1.Rides/Type handler+policy\n"},
		{"a trait of the same name that is no service's", rides, map[string]string{
			"src/handlers.rs": "impl crate::board::Rides for H {\n    fn start() {}\n}\n",
			"src/policy.rs":   fmt.Sprintf(policies, "    (\"Start\", X),\n    (\"ride.v1.Rides/Type\", X),\n"),
		}, "missing /ride.v1.Rides/Start handler\nmissing /ride.v1.Rides/Type handler\n"},
		{"by a glob import, an alias and a module", rides, map[string]string{
			"src/handlers.rs": "use crate::pb::ride::v1::{self as api, rides_server};\n" + strings.Replace(whole, "crate::pb::ride::v1::rides_server::Rides", "rides_server::Rides", 1),
			"src/policy.rs":   fmt.Sprintf(policies, "    (\"Start\", X),\n    (\"Type\", X),\n"),
		}, ""},
		{"kinds", rides, map[string]string{
			"src/handlers.rs": "impl crate::pb::ride::v1::rides_server::Rides for H {\n    type StartStream = X;\n    async fn start() {}\n    async fn r#type(r: Streaming<Ask>) {}\n}\n",
			"src/policy.rs":   fmt.Sprintf(policies, "    (\"Start\", X),\n    (\"Type\", X),\n"),
		}, "changed /ride.v1.Rides/Start server streaming -> unary at src/handlers.rs:3\n" +
			"changed /ride.v1.Rides/Type client streaming -> bidirectional streaming at src/handlers.rs:4\n"},
		{"gone", rides, map[string]string{
			"src/handlers.rs": strings.Replace(whole, "async fn start", "async fn get_url() {}\n    async fn start", 1),
			"src/policy.rs":   fmt.Sprintf(policies, "    (\"Start\", X),\n    (\"Type\", X),\n    (\"GetURL\", X),\n    (\"ride.v1.Rides/Old\", X),\n"),
		}, "gone /ride.v1.Rides/GetURL handler at src/handlers.rs:2\ngone /ride.v1.Rides/GetURL policy at src/policy.rs:5\ngone /ride.v1.Rides/Old policy at src/policy.rs:6\n"},
		{"two services of one simple name", admins, map[string]string{
			"src/handlers.rs": "use crate::pb::{billing, users};\nimpl billing::v1::admin_server::Admin for B {\n    async fn get() {}\n}\nimpl users::v1::admin_server::Admin for U {}\n",
			"src/policy.rs":   fmt.Sprintf(policies, "    (\"Admin/Get\", X),\n"),
		}, "missing /users.v1.Admin/Get handler+policy\nambiguous Admin/Get billing.v1.Admin/Get users.v1.Admin/Get\n"},
		{"a Go client", rides, map[string]string{
			"src/handlers.rs": whole, "src/policy.rs": fmt.Sprintf(policies, "    (\"Start\", X),\n    (\"Type\", X),\n"),
			"clients/go/go.mod": "module x\n", "clients/go/ride/v1/ride_grpc.pb.go": "const A = \"/ride.v1.Rides/Start\"\n",
		}, "missing /ride.v1.Rides/Type Go stub\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := summary(apidiff.Compare(api(t, c.protos), rust(c.rust), nil)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// What is added makes the service whole, whatever it was; no line that was there is gone, and nothing is added again.
func TestAdd(t *testing.T) {
	t.Parallel()
	protos := api(t, map[string]string{
		"ride/v1/ride.proto": "package ride.v1;\nservice Rides {\n  rpc Start(Ask) returns (Trip);\n  rpc Up(stream Ask) returns (Trip);\n  rpc Both(stream Ask) returns (stream Trip);\n}\n" +
			"service Drivers { rpc Start(Ask) returns (Trip); rpc Down(Ask) returns (stream Trip); }\n" + messages,
		"users/v1/a.proto": "package users.v1;\nservice Rides { rpc Get(Ask) returns (Trip); }\nservice Nothing {}\n" + messages,
	})
	for name, handlers := range map[string]string{
		"one function": "use crate::pb::ride::v1::rides_server::Rides;\nuse tonic::{Request, Response, Status};\n\n#[tonic::async_trait]\nimpl Rides for H {\n    // Edited.\n    async fn start(&self) { }\n}\n",
		"one line":     "impl crate::pb::ride::v1::rides_server::Rides for H {}\n\nfn after() {}\n",
		"a taken name": "struct DriversHandlers;\nimpl crate::pb::ride::v1::rides_server::Rides for H {\n}\n",
		"Windows":      "impl crate::pb::ride::v1::rides_server::Rides for H {\r\n}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := rust(map[string]string{"src/handlers.rs": handlers, "src/policy.rs": fmt.Sprintf(policies, "    (\"ride.v1.Rides/Up\", X),\n")})
			added := apidiff.Compare(protos, service, nil).Add(service)
			if len(added.Loose) > 0 || len(added.Routes) != 2 {
				t.Errorf("loose %q, routes %q", added.Loose, added.Routes)
			}
			for _, p := range added.Files.Paths() {
				checkLines(t, string(service[p].Data), string(added.Files[p].Data))
				service[p] = added.Files[p]
			}
			again := apidiff.Compare(protos, service, nil)
			if !again.Empty() || len(again.Add(service).Files) > 0 {
				t.Errorf("%s\n%s", summary(again), service["src/handlers.rs"].Data)
			}
		})
	}
}

// checkLines checks that the lines of one text are in another, in their order; a line may be parted between brackets.
func checkLines(t *testing.T, before, after string) {
	t.Helper()
	rest := after
	for line := range strings.Lines(before) {
		for _, part := range strings.SplitAfter(strings.TrimSpace(line), "{") {
			at := strings.Index(rest, part)
			if at < 0 {
				t.Fatalf("%q is not in\n%s", part, after)
			}
			rest = rest[at+len(part):]
		}
	}
	if strings.Contains(before, "\r\n") && strings.Count(after, "\n") != strings.Count(after, "\r\n") {
		t.Error("line ends are mixed")
	}
}

// Where there is no block and no table, the code is for a person to place.
func TestAddWithoutAPlace(t *testing.T) {
	t.Parallel()
	protos := api(t, map[string]string{"ride/v1/ride.proto": "package ride.v1;\nservice Rides { rpc Start(Ask) returns (Trip); }\n" + messages})
	added := apidiff.Compare(protos, rust(nil), nil).Add(rust(nil))
	if len(added.Loose) != 2 || len(added.Files) > 0 || len(added.Added) > 0 {
		t.Fatalf("%+v", added)
	}
	for i, want := range []string{"impl crate::pb::ride::v1::rides_server::Rides for RidesHandlers {\n    async fn start(", `("ride.v1.Rides/Start", hotpath::Policy::light()),`} {
		if !strings.Contains(added.Loose[i].Code, want) {
			t.Errorf("%q is not in\n%s", want, added.Loose[i].Code)
		}
	}
}
