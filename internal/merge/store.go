package merge

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rustgen/internal/tree"
)

// store is a bare repository that exists for one merge. What is merged goes into it as one pack, written here and not by
// git: a process or a file for each of a few hundred objects would cost more than the merge.
type store struct {
	dir     string
	objects map[string]object
}

// object is what put was given.
type object struct {
	kind string
	data []byte
}

// The modes of git's tree entries.
const (
	modeFile = "100644"
	modeExec = "100755"
	modeLink = "120000"
	modeTree = "40000"
)

const config = `[core]
	repositoryformatversion = 0
	bare = true
	abbrev = 40
	fsync = none
	attributesFile = ` + os.DevNull + `
[merge]
	conflictStyle = diff3
	directoryRenames = false
	renameLimit = 100000
[diff]
	renameLimit = 100000
`

func newStore() (*store, error) {
	dir, err := os.MkdirTemp("", "rustgen-merge-")
	if err != nil {
		return nil, err
	}
	s := &store{dir: dir, objects: map[string]object{}}
	if err := s.init(); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// init lays out what git takes for a repository.
func (s *store) init() error {
	for _, sub := range []string{packDir, "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o700); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"HEAD": "ref: refs/heads/none\n", "config": config} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) remove() { _ = os.RemoveAll(s.dir) }

// put adds an object and returns its name. Git sees it after flush.
func (s *store) put(kind string, data []byte) string {
	sum := sha1.New()
	fmt.Fprintf(sum, "%s %d\x00", kind, len(data))
	sum.Write(data)
	name := hex.EncodeToString(sum.Sum(nil))
	s.objects[name] = object{kind, data}
	return name
}

// get reads an object that put was given or git wrote.
func (s *store) get(name, kind string) ([]byte, error) {
	if o, ok := s.objects[name]; ok && o.kind == kind {
		return o.data, nil
	}
	f, err := os.Open(filepath.Join(s.dir, "objects", name[:2], name[2:]))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	zip, err := zlib.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", name, err)
	}
	data, err := io.ReadAll(zip)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", name, err)
	}
	head, body, _ := bytes.Cut(data, []byte{0})
	if got, _, _ := strings.Cut(string(head), " "); got != kind {
		return nil, fmt.Errorf("object %s is a %s and not a %s", name, got, kind)
	}
	return body, nil
}

// commit adds a tree and a commit of it.
func (s *store) commit(t tree.Tree, message string, parents ...string) (commit, top string) {
	top = s.putTree(t)
	var text strings.Builder
	fmt.Fprintf(&text, "tree %s\n", top)
	for _, p := range parents {
		fmt.Fprintf(&text, "parent %s\n", p)
	}
	const who = "rustgen <rustgen@localhost> 0 +0000"
	fmt.Fprintf(&text, "author %s\ncommitter %s\n\n%s\n", who, who, message)
	return s.put("commit", []byte(text.String())), top
}

func (s *store) branch(name, commit string) error {
	return os.WriteFile(filepath.Join(s.dir, "refs", "heads", name), []byte(commit+"\n"), 0o600)
}

type entry struct{ mode, name, object string }

// putTree adds the directories of a tree, deepest first.
func (s *store) putTree(t tree.Tree) string {
	dirs := map[string][]entry{"": nil}
	for p, f := range t {
		dir, name := split(p)
		dirs[dir] = append(dirs[dir], entry{gitMode(f.Mode), name, s.put("blob", f.Data)})
		for dir != "" {
			dir, _ = split(dir)
			if _, ok := dirs[dir]; !ok {
				dirs[dir] = nil
			}
		}
	}
	names := slices.Collect(maps.Keys(dirs))
	slices.SortFunc(names, func(a, b string) int { return depth(b) - depth(a) })
	for _, dir := range names[:len(names)-1] {
		up, name := split(dir)
		dirs[up] = append(dirs[up], entry{modeTree, name, s.put("tree", encodeTree(dirs[dir]))})
	}
	return s.put("tree", encodeTree(dirs[""]))
}

func depth(dir string) int {
	if dir == "" {
		return 0
	}
	return 1 + strings.Count(dir, "/")
}

func split(p string) (dir, name string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

// encodeTree sorts as git does: a directory as if its name ended in a slash.
func encodeTree(entries []entry) []byte {
	key := func(e entry) string {
		if e.mode == modeTree {
			return e.name + "/"
		}
		return e.name
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(key(a), key(b)) })
	var out bytes.Buffer
	for _, e := range entries {
		raw, _ := hex.DecodeString(e.object)
		fmt.Fprintf(&out, "%s %s\x00%s", e.mode, e.name, raw)
	}
	return out.Bytes()
}

// walk visits the files below a tree object.
func (s *store) walk(object, dir string, visit func(p string, e entry) error) error {
	data, err := s.get(object, "tree")
	if err != nil {
		return err
	}
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, named := strings.Cut(string(head), " ")
		if !ok || !named || len(rest) < sha1.Size {
			return fmt.Errorf("object %s is a damaged tree", object)
		}
		e := entry{mode, name, hex.EncodeToString(rest[:sha1.Size])}
		data = rest[sha1.Size:]
		p := name
		if dir != "" {
			p = dir + "/" + name
		}
		if mode == modeTree {
			err = s.walk(e.object, p, visit)
		} else {
			err = visit(p, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *store) file(e entry) (tree.File, error) {
	data, err := s.get(e.object, "blob")
	return tree.File{Mode: fileMode(e.mode), Data: data}, err
}

func gitMode(m fs.FileMode) string {
	switch m {
	case tree.ModeLink:
		return modeLink
	case tree.ModeExec:
		return modeExec
	default:
		return modeFile
	}
}

func fileMode(mode string) fs.FileMode {
	switch mode {
	case modeLink:
		return tree.ModeLink
	case modeExec:
		return tree.ModeExec
	default:
		return tree.ModeFile
	}
}
