// Package answers reads what was answered elsewhere than on the command line: in a file, in the environment.
package answers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
	"rustgen/internal/hint"
)

const envPrefix = "RUSTGEN_"

// FromEnvironment adds what the variables of decisions answer. One that was nearly a decision's is refused rather than
// passed over.
func FromEnvironment(given map[string]decision.Input, c *decision.Catalog, environ []string) error {
	known := map[string]string{}
	var names []string
	for i := range c.Decisions {
		d := &c.Decisions[i]
		known[d.Env()] = d.ID
		names = append(names, d.Env())
	}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		// An empty variable is one that is not set, as a pipeline has it whose setting nobody has filled in.
		if !strings.HasPrefix(name, envPrefix) || value == "" {
			continue
		}
		if id, ok := known[name]; ok {
			given[id] = decision.Text(value, decision.Source{Way: decision.ByEnvironment, Name: name})
		} else if near := decision.Nearest(name, names); near != "" && decision.Nearest(strings.TrimPrefix(name, envPrefix), trimmed(names)) != "" {
			return hint.Refuse(fmt.Sprintf("did you mean %s? else unset it", near), "%s: there is no decision of that name", name)
		}
	}
	return nil
}

func trimmed(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.TrimPrefix(n, envPrefix)
	}
	return out
}

// FromFile adds what an answers file answers: a mapping of ids to values, in YAML or JSON, or the record of another
// service, of which it takes what was chosen. where is what people know the file by.
func FromFile(given map[string]decision.Input, c *decision.Catalog, data []byte, where string) error {
	mend := "write one `id: value` a line; rustgen template schema describes the file"
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return hint.Refuse(mend, "%s: %s", where, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return hint.Refuse(mend, "%s: more than one document", where)
	}
	answers, err := mapping(doc.Content[0])
	if err != nil {
		return hint.Refuse(mend, "%s: %w", where, err)
	}
	if recorded, ok := answers["decisions"]; ok && !slices.Contains(c.IDs(), "decisions") {
		if answers, err = chosen(recorded); err != nil {
			return hint.Refuse(mend, "%s: %w", where, err)
		}
	}
	for id, node := range answers {
		var raw decision.Raw
		if err := node.Decode(&raw); err != nil {
			return hint.Refuse(mend, "%s: %w", where, err)
		}
		given[id] = decision.Input{Raw: raw, From: decision.Source{Way: decision.ByFile, Name: where}}
	}
	return nil
}

// mapping is a YAML mapping by key, each once.
func mapping(node *yaml.Node) (map[string]*yaml.Node, error) {
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: answers are a mapping of ids to values", node.Line)
	}
	out := map[string]*yaml.Node{}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if _, ok := out[key]; ok {
			return nil, fmt.Errorf("line %d: %s stands twice", node.Content[i].Line, key)
		}
		out[key] = node.Content[i+1]
	}
	return out, nil
}

// chosen takes what a person chose out of a record, and leaves what followed from it to follow again.
func chosen(node *yaml.Node) (map[string]*yaml.Node, error) {
	recorded, err := mapping(node)
	if err != nil {
		return nil, err
	}
	out := map[string]*yaml.Node{}
	for id, answer := range recorded {
		var r struct {
			Value yaml.Node       `yaml:"value"`
			From  decision.Origin `yaml:"from"`
		}
		if err := answer.Decode(&r); err != nil || r.From == "" {
			return nil, fmt.Errorf("line %d: %s is not {value: ..., from: ...}", answer.Line, id)
		}
		if r.From == decision.Chosen {
			out[id] = &r.Value
		}
	}
	return out, nil
}
