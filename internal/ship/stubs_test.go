package ship

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// After a change of the set's proto or of the generator's version: go test -run Stubs -update-stubs
var updateStubs = flag.Bool("update-stubs", false, "write the templates of the Go stubs anew")

const (
	stubsDir = setDir + "/files/clients/go/{% .package_path %}"
	generate = "clients/go/internal/generate"
)

// The stubs in the tree are, byte for byte, what protoc-gen-go and protoc-gen-go-grpc write for the proto in the tree,
// whatever the names: the descriptor inside holds them with their lengths.
func TestStubs(t *testing.T) {
	if *updateStubs {
		update(t)
	}
	long := strings.Repeat("long", 15)
	for _, given := range []answers{
		{"name": "hello"},
		{"name": "order-api", "package": "acme.orders.v2"},
		{"name": "a", "package": "a1.b2_c3.v11beta2"},
		{"name": long, "package": long + "." + long + ".v1", "downstream": "prices", "queue": "4", "state": "stateful"},
		// Lengths around which gofmt breaks a line.
		{"name": strings.Repeat("n", 14)},
		{"name": strings.Repeat("n", 15)},
		{"name": strings.Repeat("n", 44), "package": "pppp.v1"},
		{"name": strings.Repeat("n", 45), "package": "p.v1"},
		{"name": strings.Repeat("n", 63), "package": "ppp.v1"},
		{"name": strings.Repeat("n", 63), "package": "pppp.v1"},
		// Lengths around which a varint takes a second byte, and a low byte of zero.
		{"name": "x", "package": strings.Repeat("p", 14) + ".v1"},
		{"name": "x", "package": strings.Repeat("p", 26) + ".v1"},
		{"name": "x", "package": strings.Repeat("p", 27) + ".v1"},
	} {
		t.Run(given["name"]+" "+given["package"], func(t *testing.T) {
			dir := renderTree(t, given).write(t)
			mustRun(t, filepath.Join(dir, generate), "go", "run", ".", "-check")
		})
	}
}

func TestStubsFault(t *testing.T) {
	r := renderTree(t, cases["default"])
	dir := r.with(t, "proto/hello/v1/hello.proto", "uint64 count = 2", "uint32 count = 2").write(t)
	output, err := run(t, filepath.Join(dir, generate), "go", "run", ".", "-check")
	if err == nil || !strings.Contains(output, "hello.pb.go is not what its proto gives") {
		t.Fatalf("a proto that changed without its stubs passed: %v\n%s", err, output)
	}
}

// update makes the templates from what the generators write for names that occur nowhere else.
func update(t *testing.T) {
	t.Helper()
	dir := renderTree(t, answers{"name": "zqname", "package": "zqpkg.v9"}).write(t)
	mustRun(t, filepath.Join(dir, generate), "go", "run", ".")
	names := strings.NewReplacer(
		"ile_zqpkg_v9_zqname_proto", "ile_<% $file | replace \"/\" \"_\" | replace \".\" \"_\" %>",
		"zqpkg/v9/zqname.proto", "<% $file %>",
		"zqpkg.v9", "<% .package %>",
		"zqpkgv9", "<% .go_stubs %>",
		"ZqnameService", "<% .service %>",
		"zqnameService", "<% .service | untitle %>",
		"zqname", "<% .name %>",
	)
	// gofmt breaks and aligns lines by the length of the names in them.
	lines := strings.NewReplacer(
		"func (UnimplementedZqnameServiceServer) mustEmbedUnimplementedZqnameServiceServer() {}\n"+
			"func (UnimplementedZqnameServiceServer) testEmbeddedByValue()                       {}\n",
		"func (Unimplemented<% .service %>Server) mustEmbedUnimplemented<% .service %>Server() {<% if gt (len .service) 21 %>\n<% end %>}\n"+
			"func (Unimplemented<% .service %>Server) testEmbeddedByValue()<% if le (len .service) 21 %><% repeat (add 9 (len .service) | int) \" \" %><% end %> {<% if gt (len .service) 51 %>\n<% end %>}\n",
		"func init() { file_zqpkg_v9_zqname_proto_init() }\n",
		"func init() {<% if gt (len $file) 76 %>\n\t<% else %> <% end %>file_zqpkg_v9_zqname_proto_init()<% if gt (len $file) 76 %>\n<% else %> <% end %>}\n",
	)
	file := `<%- $file := printf "%s/%s.proto" .package_path (snake .name) -%>` + "\n"
	for name, finish := range map[string]func(string) string{
		"zqname_grpc.pb.go": func(text string) string { return file + names.Replace(lines.Replace(text)) },
		"zqname.pb.go": func(text string) string {
			before, rest, _ := strings.Cut(text, "_rawDesc = \"\" +\n")
			_, after, ok := strings.Cut(rest, "proto3\"\n")
			if !ok {
				t.Fatal("protoc-gen-go writes its descriptor in another way now")
			}
			return defines + file + fmt.Sprintf(descriptor, messages(t, dir)) + names.Replace(before) +
				"_rawDesc = \"\" +<% include \"lines\" $raw %>\n" + names.Replace(lines.Replace(after))
		},
	} {
		text, err := os.ReadFile(filepath.Join(dir, "clients/go/zqpkg/v9", name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(stubsDir, strings.Replace(name, "zqname", "{% snake .name %}", 1)+".tmpl")
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(finish(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// messages is the part of the descriptor in which no name of the service occurs, as strings for a template.
func messages(t *testing.T, dir string) string {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{filepath.Join(dir, "proto")}}}
	files, err := compiler.Compile(t.Context(), "zqpkg/v9/zqname.proto")
	if err != nil {
		t.Fatal(err)
	}
	whole := protodesc.ToFileDescriptorProto(files[0])
	var out strings.Builder
	for _, message := range whole.MessageType {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&descriptorpb.FileDescriptorProto{MessageType: []*descriptorpb.DescriptorProto{message}})
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("zq")) {
			t.Fatalf("message %s holds a name of the service: the template must compute its length", message.GetName())
		}
		fmt.Fprintf(&out, "\n    %q", raw)
	}
	return out.String()
}

const defines = `<%- /* Bytes of a protobuf descriptor. "text" is a field of a given tag, with the length that its content has. */ -%>
<%- define "byte" -%>
<%- $digits := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" -%>
<%- $high := int (div . 4) -%><%- $low := int (mul (mod . 4) 16) -%>
<%- printf "%s%s==" (substr $high (int (add $high 1)) $digits) (substr $low (int (add $low 1)) $digits) | b64dec -%>
<%- end -%>
<%- define "varint" -%>
<%- if lt . 128 -%><%- include "byte" . -%><%- else -%><%- include "byte" (add 128 (mod . 128)) -%><%- include "varint" (int (div . 128)) -%><%- end -%>
<%- end -%>
<%- define "text" -%>
<%- first . -%><%- include "varint" (len (last .)) -%><%- last . -%>
<%- end -%>
<%- define "method" -%>
<%- include "text" (list "\x12" (printf "%s%s%s%s" (include "text" (list "\n" .name)) (include "text" (list "\x12" .in)) (include "text" (list "\x1a" .out)) .flags)) -%>
<%- end -%>
<%- define "lines" -%>
<%- $lines := splitList "\n" . -%>
<%- range initial $lines %>
	<% printf "%s\n" . | printf "%q" %> +
<%- end %>
	<% last $lines | printf "%q" -%>
<%- end -%>
`

const descriptor = `<%%- $messages := list%s -%%>
<%%- $type := printf ".%%s." .package -%%>
<%%- $methods := list
    (include "method" (dict "name" "Score" "in" (print $type "ScoreRequest") "out" (print $type "ScoreReply") "flags" ""))
    (include "method" (dict "name" "Lookup" "in" (print $type "LookupRequest") "out" (print $type "LookupReply") "flags" ""))
    (include "method" (dict "name" "Watch" "in" (print $type "WatchRequest") "out" (print $type "WatchEvent") "flags" "0\x01")) -%%>
<%%- $service := print (include "text" (list "\n" .service)) (join "" $methods) -%%>
<%%- $raw := print (include "text" (list "\n" $file)) (include "text" (list "\x12" .package)) (join "" $messages)
    (include "text" (list "2" $service)) (include "text" (list "b" "proto3")) -%%>
`
