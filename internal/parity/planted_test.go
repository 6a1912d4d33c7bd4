package parity

import (
	"regexp"
	"strings"
	"testing"

	"rustgen/internal/parity/live"
)

const exported = `# HELP grpc_calls_total Calls.
# TYPE grpc_calls_total counter
grpc_calls_total{grpc_code="OK",grpc_method="Get"} 3
# HELP grpc_seconds Durations.
# TYPE grpc_seconds histogram
grpc_seconds_bucket{grpc_method="Get",le="0.1"} 3
grpc_seconds_bucket{grpc_method="Get",le="1"} 3
grpc_seconds_bucket{grpc_method="Get",le="+Inf"} 3
grpc_seconds_sum{grpc_method="Get"} 0.12
grpc_seconds_count{grpc_method="Get"} 3
`

// A comparison that finds nothing in what differs would let every dialect pass.
func TestPlantedDifferencesAreFound(t *testing.T) {
	everything := regexp.MustCompile("^grpc_")
	parse := func(text string) live.Families {
		families, err := live.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return families
	}
	if found := differences(parse(exported), parse(exported), everything); len(found) > 0 {
		t.Errorf("in what is the same: %q", found)
	}
	for what, c := range map[string]struct{ old, new, want string }{
		"name":    {"grpc_calls_total", "grpc_called_total", "grpc_called_total: Go does not export it"},
		"type":    {"TYPE grpc_calls_total counter", "TYPE grpc_calls_total gauge", "grpc_calls_total: GAUGE, in Go COUNTER"},
		"help":    {"HELP grpc_calls_total Calls.", "HELP grpc_calls_total Call.", `grpc_calls_total: help "Call.", in Go "Calls."`},
		"label":   {"grpc_code=", "code=", `grpc_calls_total{code="OK",grpc_method="Get"}: Go does not export it`},
		"spelled": {`"OK"`, `"ok"`, `grpc_calls_total{grpc_code="OK",grpc_method="Get"}: only Go exports it`},
		"value":   {`grpc_calls_total{grpc_code="OK",grpc_method="Get"} 3`, `grpc_calls_total{grpc_code="OK",grpc_method="Get"} 4`, `grpc_calls_total{grpc_code="OK",grpc_method="Get"}: value 4, in Go 3`},
		"bucket":  {`le="1"`, `le="2"`, `grpc_seconds{grpc_method="Get"}: buckets 0.1 2 +Inf, in Go 0.1 1 +Inf`},
		"unit":    {"Get\"} 0.12", "Get\"} 120", `grpc_seconds{grpc_method="Get"}: sum 120, in Go 0.12`},
	} {
		t.Run(what, func(t *testing.T) {
			changed := strings.ReplaceAll(exported, c.old, c.new)
			found := strings.Join(differences(parse(exported), parse(changed), everything), "\n")
			if !strings.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
			if left := unexplained(strings.Split(found, "\n"), []deliberate{{"^nothing like it$", "planted"}}); len(left) < 2 {
				t.Errorf("an explanation of something else explains it: %q", left)
			}
		})
	}
}
