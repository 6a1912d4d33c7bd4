package adcounterclient

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// An API with a method of each kind, as the stubs of a proto would register it.
const (
	writes  = "/retries.test.v1.Store/Write"
	reads   = "/retries.test.v1.Store/Read"
	follows = "/retries.test.v1.Store/Follow"
)

var registerStore = sync.OnceValue(func() error {
	method := func(name string, level descriptorpb.MethodOptions_IdempotencyLevel, streams bool) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String(".google.protobuf.Empty"), OutputType: proto.String(".google.protobuf.Empty"),
			ServerStreaming: proto.Bool(streams), Options: &descriptorpb.MethodOptions{IdempotencyLevel: level.Enum()},
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("retries/test/v1/store.proto"), Package: proto.String("retries.test.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/empty.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Store"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Write", descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN, false),
			method("Read", descriptorpb.MethodOptions_NO_SIDE_EFFECTS, false),
			method("Follow", descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN, true),
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		return err
	}
	return protoregistry.GlobalFiles.RegisterFile(file)
})

// answer serves every method of every API with one handler, and says that it is healthy.
func answer(t *testing.T, listener net.Listener, handler grpc.StreamHandler) {
	t.Helper()
	server := grpc.NewServer(grpc.UnknownServiceHandler(handler))
	grpc_health_v1.RegisterHealthServer(server, health{recorder: &recorder{}, status: grpc_health_v1.HealthCheckResponse_SERVING})
	run(t, server, listener)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// breaker is a server that executes a call, and then breaks the connection instead of answering.
type breaker struct {
	net.Listener
	executed atomic.Int64
	mu       sync.Mutex
	open     []net.Conn
}

func (b *breaker) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err == nil {
		b.mu.Lock()
		b.open = append(b.open, conn)
		b.mu.Unlock()
	}
	return conn, err
}

func (b *breaker) execute(_ any, stream grpc.ServerStream) error {
	if err := stream.RecvMsg(new(emptypb.Empty)); err != nil {
		return err
	}
	b.executed.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed error
	for _, conn := range b.open {
		failed = errors.Join(failed, conn.Close())
	}
	b.open = nil
	if failed != nil {
		return failed
	}
	return status.Error(codes.Internal, "nobody sees this")
}

// What was executed is not executed again, unless the proto says that it may be.
func TestBrokenConnectionRepeatsOnlyWhatIsIdempotent(t *testing.T) {
	if err := registerStore(); err != nil {
		t.Fatal(err)
	}
	for method, most := range map[string]int64{writes: 1, reads: 4} {
		t.Run(method, func(t *testing.T) {
			b := &breaker{Listener: listen(t)}
			answer(t, b, b.execute)
			err := dial(t, b.Addr().String(), unhurried()).Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{})
			if status.Code(err) != codes.Unavailable {
				t.Errorf("the caller saw %v", err)
			}
			if executed := b.executed.Load(); executed != most {
				t.Errorf("executed %d times, not %d", executed, most)
			}
		})
	}
}

// A stream lasts as long as it is open: the deadline of calls that answer once is not its.
func TestStreamHasNoDefaultDeadline(t *testing.T) {
	if err := registerStore(); err != nil {
		t.Fatal(err)
	}
	timed := make(chan bool, 1)
	listener := listen(t)
	answer(t, listener, func(_ any, stream grpc.ServerStream) error {
		_, has := stream.Context().Deadline()
		timed <- has
		return nil
	})
	conn := dial(t, listener.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, follows); err != nil {
		t.Fatal(err)
	}
	if <-timed {
		t.Error("the service saw a deadline")
	}
}

// What service_config.json says of a method or of a service by its name is not said again.
func TestNamedMethodsKeepTheirSettings(t *testing.T) {
	if err := registerStore(); err != nil {
		t.Fatal(err)
	}
	kinds := methodsByKind(protoregistry.GlobalFiles, map[methodName]bool{{Service: "retries.test.v1.Store"}: true})
	for _, names := range kinds {
		for _, name := range names {
			if name.Service == "retries.test.v1.Store" {
				t.Errorf("%s has a second entry", name.Method)
			}
		}
	}
	config, err := serviceConfig(protoregistry.GlobalFiles)
	if err != nil || !json.Valid([]byte(config)) {
		t.Errorf("%v: %s", err, config)
	}
}
