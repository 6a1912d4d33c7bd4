package serviceapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rustgen/internal/gostubs"
	"rustgen/internal/hint"
	"rustgen/internal/ownapi"
	"rustgen/internal/proto"
	"rustgen/internal/source"
)

// ReadPaths reads protos by paths of this machine.
func ReadPaths(ctx context.Context, paths, includes []string) (*proto.API, error) {
	here, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	top := filepath.VolumeName(here) + string(filepath.Separator)
	files := proto.Files{FS: os.DirFS(top), Shown: func(p string) string {
		full := filepath.Join(top, filepath.FromSlash(p))
		if rel, err := filepath.Rel(here, full); err == nil && strings.Count(rel, "..") <= 2 {
			return filepath.ToSlash(rel)
		}
		return full
	}}
	below := func(given []string) []string {
		var all []string
		for _, p := range given {
			if abs, err := filepath.Abs(p); err == nil {
				p = abs
			}
			rel, err := filepath.Rel(top, p)
			if err != nil || !fs.ValidPath(filepath.ToSlash(rel)) {
				rel = p
			}
			all = append(all, filepath.ToSlash(rel))
		}
		return all
	}
	source, err := proto.Locate(files, below(paths), below(includes))
	if err != nil {
		return nil, Fault(err)
	}
	api, err := proto.Read(ctx, files, source)
	if err == nil {
		err = ownapi.Check(api)
	}
	return api, Fault(err)
}

// Fault is a fault of protos that somebody gave: a wrong answer.
func Fault(err error) error {
	var fault *proto.Fault
	if errors.As(err, &fault) {
		return hint.Refuse(fault.Hint, "%w", err)
	}
	return err
}

// OthersOf says which Go packages of others the stubs import.
func OthersOf(packages []string) string {
	return fmt.Sprintf("the Go stubs import %s, as protos of others say: %s fetches what is missing", hint.Some(packages), gostubs.Tidy)
}

// ReadOwn reads the API of a service. A foreign proto is found by its path below proto/foreign, as the build has it.
func ReadOwn(ctx context.Context, dir string) (*proto.API, error) {
	files, err := source.Rooted(dir)
	if err != nil {
		return nil, err
	}
	own, err := proto.Within(files, ownapi.Folder, ownapi.ForeignFolder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(own) == 0 {
		return nil, hint.Fail("put the API of the service there", "%s: there is no .proto file in it", ownapi.Folder)
	}
	if err != nil {
		return nil, hint.Fail("rustgen must be able to read the protos", "%w", err)
	}
	source := &proto.Source{Roots: []string{ownapi.Folder}, Own: own}
	if _, err := fs.Stat(files, ownapi.ForeignFolder); err == nil {
		source.Roots = []string{ownapi.ForeignFolder, ownapi.Folder}
	}
	api, err := proto.Read(ctx, proto.Files{FS: files}, source)
	var fault *proto.Fault
	if errors.As(err, &fault) {
		mend := fault.Hint
		if strings.Contains(mend, "--include") {
			mend = "put it, and what it imports in turn, below " + ownapi.ForeignFolder
		}
		return nil, hint.Fail(mend, "%w", err)
	}
	return api, err
}
