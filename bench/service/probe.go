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

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// checks are what a prober saw.
type checks struct {
	Took   []time.Duration
	Failed int
}

// prober asks a server for its health from a process of its own, as a kubelet does: what its checks take is then the
// server's doing and the machine's, and not that of a load generator with thousands of calls to attend to.
type prober struct {
	command *exec.Cmd
	until   io.Closer
	seen    io.Reader
}

func startProber(ctx context.Context, address string) (*prober, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &prober{command: exec.CommandContext(ctx, self, "-probe", address)}
	p.command.Stderr = os.Stderr
	if p.until, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	if p.seen, err = p.command.StdoutPipe(); err != nil {
		return nil, err
	}
	return p, p.command.Start()
}

// stop waits for the checks that are under way.
func (p *prober) stop() (checks, error) {
	var seen checks
	if err := p.until.Close(); err != nil {
		return seen, err
	}
	if err := json.NewDecoder(p.seen).Decode(&seen); err != nil {
		return seen, fmt.Errorf("prober: %w", err)
	}
	return seen, p.command.Wait()
}

// probe asks address for its health every 20 ms, whether or not it has answered, as several probers would, until there
// is no more input; then it writes its checks.
func probe(address string, until io.Reader, to io.Writer) error {
	conn, err := dial(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, until)
		ended <- err
	}()
	var mu sync.Mutex
	var seen checks
	var underWay sync.WaitGroup
	client := healthpb.NewHealthClient(conn)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return err
			}
			underWay.Wait()
			return json.NewEncoder(to).Encode(seen)
		case <-tick.C:
		}
		underWay.Go(func() {
			begun := time.Now()
			check, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_, err := client.Check(check, &healthpb.HealthCheckRequest{})
			mu.Lock()
			defer mu.Unlock()
			seen.Took = append(seen.Took, time.Since(begun))
			if err != nil {
				seen.Failed++
			}
		})
	}
}
