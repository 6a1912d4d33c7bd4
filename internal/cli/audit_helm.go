package cli

import (
	"context"
	"os/exec"
	"path"
	"path/filepath"
	"time"

	"rustgen/internal/tree"
)

// chartTime is how long helm may take for a chart.
const chartTime = 10 * time.Second

// renderCharts has helm render the charts of a repository, by their directories. A chart that it cannot render, because
// others that it needs are not there, say, is left out; so are all where there is no helm. Nothing asks a cluster.
func renderCharts(ctx context.Context, place auditPlace, files tree.Tree) map[string][]byte {
	helm, err := exec.LookPath("helm")
	if err != nil {
		return nil
	}
	rendered := map[string][]byte{}
	for _, p := range files.Paths() {
		if path.Base(p) != "Chart.yaml" {
			continue
		}
		dir := path.Dir(p)
		if out, err := renderChart(ctx, helm, filepath.Join(place.root, filepath.FromSlash(dir))); err == nil {
			rendered[dir] = out
		}
	}
	return rendered
}

func renderChart(ctx context.Context, helm, dir string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, chartTime)
	defer cancel()
	return exec.CommandContext(ctx, helm, "template", "audit", dir).Output()
}
