package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"rustgen/internal/report"
	"rustgen/internal/source"
	"rustgen/internal/templateset"
	"rustgen/templates"
)

// build is what the Go toolchain recorded of this binary.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	// Template is the set that the binary embeds.
	Template report.Template `json:"template"`
	Go       string          `json:"go"`
	Platform string          `json:"platform"`
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary and of the template set in it",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return a.printVersion(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func (a *app) printVersion(asJSON bool) error {
	b := readBuild()
	if files, err := source.Embedded(templates.Default); err == nil {
		if b.Template.Name, b.Template.Version, err = templateset.Identity(files); err != nil {
			return err
		}
	}
	if asJSON {
		return a.writeJSON(b)
	}
	line := "rustgen " + b.Version
	if b.Revision != "" {
		line += " (" + b.Revision[:min(12, len(b.Revision))]
		if b.Modified {
			line += ", modified"
		}
		line += ")"
	}
	_, err := fmt.Fprintf(a.out, "%s, template set %s %s, %s %s\n", line, b.Template.Name, b.Template.Version, b.Go, b.Platform)
	return err
}
