package proto_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"rustgen/internal/proto"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func service(pkg string) string {
	return "syntax = \"proto3\";\npackage " + pkg + ";\nservice S { rpc Get(M) returns (M); }\nmessage M {}\n"
}

// A directory with the protos of a whole company is not the API of one service.
func TestADirectoryOfManyFilesIsRefusedAndOneOfThemIsNot(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for i := range 1000 {
		files[fmt.Sprintf("all/p%d/v1/s.proto", i)] = file(service(fmt.Sprintf("p%d.v1", i)))
	}
	_, err := read(t, files, "--proto all")
	checkRefusal(t, err, "all: it holds 1000 proto files, and one API has at most 500", "--include")
	if _, err := read(t, files, "--proto all/p7/v1/s.proto --include all"); err != nil {
		t.Error(err)
	}
}

// A link to a directory above would make every file there another one with each turn.
func TestLinksAreFollowedOnceAndNeverUpwards(t *testing.T) {
	t.Parallel()
	link := func(to string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(to), Mode: 0o777 | 1<<27} }
	files := fstest.MapFS{
		"api/pay/v1/pay.proto":   file(service("pay.v1")),
		"api/pay/up":             link(".."),
		"api/again":              link("pay"),
		"api/shared":             link("../shared"),
		"shared/ship.proto":      file(service("shared")),
		"shared/sub/gift.proto":  file(service("shared.sub")),
		"shared/sub/around":      link("../../api"),
		"api/tax.proto":          link("../elsewhere/tax.proto"),
		"elsewhere/tax.proto":    file(service("tax")),
		"api/pay/notes.txt":      file("no proto"),
		"api/pay/v1/.hidden":     file("no proto"),
		"api/.git/config.proto":  file("no proto"),
		"api/target/built.proto": file("no proto"),
	}
	api, err := read(t, files, "--proto api")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range api.Files {
		names = append(names, f.Path)
	}
	if got, want := strings.Join(names, " "), "pay/v1/pay.proto shared/ship.proto shared/sub/gift.proto tax.proto"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	files["api/gone.proto"] = link("nowhere.proto")
	_, err = read(t, files, "--proto api")
	checkRefusal(t, err, "api/gone.proto: it is a link that leads nowhere", "remove the link")
}

func TestWhatIsGivenIsChecked(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"api/a.proto": file(service("a")), "api/notes.md": file("")}
	for _, c := range []struct{ args, want string }{
		{"--proto nowhere", "nowhere: file does not exist"},
		{"--proto api/notes.md", "api/notes.md: it is not a .proto file"},
		{"--proto api --include nowhere", "nowhere: file does not exist"},
		{"--proto api --include api/a.proto", "api/a.proto: it is a file"},
	} {
		_, err := read(t, files, c.args)
		checkRefusal(t, err, c.want, "--")
	}
}

// prost-build's time grows with the square of the messages that refer to each other.
func TestManyConnectedMessagesAreSaid(t *testing.T) {
	t.Parallel()
	text := func(n int) string {
		var b strings.Builder
		b.WriteString("syntax = \"proto3\";\npackage big;\nservice S { rpc Get(M0) returns (M0); }\nmessage M0 {}\n")
		for i := range n {
			fmt.Fprintf(&b, "message M%d { M%d m = 1; }\n", i+1, i)
		}
		return b.String()
	}
	for n, notes := range map[int]int{100: 0, 3000: 1} {
		api, err := read(t, fstest.MapFS{"api/big.proto": file(text(n))}, "--proto api")
		if err != nil {
			t.Fatal(err)
		}
		if len(api.Notes) != notes {
			t.Errorf("%d messages: %q", n, api.Notes)
		}
	}
}

// What a person passes and what a build script compiles are the same files.
func TestWithinLeavesOutTheForeign(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"proto/pay/v1/pay.proto":             file(service("pay.v1")),
		"proto/foreign/google/type/a.proto":  file(service("google.type")),
		"proto/foreign/deeper/down/b.proto":  file(service("deeper")),
		"proto/pay/v1/README.md":             file(""),
		"proto/unversioned.proto":            file(service("unversioned")),
		"elsewhere/is/not/looked/into.proto": file(service("into")),
	}
	found, err := proto.Within(files, "proto", "proto/foreign")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range found {
		names = append(names, p.Name)
	}
	if got, want := strings.Join(names, " "), "pay/v1/pay.proto unversioned.proto"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A pipe would be waited for without end, and a device be read without end.
func TestWhatIsNoRegularFileIsRefusedAndNotOpened(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]fs.FileMode{"pipe": fs.ModeNamedPipe, "device": fs.ModeDevice} {
		for _, at := range []string{"api/s.proto", "api/buf.yaml"} {
			files := fstest.MapFS{"api/pay.proto": file(service("pay")), at: {Mode: mode}}
			_, err := read(t, files, "--proto api")
			if checkRefusal(t, err, at+": it is not a regular file", "rustgen must be able to read it"); t.Failed() {
				t.Fatalf("%s as %s", at, name)
			}
		}
	}
	large := fstest.MapFS{"api/pay.proto": file(service("pay") + strings.Repeat(" ", 17<<20))}
	_, err := read(t, large, "--proto api")
	checkRefusal(t, err, "api/pay.proto: it is too large: more than 16 MiB", "")
}
