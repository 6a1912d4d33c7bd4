// Command driver calls a service in a container as the proofs of the image need it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	helloclient "example.com/hello/clients/go"
	"example.com/hello/clients/go/hello/v1"
)

func main() {
	mode := flag.String("mode", "", "drain, panic, overload, traffic or day")
	target := flag.String("target", "", "where the service listens")
	stop := flag.String("stop", "", "container to stop in the middle of a call")
	grace := flag.Int("grace", 0, "seconds that it has to stop")
	flag.Parse()
	options := []grpc.DialOption{grpc.WithDisableRetry()}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if *mode == "drain" {
		// The call outlasts the client's own deadline; the container is told so too.
		options = append(options, grpc.WithDefaultServiceConfig("{}"))
	}
	conn, err := helloclient.Dial(*target, options...)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := hellov1.NewHelloServiceClient(conn)
	switch *mode {
	case "drain":
		err = drain(ctx, client, *stop, *grace)
	case "panic":
		err = expect(call(ctx, client, "panic"), codes.Internal, codes.Unavailable, codes.DeadlineExceeded)
	case "traffic":
		err = traffic(ctx, client)
	case "overload":
		err = overload(ctx, client)
	case "day":
		err = day(context.Background(), client)
	default:
		err = fmt.Errorf("no mode %q", *mode)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func call(ctx context.Context, client hellov1.HelloServiceClient, key string) error {
	_, err := client.Lookup(ctx, &hellov1.LookupRequest{Key: key})
	return err
}

func expect(err error, any ...codes.Code) error {
	for _, code := range any {
		if status.Code(err) == code {
			return nil
		}
	}
	return fmt.Errorf("the caller saw %w", err)
}

// drain has a stream under way while the container is stopped; it must end whole.
func drain(ctx context.Context, client hellov1.HelloServiceClient, id string, grace int) error {
	const events = 100
	stream, err := client.Watch(ctx, &hellov1.WatchRequest{Key: "a", Events: events, IntervalMs: 50})
	if err != nil {
		return err
	}
	for seen := range events {
		if _, err := stream.Recv(); err != nil {
			return fmt.Errorf("after %d events: %w", seen, err)
		}
		if seen == 0 {
			go exec.Command("docker", "stop", "-t", strconv.Itoa(grace), id).Run()
		}
	}
	return exec.Command("docker", "wait", id).Run()
}

// overload sends far more large, heavy calls than fit, for ten seconds.
func overload(ctx context.Context, client hellov1.HelloServiceClient) error {
	var answered, refused, late, other atomic.Int64
	var group sync.WaitGroup
	until := time.Now().Add(10 * time.Second)
	payload := make([]byte, 512<<10)
	for range 64 {
		group.Go(func() {
			for time.Now().Before(until) {
				_, err := client.Score(ctx, &hellov1.ScoreRequest{Key: "a", Payload: payload, Rounds: 4})
				switch status.Code(err) {
				case codes.OK:
					answered.Add(1)
				case codes.ResourceExhausted:
					refused.Add(1)
					time.Sleep(time.Millisecond)
				case codes.DeadlineExceeded:
					late.Add(1)
				default:
					// One of many like it.
					if other.Add(1) == 1 {
						log.Print(err)
					}
				}
			}
		})
	}
	group.Wait()
	fmt.Printf("%d answered, %d shed, %d late, %d other", answered.Load(), refused.Load(), late.Load(), other.Load())
	if answered.Load() == 0 || refused.Load() < 5*answered.Load() || other.Load() > 0 {
		return fmt.Errorf("not five times overloaded, or not answered as promised")
	}
	return nil
}

// traffic is a little of everything, more than fits now and then, for fifteen seconds.
func traffic(ctx context.Context, client hellov1.HelloServiceClient) error {
	var answered atomic.Int64
	var group sync.WaitGroup
	until := time.Now().Add(15 * time.Second)
	for range 16 {
		group.Go(func() {
			for time.Now().Before(until) {
				if _, err := client.Score(ctx, &hellov1.ScoreRequest{Key: "a", Payload: []byte("payload"), Rounds: 1}); err == nil {
					answered.Add(1)
				}
				call(ctx, client, "a")
				if stream, err := client.Watch(ctx, &hellov1.WatchRequest{Key: "a", Events: 2, IntervalMs: 1}); err == nil {
					for err == nil {
						_, err = stream.Recv()
					}
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	group.Wait()
	if answered.Load() == 0 {
		return fmt.Errorf("no call was answered")
	}
	return nil
}

// day is a day in two minutes, answered or not: a quiet night, a morning that grows, a rush of far more than fits, and
// an evening.
func day(ctx context.Context, client hellov1.HelloServiceClient) error {
	began := time.Now()
	var group sync.WaitGroup
	under := make(chan struct{}, 1000)
	send := func(call func()) {
		select {
		case under <- struct{}{}:
			group.Go(func() {
				call()
				<-under
			})
		default:
		}
	}
	const tick = 20 * time.Millisecond
	var heavy, cheap float64
	for range time.Tick(tick) {
		at := time.Since(began).Seconds()
		rate := 0.0 // heavy calls a second
		switch {
		case at < 20:
			rate = 15
		case at < 60:
			rate = 15 + (at-20)*2
		case at < 80:
			rate = 700
		case at < 120:
			rate = 95 - (at-80)*2
		default:
			group.Wait()
			return nil
		}
		heavy += rate * tick.Seconds()
		cheap += math.Min(rate, 100) * 2 * tick.Seconds()
		for ; heavy >= 1; heavy-- {
			send(func() {
				client.Score(ctx, &hellov1.ScoreRequest{Key: "a", Payload: make([]byte, 4096), Rounds: 3})
			})
		}
		for ; cheap >= 1; cheap-- {
			send(func() { call(ctx, client, "a") })
		}
	}
	return nil
}
