package templateset

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"rustgen/internal/lazyregexp"
)

// Problem is a mistake in a template set, and where it stands.
type Problem struct {
	// File is below the set's directory; Line is 0 where the mistake is not of one line.
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Problems are the mistakes that keep a set from being used. As an error they are the first one.
type Problems []Problem

func (p Problems) Error() string { return p[0].String() }

// positions finds the lines of what template.yaml says.
type positions struct{ root *yaml.Node }

// line is where a path leads: keys of mappings, indices of sequences, and the name, id or path of an item in one. What
// is not there has the line of what should hold it.
func (p positions) line(path ...any) int {
	node := p.root
	line := 0
	for node != nil {
		if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
			node = node.Content[0]
			continue
		}
		if line == 0 {
			line = node.Line
		}
		if len(path) == 0 {
			return line
		}
		var at int
		node, at = child(node, path[0])
		path = path[1:]
		if node != nil {
			line = at
		}
	}
	return max(line, 1)
}

// child is what a key or an index leads to, and the line where that begins.
func child(node *yaml.Node, step any) (*yaml.Node, int) {
	switch key := step.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && key >= 0 && key < len(node.Content) {
			return node.Content[key], node.Content[key].Line
		}
	case string:
		if node.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == key {
					return node.Content[i+1], node.Content[i].Line
				}
			}
			return nil, 0
		}
		for _, item := range node.Content {
			if id, _ := child(item, "id"); id != nil && id.Value == key {
				return item, item.Line
			}
		}
	}
	return nil, 0
}

var (
	wrongKind  = lazyregexp.New("(?s)cannot unmarshal !!\\w+(?: `.*?`)? into (\\S+)")
	wrongKey   = lazyregexp.New(`field (\S+) not found in type \S+`)
	atLine     = lazyregexp.New(`^(?:yaml: )?line (\d+): `)
	definedTwo = lazyregexp.New(`mapping key "?([^"]*)"? already defined at line (\d+)`)
)

// yamlProblems are what is wrong with the shape of template.yaml, in plain words and without the names of types.
func yamlProblems(err error) []Problem {
	texts := []string{err.Error()}
	var many *yaml.TypeError
	if errors.As(err, &many) {
		texts = many.Errors
	}
	var problems []Problem
	for _, text := range texts {
		p := Problem{File: ManifestName, Line: 1}
		if m := atLine.FindStringSubmatch(text); m != nil {
			p.Line, _ = strconv.Atoi(m[1])
			text = text[len(m[0]):]
		}
		text = strings.TrimPrefix(text, "yaml: ")
		text = wrongKind.ReplaceAllStringFunc(text, func(match string) string {
			return expected(wrongKind.FindStringSubmatch(match)[1]) + " belongs here"
		})
		text = wrongKey.ReplaceAllString(text, "there is no key $1")
		text = definedTwo.ReplaceAllString(text, "key $1 is already defined on line $2")
		p.Text = strings.Join(strings.Fields(text), " ")
		problems = append(problems, p)
	}
	return problems
}

// expected says in a set author's words what a Go type of the manifest reads.
func expected(goType string) string {
	switch {
	case strings.HasSuffix(goType, ".Lock"):
		return "{value: ..., reason: ...}"
	case strings.HasSuffix(goType, ".Option"):
		return "{value: ..., title: ..., why: ...}"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case goType == "string" || strings.HasSuffix(goType, ".Type"):
		return "a text"
	case goType == "bool":
		return "true or false"
	default:
		return "a mapping"
	}
}
