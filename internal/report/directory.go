package report

import (
	"path/filepath"
	"strings"
)

// Near is a directory from here, where it is not far, as a person would type it.
func Near(dir string) string {
	abs, err := filepath.Abs(".")
	if err != nil {
		return dir
	}
	rel, err := filepath.Rel(abs, dir)
	if err != nil || strings.Count(rel, "..") > 2 {
		return dir
	}
	return Shown(rel)
}

// Shown is a directory as a person would type it.
func Shown(dir string) string {
	if filepath.IsAbs(dir) || dir == "." || strings.HasPrefix(dir, "..") {
		return dir
	}
	return "./" + dir
}
