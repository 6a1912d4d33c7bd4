// Package helm is the one runner of the helm program, which renders the charts of a service that is audited.
package helm

import (
	"context"
	"os/exec"
	"time"
)

// longest is how long a chart may take.
const longest = 10 * time.Second

// Template renders the chart in a directory, and asks no cluster.
//
// Errors: there is no helm, it takes too long, or it refuses the chart.
func Template(ctx context.Context, dir string) ([]byte, error) {
	program, err := exec.LookPath("helm")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	return exec.CommandContext(ctx, program, "template", "audit", dir).Output()
}
