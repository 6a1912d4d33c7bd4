// Package vcs is what rustgen needs of version control beside merging: fetching a template set, the first commit of a
// new service, and the index of the repository around one.
package vcs

import (
	"os"
	"path/filepath"
)

// Real is dir, which need not exist, as it is on the disk: a link may lead into a repository.
func Real(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest), nil
		}
		rest = filepath.Join(filepath.Base(at), rest)
		at = filepath.Dir(at)
	}
}

// Repository finds the repository that dir, which need not exist, would lie in. It is "" outside one.
func Repository(dir string) (string, error) {
	at, err := Real(dir)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", nil
		}
		at = up
	}
}
