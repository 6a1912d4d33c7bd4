package main

import (
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

// report is the page: what was measured, and of each table what it means.
func report(r result) string {
	page := &page{}
	page.head(r)
	page.overload(r)
	page.price(r)
	page.hostile(r)
	page.also(r)
	return page.String()
}

// page is Markdown that is written line by line.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// width is how long a line of text may be.
const width = 120

// paragraph writes one in lines of [width].
func (p *page) paragraph(format string, args ...any) { p.wrapped("", fmt.Sprintf(format, args...)) }

// item writes one of a list.
func (p *page) item(format string, args ...any) { p.wrapped("- ", fmt.Sprintf(format, args...)) }

// wrapped writes text in lines of [width], the first behind a mark and the others below the text of the first.
func (p *page) wrapped(mark, text string) {
	if mark == "" {
		p.line("")
	}
	line := strings.TrimSuffix(mark, " ")
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			p.line("%s", line)
			line = strings.Repeat(" ", len(mark)) + word
		default:
			line += " " + word
		}
	}
	p.line("%s", line)
}

// section begins one, with a paragraph that says what was done.
func (p *page) section(title, format string, args ...any) {
	p.line("\n## %s", title)
	p.paragraph(format, args...)
}

// table writes one, with a row for each server.
func (p *page) table(r result, columns []string, cells func(row) []string) {
	p.line("\n| | %s |", strings.Join(columns, " | "))
	p.line("|---|%s", strings.Repeat("--:|", len(columns)))
	for _, row := range r.Rows {
		p.line("| %s | %s |", row.Name, strings.Join(cells(row), " | "))
	}
}

// find is the first row of that name, and whether there is one.
func (r result) find(name string) (row, bool) {
	for _, row := range r.Rows {
		if row.Name == name {
			return row, true
		}
	}
	return row{}, false
}

// first is that of the generated service.
func (r result) first() (row, bool) {
	for _, row := range r.Rows {
		if row.Ours {
			return row, true
		}
	}
	return row{}, false
}

func (p *page) head(r result) {
	m := r.Machine
	p.line(`# Benchmarks of the generated service

The generated service beside what a team would write instead, under the same load, in one run of %[1]sbench/service%[1]s on one
machine. The program writes this page; do not edit it.

- *generated*: %[1]srustgen new hello --downstream prices%[1]s, in three of its six builds of allocator and runtime; the first also
  with a memory budget of 64 MiB.
- *naive tonic*: what the tutorials lead to, also with %[1]sspawn_blocking%[1]s. *grpc-go*: as the fleet's services are written, also
  with bounds that a careful team adds by hand.

All have the same API and the same business code, and all Rust is compiled with the generated service's profile. The program
edits the generated service as a team would: one key of %[1]sLookup%[1]s is answered with 60 kB, and the policy of %[1]sScore%[1]s says 15 ms,
which is what a call takes here.

%[1]s%[1]s%[1]ssh
bench/service/run.sh            # about twenty minutes after the builds; leave the machine alone meanwhile
bench/service/run.sh -quick     # two builds of the generated service, shorter phases; writes no page
%[1]s%[1]s%[1]s`, "`")
	p.paragraph("%s, %d cores, %s of memory, %s, %s, %s; %s. Over 127.0.0.1, %s.", m.CPU, m.Cores, m.Memory, m.Kernel, m.Rust,
		strings.TrimPrefix(m.Go, "go version "), m.When, r.Cores)
	if load, err := strconv.ParseFloat(m.LoadBefore, 64); err != nil || load > busy {
		p.paragraph("**The machine was not quiet**: its load average was %s before the run. Times and rates are worse than on a machine "+
			"of their own, and servers compare only roughly.", m.LoadBefore)
	}
	if r.Note != "" {
		p.paragraph("%s", r.Note)
	}
}

func (p *page) overload(r result) {
	if r.Rows[0].Load.Offered == 0 {
		return
	}
	p.section("Overload", `%.0f calls/s arrive for %.0f s, at random times: %.1f times what %s answers to callers that wait for
each other (%.0f calls/s). A call has 4 KiB, takes 5 ms of CPU and asks another service, which takes 10 ms. Its caller waits 1 s.
*Goodput* is what was answered with OK within that second, while the load went on; times are those of these calls, from the
moment at which each was due. *Refused* is RESOURCE_EXHAUSTED at once; *late* is what ran out of its second, or was not even sent
because 20,000 others were waiting. Health is asked every 20 ms by a process of its own, and has a second, as a kubelet gives it.`,
		r.Rows[0].Load.Offered, r.Seconds, overloadFactor, r.Reference, r.Capacity)
	p.table(r, []string{"goodput, calls/s", "p50", "p99", "health p99", "health failed", "refused", "late", "peak memory"},
		func(row row) []string {
			l := row.Load
			return []string{
				fmt.Sprintf("%.0f", l.Goodput), ms(l.HeavyP50), ms(l.HeavyP99), ms(l.HealthP99),
				fmt.Sprintf("%d of %d", l.HealthFailed, l.HealthChecks), strconv.Itoa(l.Codes["ResourceExhausted"]),
				strconv.Itoa(l.Codes["DeadlineExceeded"] + l.Unsent), mb(l.PeakRSS),
			}
		})
	p.paragraph("What it means: goodput is the callers who were served. Where health fails, a kubelet takes the pod out or "+
		"restarts it, and its load goes to the others.%s", compared(r, func(row row) float64 { return row.Load.Goodput }, "goodput"))
}

func (p *page) price(r result) {
	if r.Rows[0].Price.Call == 0 {
		return
	}
	p.section("The price of a cheap call", `h2load asks for %d calls of Lookup, which does next to nothing, on %d connections with %d
calls at once on each; then for %d streams of %d events, one each millisecond. CPU is user and system time of the server, by call
and by event; the servers take turns, and each figure is the median of %d. Metrics, admission and traces of the generated service are on, as they are by default; grpc-go has its metrics;
naive tonic has none.`, r.Rows[0].Price.Calls, priceConnections, priceStreams, r.Rows[0].Price.Streams, priceEvents, priceRounds)
	p.table(r, []string{"CPU of a call", "calls/s", "CPU of an event", "events/s"}, func(row row) []string {
		return []string{
			us(row.Price.Call), fmt.Sprintf("%.0f", row.Price.CallsPerSecond),
			us(row.Price.Event), fmt.Sprintf("%.0f", row.Price.EventsPerSecond),
		}
	})
	p.paragraph("What it means: this is what the layer costs where nothing goes wrong; a handler's own work comes on top.%s",
		compared(r, func(row row) float64 { return float64(row.Price.Call) }, "CPU of a call"))
}

// compared says how the generated service stands to the two that everybody has.
func compared(r result, value func(row) float64, what string) string {
	ours, ok := r.first()
	var all []string
	for _, name := range []string{"naive tonic", "grpc-go"} {
		if other, found := r.find(name); ok && found && value(other) > 0 {
			all = append(all, fmt.Sprintf("%.2f times that of %s", value(ours)/value(other), name))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf(" The %s of %s is %s.", what, ours.Name, strings.Join(all, " and "))
}

func (p *page) hostile(r result) {
	if len(r.Rows[0].Attacks) == 0 {
		return
	}
	p.section("Hostile and careless peers, and healthy callers beside them", "For %.0f s the peers do what they can:",
		attackLength.Seconds())
	p.line("")
	var columns []string
	for _, a := range attacks {
		columns = append(columns, a.name)
		p.item("*%s*: %d connections that %s.", a.name, a.peers, a.what)
	}
	p.paragraph(`Peak memory of the server; of *resets* also whether the peers were told to calm down, of *idle* how many
connections were left.`)
	p.table(r, columns, func(row row) (cells []string) {
		for _, a := range attacks {
			s := row.Attacks[a.name]
			cell := mb(s.PeakRSS)
			if a.name == "resets" || a.name == "idle" {
				cell += ", " + s.Note
			}
			cells = append(cells, cell)
		}
		return cells
	})
	p.paragraph(`What it means: a container has a memory limit, and is killed above it with all its calls. The generated service is told
a budget of 512 MiB, and of 64 MiB in the row that says so: what peers can take follows from it.`)
	p.paragraph(`The healthy callers beside them have %d connections. On each a cheap call is made every 20 ms, and a stream of %d
events, one every 20 ms, is read again and again; each has a second. They share the generator's cores with the peers. First the p99
of the calls, then the calls that failed, then the streams that did not bring all their events.`, healthyConnections, eventsOfStream)
	p.table(r, columns, func(row row) (cells []string) {
		for _, a := range attacks {
			s := row.Attacks[a.name]
			cells = append(cells, fmt.Sprintf("%s; %d of %d; %d of %d", ms(s.P99), s.Failed, s.Calls, s.Ended, s.Streams))
		}
		return cells
	})
	p.paragraph("What it means: bounds are worth little if those who do nothing wrong pay for them.")
}

func (p *page) also(r result) {
	if r.Rows[0].Aged.Calls == 0 {
		return
	}
	p.section("Also", "What else a process meets in its life:")
	p.line("")
	p.item(`*Out of descriptors*: 40 are left to the process, and 60 connections are held; its CPU time and log lines in 2 s. A server
that spins there takes the CPU from the calls that it has.`)
	p.item(`*Connection age*: connections live for 1 s (naive tonic: with a grace of 200 ms) under ten Go clients with calls of 300 ms;
calls that failed. Each one is seen at every rollout.`)
	p.item(`*SIGTERM* while a stream goes on for an hour, with a drain of 2 s where that can be told. What is still there is killed by
the kubelet, with all that it would have written.`)
	p.item(`*Callers that give up* after 10 ms on 50 ms of CPU, 60 a second: p99 of a cheap call beside them, and how many failed.`)
	p.table(r, []string{"out of descriptors", "connection age", "SIGTERM", "callers that give up"}, func(row row) []string {
		age := fmt.Sprintf("%d of %d", row.Aged.Failed, row.Aged.Calls)
		if row.Aged.Refused > 0 {
			age += fmt.Sprintf(", %d refused by its bounds", row.Aged.Refused)
		}
		return []string{
			fmt.Sprintf("%.2f s, %d lines", row.Starved.CPU.Seconds(), row.Starved.Lines), age, row.Ended.String(),
			fmt.Sprintf("%s, %d of %d", ms(row.Impatient.CheapP99), row.Impatient.CheapFailed, row.Impatient.CheapCalls),
		}
	})
}

func us(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond)) }

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
