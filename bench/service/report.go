package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine is where a run took place.
type machine struct {
	CPU        string
	Cores      int
	Memory     string
	Kernel     string
	Rust, Go   string
	When       string
	LoadBefore string
}

func thisMachine() machine {
	return machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Memory: field("/proc/meminfo", "MemTotal"),
		Kernel: output("uname", "-sr"), Rust: output("rustc", "--version"), Go: output("go", "version"),
		When: time.Now().UTC().Format("2006-01-02"), LoadBefore: loadAverage(),
	}
}

func field(file, key string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func output(command string, args ...string) string {
	text, err := exec.Command(command, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// busy is the load average from which a machine of two cores is not quiet.
const busy = 1

// loadAverage is that of the last minute.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	minute, _, _ := strings.Cut(string(text), " ")
	return minute
}

// report is the page.
func report(r result) string {
	var page strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&page, format+"\n", args...) }
	m := r.Machine
	line("# Benchmarks of the generated service")
	line("")
	line("One run of `bench/service`, on one machine, everything against 127.0.0.1: the generated service (`rustgen new hello")
	line("--downstream prices`, all six builds of allocator and runtime, one also with a small budget, and linked statically as for the image from scratch) beside a naive tonic service (`bench/service/naive`: what the")
	line("tutorials lead to, also with `spawn_blocking`) and a grpc-go service (`bench/service/gosvc`: as the fleet's are written, also")
	line("with bounds added by hand). All four share the proto and the business code, and all Rust is built with `lto` and one codegen")
	line("unit. One key of `Lookup` is answered with 60 kB, which the sample does not do: to the generated service the program adds it as a")
	line("team would, four lines in `src/handlers.rs` and `.reply(64 << 10)` in the line of `Lookup` in `src/policy.rs`. There it also")
	line("says that a call of `Score` takes 15 ms, which is what it takes here, and not the sample's 25: twice what keeps two CPUs busy")
	line("is then 12 calls in flight, as in the grpc-go service with its bounds. This page is written by the program; do not edit it.")
	line("")
	line("```sh")
	line("bench/service/run.sh            # about twenty minutes after the builds; leave the machine alone meanwhile")
	line("bench/service/run.sh -quick     # two of the six builds, shorter phases; writes no page")
	line("```")
	line("")
	line("%s, %d cores, %s of memory, %s, %s, %s; %s, load average before the run %s.", m.CPU, m.Cores, m.Memory, m.Kernel,
		m.Rust, strings.TrimPrefix(m.Go, "go version "), m.When, m.LoadBefore)
	line("The load generator runs on the same cores, and takes its part of them.")
	if load, err := strconv.ParseFloat(m.LoadBefore, 64); err != nil || load > busy {
		line("")
		line("**The machine was not quiet**: other work took part of it during this run, as the load average at each server's turn shows.")
		line("Times and rates are worse than on a machine of their own, servers with different averages compare only roughly, and what")
		line("peers can do in %.0f s is less.", attackLength.Seconds())
	}
	if r.Note != "" {
		line("")
		line("%s", r.Note)
	}
	overloadTable(line, r)
	attackTable(line, r)
	alsoTable(line, r)
	return page.String()
}

func overloadTable(line func(string, ...any), r result) {
	if r.Rows[0].Load.Offered == 0 {
		return
	}
	line("")
	line("## Overload")
	line("")
	line("Poisson arrivals at %.0f calls/s for %.0f s: %.1f times the %.0f calls/s that one server (%s)", r.Rows[0].Load.Offered,
		r.Seconds, overloadFactor, r.Capacity, r.Reference)
	line("answers to callers that wait for each other. Each call is 4 KiB, about 5 ms of CPU and a downstream call of 10 ms; callers")
	line("wait 5 s, on 8 connections. Latencies count from the moment at which a call was due. Health is asked for every 20 ms,")
	line("by a process of its own, as a kubelet does. Goodput")
	line("is calls answered OK; *refused* is RESOURCE_EXHAUSTED; *late* is DEADLINE_EXCEEDED, and arrivals that were never sent because")
	line("20,000 others were waiting.")
	line("")
	line("| | goodput, calls/s | p50 | p99 of answered heavy calls | p99 of health | health failed | refused | late | peak RSS | load average at its turn |")
	line("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, row := range r.Rows {
		l := row.Load
		line("| %s | %.0f | %s | %s | %s | %d of %d | %d | %d | %s | %s |", row.Name, l.Goodput, ms(l.HeavyP50), ms(l.HeavyP99), ms(l.HealthP99),
			l.HealthFailed, l.HealthChecks, l.Codes["ResourceExhausted"], l.Codes["DeadlineExceeded"]+l.Unsent, mb(l.PeakRSS), cmp.Or(row.Others, "not noted"))
	}
}

func attackTable(line func(string, ...any), r result) {
	if len(r.Rows[0].Attacks) == 0 {
		return
	}
	line("")
	line("## Hostile and careless peers")
	line("")
	line("Peak RSS while the peers do for %.0f s what they can, and in brackets how many of the calls of one honest caller failed", attackLength.Seconds())
	line("meanwhile, on a connection of its own (a cheap call every 20 ms, with a second for each). The memory budget of the generated")
	line("service is the default of 512 MiB, and 64 MiB in the row that says so: what peers can take follows from it, and stays below.")
	line("")
	line("- Peers that never read ask 1,000 times each for 60 kB: with a small request for one reply, and with one of 4 kB for a stream of")
	line("  15 events.")
	line("- Half a body is half of 1 MiB, the largest message of the generated service, begun 32 times on each connection; or of 256 KiB,")
	line("  128 times; or of 2 MiB, which its bounds refuse by the length in front of it, 16 times.")
	line("- Header floods are up to 3,000 calls on each connection with 15 kB of headers and no body.")
	line("- The reset flood opens calls and resets them, up to 50,000 times on each of 4 connections. The generated service lets 64")
	line("  such calls wait on a connection where tonic has 20, which costs a few hundred kilobytes here, so that a caller whose")
	line("  calls run out of time together is not taken for a flood.")
	line("- Idle connections: how many were kept at first, and how many after 5 s where the idle limit is set to 2 s.")
	line("")
	head, rule := "|", "|---|"
	for _, a := range attacks {
		head, rule = head+" | "+a.name, rule+"--:|"
	}
	line("%s |", head)
	line("%s", rule)
	for _, row := range r.Rows {
		cells := "| " + row.Name
		for _, a := range attacks {
			s := row.Attacks[a.name]
			cell := fmt.Sprintf("%s (%d of %d)", mb(s.PeakRSS), s.HonestFailed, s.HonestCalls)
			if strings.Contains(s.Note, "kept") || strings.Contains(s.Note, "CALM") || strings.Contains(s.Note, "calm") {
				cell += ", " + s.Note
			}
			cells += " | " + cell
		}
		line("%s |", cells)
	}
}

func alsoTable(line func(string, ...any), r result) {
	if r.Rows[0].Aged.Calls == 0 {
		return
	}
	line("")
	line("## Also")
	line("")
	line("- Out of descriptors: 40 are left to the process, and 60 connections are held; CPU time and log lines in 2 s.")
	line("- Connection age 1 s (naive: with a grace of 200 ms), ten Go clients, calls of 300 ms: failed calls.")
	line("- SIGTERM while a stream goes on for an hour, with a drain of 2 s where that can be told.")
	line("- Callers that give up after 10 ms on 50 ms of CPU, 60 a second: p99 of a cheap call beside them, and how many failed.")
	line("")
	line("| | out of descriptors | connection age | SIGTERM with an endless stream | callers that give up |")
	line("|---|--:|--:|--:|--:|")
	for _, row := range r.Rows {
		age := fmt.Sprintf("%d of %d", row.Aged.Failed, row.Aged.Calls)
		if row.Aged.Refused > 0 {
			age += fmt.Sprintf(", %d refused by its bounds", row.Aged.Refused)
		}
		line("| %s | %.2f s, %d lines | %s | %s | %s, %d of %d |", row.Name, row.Starved.CPU.Seconds(), row.Starved.Lines,
			age, row.Ended, ms(row.Impatient.CheapP99), row.Impatient.CheapFailed, row.Impatient.CheapCalls)
	}
}

func ms(d time.Duration) string {
	switch value := float64(d) / float64(time.Millisecond); {
	case value == 0:
		return "-"
	case value < 10:
		return fmt.Sprintf("%.1f ms", value)
	default:
		return fmt.Sprintf("%.0f ms", value)
	}
}

func mb(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }
