package orderpricerclient

import (
	"errors"
	"fmt"
	"hash/fnv"

	"google.golang.org/grpc"
)

// Partitions are connections to the replicas of the service, each of which owns the state of some keys.
type Partitions []*grpc.ClientConn

// DialPartitions makes a connection to each of the replicas, which the StatefulSet names order-pricer-0, order-pricer-1 and so
// on. Their number must be that of the StatefulSet, and the same for all callers: with another, keys go to replicas that
// do not hold their state.
func DialPartitions(replicas int, options ...grpc.DialOption) (Partitions, error) {
	return dialPartitions(replicas, "dns:///order-pricer-%d.order-pricer-headless.order-pricer:50051", options...)
}

// dialPartitions dials the replicas at the targets that the format makes of their numbers.
func dialPartitions(replicas int, format string, options ...grpc.DialOption) (Partitions, error) {
	if replicas < 1 {
		return nil, fmt.Errorf("%d replicas: there is at least one", replicas)
	}
	partitions := make(Partitions, 0, replicas)
	for i := range replicas {
		conn, err := Dial(fmt.Sprintf(format, i), options...)
		if err != nil {
			return nil, errors.Join(err, partitions.Close())
		}
		partitions = append(partitions, conn)
	}
	return partitions, nil
}

// For returns the connection to the replica that owns the key.
func (p Partitions) For(key string) *grpc.ClientConn {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(key)) // a hash never fails
	return p[jump(sum.Sum64(), len(p))]
}

// Close closes all connections.
func (p Partitions) Close() error {
	var failed error
	for _, conn := range p {
		failed = errors.Join(failed, conn.Close())
	}
	return failed
}

// jump is the jump consistent hash of Lamping and Veach (arXiv:1406.2294): one bucket more takes its fair part of the
// keys of each, and moves no other.
func jump(key uint64, buckets int) int {
	bucket, next := int64(-1), int64(0)
	for next < int64(buckets) {
		bucket = next
		key = key*2862933555777941757 + 1
		next = int64(float64(bucket+1) * (float64(int64(1)<<31) / float64(key>>33+1)))
	}
	return int(bucket)
}
