package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"rustgen/bench/service/hellov1"
)

// attack is one kind of hostile or careless peer. It has until the time to do what it can, beside healthy callers.
type attack struct {
	name string
	// what the peers do, for the page.
	what  string
	peers int
	env   []string
	run   func(ctx context.Context, address string, peers int, until time.Time) (note string, err error)
}

var attacks = []attack{
	{"deaf to replies", "never read: each asks 1,000 times for a reply of 60 kB", 60, nil, deafToReplies},
	{"deaf to streams", "never read: each asks 1,000 times for a stream of 15 events of 4 kB", 60, nil, deafToStreams},
	{"half of 1 MiB", "send half of a request of 1 MiB, the largest that the generated service takes, 32 times each", 40, nil, halfOfLargest},
	{"half of 256 KiB", "send half of a request of 256 KiB, 128 times each", 40, nil, halfOfSmaller},
	{"half of 2 MiB", "send half of a request of 2 MiB, which the generated service refuses by the length in front of it, 16 times each",
		40, nil, halfOfTooLarge},
	{"headers", "open up to 3,000 calls each with 15 kB of headers and no body", 40, nil, headerFloods},
	{"resets", "open calls and reset them at once, up to 50,000 times each", 4, nil, resetFlood},
	{"idle", "say nothing after the preface of HTTP/2; the idle limit is set to 2 s", 400, []string{"CONNECTION_IDLE_MS=2000"}, idlers},
}

// survived is what an attack did to the server, and what the healthy callers saw meanwhile.
type survived struct {
	PeakRSS int64
	Note    string
	// Calls are those of the healthy callers, and Streams theirs; Ended are streams that did not bring all their events.
	Calls, Failed  int
	Codes          map[string]int
	P99            time.Duration
	Streams, Ended int
}

const attackLength = 5 * time.Second

func attacked(ctx context.Context, v variant, a attack, downstream string) (survived, error) {
	var result survived
	process, err := v.start(ctx, append([]string{"DOWNSTREAM_PRICES=http://" + downstream}, a.env...)...)
	if err != nil {
		return result, err
	}
	defer process.Kill()
	callers, err := startCaller(ctx, process.Listen, healthy)
	if err != nil {
		return result, err
	}
	// They have their connections before the peers come.
	time.Sleep(300 * time.Millisecond)
	result.Note, err = a.run(ctx, process.Listen, a.peers, time.Now().Add(attackLength))
	saw, stopErr := callers.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return result, err
	}
	usage, err := process.Usage()
	if err != nil {
		return result, fmt.Errorf("%s did not survive: %w", v.name, err)
	}
	result.PeakRSS = usage.Peak
	result.Calls, result.Failed, result.P99 = len(saw.Took), saw.Failed, (&samples{took: saw.Took}).quantile(0.99)
	result.Codes, result.Streams, result.Ended = saw.Codes, saw.Streams, saw.Ended
	return result, nil
}

// each runs one peer's part on every connection at once, and keeps the connections open until the time.
func each(address string, peers int, deaf bool, until time.Time, part func(p *peer)) (refused int, met []*peer) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range peers {
		all.Go(func() {
			p, err := meet(address, deaf)
			if err != nil {
				mu.Lock()
				refused++
				mu.Unlock()
				return
			}
			mu.Lock()
			met = append(met, p)
			mu.Unlock()
			part(p)
		})
	}
	all.Wait()
	time.Sleep(time.Until(until))
	return refused, met
}

func hangUp(peers []*peer) {
	for _, p := range peers {
		p.hangUp()
	}
}

// deafToReplies ask for one reply of 60 kB a call.
func deafToReplies(_ context.Context, address string, peers int, until time.Time) (string, error) {
	return deafPeers(address, peers, until, hellov1.HelloService_Lookup_FullMethodName, &hellov1.LookupRequest{Key: "60kB"})
}

// deafToStreams ask for a stream of 15 events of 4 kB a call.
func deafToStreams(_ context.Context, address string, peers int, until time.Time) (string, error) {
	return deafPeers(address, peers, until, hellov1.HelloService_Watch_FullMethodName,
		&hellov1.WatchRequest{Key: strings.Repeat("k", 4_000), Events: 15, IntervalMs: 1})
}

// deafPeers each call 1,000 times, and take nothing of the replies.
func deafPeers(address string, peers int, until time.Time, path string, asked proto.Message) (string, error) {
	request := message(asked)
	var sent atomic.Int64
	_, met := each(address, peers, true, until, func(p *peer) {
		for range 1_000 {
			if p.closed.Load() || time.Now().After(until) {
				return
			}
			id, err := p.call(path, false)
			if err != nil || p.data(id, request, true, until) != nil {
				continue
			}
			sent.Add(1)
		}
	})
	defer hangUp(met)
	return fmt.Sprintf("%d calls", sent.Load()), nil
}

// halfOfLargest is of messages as large as the generated service takes by default: it must hold what has come.
func halfOfLargest(_ context.Context, address string, peers int, until time.Time) (string, error) {
	return halfBodies(address, peers, until, 1<<20-64, 32)
}

// halfOfSmaller is of messages as large as a service takes that was told to take no more than 256 KiB.
func halfOfSmaller(_ context.Context, address string, peers int, until time.Time) (string, error) {
	return halfBodies(address, peers, until, 256<<10-64, 128)
}

// halfOfTooLarge is of messages twice as large, whose first five bytes say so; a server without bounds takes up to 4 MiB.
func halfOfTooLarge(_ context.Context, address string, peers int, until time.Time) (string, error) {
	return halfBodies(address, peers, until, 2<<20, 16)
}

// halfBodies each begin as many messages of that size, and send half of each.
func halfBodies(address string, peers int, until time.Time, size, messages int) (string, error) {
	half := append(prefix(size), make([]byte, size/2)...)
	var sent atomic.Int64
	_, met := each(address, peers, false, until, func(p *peer) {
		for range messages {
			if p.closed.Load() || time.Now().After(until) {
				return
			}
			id, err := p.call(hellov1.HelloService_Score_FullMethodName, false)
			if err != nil {
				return
			}
			if p.data(id, half, false, until) == nil {
				sent.Add(1)
			}
		}
	})
	defer hangUp(met)
	return fmt.Sprintf("%d half bodies taken", sent.Load()), nil
}

// headerFloods each open 3,000 calls with 15 kB of headers, just under what hyper takes by default, and send no body.
func headerFloods(_ context.Context, address string, peers int, until time.Time) (string, error) {
	var fields []hpack.HeaderField
	for range 14 {
		fields = append(fields, filler(1_000))
	}
	var sent atomic.Int64
	_, met := each(address, peers, false, until, func(p *peer) {
		for range 3_000 {
			if p.closed.Load() || time.Now().After(until) {
				return
			}
			if _, err := p.call(hellov1.HelloService_Lookup_FullMethodName, false, fields...); err != nil {
				return
			}
			sent.Add(1)
		}
	})
	defer hangUp(met)
	return fmt.Sprintf("%d heads sent", sent.Load()), nil
}

// resetFlood opens calls and resets them at once, until it is told to stop.
func resetFlood(_ context.Context, address string, peers int, until time.Time) (string, error) {
	_, met := each(address, peers, false, until, func(p *peer) {
		for range 50_000 {
			if p.closed.Load() || time.Now().After(until) {
				return
			}
			id, err := p.call(hellov1.HelloService_Lookup_FullMethodName, false)
			if err != nil || p.reset(id) != nil {
				return
			}
		}
	})
	defer hangUp(met)
	calmed := 0
	for _, p := range met {
		if p.goAway.Load() == int64(http2.ErrCodeEnhanceYourCalm) {
			calmed++
		}
	}
	if calmed == peers {
		return "ENHANCE_YOUR_CALM", nil
	}
	return fmt.Sprintf("%d of %d told to calm down", calmed, peers), nil
}

// idlers say what HTTP/2 wants to hear first, and then nothing.
func idlers(_ context.Context, address string, peers int, until time.Time) (string, error) {
	opened := time.Now()
	_, met := each(address, peers, false, opened.Add(1500*time.Millisecond), func(*peer) {})
	defer hangUp(met)
	open := func() (n int) {
		for _, p := range met {
			if !p.closed.Load() {
				n++
			}
		}
		return n
	}
	early := open()
	time.Sleep(time.Until(until))
	return fmt.Sprintf("%d kept, %d after %v", early, open(), attackLength), nil
}

// descriptors is a server that has run out of them.
type descriptors struct {
	CPU   time.Duration
	Lines int
}

// starved leaves a server 40 descriptors and 60 connections.
func starved(ctx context.Context, v variant, downstream string) (descriptors, error) {
	var result descriptors
	process, err := v.start(ctx, "DOWNSTREAM_PRICES=http://"+downstream)
	if err != nil {
		return result, err
	}
	defer process.Kill()
	if err := limitDescriptors(process, 40); err != nil {
		return result, err
	}
	var held []net.Conn
	defer func() {
		for _, conn := range held {
			conn.Close()
		}
	}()
	for range 60 {
		conn, err := net.DialTimeout("tcp", process.Listen, 5*time.Second)
		if err != nil {
			return result, err
		}
		held = append(held, conn)
	}
	time.Sleep(200 * time.Millisecond)
	before, err := process.Usage()
	if err != nil {
		return result, err
	}
	lines := len(process.Lines())
	time.Sleep(2 * time.Second)
	after, err := process.Usage()
	result.CPU, result.Lines = after.CPU-before.CPU, len(process.Lines())-lines
	return result, err
}
