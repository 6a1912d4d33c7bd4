package orderpricerclient

import (
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// A key always goes to the same replica, each replica gets its part of the keys, and one replica more moves only the keys
// that it gets.
func TestPartitions(t *testing.T) {
	const keys = 3000
	replicas := make([]*recorder, 3)
	var dials []grpc.DialOption
	for i := range replicas {
		replicas[i] = &recorder{}
		names := manual.NewBuilderWithScheme(fmt.Sprint("replica", i))
		names.InitialState(resolver.State{Addresses: []resolver.Address{
			{Addr: replicas[i].listen(t, grpc_health_v1.HealthCheckResponse_SERVING)},
		}})
		dials = append(dials, grpc.WithResolvers(names))
	}
	parts, err := dialPartitions(len(replicas), "replica%d:///", append(dials, unhurried())...)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, parts)
	for range 2 {
		if _, err := grpc_testing.NewTestServiceClient(parts.For("one")).UnaryCall(t.Context(), &grpc_testing.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	for _, replica := range replicas {
		if count := replica.count(); count == 2 {
			asked++
		}
	}
	if asked != 1 {
		t.Error("the calls for one key did not go to one replica")
	}
	held := map[*grpc.ClientConn]int{}
	for i := range keys {
		key := fmt.Sprint("key", i)
		held[parts.For(key)]++
		if before := parts[:2].For(key); parts.For(key) != before && parts.For(key) != parts[2] {
			t.Fatalf("%s moved to a replica that was there before", key)
		}
	}
	for conn, count := range held {
		if count < keys/4 || count > keys*2/5 {
			t.Errorf("%s has %d of %d keys", conn.Target(), count, keys)
		}
	}
}

func TestNoPartitions(t *testing.T) {
	if _, err := DialPartitions(0); err == nil {
		t.Error("there are no replicas, and no error")
	}
}
