package live

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// API is what the protos of a tree say: its messages without generated code.
type API struct {
	// Service is the tree's own.
	Service protoreflect.ServiceDescriptor
	// Called are the services that it calls, by the name of the decision.
	Called map[string]protoreflect.ServiceDescriptor
}

// API compiles the protos.
func (t *Tree) API(ctx context.Context) (*API, error) {
	sources := map[string]string{}
	for name, file := range t.Files {
		if inside, ok := strings.CutPrefix(name, "proto/"); ok && strings.HasSuffix(name, ".proto") {
			sources[inside] = string(file.Data)
		}
	}
	compiler := protocompile.Compiler{
		Resolver: &protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(sources)},
	}
	compiled, err := compiler.Compile(ctx, slices.Sorted(maps.Keys(sources))...)
	if err != nil {
		return nil, err
	}
	api := &API{Called: map[string]protoreflect.ServiceDescriptor{}}
	for _, file := range compiled {
		service := file.Services().Get(0)
		if string(file.Package()) == t.Text("package") {
			api.Service = service
			continue
		}
		for _, name := range t.Data["downstream"].([]string) {
			if string(file.Package()) == strings.ReplaceAll(name, "-", "_")+".v1" {
				api.Called[name] = service
			}
		}
	}
	if api.Service == nil {
		return nil, fmt.Errorf("no proto of package %s", t.Text("package"))
	}
	return api, nil
}

// Path is the HTTP/2 path of a method.
func Path(service protoreflect.ServiceDescriptor, method string) string {
	return fmt.Sprintf("/%s/%s", service.FullName(), method)
}

// Fields are the values of a message's fields, by name.
type Fields map[string]any

// Message makes a message of a type.
func Message(kind protoreflect.MessageDescriptor, fields Fields) *dynamicpb.Message {
	message := dynamicpb.NewMessage(kind)
	for name, value := range fields {
		message.Set(kind.Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(value))
	}
	return message
}

// Get is the value of a field.
func Get(message *dynamicpb.Message, name string) protoreflect.Value {
	return message.Get(message.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

// Caller calls the tree's own service.
type Caller struct {
	API  *API
	Conn *grpc.ClientConn
}

// Call makes a unary call. Trailers, and the metadata of a status without a reply, go to the trailer.
func (c Caller) Call(ctx context.Context, method string, fields Fields, trailer *metadata.MD) (*dynamicpb.Message, error) {
	kind := c.API.Service.Methods().ByName(protoreflect.Name(method))
	reply := dynamicpb.NewMessage(kind.Output())
	var options []grpc.CallOption
	if trailer != nil {
		options = append(options, grpc.Trailer(trailer))
	}
	return reply, c.Conn.Invoke(ctx, Path(c.API.Service, method), Message(kind.Input(), fields), reply, options...)
}

// Stream opens a server stream and returns what receives from it.
func (c Caller) Stream(ctx context.Context, method string, fields Fields) (func() (*dynamicpb.Message, error), error) {
	kind := c.API.Service.Methods().ByName(protoreflect.Name(method))
	stream, err := c.Conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, Path(c.API.Service, method))
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(Message(kind.Input(), fields)); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	return func() (*dynamicpb.Message, error) {
		reply := dynamicpb.NewMessage(kind.Output())
		return reply, stream.RecvMsg(reply)
	}, nil
}
