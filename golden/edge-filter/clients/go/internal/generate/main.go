// Command generate writes the stubs of the API into the client's module, without a protoc on the machine:
//
//	go run .            after a change of the protos
//	go run . -check     in the pipeline: fails where the stubs are not those of the protos
//
// The API is every .proto under proto/ but those in proto/foreign, which belong to others: what the API imports of
// them is read, and keeps the Go package that it names.
//
// It is a module of its own, so that whoever imports the client does not inherit a compiler.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	// The folder of the API, and the one within it of other APIs, a root of its own.
	protos  = "../../../../proto"
	foreign = "foreign"
	// The folder of the client's module, and its path.
	client = "../.."
	module = "example.com/edge-filter/clients/go"
	// How to mend what -check finds.
	mend = "go run . in clients/go/internal/generate"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	own, err := find()
	if err != nil {
		return err
	}
	files, err := compile(own)
	if err != nil {
		return err
	}
	stubs, err := generate(files, own)
	if err != nil {
		return err
	}
	stale, err := stale(stubs)
	if err != nil {
		return err
	}
	if check {
		return compare(stubs, stale)
	}
	return write(stubs, stale)
}

// find lists the files of the API by the names under which they import each other.
func find() ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(protos), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name == foreign:
			return fs.SkipDir
		case !entry.IsDir() && path.Ext(name) == ".proto":
			names = append(names, name)
		}
		return nil
	})
	if len(names) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		return nil, errors.New("proto/ holds no .proto of the API")
	}
	return names, err
}

// compile returns the files and all that they import, each after its own imports, as plugins expect them.
func compile(names []string) ([]protoreflect.FileDescriptor, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			ImportPaths: []string{protos, filepath.Join(protos, foreign)},
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	linked, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	var files []protoreflect.FileDescriptor
	seen := map[string]bool{}
	for _, file := range linked {
		files = withImports(files, file, seen)
	}
	return files, nil
}

func withImports(to []protoreflect.FileDescriptor, file protoreflect.FileDescriptor, seen map[string]bool) []protoreflect.FileDescriptor {
	if seen[file.Path()] {
		return to
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		to = withImports(to, file.Imports().Get(i).FileDescriptor, seen)
	}
	return append(to, file)
}

// generate returns the stubs by their paths in the client's module: those of the API, and of the files that it imports
// and that name no Go package in which their stubs would already be.
func generate(files []protoreflect.FileDescriptor, own []string) (map[string][]byte, error) {
	request := &pluginpb.CodeGeneratorRequest{}
	parameters := []string{"module=" + module}
	for _, file := range files {
		request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(file))
		options, _ := file.Options().(*descriptorpb.FileOptions)
		if options.GetGoPackage() == "" || slices.Contains(own, file.Path()) {
			request.FileToGenerate = append(request.FileToGenerate, file.Path())
			folder, name := goPackage(file)
			parameters = append(parameters, fmt.Sprintf("M%s=%s/%s;%s", file.Path(), module, folder, name))
		}
	}
	request.Parameter = proto.String(strings.Join(parameters, ","))
	stubs := map[string][]byte{}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		made, err := ask(plugin, request)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", plugin, err)
		}
		for _, file := range made {
			if _, taken := stubs[file.GetName()]; taken {
				return nil, fmt.Errorf("two files of one proto package would both give %s: rename one of them", file.GetName())
			}
			stubs[file.GetName()] = []byte(file.GetContent())
		}
	}
	return stubs, nil
}

// An element of a proto package that is its version, as v1 or v2beta1.
var version = regexp.MustCompile(`^v[1-9][0-9]*((alpha|beta)[0-9]*)?$`)

// goPackage is the folder of a file's stubs and the name of their Go package: those of its proto package, or of its
// folder where it has none. Its option go_package, which may lead out of this module, is not asked.
func goPackage(file protoreflect.FileDescriptor) (folder, name string) {
	parts := strings.Split(string(file.Package()), ".")
	if file.Package() == "" {
		parts = strings.Split(path.Join("api", path.Dir(file.Path())), "/")
	}
	name = parts[len(parts)-1]
	if len(parts) > 1 && version.MatchString(name) {
		name = parts[len(parts)-2] + name
	}
	for i, part := range parts {
		// Nothing outside this module may import a folder of these names.
		if part == "internal" || part == "vendor" {
			parts[i] += "_"
		}
	}
	name = strings.ReplaceAll(name, "_", "")
	if token.IsKeyword(name) || name == "main" {
		name += "pb"
	}
	return path.Join(parts...), name
}

// ask runs a plugin of protoc.
func ask(plugin string, request *pluginpb.CodeGeneratorRequest) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	command := exec.Command("go", "tool", plugin)
	command.Stdin = bytes.NewReader(input)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	return response.GetFile(), nil
}

// stale lists the files that a plugin wrote for protos that are no more. A .pb.go of another origin is left alone.
func stale(stubs map[string][]byte) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(client), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && another(name) {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".pb.go") || stubs[name] != nil {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(client, name))
		if err == nil && bytes.HasPrefix(text, []byte("// Code generated by protoc-gen-go")) {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

// another reports whether a folder within the client's module is of another module.
func another(folder string) bool {
	_, err := os.Stat(filepath.Join(client, folder, "go.mod"))
	return folder == "vendor" || folder != "." && err == nil
}

func compare(stubs map[string][]byte, stale []string) error {
	for _, name := range slices.Sorted(maps.Keys(stubs)) {
		current, err := os.ReadFile(filepath.Join(client, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is missing: %s", name, mend)
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(current, stubs[name]) {
			return fmt.Errorf("%s is not what its proto gives: %s", name, mend)
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("no proto gives %s: %s", strings.Join(stale, ", "), mend)
	}
	return nil
}

func write(stubs map[string][]byte, stale []string) error {
	for _, name := range stale {
		if err := os.Remove(filepath.Join(client, name)); err != nil {
			return err
		}
	}
	for name, content := range stubs {
		full := filepath.Join(client, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
