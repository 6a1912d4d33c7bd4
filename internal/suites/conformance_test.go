package suites

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// cases is how many the suite has for what testdata/conformance.yaml says, and tlsCases for testdata/conformance-tls.yaml: a
// configuration that chooses fewer fails.
const (
	cases    = "374"
	tlsCases = "194"
)

// What fails is in testdata/KIND-fails.txt with its reason. The suite also fails where something of that list passes. By TLS
// the layer alone is served.
func TestConformance(t *testing.T) {
	suite := tool(t, "connectrpc.com/conformance/cmd/connectconformance")
	server := server(t)
	for _, run := range []struct{ name, kind, conf, cases string }{
		{"hotpath", "hotpath", "conformance.yaml", cases},
		{"tonic", "tonic", "conformance.yaml", cases},
		{"hotpath by TLS", "hotpath", "conformance-tls.yaml", tlsCases},
	} {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), suite, "--mode", "server", "--conf", "testdata/"+run.conf,
				"--known-failing", "@testdata/"+run.kind+"-fails.txt", "--", server, run.kind)
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			total := regexp.MustCompile(`(?m)^Total cases: (\d+)$`).FindSubmatch(out)
			if total == nil || string(total[1]) != run.cases {
				t.Fatalf("not %s cases were run:\n%s", run.cases, out)
			}
			_, tally, _ := strings.Cut(string(out), string(total[0]))
			t.Log(strings.TrimSpace(tally))
		})
	}
}
