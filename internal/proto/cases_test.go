package proto_test

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"rustgen/internal/proto"
)

// readCase reads the protos of a case. Its comment has a line for each thing that is expected:
//
//	args: --proto DIR...     what is read; --proto proto where nothing is said
//	bytes: FROM=TO           what is replaced in every file, so that the case can be kept as text
//	refused: TEXT            what the one line of the refusal has, and hint: what the hint has
//	services: NAME...        the services; rust: their traits
//	own: PATH..., foreign:   the files
//	method: KEY RUST REQUEST REPLY, comment: KEY TEXT, kinds: NAME=KIND, ..., marks: KEY=MARK...
func readCase(t *testing.T, file string) (want map[string]string, files fstest.MapFS) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{"args": "--proto proto"}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("%s: %q is no expectation", file, line)
		}
		want[key] = value
	}
	files = fstest.MapFS{}
	for _, f := range archive.Files {
		text := string(f.Data)
		if from, to, ok := strings.Cut(want["bytes"], "="); ok {
			text = strings.ReplaceAll(text, unquoted(t, from), unquoted(t, to))
		}
		files[f.Name] = &fstest.MapFile{Data: []byte(text)}
	}
	return want, files
}

func unquoted(t *testing.T, text string) string {
	t.Helper()
	out, err := strconv.Unquote(`"` + text + `"`)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, files fstest.MapFS, args string) (*proto.API, error) {
	t.Helper()
	var paths, includes []string
	fields := strings.Fields(args)
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "--include" {
			includes = append(includes, fields[i+1])
		} else {
			paths = append(paths, fields[i+1])
		}
	}
	source, err := proto.Locate(proto.Files{FS: files}, paths, includes)
	if err != nil {
		return nil, err
	}
	return proto.Read(t.Context(), proto.Files{FS: files}, source)
}

func TestCases(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(cases) < 40 {
		t.Fatal(len(cases), err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(path.Base(filepath.ToSlash(file)), ".txtar"), func(t *testing.T) {
			t.Parallel()
			want, files := readCase(t, file)
			api, err := read(t, files, want["args"])
			if refused, ok := want["refused"]; ok {
				checkRefusal(t, err, refused, want["hint"])
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			seen := describe(api)
			for key, value := range want {
				if key == "args" || key == "bytes" {
					continue
				}
				if !slices.Contains(seen[key], value) {
					t.Errorf("%s:\n got %q\nwant %q", key, seen[key], value)
				}
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, want, hint string) {
	t.Helper()
	var fault *proto.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want a refusal with %q", err, want)
	}
	if text := fault.Error(); !strings.Contains(text, want) || strings.Contains(text, "\n") {
		t.Errorf("\n got %s\nwant %s", text, want)
	}
	if fault.Hint == "" || !strings.Contains(fault.Hint, hint) {
		t.Errorf("hint %q, want %q", fault.Hint, hint)
	}
}

// describe says what an API is in the words of the cases.
func describe(api *proto.API) map[string][]string {
	seen := map[string][]string{}
	var services, traits, own, foreign, kinds, marks []string
	for _, f := range api.Files {
		if f.Own {
			own = append(own, f.Path)
		} else {
			foreign = append(foreign, f.Path)
		}
	}
	for i := range api.Services {
		s := &api.Services[i]
		services = append(services, s.FullName)
		traits = append(traits, s.Module+"::"+s.Trait)
		for j := range s.Methods {
			m := &s.Methods[j]
			key := s.Key(m)
			kinds = append(kinds, m.Name+"="+m.Kind.String())
			switch {
			case m.Deprecated:
				marks = append(marks, key+"=deprecated")
			case m.Idempotent:
				marks = append(marks, key+"=idempotent")
			default:
				marks = append(marks, key)
			}
			seen["method"] = append(seen["method"], fmt.Sprintf("%s %s %s %s", key, m.Rust, m.Request.Type("pb"), m.Reply.Type("pb")))
			seen["comment"] = append(seen["comment"], key+" "+strings.ReplaceAll(m.Comment, "\n", `\n`))
		}
	}
	slices.Sort(kinds)
	slices.Sort(marks)
	for key, values := range map[string][]string{"services": services, "rust": traits, "own": own, "foreign": foreign, "marks": marks} {
		seen[key] = []string{strings.Join(values, " ")}
	}
	seen["kinds"] = []string{strings.Join(kinds, ", ")}
	return seen
}
