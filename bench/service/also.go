package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rustgen/bench/service/hellov1"
	"rustgen/internal/parity/live"
)

func limitDescriptors(p *live.Process, most uint64) error {
	return unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}, nil)
}

// aged is a Go client that calls on while its connections grow old.
type aged struct {
	Calls, Failed int
	// Refused are those of the failed that were told RESOURCE_EXHAUSTED: a matter of bounds, not of age.
	Refused int
}

// grownOld lets connections live for a second, under calls of 300 ms.
func grownOld(ctx context.Context, v variant, downstream string) (aged, error) {
	var result aged
	process, err := v.start(ctx, "DOWNSTREAM_PRICES=http://"+downstream,
		"CONNECTION_AGE_MS=1000", "AGE_MS=1000", "AGE_GRACE_MS=200")
	if err != nil {
		return result, err
	}
	defer process.Kill()
	conns, hangUp, err := dialMany(process.Listen, 10)
	if err != nil {
		return result, err
	}
	defer hangUp()
	var calls, failed, refused atomic.Int64
	var callers sync.WaitGroup
	for _, conn := range conns {
		callers.Go(func() {
			client := hellov1.NewHelloServiceClient(conn)
			for range 20 {
				call, cancel := context.WithTimeout(ctx, patience)
				_, err := client.Score(call, &hellov1.ScoreRequest{Key: "300ms", Rounds: 1})
				cancel()
				calls.Add(1)
				if err != nil {
					failed.Add(1)
				}
				if status.Code(err) == codes.ResourceExhausted {
					refused.Add(1)
				}
			}
		})
	}
	callers.Wait()
	return aged{int(calls.Load()), int(failed.Load()), int(refused.Load())}, nil
}

// ended is how a server went, or that it did not.
type ended struct {
	After time.Duration
	Exit  int
	Gone  bool
}

func (e ended) String() string {
	if !e.Gone {
		return fmt.Sprintf("still there after %.0f s", e.After.Seconds())
	}
	return fmt.Sprintf("exit %d after %.1f s", e.Exit, e.After.Seconds())
}

// terminated gets SIGTERM while a stream goes on for an hour; the drain may take 2 s where that can be told.
func terminated(ctx context.Context, v variant, downstream string) (ended, error) {
	process, err := v.start(ctx, "DOWNSTREAM_PRICES=http://"+downstream,
		"MAX_DEADLINE_MS=3600000", "DRAIN_MS=2000", "DRAIN_DELAY_MS=0")
	if err != nil {
		return ended{}, err
	}
	defer process.Kill()
	conn, err := dial(process.Listen)
	if err != nil {
		return ended{}, err
	}
	defer conn.Close()
	stream, err := hellov1.NewHelloServiceClient(conn).Watch(ctx, &hellov1.WatchRequest{Key: "a", Events: 36_000, IntervalMs: 100})
	if err != nil {
		return ended{}, err
	}
	if _, err := stream.Recv(); err != nil {
		return ended{}, err
	}
	go func() {
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	}()
	const most = 6 * time.Second
	begun := time.Now()
	if err := process.Signal(syscall.SIGTERM); err != nil {
		return ended{}, err
	}
	code := process.Wait(most)
	return ended{time.Since(begun), code, code >= 0}, nil
}

// impatient are callers that leave long before their answer.
type impatient struct {
	CheapP99    time.Duration
	CheapCalls  int
	CheapFailed int
}

// givenUp asks 60 times a second for 50 ms of CPU, and waits for 10 ms; beside it somebody asks for next to nothing.
func givenUp(ctx context.Context, v variant, downstream string, length time.Duration) (impatient, error) {
	var result impatient
	process, err := v.start(ctx, "DOWNSTREAM_PRICES=http://"+downstream)
	if err != nil {
		return result, err
	}
	defer process.Kill()
	conns, hangUp, err := dialMany(process.Listen, 5)
	if err != nil {
		return result, err
	}
	defer hangUp()
	var callers sync.WaitGroup
	callers.Go(func() {
		next := 0
		arrivals(ctx, 60, length, func(time.Time) {
			next++
			conn := conns[1+next%4]
			callers.Go(func() {
				call, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
				defer cancel()
				_, _ = hellov1.NewHelloServiceClient(conn).Score(call, &hellov1.ScoreRequest{Key: "a", Rounds: 20})
			})
		})
	})
	var took samples
	var failed atomic.Int64
	arrivals(ctx, 100, length, func(due time.Time) {
		callers.Go(func() {
			call, cancel := context.WithDeadline(ctx, due.Add(patience))
			defer cancel()
			if _, err := hellov1.NewHelloServiceClient(conns[0]).Lookup(call, &hellov1.LookupRequest{Key: "a"}); err != nil {
				failed.Add(1)
			}
			took.add(time.Since(due))
		})
	})
	callers.Wait()
	return impatient{took.quantile(0.99), took.count(), int(failed.Load())}, nil
}
