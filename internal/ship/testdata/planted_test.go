package helloclient

import (
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"example.com/hello/clients/go/hello/v1"
)

// A query on which a handler panics, planted for this test, sent to three replicas.
func TestQueryOfDeath(t *testing.T) {
	replicas := []*service{serve(t), serve(t), serve(t)}
	names := manual.NewBuilderWithScheme("fleet")
	var state resolver.State
	for _, replica := range replicas {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: replica.listen})
	}
	names.InitialState(state)
	client := hellov1.NewHelloServiceClient(dial(t, "fleet:///replicas", grpc.WithResolvers(names), unhurried()))
	if _, err := client.Lookup(t.Context(), &hellov1.LookupRequest{Key: "a"}, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	_, err := client.Lookup(t.Context(), &hellov1.LookupRequest{Key: "panic"})
	time.Sleep(3 * time.Second)
	var codesOfTheDead []int
	for _, replica := range replicas {
		select {
		case <-replica.exited:
			codesOfTheDead = append(codesOfTheDead, replica.process.ProcessState.ExitCode())
		default:
		}
	}
	if os.Getenv("PANIC") == "unwind" {
		if status.Code(err) != codes.Internal || !slices.Equal(codesOfTheDead, []int{70}) {
			t.Errorf("the caller saw %v, replicas ended with %v", err, codesOfTheDead)
		}
	} else if status.Code(err) != codes.Unavailable || !slices.Equal(codesOfTheDead, []int{-1, -1}) {
		t.Errorf("the caller saw %v, replicas ended with %v", err, codesOfTheDead)
	}
	for range 20 {
		if _, err := client.Lookup(t.Context(), &hellov1.LookupRequest{Key: "a"}); err != nil {
			t.Errorf("what is left of the fleet answers %v", err)
		}
	}
}
