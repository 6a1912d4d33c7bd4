package auditrun

import (
	"context"
	"path"
	"path/filepath"

	"rustgen/internal/helm"
	"rustgen/internal/tree"
)

// renderCharts has helm render the charts of a repository, by their directories. A chart that it cannot render, because
// others that it needs are not there, say, is left out; so are all where there is no helm.
func renderCharts(ctx context.Context, at place, files tree.Tree) map[string][]byte {
	rendered := map[string][]byte{}
	for _, p := range files.Paths() {
		if path.Base(p) != "Chart.yaml" {
			continue
		}
		dir := path.Dir(p)
		if out, err := helm.Template(ctx, filepath.Join(at.root, filepath.FromSlash(dir))); err == nil {
			rendered[dir] = out
		}
	}
	return rendered
}
