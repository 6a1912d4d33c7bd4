// Gosvc is the same service in Go, as the fleet's are written: grpc-go, health, go-grpc-middleware's Prometheus metrics,
// GracefulStop. BOUNDED=1 adds what a careful team adds by hand: a cap on connections, streams and header lists, calls of
// the heavy method in flight and a deadline in an interceptor, and an end to the drain.
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"rustgen/bench/service/hellov1"
)

const (
	connections = 390
	streams     = 128
	headerList  = 8 << 10
	inFlight    = 12
	mostMemory  = 512 << 20
)

type server struct {
	hellov1.UnimplementedHelloServiceServer
	prices *grpc.ClientConn
}

func (s *server) Score(ctx context.Context, r *hellov1.ScoreRequest) (*hellov1.ScoreReply, error) {
	// GetRequest and GetReply of prices are each one string, as StringValue is.
	price := new(wrapperspb.StringValue)
	if err := s.prices.Invoke(ctx, "/prices.v1.PricesService/Get", wrapperspb.String(r.GetKey()), price); err != nil {
		return nil, err
	}
	sum, digest, err := score(ctx, r.GetPayload(), r.GetRounds())
	if err != nil {
		return nil, status.FromContextError(err).Err()
	}
	return &hellov1.ScoreReply{Score: sum, Digest: digest, Downstream: []string{price.GetValue()}}, nil
}

func (s *server) Lookup(_ context.Context, r *hellov1.LookupRequest) (*hellov1.LookupReply, error) {
	key := r.GetKey()
	// What peers that never read ask for.
	if key == "60kB" {
		key = strings.Repeat("k", 60_000)
	}
	return &hellov1.LookupReply{Key: key}, nil
}

func (s *server) Watch(r *hellov1.WatchRequest, stream grpc.ServerStreamingServer[hellov1.WatchEvent]) error {
	tick := time.NewTicker(time.Duration(max(r.GetIntervalMs(), 1)) * time.Millisecond)
	defer tick.Stop()
	for seq := range uint64(r.GetEvents()) {
		if err := stream.Send(&hellov1.WatchEvent{Seq: seq + 1, Key: r.GetKey()}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
	return nil
}

// bounds are what BOUNDED=1 adds.
func bounds() []grpc.ServerOption {
	slots := make(chan struct{}, inFlight)
	most := millis("MAX_DEADLINE_MS", time.Second)
	return []grpc.ServerOption{
		grpc.MaxConcurrentStreams(streams),
		grpc.MaxHeaderListSize(headerList),
		grpc.MaxRecvMsgSize(1 << 20),
		grpc.MaxSendMsgSize(1 << 20),
		grpc.ConnectionTimeout(5 * time.Second),
		grpc.ChainUnaryInterceptor(func(ctx context.Context, r any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if info.FullMethod == hellov1.HelloService_Score_FullMethodName {
				select {
				case slots <- struct{}{}:
					defer func() { <-slots }()
				default:
					return nil, status.Error(codes.ResourceExhausted, "overloaded")
				}
			}
			ctx, cancel := context.WithTimeout(ctx, most)
			defer cancel()
			return handle(ctx, r)
		}),
	}
}

func millis(name string, otherwise time.Duration) time.Duration {
	ms, err := strconv.ParseInt(os.Getenv(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return time.Duration(ms) * time.Millisecond
}

func run() error {
	bounded := os.Getenv("BOUNDED") == "1"
	prices, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(os.Getenv("DOWNSTREAM_PRICES"), "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer prices.Close()
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		return err
	}
	address := listener.Addr()
	metrics := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram())
	prometheus.MustRegister(metrics)
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(metrics.UnaryServerInterceptor()),
		grpc.ChainStreamInterceptor(metrics.StreamServerInterceptor()),
	}
	keep := keepalive.ServerParameters{MaxConnectionAge: millis("CONNECTION_AGE_MS", time.Duration(math.MaxInt64))}
	if bounded {
		keep.MaxConnectionIdle = millis("CONNECTION_IDLE_MS", 5*time.Minute)
		keep.Time, keep.Timeout = 30*time.Second, 10*time.Second
		listener = netutil.LimitListener(listener, connections)
		debug.SetMemoryLimit(mostMemory / 10 * 9)
		options = append(options, bounds()...)
	}
	options = append(options, grpc.KeepaliveParams(keep))
	grpcServer := grpc.NewServer(options...)
	hellov1.RegisterHelloServiceServer(grpcServer, &server{prices: prices})
	checks := health.NewServer()
	healthpb.RegisterHealthServer(grpcServer, checks)
	metrics.InitializeMetrics(grpcServer)

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		checks.Shutdown()
		if bounded {
			time.AfterFunc(millis("DRAIN_MS", 20*time.Second), grpcServer.Stop)
		}
		grpcServer.GracefulStop()
	}()
	fmt.Fprintf(os.Stderr, "{\"message\":\"serving\",\"listen\":%q}\n", address)
	return grpcServer.Serve(listener)
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
