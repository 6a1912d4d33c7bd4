package ship

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rustgen/internal/templateset"
	"rustgen/internal/tree"
)

// anotherAPI gives the service hello an API with other names throughout, as its team does on the first day: in the proto
// and in the service's own code, and nowhere else. Old stubs are left to the generator.
func anotherAPI(t *testing.T, r rendered) rendered {
	t.Helper()
	names := strings.NewReplacer(
		"hello.v1", "acme.tally.v3", "hello/v1", "acme/tally/v3", "hello::v1", "acme::tally::v3",
		"HelloService", "TallyService", "hello_service", "tally_service",
		"Score", "Add", "async fn score", "async fn add",
		"Lookup", "Read", "async fn lookup", "async fn read",
		"Watch", "Follow", "async fn watch", "async fn follow",
	)
	other := rendered{r.Clone(), r.data}
	for _, name := range r.Paths() {
		if strings.HasPrefix(name, "src/") || name == "build.rs" {
			file := r.Tree[name]
			file.Data = []byte(names.Replace(string(file.Data)))
			other.Tree[name] = file
		}
	}
	file := r.Tree[helloProto]
	file.Data = []byte(names.Replace(string(file.Data)))
	other.Tree["proto/acme/tally/v3/tally.proto"] = file
	delete(other.Tree, helloProto)
	return other
}

const helloProto = "proto/hello/v1/hello.proto"

// What of the sample API a managed file could name.
var sampleNames = regexp.MustCompile(`zqpkg|zqpkg[./]v9|ZqnameService|Score|Lookup|WatchRequest|WatchEvent|[^h]/Watch|scored`)

// Managed files of what ships with a service name nothing of its API, which the team replaces.
func TestManagedFilesNameNoAPI(t *testing.T) {
	set, err := templateset.Load(os.DirFS(setDir), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []answers{
		{}, {"ci": "gitlab", "state": "stateful", "downstream": "prices", "queue": "8", "metrics": "otelgrpc"},
	} {
		given := answers{"name": "zqname", "package": "zqpkg.v9"}
		maps.Copy(given, more)
		r := renderTree(t, given)
		for _, name := range r.Paths() {
			ours := slices.ContainsFunc([]string{"clients/", "deploy/", "ci/", ".github/", ".gitlab-ci.yml", "buf.yaml"}, func(prefix string) bool {
				return strings.HasPrefix(name, prefix)
			})
			if !ours || set.Once(name) {
				continue
			}
			for i, line := range strings.Split(string(r.Tree[name].Data), "\n") {
				if found := sampleNames.FindString(line); found != "" {
					t.Errorf("%s:%d names %s: %s", name, i+1, found, line)
				}
			}
		}
	}
}

// withProtos is a service whose API and whose protos of others are these.
func withProtos(t *testing.T, protos map[string]string) string {
	t.Helper()
	r := renderTree(t, cases["default"])
	other := rendered{r.Clone(), r.data}
	delete(other.Tree, helloProto)
	for name, text := range protos {
		other.Tree["proto/"+name] = tree.File{Data: []byte("syntax = \"proto3\";\n" + text), Mode: 0o644}
	}
	return other.write(t)
}

func stubsOf(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	for _, name := range strings.Fields(mustRun(t, filepath.Join(dir, "clients/go"), "find", ".", "-name", "*.pb.go")) {
		names = append(names, strings.TrimPrefix(name, "./"))
	}
	slices.Sort(names)
	return names
}

// The generator finds every API, and its stubs compile.
func TestStubsOfAnyAPI(t *testing.T) {
	const message = "message M {}\nservice S { rpc Get(M) returns (M); }\n"
	for name, test := range map[string]struct {
		protos map[string]string
		stubs  []string
	}{
		"two packages that end alike": {
			map[string]string{"users/v1/admin.proto": "package users.v1;\n" + message, "billing/v1/admin.proto": "package billing.v1;\n" + message},
			[]string{"billing/v1/admin.pb.go", "billing/v1/admin_grpc.pb.go", "users/v1/admin.pb.go", "users/v1/admin_grpc.pb.go"},
		},
		"two files of a package, in other folders than it says": {
			map[string]string{"a/x.proto": "package acme.v1;\nimport \"b/y.proto\";\nmessage N { M m = 1; }\n", "b/y.proto": "package acme.v1;\n" + message},
			[]string{"acme/v1/x.pb.go", "acme/v1/y.pb.go", "acme/v1/y_grpc.pb.go"},
		},
		"no package": {
			map[string]string{"common.proto": "message Page {}\n", "list/v1/list.proto": "package list.v1;\nimport \"common.proto\";\nservice S { rpc Get(Page) returns (Page); }\n"},
			[]string{"api/common.pb.go", "list/v1/list.pb.go", "list/v1/list_grpc.pb.go"},
		},
		"a Go package out of the module": {
			map[string]string{"evil/v1/evil.proto": "package evil.v1;\noption go_package = \"../../../../tmp/pwned;main\";\n" + message},
			[]string{"evil/v1/evil.pb.go", "evil/v1/evil_grpc.pb.go"},
		},
		"names that Go keeps to itself": {
			map[string]string{"acme/internal/v1/x.proto": "package acme.internal.v1;\n" + message, "go/type.proto": "package go.type;\n" + message},
			[]string{"acme/internal_/v1/x.pb.go", "acme/internal_/v1/x_grpc.pb.go", "go/type/type.pb.go", "go/type/type_grpc.pb.go"},
		},
		"protos of others": {
			map[string]string{
				"a/v1/a.proto":           "package a.v1;\nimport \"b/v1/b.proto\";\nimport \"google/protobuf/empty.proto\";\nimport \"c/v1/c.proto\";\nmessage M { b.v1.M b = 1; c.v1.M c = 2; }\nservice S { rpc Get(google.protobuf.Empty) returns (M); }\n",
				"foreign/b/v1/b.proto":   "package b.v1;\nmessage M {}\n",
				"foreign/c/v1/c.proto":   "package c.v1;\noption go_package = \"google.golang.org/grpc/interop/grpc_testing\";\nmessage M {}\n",
				"foreign/d/v1/d.proto":   "package d.v1;\n" + message,
				"foreign/e/broken.proto": "this is none\n",
			},
			[]string{"a/v1/a.pb.go", "a/v1/a_grpc.pb.go", "b/v1/b.pb.go"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := withProtos(t, test.protos)
			mustRun(t, filepath.Join(dir, generate), "go", "run", ".")
			mustRun(t, filepath.Join(dir, generate), "go", "run", ".", "-check")
			if stubs := stubsOf(t, dir); !slices.Equal(stubs, test.stubs) {
				t.Errorf("its stubs are %q, not %q", stubs, test.stubs)
			}
			if name != "protos of others" {
				mustRun(t, filepath.Join(dir, "clients/go"), "go", "vet", "./...")
			}
		})
	}
}

// What the generator did not write it does not remove, and where it cannot write it says why.
func TestStubsLeaveOthers(t *testing.T) {
	dir := withProtos(t, map[string]string{"a/v1/a.proto": "package a.v1;\nmessage M {}\n"})
	client := filepath.Join(dir, "clients/go")
	const generated = "// Code generated by protoc-gen-go. DO NOT EDIT.\n\npackage x\n"
	for name, text := range map[string]string{
		"kept/by_hand.pb.go":    "package kept\n",
		"vendor/x/x.pb.go":      generated,
		"another/go.mod":        "module example.com/another\n",
		"another/x/x.pb.go":     generated,
		"stale/v1/stale.pb.go":  generated,
		"stale/v1/x_grpc.pb.go": strings.Replace(generated, "-go.", "-go-grpc.", 1),
	} {
		if err := os.MkdirAll(filepath.Join(client, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(client, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, filepath.Join(dir, generate), "go", "run", ".")
	want := []string{"a/v1/a.pb.go", "another/x/x.pb.go", "kept/by_hand.pb.go", "vendor/x/x.pb.go"}
	if stubs := stubsOf(t, dir); !slices.Equal(stubs, want) {
		t.Errorf("left are %q, not %q", stubs, want)
	}

	for says, protos := range map[string]map[string]string{
		"rename one of them":   {"a/x.proto": "package a.v1;\nmessage M {}\n", "b/x.proto": "package a.v1;\nmessage N {}\n"},
		"a/x.proto:2:8: open ": {"a/x.proto": "import \"b/y.proto\";\n"},
		"holds no .proto":      {"foreign/b/x.proto": "package b.v1;\n"},
	} {
		dir := withProtos(t, protos)
		if output, err := run(t, filepath.Join(dir, generate), "go", "run", "."); err == nil || !strings.Contains(output, says) {
			t.Errorf("%q was not said: %v\n%s", says, err, output)
		}
	}
}
