// Command generate writes the stubs of proto/order_pricer/v1 into the client's module, without a protoc on the machine:
//
//	go run .            after a change of the proto
//	go run . -check     in the pipeline: fails where the stubs are not those of the proto
//
// It is a module of its own, so that whoever imports the client does not inherit a compiler.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	protos  = "../../../../proto"
	folder  = "order_pricer/v1"
	client  = "../.."
	module  = "gitlab.com/acme/order-pricer/clients/go"
	stubs   = module + "/order_pricer/v1;orderpricerv1"
	plugins = "protoc-gen-go protoc-gen-go-grpc"
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
	request, err := compile()
	if err != nil {
		return err
	}
	for _, plugin := range strings.Fields(plugins) {
		files, err := generate(plugin, request)
		if err != nil {
			return fmt.Errorf("%s: %w", plugin, err)
		}
		for _, file := range files {
			if err := emit(filepath.Join(client, file.GetName()), []byte(file.GetContent()), check); err != nil {
				return err
			}
		}
	}
	return nil
}

func compile() (*pluginpb.CodeGeneratorRequest, error) {
	found, err := fs.Glob(os.DirFS(protos), path.Join(folder, "*.proto"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no .proto under %s", filepath.Join(protos, folder))
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{protos}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), found...)
	if err != nil {
		return nil, err
	}
	parameters := []string{"module=" + module}
	for _, name := range found {
		parameters = append(parameters, "M"+name+"="+stubs)
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: found,
		Parameter:      proto.String(strings.Join(parameters, ",")),
	}
	seen := map[string]bool{}
	for _, file := range files {
		request.ProtoFile = withImports(request.ProtoFile, file, seen)
	}
	return request, nil
}

// withImports appends a file after all that it imports, as plugins expect.
func withImports(to []*descriptorpb.FileDescriptorProto, file protoreflect.FileDescriptor, seen map[string]bool) []*descriptorpb.FileDescriptorProto {
	if seen[file.Path()] {
		return to
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		to = withImports(to, file.Imports().Get(i).FileDescriptor, seen)
	}
	return append(to, protodesc.ToFileDescriptorProto(file))
}

func generate(plugin string, request *pluginpb.CodeGeneratorRequest) ([]*pluginpb.CodeGeneratorResponse_File, error) {
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

func emit(name string, content []byte, check bool) error {
	if check {
		current, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if !bytes.Equal(current, content) {
			return fmt.Errorf("%s is not what its proto gives: go run . in clients/go/internal/generate", name)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}
