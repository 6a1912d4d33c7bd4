package decision

import (
	"regexp"
	"slices"
	"strings"
)

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
	scalar := []string{"string", "number", "boolean"}
	switch d.Type {
	case Choice:
		s["oneOf"] = optionSchemas(d.Options)
	case Bool:
		s["type"] = []string{"boolean", "string"}
		s["pattern"] = `^([Yy][Ee][Ss]|[Nn][Oo]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$`
	case Int:
		s["type"] = []string{"integer", "string"}
		s["pattern"] = `^[+-]?[0-9]+$`
	case Size:
		s["type"] = []string{"string", "integer"}
		s["pattern"] = `^[0-9]+( *(TiB|GiB|MiB|KiB|Ti|Gi|Mi|Ki|TB|GB|MB|kB|KB|B))?$`
		s["minimum"] = 0
	case Duration:
		s["type"] = []string{"string", "integer"}
		s["pattern"] = `^(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`
		s["minimum"], s["maximum"] = 0, 0
	case List:
		items := map[string]any{"type": scalar, "pattern": `^` + listItem + `$`}
		text, types := listItem, slices.Concat(scalar, []string{"array"})
		if len(d.Options) > 0 {
			items = map[string]any{"oneOf": optionSchemas(d.Options)}
			types = []string{"array", "string"}
			text = ` *(` + alternatives(d.Values()) + `) *`
		}
		s["type"], s["items"] = types, items
		s["pattern"] = `^( *| *none *|` + text + `(,` + text + `)*)$`
	default:
		s["type"] = scalar
		s["pattern"] = `^[^\x00-\x1f\x7f-\x9f]*$`
		if d.ID == NameID && len(d.Validate) == 0 {
			s["type"], s["pattern"], s["maxLength"] = "string", nameForm.String(), maxLabel
			s["not"] = map[string]any{"enum": slices.Concat(keywords, sysroot, reservedDirs)}
		}
	}
	if lock, ok := c.Locked[d.ID]; ok {
		s["const"] = d.constant(lock.Value)
		s["description"] = lock.Reason
	} else if preset, ok := c.Presets[d.ID]; ok {
		s["default"] = d.constant(preset)
	} else if d.Default != nil && d.Default.Expr == "" {
		s["default"] = d.constant(d.Default.Constant)
	}
	return s
}

// listItem matches one item of a list: something, and no comma.
const listItem = `[^,\x00-\x1f\x7f-\x9f]*[^, \x00-\x1f\x7f-\x9f][^,\x00-\x1f\x7f-\x9f]*`

func alternatives(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return strings.Join(quoted, "|")
}

func optionSchemas(options []Option) []any {
	all := make([]any, len(options))
	for i, o := range options {
		all[i] = map[string]any{"const": o.Value, "title": o.Title, "description": o.Why}
	}
	return all
}

// constant is a value of the set's own, as JSON holds it. Check has parsed it before.
func (d *Decision) constant(raw Raw) any {
	value, err := d.Read(raw)
	if err != nil {
		return nil
	}
	return value.Raw().Plain()
}
