package audit

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Explanation is what `rustgen explain CHECK` says beyond the check itself. Its examples are judged by the tests: the one
// has the fault, the other passes.
type Explanation struct {
	// Fault and Mended are a small example of the fault and of how it is mended. Both stand in File.
	File   string `json:"file" yaml:"file"`
	Fault  string `json:"fault" yaml:"fault"`
	Mended string `json:"mended" yaml:"mended"`
	// Harm is what the fault costs, and Source where that was measured or is written.
	Harm   string `json:"harm" yaml:"harm"`
	Source string `json:"source" yaml:"source"`
	// Beside is Rust source that stands beside an example which is no Rust.
	Beside string `json:"-" yaml:"beside"`
}

//go:embed explain/*.yaml
var explanationFiles embed.FS

// exampleFiles are where the examples of an area stand, unless they say otherwise.
var exampleFiles = map[string]string{
	"code": "src/main.rs", "server": "src/main.rs", "client": "src/main.rs", "image": "Dockerfile",
	"kubernetes": "deploy/deployment.yaml", "pipeline": ".github/workflows/check.yml",
}

// Explain is the explanation of a check.
func Explain(c Check) (Explanation, bool) {
	e, ok := explanations()[c.ID]
	if e.File == "" {
		e.File = exampleFiles[c.Area]
	}
	return e, ok
}

// explanations reads what is embedded, once; the files are part of the program, so a mistake in them is a bug.
var explanations = sync.OnceValue(func() map[string]Explanation {
	all := map[string]Explanation{}
	names, err := fs.Glob(explanationFiles, path.Join("explain", "*.yaml"))
	for _, name := range names {
		data, readErr := explanationFiles.ReadFile(name)
		if err = readErr; err == nil {
			err = yaml.Unmarshal(data, &all)
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		panic(fmt.Sprintf("the explanations of the checks: %v", err))
	}
	return all
})
