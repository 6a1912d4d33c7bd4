// Package project is what rustgen keeps inside a service that it made, under .rustgen/: which set and which decisions
// it was rendered from, and the snapshot of exactly what the template wrote. An upgrade needs nothing else.
package project

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/tree"
)

// Where the record lies in a service.
const (
	Dir           = ".rustgen"
	AnswersPath   = Dir + "/answers.yaml"
	SnapshotPath  = Dir + "/base.tar.gz"
	ConflictsPath = Dir + "/conflicts.yaml"
	UndoPath      = Dir + "/undo.tar.gz"
	ignorePath    = Dir + "/.gitignore"
	attributePath = Dir + "/.gitattributes"
)

// files are all that rustgen keeps in a service.
var files = []string{AnswersPath, SnapshotPath, ConflictsPath, UndoPath, ignorePath, attributePath}

// CheckPath refuses a path that rustgen does not write in a service: neither one of its own files nor a template's.
func CheckPath(p string) error {
	if slices.Contains(files, p) {
		return nil
	}
	return tree.CheckPath(p)
}

// ignored names what lies in .rustgen/ for a while, and only for the one who upgrades. The record itself is taken out of
// the rules of other ignore files, of which *.gz is a common one: a clone without the snapshot could not be upgraded.
const ignored = "/tx/\n/undo.tar.gz\n!/answers.yaml\n!/base.tar.gz\n!/conflicts.yaml\n"

// attributes keep the snapshot as it is, whatever the attributes of the repository say of *.gz: Git LFS would put a
// pointer in its place.
const attributes = "/base.tar.gz binary -filter\n"

// Format is the number of the record's format. A record with a higher one was written by a newer rustgen.
const Format = 1

// Record is what a service was rendered from.
type Record struct {
	// Format is the number of the format; 0 in a record from before there were numbers.
	Format int `yaml:"format"`
	// Template and Version name the set.
	Template string `yaml:"template"`
	Version  string `yaml:"version"`
	// Source is the git URL (with @REF where one was asked for) of a set that is not embedded. A directory is not
	// recorded: its path means something on one machine only.
	Source string `yaml:"source,omitempty"`
	// Commit is what the set was at in that repository.
	Commit string `yaml:"commit,omitempty"`
	// Extends names the set under this one, with its version.
	Extends string `yaml:"extends,omitempty"`
	// Rooms are patterns of the paths that are the template's room: an edit there is drift.
	Rooms []string `yaml:"rooms,omitempty"`
	// Owned are the files that are the team's: the template wrote each of them once. All others are managed. It is nil
	// in a record from before files were divided so.
	Owned     []string                     `yaml:"owned"`
	Decisions map[string]decision.Recorded `yaml:"decisions"`
	// Snapshot is the digest of base.tar.gz, Checksum that of everything above it.
	Snapshot string `yaml:"snapshot"`
	Checksum string `yaml:"checksum"`
}

// New makes the record of an outcome.
func New(template, version, source, extends string, c *decision.Catalog, out *decision.Outcome) (*Record, error) {
	r := &Record{Template: template, Version: version, Source: source, Extends: extends, Decisions: map[string]decision.Recorded{}}
	for id, answer := range out.Answers {
		if _, ok := c.Find(id); !ok {
			return nil, fmt.Errorf("answer to unknown decision %q", id)
		}
		r.Decisions[id] = decision.Recorded{Value: answer.Value.Raw(), Origin: answer.Origin}
	}
	return r, nil
}

const header = `# What this service was rendered from. ` + "`rustgen set ID=VALUE`" + ` changes a decision; an edit here is not seen
# by the files. "from" says how each came about: chosen, preset or locked by the template set, or its default. "owned"
# are the files that are yours alone: the template wrote each once, and upgrades leave them as they are.
`

// Encode writes the record as answers.yaml, with the decisions in the catalog's order.
func (r *Record) Encode(order []string) ([]byte, error) {
	doc := &yaml.Node{Kind: yaml.MappingNode}
	add := func(to *yaml.Node, key string, value *yaml.Node) {
		to.Content = append(to.Content, scalar(key), value)
	}
	r.Format = Format
	add(doc, "format", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(r.Format)})
	add(doc, "template", scalar(r.Template))
	add(doc, "version", scalar(r.Version))
	if r.Source != "" {
		add(doc, "source", scalar(r.Source))
	}
	if r.Commit != "" {
		add(doc, "commit", scalar(r.Commit))
	}
	if r.Extends != "" {
		add(doc, "extends", scalar(r.Extends))
	}
	decisions := &yaml.Node{Kind: yaml.MappingNode}
	for _, id := range order {
		recorded, ok := r.Decisions[id]
		if !ok {
			continue
		}
		answer := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		add(answer, "value", valueNode(recorded.Value))
		add(answer, "from", scalar(string(recorded.Origin)))
		add(decisions, id, answer)
	}
	if len(r.Rooms) > 0 {
		add(doc, "rooms", sequence(r.Rooms, yaml.FlowStyle))
	}
	if r.Owned != nil {
		add(doc, "owned", sequence(r.Owned, 0))
	}
	add(doc, "decisions", decisions)
	add(doc, "snapshot", scalar(r.Snapshot))
	var out bytes.Buffer
	out.WriteString(header)
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(doc), encoder.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", AnswersPath, err)
	}
	r.Checksum = digest(out.Bytes())
	fmt.Fprintf(&out, "%s%s\n", checksumKey, r.Checksum)
	return out.Bytes(), nil
}

const checksumKey = "checksum: "

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// scalar leaves the tag open, so that the encoder quotes what would otherwise read as another type.
func scalar(text string) *yaml.Node {
	var n yaml.Node
	n.SetString(text)
	return &n
}

// valueNode is a recorded answer as the record holds it.
func valueNode(raw decision.Raw) *yaml.Node {
	switch v := raw.Plain().(type) {
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case []string:
		return sequence(v, yaml.FlowStyle)
	default:
		return scalar(raw.String())
	}
}

func sequence(items []string, style yaml.Style) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: style}
	for _, item := range items {
		n.Content = append(n.Content, scalar(item))
	}
	return n
}

// Owns reports whether a file of the service is the team's.
func (r *Record) Owns(p string) bool { return slices.Contains(r.Owned, p) }

// Decode reads answers.yaml, and refuses one that is not as it was written.
func Decode(data []byte) (*Record, error) {
	r, err := decode(data)
	if err != nil {
		return nil, err
	}
	text := bytes.ReplaceAll(data, []byte("\r\n"), []byte{'\n'})
	end := bytes.LastIndex(text, []byte("\n"+checksumKey))
	if end < 0 || digest(text[:end+1]) != r.Checksum || string(text[end+1:]) != checksumKey+r.Checksum+"\n" {
		return nil, fmt.Errorf("%s: %w", AnswersPath, ErrEdited)
	}
	return r, nil
}

// formatOf is the highest number of a format that a record names. It is read before all else, since a newer record may
// hold what this rustgen does not know.
func formatOf(data []byte) int {
	highest := 0
	for line := range bytes.Lines(data) {
		text, ok := strings.CutPrefix(string(line), "format:")
		if n, err := strconv.Atoi(strings.TrimSpace(text)); ok && err == nil {
			highest = max(highest, n)
		}
	}
	return highest
}

func decode(data []byte) (*Record, error) {
	if n := formatOf(data); n > Format {
		return nil, fmt.Errorf("%s: %w (its format is %d, and this rustgen reads up to %d)", AnswersPath, ErrNewer, n, Format)
	}
	var r Record
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&r); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s is empty", AnswersPath)
		}
		return nil, fmt.Errorf("%s: %s", AnswersPath, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " "))
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", AnswersPath, err)
	}
	return &r, nil
}

// Files are the record and the snapshot as they lie in a service: written is what the template wrote.
func (r *Record) Files(order []string, written tree.Tree) (tree.Tree, error) {
	snapshot, err := written.Archive()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", SnapshotPath, err)
	}
	r.Snapshot = digest(snapshot)
	answers, err := r.Encode(order)
	if err != nil {
		return nil, err
	}
	return tree.Tree{
		AnswersPath:   {Mode: tree.ModeFile, Data: answers},
		SnapshotPath:  {Mode: tree.ModeFile, Data: snapshot},
		ignorePath:    {Mode: tree.ModeFile, Data: []byte(ignored)},
		attributePath: {Mode: tree.ModeFile, Data: []byte(attributes)},
	}, nil
}

// Same reports whether two records say the same of template and decisions.
func (r *Record) Same(other *Record) bool {
	if r.Template != other.Template || r.Version != other.Version || r.Source != other.Source || r.Commit != other.Commit || r.Extends != other.Extends ||
		!slices.Equal(r.Rooms, other.Rooms) || r.Owned != nil && !slices.Equal(r.Owned, other.Owned) {
		return false
	}
	return maps.EqualFunc(r.Decisions, other.Decisions, func(a, b decision.Recorded) bool {
		return a.Origin == b.Origin && a.Value.String() == b.Value.String()
	})
}
