package live

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Unary answers a unary call.
type Unary func(ctx context.Context, request *dynamicpb.Message) (Fields, error)

// Streaming answers a call with a stream of replies.
type Streaming func(ctx context.Context, request *dynamicpb.Message, send func(Fields) error) error

// Handlers are the methods of a service, by name: each a Unary or a Streaming.
type Handlers map[string]any

// Describe is what grpc-go registers for a service without generated code.
func Describe(service protoreflect.ServiceDescriptor, handlers Handlers) *grpc.ServiceDesc {
	described := &grpc.ServiceDesc{
		ServiceName: string(service.FullName()),
		HandlerType: (*any)(nil),
		Metadata:    service.ParentFile().Path(),
	}
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		name := string(method.Name())
		switch handler := handlers[name].(type) {
		case Unary:
			described.Methods = append(described.Methods, grpc.MethodDesc{MethodName: name, Handler: unary(method, handler)})
		case Streaming:
			described.Streams = append(described.Streams, grpc.StreamDesc{
				StreamName: name, ServerStreams: true, Handler: streaming(method, handler),
			})
		}
	}
	return described
}

func unary(method protoreflect.MethodDescriptor, answer Unary) grpc.MethodHandler {
	path := Path(method.Parent().(protoreflect.ServiceDescriptor), string(method.Name()))
	return func(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		request := dynamicpb.NewMessage(method.Input())
		if err := decode(request); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, request any) (any, error) {
			fields, err := answer(ctx, request.(*dynamicpb.Message))
			if err != nil {
				return nil, err
			}
			return Message(method.Output(), fields), nil
		}
		if interceptor == nil {
			return handle(ctx, request)
		}
		return interceptor(ctx, request, &grpc.UnaryServerInfo{Server: server, FullMethod: path}, handle)
	}
}

func streaming(method protoreflect.MethodDescriptor, answer Streaming) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		request := dynamicpb.NewMessage(method.Input())
		if err := stream.RecvMsg(request); err != nil {
			return err
		}
		return answer(stream.Context(), request, func(fields Fields) error {
			return stream.SendMsg(Message(method.Output(), fields))
		})
	}
}
