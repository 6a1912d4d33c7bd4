package main

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/status"

	"rustgen/bench/service/hellov1"
)

const (
	loadConnections = 8
	// patience is how long a caller waits: the deadline of every call here.
	patience = time.Second
	// outstanding bounds what the generator holds; arrivals above it are failures of the server too.
	outstanding = 20_000
)

// samples are the durations of calls.
type samples struct {
	mu   sync.Mutex
	took []time.Duration
}

func (s *samples) add(d time.Duration) {
	s.mu.Lock()
	s.took = append(s.took, d)
	s.mu.Unlock()
}

// quantile is the q-th, exactly.
func (s *samples) quantile(q float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.took) == 0 {
		return 0
	}
	slices.SortFunc(s.took, cmp.Compare)
	return s.took[min(int(q*float64(len(s.took))), len(s.took)-1)]
}

func (s *samples) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.took)
}

// capacity is how many heavy calls a second a server answers to callers that wait for each other.
func capacity(ctx context.Context, address string, length time.Duration) (float64, error) {
	conns, hangUp, err := dialMany(address, loadConnections)
	if err != nil {
		return 0, err
	}
	defer hangUp()
	var answered atomic.Int64
	loop := func(length time.Duration) {
		ctx, cancel := context.WithTimeout(ctx, length)
		defer cancel()
		var workers sync.WaitGroup
		for i := range 12 {
			workers.Go(func() {
				client := hellov1.NewHelloServiceClient(conns[i%len(conns)])
				for ctx.Err() == nil {
					if _, err := client.Score(ctx, heavy); err == nil {
						answered.Add(1)
					}
				}
			})
		}
		workers.Wait()
	}
	loop(time.Second)
	answered.Store(0)
	loop(length)
	return float64(answered.Load()) / length.Seconds(), nil
}

// arrivals calls start at Poisson times until length has passed, with the time at which the call was due: what is late
// because the machine is busy counts as latency.
func arrivals(ctx context.Context, rate float64, length time.Duration, start func(due time.Time)) {
	random := rand.New(rand.NewPCG(1, 2))
	begun := time.Now()
	for due := begun; ; {
		due = due.Add(time.Duration(random.ExpFloat64() / rate * float64(time.Second)))
		if due.Sub(begun) > length || ctx.Err() != nil {
			return
		}
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		start(due)
	}
}

// overload is what a server does at several times its capacity.
type overload struct {
	// Offered is arrivals a second; Goodput is answers a second that came while the load went on, within the deadline.
	Offered, Goodput float64
	HeavyP50         time.Duration
	HeavyP99         time.Duration
	HealthP99        time.Duration
	HealthChecks     int
	HealthFailed     int
	Codes            map[string]int
	Unsent           int
	PeakRSS          int64
}

func overloaded(ctx context.Context, v variant, downstream string, rate float64, length time.Duration) (overload, error) {
	result := overload{Offered: rate, Codes: map[string]int{}}
	process, err := v.start(ctx, "DOWNSTREAM_PRICES=http://"+downstream)
	if err != nil {
		return result, err
	}
	defer process.Kill()
	conns, hangUp, err := dialMany(process.Listen, loadConnections)
	if err != nil {
		return result, err
	}
	defer hangUp()
	if _, err := capacity(ctx, process.Listen, time.Second); err != nil {
		return result, err
	}
	prober, err := startCaller(ctx, process.Listen, health)
	if err != nil {
		return result, err
	}
	var heavyTook samples
	var mu sync.Mutex
	var held atomic.Int64
	var calls sync.WaitGroup
	next := 0
	ends := time.Now().Add(length)
	arrivals(ctx, rate, length, func(due time.Time) {
		if held.Load() >= outstanding {
			result.Unsent++
			return
		}
		next++
		conn := conns[next%len(conns)]
		held.Add(1)
		calls.Go(func() {
			defer held.Add(-1)
			call, cancel := context.WithDeadline(ctx, due.Add(patience))
			defer cancel()
			_, err := hellov1.NewHelloServiceClient(conn).Score(call, heavy)
			if now := time.Now(); err == nil && now.Before(ends) && now.Sub(due) <= patience {
				heavyTook.add(now.Sub(due))
			}
			mu.Lock()
			result.Codes[status.Code(err).String()]++
			mu.Unlock()
		})
	})
	checked, err := prober.stop()
	if err != nil {
		return result, err
	}
	calls.Wait()
	usage, err := process.Usage()
	if err != nil {
		return result, err
	}
	result.PeakRSS = usage.Peak
	result.Goodput = float64(heavyTook.count()) / length.Seconds()
	result.HeavyP50, result.HeavyP99 = heavyTook.quantile(0.5), heavyTook.quantile(0.99)
	result.HealthP99, result.HealthChecks, result.HealthFailed = (&samples{took: checked.Took}).quantile(0.99), len(checked.Took), checked.Failed
	return result, nil
}
