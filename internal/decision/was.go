package decision

import (
	"maps"

	"go.yaml.in/yaml/v3"
)

// moved gives recorded answers the ids that their decisions have now. renamed maps those to their former ones.
func (c *Catalog) moved(recorded map[string]Recorded) (now map[string]Recorded, renamed map[string]string) {
	now, renamed = maps.Clone(recorded), map[string]string{}
	for _, d := range c.Decisions {
		if d.Was == nil {
			continue
		}
		_, known := recorded[d.ID]
		answer, has := recorded[d.Was.ID]
		if known || !has {
			continue
		}
		answer.Value = d.Was.value(answer.Value)
		now[d.ID] = answer
		renamed[d.ID] = d.Was.ID
		delete(now, d.Was.ID)
	}
	return now, renamed
}

// value is a former answer as it is called now.
func (w *Was) value(node yaml.Node) yaml.Node {
	if node.Kind == yaml.SequenceNode {
		items := make([]*yaml.Node, len(node.Content))
		for i, item := range node.Content {
			value := w.value(*item)
			items[i] = &value
		}
		node.Content = items
		return node
	}
	if now, ok := w.Values[node.Value]; ok {
		node.Value, node.Tag, node.Style = now, "", 0
	}
	return node
}

// nowCalled is the decision that was once called id; "" where none was.
func (c *Catalog) nowCalled(id string) string {
	for _, d := range c.Decisions {
		if d.Was != nil && d.Was.ID == id {
			return d.ID
		}
	}
	return ""
}
