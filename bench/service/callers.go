package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"rustgen/bench/service/hellov1"
)

// asked is what a caller asks for, by the name that its process is told.
type asked string

const (
	// health is a probe every 20 ms, on a connection of its own, as a kubelet has it.
	health asked = "health"
	// healthy are ordinary callers: on each of four connections a cheap call every 20 ms, and a stream of ten events, one
	// every 20 ms, again and again.
	healthy asked = "healthy"
)

const (
	healthyConnections = 4
	callEvery          = 20 * time.Millisecond
	eventsOfStream     = 10
)

// seen is what callers saw.
type seen struct {
	Took   []time.Duration
	Failed int
	// Codes are those of the calls that failed.
	Codes map[string]int
	// Streams is how many were read, and Ended those of them that did not bring all their events.
	Streams, Ended int
}

// caller asks from a process of its own: what its calls take is then the server's doing and the machine's, and not that of
// a load generator with thousands of calls to attend to.
type caller struct {
	command *exec.Cmd
	until   io.Closer
	seen    io.Reader
}

func startCaller(ctx context.Context, address string, what asked) (*caller, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &caller{command: exec.CommandContext(ctx, self, "-caller", string(what), "-address", address)}
	c.command.Stderr = os.Stderr
	if c.until, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	if c.seen, err = c.command.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, c.command.Start()
}

// stop waits for the calls that are under way.
func (c *caller) stop() (seen, error) {
	var all seen
	if err := c.until.Close(); err != nil {
		return all, err
	}
	if err := json.NewDecoder(c.seen).Decode(&all); err != nil {
		return all, fmt.Errorf("caller: %w", err)
	}
	return all, c.command.Wait()
}

// call is the part of a caller's process: it asks until there is no more input, and then writes what it saw.
func call(what asked, address string, until io.Reader, to io.Writer) error {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, until)
		stop()
	}()
	connections := 1
	if what == healthy {
		connections = healthyConnections
	}
	conns, hangUp, err := dialMany(address, connections)
	if err != nil {
		return err
	}
	defer hangUp()
	callers := record{seen: seen{Codes: map[string]int{}}}
	var all sync.WaitGroup
	for _, conn := range conns {
		if what == health {
			all.Go(func() { callers.calls(ctx, checkHealth(conn)) })
			continue
		}
		all.Go(func() { callers.calls(ctx, lookUp(conn)) })
		all.Go(func() { callers.streams(ctx, conn) })
	}
	all.Wait()
	return json.NewEncoder(to).Encode(callers.seen)
}

func checkHealth(conn *grpc.ClientConn) func(context.Context) error {
	client := healthpb.NewHealthClient(conn)
	return func(ctx context.Context) error {
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		return err
	}
}

func lookUp(conn *grpc.ClientConn) func(context.Context) error {
	client := hellov1.NewHelloServiceClient(conn)
	return func(ctx context.Context) error {
		_, err := client.Lookup(ctx, &hellov1.LookupRequest{Key: "a"})
		return err
	}
}

// record is what the callers of one process see.
type record struct {
	mu sync.Mutex
	seen
}

// calls asks at a steady rate, whether or not it has been answered, until the end of ctx.
func (r *record) calls(ctx context.Context, ask func(context.Context) error) {
	var underWay sync.WaitGroup
	defer underWay.Wait()
	tick := time.NewTicker(callEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		underWay.Go(func() {
			begun := time.Now()
			one, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			err := ask(one)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.Took = append(r.Took, time.Since(begun))
			if err != nil {
				r.Failed++
				r.Codes[status.Code(err).String()]++
			}
		})
	}
}

// streams reads one stream after the other until the end of ctx, and counts those that brought all their events in time.
func (r *record) streams(ctx context.Context, conn *grpc.ClientConn) {
	client := hellov1.NewHelloServiceClient(conn)
	for ctx.Err() == nil {
		begun := time.Now()
		events := watch(client)
		r.mu.Lock()
		r.Streams++
		if events < eventsOfStream {
			r.Ended++
		}
		r.mu.Unlock()
		// One that fails at once is not asked for again at once.
		time.Sleep(time.Until(begun.Add(callEvery)))
	}
}

// watch is how many events of one stream came in time.
func watch(client hellov1.HelloServiceClient) (events int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := client.Watch(ctx, &hellov1.WatchRequest{
		Key: "a", Events: eventsOfStream, IntervalMs: uint32(callEvery.Milliseconds()),
	})
	if err != nil {
		return 0
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return events
		}
		events++
	}
}
