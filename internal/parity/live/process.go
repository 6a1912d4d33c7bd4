package live

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Process is a server under test, started on free ports of 127.0.0.1.
type Process struct {
	Listen string
	Admin  string

	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	lines []string
}

// ErrGone says that the process ended before it served.
var ErrGone = errors.New("ended before it served")

// Start starts a server that logs one JSON line with `"message":"serving"` and its addresses, and waits for that line.
// What is in env takes the place of the defaults: free ports, no delay before the drain.
func Start(ctx context.Context, binary string, env ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(binary), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "LISTEN=127.0.0.1:0", "ADMIN=127.0.0.1:0", "DRAIN_DELAY_MS=0")
	p.cmd.Env = append(p.cmd.Env, env...)
	// Out of reach of the terminal's Ctrl-C, and gone with whoever started it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	log, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	serving := make(chan struct{})
	go p.follow(log, serving)
	select {
	case <-serving:
		return p, nil
	case <-p.done:
		return p, fmt.Errorf("%s %w: %v\n%s", binary, ErrGone, p.cmd.ProcessState, p.Log())
	case <-ctx.Done():
		p.Kill()
		return p, fmt.Errorf("%s does not say that it serves: %w\n%s", binary, ctx.Err(), p.Log())
	}
}

func (p *Process) follow(log io.Reader, serving chan<- struct{}) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Message, Listen, Admin string }
		if p.Listen == "" && json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "serving" {
			p.Listen, p.Admin = line.Listen, line.Admin
			close(serving)
		}
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		p.mu.Unlock()
	}
	// Whatever else it writes must not block it.
	_, _ = io.Copy(io.Discard, log)
	_ = p.cmd.Wait()
	close(p.done)
}

// Lines are the lines of its log so far.
func (p *Process) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[:len(p.lines):len(p.lines)]
}

// Log is its log so far.
func (p *Process) Log() string { return strings.Join(p.Lines(), "\n") }

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends it a signal.
func (p *Process) Signal(signal syscall.Signal) error { return p.cmd.Process.Signal(signal) }

// Wait waits for its end and returns its exit code, or -1 if it is still there after the time.
func (p *Process) Wait(most time.Duration) int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(most):
		return -1
	}
}

// Kill ends it at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Get asks its admin port for a page.
func (p *Process) Get(path string) (int, string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get("http://" + p.Admin + path)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// Families are what it exports, by name.
type Families map[string]*dto.MetricFamily

// Metrics scrapes it.
func (p *Process) Metrics() (Families, error) {
	code, text, err := p.Get("/metrics")
	if err != nil {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %d", code)
	}
	return Parse(text)
}

// Parse reads Prometheus's text.
func Parse(text string) (Families, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(strings.NewReader(text))
}

// Value is the sum of the samples of a counter or gauge whose labels hold the given pairs; of a histogram, their number.
func (f Families) Value(name string, labels ...string) float64 {
	var sum float64
	for _, metric := range f[name].GetMetric() {
		if !has(metric, labels) {
			continue
		}
		sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		sum += float64(metric.GetHistogram().GetSampleCount())
	}
	return sum
}

func has(metric *dto.Metric, pairs []string) bool {
	for i := 0; i+1 < len(pairs); i += 2 {
		found := false
		for _, label := range metric.Label {
			found = found || label.GetName() == pairs[i] && label.GetValue() == pairs[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

// Usage is what the kernel says of a process.
type Usage struct {
	// RSS and Peak are bytes.
	RSS, Peak int64
	// CPU is user and system time.
	CPU time.Duration
}

// Usage reads /proc.
func (p *Process) Usage() (Usage, error) {
	var usage Usage
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return usage, err
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch key {
		case "VmRSS":
			usage.RSS = kib << 10
		case "VmHWM":
			usage.Peak = kib << 10
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return usage, err
	}
	// The fields behind the command, which may hold anything: utime and stime are the 12th and 13th, in hundredths.
	_, after, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return usage, fmt.Errorf("/proc/%d/stat: %q", p.PID(), stat)
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	usage.CPU = time.Duration(user+system) * 10 * time.Millisecond
	return usage, nil
}
