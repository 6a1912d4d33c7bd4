package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"rustgen/bench/service/hellov1"
)

const (
	// priceConnections and priceStreams are what h2load keeps open: connections, and calls on each.
	priceConnections, priceStreams = 8, 16
	priceCalls                     = 300_000
	// priceWatches streams of priceEvents events each; their handler waits a millisecond between two.
	priceWatches, priceEvents = 512, 1_000
	// priceRounds is how often each server has its turn.
	priceRounds = 5
)

// price is what a server's CPU time a call and an event is, and how many it answers a second.
type price struct {
	// Calls and Streams are how many were made.
	Calls, Streams                  int
	Call, Event                     time.Duration
	CallsPerSecond, EventsPerSecond float64
}

// middle is the median of each figure.
func middle(all []price) price {
	found := all[0]
	found.Call = median(all, func(p price) time.Duration { return p.Call })
	found.Event = median(all, func(p price) time.Duration { return p.Event })
	found.CallsPerSecond = median(all, func(p price) float64 { return p.CallsPerSecond })
	found.EventsPerSecond = median(all, func(p price) float64 { return p.EventsPerSecond })
	return found
}

func median[V cmp.Ordered](all []price, figure func(price) V) V {
	var values []V
	for _, p := range all {
		values = append(values, figure(p))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// needH2load says how to get the load generator of [priced]: one in Go would not keep a core of tonic busy.
func needH2load() error {
	if _, err := exec.LookPath("h2load"); err != nil {
		return errors.New("h2load is missing: apt-get install nghttp2-client, or leave the part price out (-parts load,hostile,also)")
	}
	return nil
}

// priced asks for what costs next to nothing, from connections that are always busy. With quick, a tenth of it.
func priced(ctx context.Context, v variant, downstream string, quick bool) (price, error) {
	calls, watches := priceCalls, priceWatches
	if quick {
		calls, watches = calls/10, watches/4
	}
	found := price{Calls: calls, Streams: watches}
	process, err := v.start(ctx, "DOWNSTREAM_PRICES=http://"+downstream, "MAX_DEADLINE_MS=600000")
	if err != nil {
		return found, err
	}
	defer process.Kill()
	measure := func(path string, request, reply proto.Message, n, replies int) (each time.Duration, rate float64, err error) {
		// Once before, so that what is made at the first call is not counted.
		if _, err := h2load(ctx, process.Listen, path, request, reply, priceConnections*priceStreams, replies); err != nil {
			return 0, 0, err
		}
		before, err := process.Usage()
		if err != nil {
			return 0, 0, err
		}
		took, err := h2load(ctx, process.Listen, path, request, reply, n, replies)
		if err != nil {
			return 0, 0, err
		}
		after, err := process.Usage()
		total := n * replies
		return (after.CPU - before.CPU) / time.Duration(total), float64(total) / took.Seconds(), err
	}
	found.Call, found.CallsPerSecond, err = measure(hellov1.HelloService_Lookup_FullMethodName,
		&hellov1.LookupRequest{Key: "a"}, &hellov1.LookupReply{Key: "a"}, calls, 1)
	if err != nil {
		return found, fmt.Errorf("calls: %w", err)
	}
	// Events differ in the length of their number only: this one is of the shorter.
	found.Event, found.EventsPerSecond, err = measure(hellov1.HelloService_Watch_FullMethodName,
		&hellov1.WatchRequest{Key: "a", Events: priceEvents, IntervalMs: 1}, &hellov1.WatchEvent{Seq: 1, Key: "a"}, watches, priceEvents)
	if err != nil {
		return found, fmt.Errorf("streams: %w", err)
	}
	return found, nil
}

var (
	h2loadTook = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s|m|h),`)
	h2loadDone = regexp.MustCompile(`(?m)^requests: .* (\d+) succeeded, `)
	h2loadData = regexp.MustCompile(`(?m)^traffic: .*\((\d+)\) data$`)
)

// h2load makes n calls and is how long they took. It fails unless each was answered with as many replies as are due.
func h2load(ctx context.Context, address, path string, request, reply proto.Message, n, replies int) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "rustgen-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	body := filepath.Join(dir, "body")
	if err := os.WriteFile(body, message(request), 0o600); err != nil {
		return 0, err
	}
	command := exec.CommandContext(ctx, "h2load", "--requests", strconv.Itoa(n), "--clients", strconv.Itoa(priceConnections),
		"--max-concurrent-streams", strconv.Itoa(priceStreams), "--threads", "1", "--data", body,
		"--header", "content-type: application/grpc", "--header", "te: trailers", "http://"+address+path)
	out, err := command.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	return answered(out, n, n*replies*len(message(reply)))
}

// answered reads what h2load says at its end: how long it took. A call that fails is a success to HTTP, but brings no
// reply: fewer than so many bytes of data are an error.
func answered(out []byte, calls, data int) (time.Duration, error) {
	took, done, came := h2loadTook.FindSubmatch(out), h2loadDone.FindSubmatch(out), h2loadData.FindSubmatch(out)
	if took == nil || done == nil || came == nil {
		return 0, fmt.Errorf("h2load says neither how long it took nor what came:\n%s", out)
	}
	if got, err := strconv.Atoi(string(came[1])); err != nil || got < data || string(done[1]) != strconv.Itoa(calls) {
		return 0, fmt.Errorf("%s of %d calls succeeded, with %s of %d bytes:\n%s", done[1], calls, came[1], data, out)
	}
	return time.ParseDuration(string(took[1]) + string(took[2]))
}
