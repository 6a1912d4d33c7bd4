package main

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"rustgen/bench/service/hellov1"
)

// dial opens one connection of its own, with the windows and keepalive that grpc-go has by default.
func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
}

// dialMany opens n connections.
func dialMany(address string, n int) ([]*grpc.ClientConn, func(), error) {
	var conns []*grpc.ClientConn
	hangUp := func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
	for range n {
		conn, err := dial(address)
		if err != nil {
			hangUp()
			return nil, nil, err
		}
		conns = append(conns, conn)
	}
	return conns, hangUp, nil
}

// downstream serves prices.v1: it answers after the time that the key names, or at once.
func downstream() (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "prices.v1.PricesService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Get", Handler: get}},
	}, struct{}{})
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), server.Stop, nil
}

// get reads and writes StringValue, which has the bytes of GetRequest and GetReply: each is one string.
func get(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	key := new(wrapperspb.StringValue)
	if err := decode(key); err != nil {
		return nil, err
	}
	if pause, err := time.ParseDuration(key.GetValue()); err == nil {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return wrapperspb.String("12.50"), nil
}

// heavy is the call of the load: 4 KiB, about 5 ms of CPU, and a downstream that takes 10 ms.
var heavy = &hellov1.ScoreRequest{Key: "10ms", Payload: make([]byte, 4<<10), Rounds: 2}
