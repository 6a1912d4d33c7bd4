package ship

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// ruleFiles hold what is recorded, and who is told.
var ruleFiles = []string{"recordingrules.yaml", "prometheusrule.yaml"}

// prometheus scrapes one service with the tree's rules, and answers queries.
type prometheus struct{ url string }

func startPrometheus(t *testing.T, r rendered, admin string) *prometheus {
	t.Helper()
	need(t, "prometheus", "apt-get install prometheus")
	dir := t.TempDir()
	files := map[string]string{}
	for _, name := range ruleFiles {
		_, rules, ok := strings.Cut(string(r.Tree["deploy/base/"+name].Data), "\nspec:\n")
		if !ok {
			t.Fatalf("no spec in %s", name)
		}
		// Rules are evaluated every second here: in production twice a minute would do.
		files[name] = regexp.MustCompile(`interval: \d+s`).ReplaceAllString(strings.ReplaceAll(rules, "\n  ", "\n")[2:], "interval: 1s")
	}
	config := fmt.Sprintf(`
global: {scrape_interval: 1s}
rule_files: [recordingrules.yaml, prometheusrule.yaml]
scrape_configs:
  - job_name: %s
    static_configs:
      - targets: [%q]
        labels: {namespace: %s, pod: a-0, instance: a-0}
`, r.data["name"], admin, r.data["name"])
	files["prometheus.yaml"] = config
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	listen := freeAddress(t)
	command := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen, "--log.level=warn")
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	p := &prometheus{"http://" + listen}
	for range 100 {
		if _, err := p.query("1"); err == nil {
			return p
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("Prometheus does not start")
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// query returns the numbers that an expression gives.
func (p *prometheus) query(expression string) ([]float64, error) {
	var answer []struct{ Value [2]any }
	if err := p.ask("query", url.Values{"query": {expression}}, &answer); err != nil {
		return nil, err
	}
	var numbers []float64
	for _, one := range answer {
		number, err := strconv.ParseFloat(one.Value[1].(string), 64)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// ask gives the series of an answer. One that is a plain number has none.
func (p *prometheus) ask(what string, query url.Values, into any) error {
	response, err := http.Get(p.url + "/api/v1/" + what + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", query.Get("query"), answer.Error)
	}
	if answer.Data.ResultType == "scalar" {
		return nil
	}
	return json.Unmarshal(answer.Data.Result, into)
}

// dataless are the dashboard's queries, and the metrics of alerts, that this Prometheus has no data for.
func (p *prometheus) dataless(t *testing.T, r rendered) []string {
	t.Helper()
	var found []string
	for what, expressions := range parseDashboard(t, r).queries() {
		for _, expression := range expressions {
			// Of the kubelet, which is not here.
			if strings.Contains(expression, "container_cpu_") {
				continue
			}
			expression = allChosen(expression, "15s")
			numbers, err := p.query(expression)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(numbers, func(number float64) bool { return !math.IsNaN(number) }) {
				found = append(found, fmt.Sprintf("%s has no data for %s", what, expression))
			}
		}
	}
	// Outside a cluster there is nobody to say how often a container restarted.
	metrics := regexp.MustCompile(`\b((?:hotpath|grpc|rpc|process)[a-z0-9_:]+)(?:\{| >| \*|$)`)
	for _, name := range ruleFiles {
		for _, use := range metrics.FindAllSubmatch(r.Tree["deploy/base/"+name].Data, -1) {
			if numbers, err := p.query(string(use[1])); err != nil || len(numbers) == 0 {
				found = append(found, fmt.Sprintf("a rule uses %s, which nobody exports", use[1]))
			}
		}
	}
	return found
}

// serve runs a built service on ports of its choice, until the end of the test.
func serve(t *testing.T, binary string, settings ...string) (listen, admin string) {
	t.Helper()
	process := exec.Command(binary)
	process.Env = append(os.Environ(), append([]string{"LISTEN=127.0.0.1:0", "ADMIN=127.0.0.1:0", "STATE_DIR=" + t.TempDir()}, settings...)...)
	stderr, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var line struct{ Message, Listen, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "serving" {
			go io.Copy(io.Discard, stderr)
			return line.Listen, line.Admin
		}
		t.Log(lines.Text())
	}
	t.Fatal("the service does not start")
	return "", ""
}

// downstream answers every call with an empty message, and every tenth with an error.
func downstream(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var calls int
	server := grpc.NewServer(grpc.NumStreamWorkers(1), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(new(emptypb.Empty)); err != nil {
			return err
		}
		if calls++; calls%10 == 0 {
			return context.DeadlineExceeded
		}
		return stream.SendMsg(new(emptypb.Empty))
	}))
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// Every query of the dashboard, and every metric that a rule reads, has data from the running service.
func TestMonitoringAgainstPrometheus(t *testing.T) {
	need(t, "prometheus", "apt-get install prometheus")
	driver := buildDriver(t)
	for _, name := range []string{"full", "otel"} {
		t.Run(name, func(t *testing.T) {
			r := renderTree(t, cases[name])
			settings := []string{"CPU_WIDTH=1", "MAX_DEADLINE_MS=20000"}
			for _, service := range r.data["downstream"].([]string) {
				settings = append(settings, "DOWNSTREAM_"+strings.ToUpper(strings.ReplaceAll(service, "-", "_"))+"=http://"+downstream(t))
			}
			listen, admin := serve(t, r.binary(t, r.write(t)), settings...)
			p := startPrometheus(t, r, admin)
			mustRun(t, ".", driver, "-mode", "traffic", "-target", listen)
			var found []string
			for range 20 {
				if found = p.dataless(t, r); len(found) == 0 {
					break
				}
				time.Sleep(time.Second)
			}
			for _, query := range found {
				t.Error(query)
			}

			// The rules as Prometheus runs them.
			response, err := http.Get(p.url + "/api/v1/rules")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var rules struct {
				Data struct {
					Groups []struct {
						Rules []struct{ Name, Health, LastError string }
					}
				}
			}
			if err := json.NewDecoder(response.Body).Decode(&rules); err != nil {
				t.Fatal(err)
			}
			count := 0
			for _, group := range rules.Data.Groups {
				for _, rule := range group.Rules {
					count++
					if rule.Health == "err" {
						t.Errorf("%s: %s", rule.Name, rule.LastError)
					}
				}
			}
			if count < 20 {
				t.Errorf("Prometheus runs %d rules", count)
			}

			// Planted: a query of something that nobody exports.
			faulty := r.with(t, "deploy/base/dashboard.json", "hotpath_cpu_busy", "hotpath_cpu_bussy")
			faulty = faulty.with(t, "deploy/base/prometheusrule.yaml", "hotpath_connections_limit >", "hotpath_connection_limit >")
			if found := p.dataless(t, faulty); len(found) != 2 {
				t.Errorf("of two planted faults these were found: %q", found)
			}
			if output, err := exec.Command("sh", "-c", fmt.Sprintf("curl -s http://%s/metrics | promtool check metrics", admin)).CombinedOutput(); err != nil || len(output) > 0 {
				t.Errorf("promtool check metrics: %v\n%s", err, output)
			}
		})
	}
}
