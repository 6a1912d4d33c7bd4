package suites

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// cases is how many the suite has for what testdata/conformance.yaml says: a configuration that chooses fewer fails.
const cases = "374"

// What fails is in testdata/KIND-fails.txt with its reason. The suite also fails where something of that list passes.
func TestConformance(t *testing.T) {
	suite := tool(t, "connectrpc.com/conformance/cmd/connectconformance")
	server := server(t)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), suite, "--mode", "server", "--conf", "testdata/conformance.yaml",
				"--known-failing", "@testdata/"+kind+"-fails.txt", "--", server, kind)
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			total := regexp.MustCompile(`(?m)^Total cases: (\d+)$`).FindSubmatch(out)
			if total == nil || string(total[1]) != cases {
				t.Fatalf("not %s cases were run:\n%s", cases, out)
			}
			_, tally, _ := strings.Cut(string(out), string(total[0]))
			t.Log(strings.TrimSpace(tally))
		})
	}
}
