package suites

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// heldPath is of a method that reads its whole request and answers with a message: h2spec looks for DATA frames, and for a
// response that its window of zero bytes keeps open.
const heldPath = "/connectrpc.conformance.v1.ConformanceService/ClientStream"

// outcome is what became of a case of h2spec: empty where it passed.
type outcome string

const (
	skipped outcome = "skipped"
	failed  outcome = "failed"
)

// What fails of the layer fails of plain tonic too. Plain tonic may skip: it announces no limit of streams.
func TestH2spec(t *testing.T) {
	h2spec := tool(t, "github.com/summerwind/h2spec/cmd/h2spec")
	ours, tonics := run(t, h2spec, "hotpath"), run(t, h2spec, "tonic")
	if len(ours) != len(tonics) || len(ours) < 140 {
		t.Fatalf("%d cases of the layer and %d of plain tonic", len(ours), len(tonics))
	}
	for name, outcome := range ours {
		switch {
		case outcome == skipped:
			t.Errorf("skipped: %s", name)
		case outcome == failed && tonics[name] != failed:
			t.Errorf("fails, and not of plain tonic: %s", name)
		case outcome == failed:
			t.Logf("fails of both: %s", name)
		}
	}
}

// run is what became of each case.
func run(t *testing.T, h2spec, kind string) map[string]outcome {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.xml")
	command := exec.CommandContext(t.Context(), h2spec, "--strict", "--port", strconv.Itoa(serve(t, kind)), "--path", heldPath,
		"--junit-report", file)
	// It fails where a case does.
	out, _ := command.CombinedOutput()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report struct {
		Cases []struct {
			Section string    `xml:"package,attr"`
			Name    string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]outcome{}
	for _, c := range report.Cases {
		name := c.Section + ": " + c.Name
		switch {
		case c.Failure != nil || c.Error != nil:
			outcomes[name] = failed
		case c.Skipped != nil:
			outcomes[name] = skipped
		default:
			outcomes[name] = ""
		}
	}
	return outcomes
}
