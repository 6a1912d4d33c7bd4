package audit

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// object is one Kubernetes object of a manifest. Templates of Helm are no YAML, and are not read.
type object struct {
	path string
	kind string
	node *yaml.Node
}

func parseObjects(p, text string) (all []object) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var document yaml.Node
		if decoder.Decode(&document) != nil {
			return all
		}
		if len(document.Content) == 0 {
			continue
		}
		o := object{path: p, node: document.Content[0]}
		if child(o.node, "apiVersion") == nil || child(o.node, "kind") == nil {
			continue
		}
		o.kind = child(o.node, "kind").Value
		all = append(all, o)
	}
}

// child follows keys down; nil where one is missing.
func child(node *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if node == nil || node.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				next = node.Content[i+1]
			}
		}
		node = next
	}
	return node
}

// value is the scalar that keys lead to, or nothing.
func value(node *yaml.Node, keys ...string) string {
	if n := child(node, keys...); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// at is the line of a node in its file.
func (o object) at(node *yaml.Node) Place {
	if node == nil {
		node = o.node
	}
	return Place{o.path, node.Line}
}

// pod is what a Deployment or a StatefulSet runs.
type pod struct {
	object
	spec *yaml.Node
	// containers are those with an image: a patch that changes something else has none.
	containers []*yaml.Node
}

func (s *service) pods() (all []pod) {
	for _, o := range s.objects {
		if o.kind != "Deployment" && o.kind != "StatefulSet" {
			continue
		}
		p := pod{object: o, spec: child(o.node, "spec", "template", "spec")}
		if list := child(p.spec, "containers"); list != nil && list.Kind == yaml.SequenceNode {
			for _, c := range list.Content {
				if value(c, "image") != "" {
					p.containers = append(p.containers, c)
				}
			}
		}
		if len(p.containers) > 0 {
			all = append(all, p)
		}
	}
	return all
}

// has reports whether there is an object of the kind.
func (s *service) has(kind string) bool {
	for _, o := range s.objects {
		if o.kind == kind {
			return true
		}
	}
	return false
}
