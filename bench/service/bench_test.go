package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestServerAndGeneratorShareNoCore(t *testing.T) {
	split, err := splitCores()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	for _, core := range numbers(split.server) {
		if split.generator.IsSet(core) {
			t.Errorf("core %d is of both", core)
		}
	}
	var process *exec.Cmd
	err = split.onServer(func() error {
		process = exec.Command("sleep", "60")
		return process.Start()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = process.Process.Kill(), process.Wait() }()
	var its unix.CPUSet
	if err := unix.SchedGetaffinity(process.Process.Pid, &its); err != nil || its != split.server {
		t.Errorf("a server has the cores %v, and not %v: %v", numbers(its), numbers(split.server), err)
	}
}

const said = `
finished in 2.05s, 14634.15 req/s, 500.20KB/s
requests: 30000 total, 30000 started, 30000 done, 30000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 30000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.00MB (1050136) total, 59.00KB (60416) headers (space savings 97.90%), 234.38KB (240000) data
                     min         max         mean         sd        +/- sd
`

func TestEachFigureOfAPriceIsTheMedian(t *testing.T) {
	got := middle([]price{{Calls: 9, Call: 3, CallsPerSecond: 1}, {Calls: 9, Call: 1, CallsPerSecond: 3}, {Calls: 9, Call: 2, CallsPerSecond: 9}})
	if want := (price{Calls: 9, Call: 2, CallsPerSecond: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOnlyWhatWasAnsweredHasAPrice(t *testing.T) {
	if took, err := answered([]byte(said), 30_000, 240_000); err != nil || took != 2050*time.Millisecond {
		t.Errorf("%v, %v", took, err)
	}
	for name, text := range map[string]string{
		"a reply is missing":   strings.Replace(said, "(240000) data", "(239992) data", 1),
		"a call failed":        strings.Replace(said, "30000 succeeded", "29999 succeeded", 1),
		"h2load says no word":  "",
		"it was stopped early": strings.Replace(said, "finished in", "after", 1),
	} {
		if _, err := answered([]byte(text), 30_000, 240_000); err == nil {
			t.Errorf("%s, and that is no error", name)
		}
	}
}

func TestPageHasEveryTable(t *testing.T) {
	r := result{Seconds: 8, Reference: "generated, a", Capacity: 100, Cores: "server on core 0, load generator on core 1"}
	for _, name := range []string{"naive tonic", "grpc-go", "generated, a"} {
		attacked := map[string]survived{}
		for _, a := range attacks {
			attacked[a.name] = survived{PeakRSS: 7e6, Note: "noted", Calls: 9, Streams: 4}
		}
		r.Rows = append(r.Rows, row{
			Name: name, Ours: strings.HasPrefix(name, "generated"), Attacks: attacked, Aged: aged{Calls: 200},
			Load: overload{Offered: 650, Goodput: 40}, Price: price{Call: 20 * time.Microsecond, CallsPerSecond: 40_000},
		})
	}
	r.Rows[2].Load.Goodput, r.Rows[2].Price.Call = 80, 22*time.Microsecond
	text := strings.ReplaceAll(report(r), "\n", " ")
	for _, want := range []string{
		"## Overload", "## The price of a cheap call", "## Hostile and careless peers", "## Also", "server on core 0, load generator on core 1",
		"The goodput of generated, a is 2.00 times that of naive tonic and 2.00 times that of grpc-go.",
		"The CPU of a call of generated, a is 1.10 times that of naive tonic",
		"| naive tonic | 20.0 µs | 40000 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if strings.Contains(text, "%!") {
		t.Errorf("the page is not formatted:\n%s", text)
	}
	if rows := strings.Count(text, " | grpc-go |"); rows != 5 {
		t.Errorf("%d tables have a row of grpc-go, and not five", rows)
	}
}
