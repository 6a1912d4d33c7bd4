package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"rustgen/internal/decision"
)

// schemaOf compiles what `template schema` prints of a catalog, as an editor would.
func schemaOf(t *testing.T, c *decision.Catalog) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(c.Schema("acme", "1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// valid asks the schema about an answers file in JSON.
func valid(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

const everyType = `
- {id: name, type: string, deliberate: true}
- {id: text, type: string, default: a}
- {id: kind, type: choice, options: [{value: a, why: first}, {value: b}], default: a}
- {id: flag, type: bool, default: false}
- {id: count, type: int, default: 1}
- {id: room, type: size, default: 1MiB}
- {id: wait, type: duration, default: 1s}
- {id: list, type: list, default: []}
- {id: some, type: list, options: [{value: x}, {value: y}], default: [x]}
`

// The schema and the parser are two readings of one declaration: what one takes, the other takes.
func TestSchemaAgreesWithParser(t *testing.T) {
	t.Parallel()
	var c decision.Catalog
	if err := yaml.Unmarshal([]byte(everyType), &c.Decisions); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(nil); err != nil {
		t.Fatal(err)
	}
	schema := schemaOf(t, &c)
	cases := map[string]struct{ good, bad []string }{
		"name": {
			good: []string{`"hello"`, `"a"`, `"order-pricer-2"`},
			bad:  []string{`""`, `"fn"`, `"std"`, `"con"`, `"1a"`, `"A"`, `"a_b"`, `"a-"`, `"-a"`, `"é"`, `5`, `true`, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`},
		},
		"text": {
			good: []string{`""`, `"a b"`, `"é"`, `5`, `1.5`, `true`},
			bad:  []string{`"a\nb"`, `"\u0000"`, `"\u001b[1m"`, `"\u0085"`, `null`, `["a"]`, `{"a": 1}`},
		},
		"kind": {good: []string{`"a"`, `"b"`}, bad: []string{`"c"`, `""`, `"A"`, `1`, `true`, `null`, `["a"]`}},
		"flag": {
			good: []string{`true`, `false`, `"yes"`, `"no"`, `"True"`, `"FALSE"`},
			bad:  []string{`"maybe"`, `""`, `1`, `0`, `null`, `[true]`},
		},
		"count": {
			good: []string{`0`, `-3`, `50051`, `"7"`, `"+7"`, `"-7"`},
			bad:  []string{`1.5`, `"1.5"`, `""`, `"x"`, `"0x10"`, `"1e3"`, `true`, `null`, `[1]`},
		},
		"room": {
			good: []string{`0`, `1024`, `"1024"`, `"512MiB"`, `"512 MiB"`, `"1GB"`, `"2Gi"`, `"3kB"`, `"4KB"`, `"5B"`},
			bad:  []string{`-1`, `1.5`, `"1.5GiB"`, `"-1"`, `"+1"`, `"1 "`, `" 1MiB"`, `"1M"`, `"1m"`, `"MiB"`, `""`, `true`, `null`, `["1"]`},
		},
		"wait": {
			good: []string{`"1s"`, `"1.5s"`, `".5s"`, `"1h30m"`, `"250ms"`, `"3us"`, `"3µs"`, `"0"`, `0`, `"0s"`},
			bad:  []string{`"1"`, `1`, `"-1s"`, `"+1s"`, `"1 s"`, `"s"`, `"1d"`, `""`, `true`, `null`, `-1`},
		},
		"list": {
			good: []string{`[]`, `["a"]`, `["a", "b c"]`, `[1, true]`, `"a,b"`, `"a, b"`, `""`, `"none"`, `"a"`, `1`, `true`},
			bad:  []string{`["a", ""]`, `[" "]`, `["a,b"]`, `["a\nb"]`, `[null]`, `[["a"]]`, `[{"a": 1}]`, `"a,,b"`, `",a"`, `"a,"`, `null`},
		},
		"some": {
			good: []string{`[]`, `["x"]`, `["x", "y"]`, `"x,y"`, `"x, y"`, `""`, `"none"`},
			bad:  []string{`["z"]`, `["x", 1]`, `"z"`, `"x,z"`, `"x,"`, `null`},
		},
	}
	for id, c2 := range cases {
		d, ok := c.Find(id)
		if !ok {
			t.Fatal(id)
		}
		for _, text := range c2.good {
			if err := valid(t, schema, `{"`+id+`": `+text+`}`); err != nil {
				t.Errorf("%s: %s: the schema refuses it: %v", id, text, err)
			}
			if err := parse(t, d, text); err != nil {
				t.Errorf("%s: %s: the parser refuses it: %v", id, text, err)
			}
		}
		for _, text := range c2.bad {
			if valid(t, schema, `{"`+id+`": `+text+`}`) == nil {
				t.Errorf("%s: %s: the schema takes it", id, text)
			}
			if parse(t, d, text) == nil {
				t.Errorf("%s: %s: the parser takes it", id, text)
			}
		}
	}
	if valid(t, schema, `{"nmae": "a"}`) == nil {
		t.Error("the schema takes an unknown key")
	}
}

func parse(t *testing.T, d *decision.Decision, text string) error {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	var raw decision.Raw
	if err := doc.Content[0].Decode(&raw); err != nil {
		t.Fatal(err)
	}
	value, err := d.Read(raw)
	if err == nil && d.ID == decision.NameID {
		return decision.CheckName(value.String())
	}
	return err
}

// What `template schema` prints of the embedded set takes the answers that the set itself gives.
func TestSchemaOfEmbeddedSet(t *testing.T) {
	t.Parallel()
	a := &app{}
	set, err := a.openSet(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	schema := schemaOf(t, &set.Catalog)
	given := map[string]decision.Input{decision.NameID: decision.Text("hello", decision.FromArgument())}
	out, err := resolve(set, given, true)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]any{}
	for id, report := range decisionReports(&set.Catalog, out) {
		answers[id] = report.Value
	}
	text, err := json.Marshal(answers)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range set.Catalog.Decisions {
		if _, ok := answers[d.ID]; !ok && d.When == "" {
			t.Errorf("there is no answer to %s", d.ID)
		}
	}
	if err := valid(t, schema, string(text)); err != nil {
		t.Errorf("the schema refuses the set's own answers: %v", err)
	}
}

// A locked decision has one value, and the reason in its place.
func TestSchemaOfLockedDecision(t *testing.T) {
	t.Parallel()
	var c decision.Catalog
	if err := yaml.Unmarshal([]byte(everyType), &c.Decisions); err != nil {
		t.Fatal(err)
	}
	c.Locked = map[string]decision.Lock{"kind": {Value: decision.RawText("b"), Reason: "because"}}
	schema := schemaOf(t, &c)
	if valid(t, schema, `{"kind": "a"}`) == nil || valid(t, schema, `{"kind": "b"}`) != nil {
		t.Error("the schema does not hold a lock")
	}
}
