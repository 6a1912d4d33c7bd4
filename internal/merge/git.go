package merge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"rustgen/internal/git"
	"rustgen/internal/lazyregexp"
)

// ErrNoGit says that there is no git program.
var ErrNoGit = errors.New("there is no git program on the PATH, and merging needs git 2.38 or newer")

// git runs git over the store alone: no configuration of the system or the user, no attributes, no other repository.
// Exit code 1 is an answer of merge-tree and no error.
func (s *store) git(ctx context.Context, in string, args ...string) (string, error) {
	out, err := git.Run(ctx, git.Call{Store: s.dir, Args: args, Input: []byte(in), Unconfigured: true})
	var failed *git.Failed
	switch {
	case errors.Is(err, git.ErrMissing):
		return "", ErrNoGit
	case !errors.As(err, &failed):
		return out, err
	case failed.Code == 1 && failed.Text == "":
		return out, nil
	case strings.Contains(failed.Text, "usage: git merge-tree"):
		return "", fmt.Errorf("git is older than 2.38, whose merge-tree merging needs")
	default:
		return "", err
	}
}

// stage is one entry of a conflicted path: 1 the base's, 2 ours, 3 theirs.
type stage struct {
	entry
	number int
	path   string
}

// message is what git says of a conflict.
type message struct {
	kind  string
	paths []string
}

// outcome is what merge-tree answers.
type outcome struct {
	top      string
	stages   []stage
	messages []message
}

func (s *store) mergeTree(ctx context.Context, ours, theirs string) (*outcome, error) {
	text, err := s.git(ctx, "", "merge-tree", "--write-tree", "-z", "--messages", ours, theirs)
	if err != nil {
		return nil, err
	}
	return parseOutcome(text)
}

var stageForm = lazyregexp.New(`^(\d{6}) ([0-9a-f]{40,64}) ([123])\t`)

func parseOutcome(text string) (*outcome, error) {
	damaged := fmt.Errorf("git merge-tree answered what cannot be read")
	fields := strings.Split(text, "\x00")
	if len(fields) < 2 {
		return nil, damaged
	}
	o := &outcome{top: fields[0]}
	fields = fields[1:]
	for len(fields) > 0 && fields[0] != "" {
		m := stageForm.FindStringSubmatch(fields[0])
		if m == nil {
			return nil, damaged
		}
		number, _ := strconv.Atoi(m[3])
		p := fields[0][len(m[0]):]
		_, name := split(p)
		o.stages = append(o.stages, stage{entry{m[1], name, m[2]}, number, p})
		fields = fields[1:]
	}
	if len(fields) > 0 {
		fields = fields[1:]
	}
	for len(fields) > 0 && strings.TrimSpace(fields[0]) != "" {
		n, err := strconv.Atoi(strings.TrimSpace(fields[0]))
		if err != nil || n < 0 || n > len(fields) || len(fields) < n+3 {
			return nil, damaged
		}
		o.messages = append(o.messages, message{kind: fields[n+1], paths: fields[1 : n+1]})
		fields = fields[n+3:]
	}
	return o, nil
}

// renames finds what became of files between pairs of trees: from the old name to the new one, for each pair.
func (s *store) renames(ctx context.Context, pairs ...[2]string) ([]map[string]string, error) {
	var in strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&in, "%s %s\n", p[0], p[1])
	}
	text, err := s.git(ctx, in.String(), "diff-tree", "--stdin", "-r", "-M", "-z", "--name-status", "--diff-filter=R")
	if err != nil {
		return nil, err
	}
	found := make([]map[string]string, len(pairs))
	for i := range found {
		found[i] = map[string]string{}
	}
	heads := map[string]int{}
	for i, p := range pairs {
		heads[p[0]+" "+p[1]] = i
	}
	at := 0
	fields := strings.Split(text, "\x00")
	for i := 0; i < len(fields); i++ {
		// A pair's head ends in a newline and not in NUL; a pair without renames is nothing but its head.
		for head, rest, ok := strings.Cut(fields[i], "\n"); ok; head, rest, ok = strings.Cut(fields[i], "\n") {
			n, known := heads[head]
			if !known {
				break
			}
			at, fields[i] = n, rest
		}
		if strings.HasPrefix(fields[i], "R") && i+2 < len(fields) {
			found[at][fields[i+1]] = fields[i+2]
			i += 2
		}
	}
	return found, nil
}

// Patch is what Diff shows.
type Patch struct {
	// Names leaves out the content.
	Names bool
	// Added shows files that are only in the second tree.
	Added bool
	// Paths limit it.
	Paths []string
}

// Diff writes what changed from one tree to another, with renames, as git does.
func Diff(ctx context.Context, from, to Tree, show Patch) (string, error) {
	s, err := newStore()
	if err != nil {
		return "", err
	}
	defer s.remove()
	_, a := s.commit(from, "from")
	_, b := s.commit(to, "to")
	if err := s.flush(); err != nil {
		return "", err
	}
	form, filter := "--patch", "--diff-filter=a"
	if show.Names {
		form = "--name-status"
	}
	if show.Added {
		filter = "--diff-filter=ACDMRTUXB"
	}
	args := []string{"--literal-pathspecs", "diff-tree", "-r", "-M", form, filter, a, b, "--"}
	return s.git(ctx, "", append(args, show.Paths...)...)
}

// Renames finds the files that moved from one tree to another, from the old path to the new one.
func Renames(ctx context.Context, from, to Tree) (map[string]string, error) {
	s, err := newStore()
	if err != nil {
		return nil, err
	}
	defer s.remove()
	_, a := s.commit(from, "from")
	_, b := s.commit(to, "to")
	if err := s.flush(); err != nil {
		return nil, err
	}
	found, err := s.renames(ctx, [2]string{a, b})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}
