package vcs

import (
	"context"
	"io/fs"
	"strings"

	"rustgen/internal/tree"
)

// Index is what git's index says of the files of a service.
type Index struct {
	Entries map[string]IndexEntry
	// TrustsDisk is false where git takes modes from the index and not from the disk (core.fileMode).
	TrustsDisk bool
}

// IndexEntry is what the index says of one path.
type IndexEntry struct {
	Mode   fs.FileMode
	Object string
	// Skipped files are not meant to be on the disk: they lie outside a sparse checkout.
	Skipped bool
	// Submodule paths are repositories of their own.
	Submodule bool
	// Unmerged paths have a conflict.
	Unmerged bool
}

// Index reads git's index.
func (s *Service) Index(ctx context.Context) (*Index, error) {
	index := &Index{Entries: map[string]IndexEntry{}, TrustsDisk: true}
	looks, err := s.git(ctx, "config", "--type=bool", "--default=true", "core.fileMode")
	if err != nil {
		return nil, err
	}
	index.TrustsDisk = strings.TrimSpace(looks) != "false"
	out, err := s.git(ctx, "ls-files", "-z", "-t", "--stage", "--", s.where())
	if err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(out, "\x00") {
		head, p, ok := strings.Cut(line, "\t")
		fields := strings.Fields(head)
		if !ok || len(fields) != 4 {
			continue
		}
		index.Entries[strings.TrimPrefix(p, s.prefix)] = IndexEntry{
			Mode: modeOf(fields[1]), Object: fields[2],
			Skipped: fields[0] == "S", Submodule: fields[1] == "160000", Unmerged: fields[3] != "0",
		}
	}
	return index, nil
}

func modeOf(git string) fs.FileMode {
	switch git {
	case "100755":
		return tree.ModeExec
	case "120000":
		return tree.ModeLink
	default:
		return tree.ModeFile
	}
}

// Contents reads the objects of paths out of the repository.
func (s *Service) Contents(ctx context.Context, paths []string, index *Index) (tree.Tree, error) {
	t := tree.Tree{}
	for _, p := range paths {
		entry := index.Entries[p]
		data, err := s.git(ctx, "cat-file", "blob", entry.Object)
		if err != nil {
			return nil, err
		}
		t[p] = tree.File{Mode: entry.Mode, Data: []byte(data)}
	}
	return t, nil
}

// Show reads a file of the service as it is in a commit, or in a stage of the index (":2").
func (s *Service) Show(ctx context.Context, revision, p string) ([]byte, error) {
	text, err := s.git(ctx, "cat-file", "blob", revision+":"+s.prefix+p)
	return []byte(text), err
}

// History lists the newest commits that changed a path of the service.
func (s *Service) History(ctx context.Context, most, p string) ([]string, error) {
	out, err := s.git(ctx, "--literal-pathspecs", "rev-list", "--abbrev-commit", "--max-count="+most, "HEAD", "--", s.prefix+p)
	return strings.Fields(out), err
}
