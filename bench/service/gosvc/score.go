package main

import (
	"context"
	"math"
	"slices"
	"strconv"
)

// score is the business code of the generated service: heavy on CPU and on the allocator, about 2.5 ms a round in Rust.
// It asks between rounds whether anyone still waits.
func score(ctx context.Context, payload []byte, rounds uint32) (float64, uint64, error) {
	sum, digest := 0.0, uint64(0xcbf29ce484222325)
	for round := range max(rounds, 1) {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		seed := uint64(round) ^ 0x9e3779b97f4a7c15 ^ uint64(len(payload))
		table := map[string][]float32{}
		for i := range 6000 {
			seed ^= seed << 13
			seed ^= seed >> 7
			seed ^= seed << 17
			b := byte(7)
			if len(payload) > 0 {
				b = payload[i%len(payload)]
			}
			name := "feature-" + strconv.FormatUint(seed%1500, 10) + "-" + strconv.Itoa(int(b))
			row := append(table[name], float32(seed%1000)/1000+float32(b))
			if len(row) > 8 {
				row = row[:0]
			}
			table[name] = row
		}
		names := make([]string, 0, len(table))
		for name := range table {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			for _, b := range []byte(name) {
				digest = (digest ^ uint64(b)) * 0x100000001b3
			}
			for _, x := range table[name] {
				sum += math.Sqrt(float64(x))
			}
		}
	}
	return sum, digest, nil
}
