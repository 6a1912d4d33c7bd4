package auditrun

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"rustgen/internal/audit"
	"rustgen/internal/hint"
	"rustgen/internal/report"
)

// readSettings reads the settings of a service, of its workspace, or of its repository.
func readSettings(at place, o Options) (audit.Settings, error) {
	names := []string{o.Settings}
	if o.Settings == "" {
		names = nil
		for _, dir := range []string{at.focus, at.dir, "."} {
			names = append(names, filepath.Join(at.root, filepath.FromSlash(dir), audit.SettingsFile))
		}
	}
	for _, name := range names {
		data, err := readSmall(name)
		switch {
		case errors.Is(err, os.ErrNotExist) && o.Settings == "":
			continue
		case err != nil:
			return audit.Settings{}, hint.Fail("--settings FILE names one, as rustgen audit --help describes", "%s: %w", report.Near(name), hint.Cause(err))
		}
		settings, err := audit.ParseSettings(data)
		if err != nil {
			return settings, hint.Fail("rustgen audit --list names the checks", "%s: %s", report.Near(name), strings.ReplaceAll(err.Error(), "\n", " "))
		}
		return settings, nil
	}
	return audit.Settings{}, nil
}

// readSmall reads a regular file of a usual size.
func readSmall(name string) ([]byte, error) {
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() > maxFile:
		return nil, errors.New("it is too large")
	}
	return os.ReadFile(name)
}

// baselinePath is where a service's baseline lies.
func baselinePath(at place, o Options) string {
	if o.Baseline != "" {
		return o.Baseline
	}
	return filepath.Join(at.root, filepath.FromSlash(at.focus), audit.BaselineFile)
}

func readBaseline(at place, o Options) (audit.Baseline, error) {
	if o.All {
		return nil, nil
	}
	name := baselinePath(at, o)
	data, err := readSmall(name)
	if errors.Is(err, os.ErrNotExist) && o.Baseline == "" {
		return nil, nil
	}
	b := audit.Baseline{}
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		return nil, hint.Fail("rustgen audit --format baseline prints a new one", "%s: %w", report.Near(name), hint.Cause(err))
	}
	return b, nil
}
