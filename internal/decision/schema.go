package decision

import "go.yaml.in/yaml/v3"

// Schema is the JSON Schema (draft 2020-12) of an answers file, for editors and scripts.
func (c *Catalog) Schema(set, version string) map[string]any {
	properties := map[string]any{}
	for i := range c.Decisions {
		properties[c.Decisions[i].ID] = c.Decisions[i].schema(c)
	}
	return map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "Answers for the template set " + set + " " + version,
		"type":                 "object",
		"properties":           properties,
		"additionalProperties": false,
	}
}

func (d *Decision) schema(c *Catalog) map[string]any {
	s := map[string]any{"title": d.Title, "description": d.Question}
	if d.Help != "" {
		s["description"] = d.Question + " " + d.Help
	}
	switch d.Type {
	case Choice:
		s["oneOf"] = optionSchemas(d.Options)
	case Bool:
		s["type"] = "boolean"
	case Int:
		s["type"] = "integer"
	case Size:
		s["type"] = []string{"string", "integer"}
		s["pattern"] = `^[0-9]+ *(TiB|GiB|MiB|KiB|Ti|Gi|Mi|Ki|TB|GB|MB|kB|KB|B)?$`
		s["minimum"] = 0
	case Duration:
		s["type"] = "string"
		s["pattern"] = `^([0-9]+([.][0-9]*)?(ns|us|µs|ms|s|m|h))+$|^0$`
	case List:
		items := map[string]any{"type": "string"}
		if len(d.Options) > 0 {
			items = map[string]any{"oneOf": optionSchemas(d.Options)}
		}
		s["type"], s["items"] = "array", items
	default:
		s["type"] = []string{"string", "number"}
	}
	if lock, ok := c.Locked[d.ID]; ok {
		s["const"] = c.constant(d, &lock.Value)
		s["description"] = lock.Reason
	} else if preset, ok := c.Presets[d.ID]; ok {
		s["default"] = c.constant(d, &preset)
	} else if d.Default != nil && d.Default.Expr == "" {
		s["default"] = c.constant(d, &d.Default.Constant)
	}
	return s
}

func optionSchemas(options []Option) []any {
	all := make([]any, len(options))
	for i, o := range options {
		all[i] = map[string]any{"const": o.Value, "title": o.Title, "description": o.Why}
	}
	return all
}

// constant is a value of the set's own, as JSON holds it. Check has parsed it before.
func (c *Catalog) constant(d *Decision, node *yaml.Node) any {
	value, err := d.ParseNode(node)
	if err != nil {
		return nil
	}
	switch value.(type) {
	case bool, int, []string:
		return value
	default:
		return d.Format(value)
	}
}
