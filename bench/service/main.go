// Service compares generated services with what else a team might have: a naive tonic service and a grpc-go service of
// the same API, under the same load and the same hostile peers, in one run on one machine. It writes docs/benchmarks.md.
//
// The server has cores of its own, and the load generator others.
//
//	go run .            # everything, about twenty minutes on two cores after the builds
//	go run . -quick     # shorter phases, two builds of the generated service; for trying it out
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rustgen/internal/parity/live"
)

// overloadFactor is how many times its capacity is asked of a server.
const overloadFactor = 6.5

// row is everything that was measured of one server.
type row struct {
	Name string
	Ours bool
	// Others is the load average when its turn came.
	Others    string
	Load      overload
	Price     price
	Attacks   map[string]survived
	Starved   descriptors
	Aged      aged
	Ended     ended
	Impatient impatient
}

// result is one run.
type result struct {
	Machine machine
	// Cores are those of the server and of the load generator, in words.
	Cores string
	// Note is what a reader must know of this run beside that.
	Note      string
	Reference string
	Capacity  float64
	Seconds   float64
	Rows      []row
}

func main() {
	quick := flag.Bool("quick", false, "shorter phases, and only two builds of the generated service")
	reuse := flag.Bool("reuse", false, "build nothing: measure the binaries of the last run")
	only := flag.String("only", "", "servers whose name matches this expression")
	parts := flag.String("parts", "load,price,hostile,also", "what to measure")
	dir := flag.String("dir", filepath.Join(live.Target(), "bench"), "where binaries and the result go")
	page := flag.String("page", "", "the page to write, beside result.json")
	attack := flag.String("attack", "", "hostile peers whose name matches this expression")
	caller := flag.String("caller", "", "measure nothing: be a caller until there is no more input: health or healthy")
	address := flag.String("address", "", "where -caller calls")
	from := flag.String("from", "", "measure nothing: write the page of this result.json again")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	names, err := regexp.Compile(*only)
	kinds, kindsErr := regexp.Compile(*attack)
	switch err = cmp.Or(err, kindsErr); {
	case err != nil:
	case *caller != "":
		err = call(asked(*caller), *address, os.Stdin, os.Stdout)
	case *from != "":
		err = again(*from, *page)
	default:
		err = run(ctx, settings{*quick, *reuse, names, kinds, *parts, *dir, *page})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type settings struct {
	quick, reuse     bool
	only, attack     *regexp.Regexp
	parts, dir, page string
}

func (s settings) wants(name string) bool {
	if s.quick && strings.HasPrefix(name, "generated") &&
		name != "generated, system, multi-thread" && name != "generated, jemalloc, current-thread" {
		return false
	}
	return s.only.MatchString(name)
}

func run(ctx context.Context, s settings) error {
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	split, err := splitCores()
	if err == nil && strings.Contains(s.parts, "price") {
		err = needH2load()
	}
	if err != nil {
		return err
	}
	variants, err := servers(ctx, dir, s.wants, s.reuse, split)
	if err != nil {
		return err
	}
	if len(variants) == 0 {
		return fmt.Errorf("no server is called %s", s.only)
	}
	// From here on: the builds had all cores.
	if err := split.keepToGenerator(); err != nil {
		return err
	}
	prices, stopPrices, err := downstream()
	if err != nil {
		return err
	}
	defer stopPrices()
	length := 8 * time.Second
	if s.quick {
		length = 4 * time.Second
	}
	if !s.reuse {
		settle(ctx)
	}
	found := result{Machine: thisMachine(), Cores: split.String(), Seconds: length.Seconds()}
	if err := found.measure(ctx, s, variants, prices, length); err != nil {
		return err
	}
	data, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "result.json"), data, 0o644); err != nil {
		return err
	}
	return publish(found, s.page)
}

// settle waits until the builds are out of the load average, at most three minutes.
func settle(ctx context.Context) {
	for range 36 {
		if load, err := strconv.ParseFloat(loadAverage(), 64); err != nil || load < busy || ctx.Err() != nil {
			return
		}
		time.Sleep(5 * time.Second)
	}
}

// again writes the page of a run that was.
func again(file, page string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var found result
	if err := json.Unmarshal(data, &found); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return publish(found, page)
}

func publish(found result, page string) error {
	text := report(found)
	fmt.Print(text)
	if page == "" {
		return nil
	}
	return os.WriteFile(page, []byte(text), 0o644)
}

func (found *result) measure(ctx context.Context, s settings, variants []variant, prices string, length time.Duration) error {
	// One rate for all, so that all face the same: a multiple of what the first build of the generated service, or else the
	// first server, answers when its callers wait for each other.
	reference := variants[0]
	for _, v := range variants {
		if v.ours {
			reference = v
			break
		}
	}
	process, err := reference.start(ctx, "DOWNSTREAM_PRICES=http://"+prices)
	if err != nil {
		return err
	}
	found.Capacity, err = capacity(ctx, process.Listen, 4*time.Second)
	process.Kill()
	if err != nil {
		return err
	}
	found.Reference = reference.name
	step(fmt.Sprintf("capacity: %.0f calls/s", found.Capacity))
	for _, v := range variants {
		r := row{Name: v.name, Ours: v.ours, Others: loadAverage(), Attacks: map[string]survived{}}
		if strings.Contains(s.parts, "load") {
			step(v.name + ": overload")
			if r.Load, err = overloaded(ctx, v, prices, overloadFactor*found.Capacity, length); err != nil {
				return fmt.Errorf("%s: overload: %w", v.name, err)
			}
		}
		if strings.Contains(s.parts, "hostile") {
			if err := r.attacked(ctx, s, v, prices); err != nil {
				return err
			}
		}
		if strings.Contains(s.parts, "also") {
			if err := r.also(ctx, v, prices, length/2); err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
		}
		found.Rows = append(found.Rows, r)
	}
	if strings.Contains(s.parts, "price") {
		return found.price(ctx, variants, prices, s.quick)
	}
	return nil
}

// price measures the servers in turn, again and again, and keeps the median of each: the speed of a machine changes by half
// within a run, and what is compared is to meet the same of it.
func (found *result) price(ctx context.Context, variants []variant, prices string, quick bool) error {
	measured := make([][]price, len(variants))
	for round := range priceRounds {
		for i, v := range variants {
			step(fmt.Sprintf("%s: the price of a cheap call, %d of %d", v.name, round+1, priceRounds))
			one, err := priced(ctx, v, prices, quick)
			if err != nil {
				return fmt.Errorf("%s: price: %w", v.name, err)
			}
			measured[i] = append(measured[i], one)
		}
	}
	for i := range variants {
		found.Rows[i].Price = middle(measured[i])
	}
	return nil
}

func (r *row) attacked(ctx context.Context, s settings, v variant, prices string) (err error) {
	for _, a := range attacks {
		if !s.attack.MatchString(a.name) {
			continue
		}
		step(v.name + ": " + a.name)
		if r.Attacks[a.name], err = attacked(ctx, v, a, prices); err != nil {
			return fmt.Errorf("%s: %s: %w", v.name, a.name, err)
		}
	}
	return nil
}

func (r *row) also(ctx context.Context, v variant, prices string, length time.Duration) (err error) {
	step(v.name + ": out of descriptors")
	if r.Starved, err = starved(ctx, v, prices); err != nil {
		return err
	}
	step(v.name + ": connection age")
	if r.Aged, err = grownOld(ctx, v, prices); err != nil {
		return err
	}
	step(v.name + ": SIGTERM")
	if r.Ended, err = terminated(ctx, v, prices); err != nil {
		return err
	}
	step(v.name + ": callers that give up")
	r.Impatient, err = givenUp(ctx, v, prices, length)
	return err
}
