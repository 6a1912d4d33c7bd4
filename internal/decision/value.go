package decision

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"rustgen/internal/tree"
)

// Type is the kind of value that a decision takes.
type Type string

// The types, and what each is in templates.
const (
	String   Type = "string"   // string
	Choice   Type = "choice"   // string, one of the options
	Bool     Type = "bool"     // bool
	Int      Type = "int"      // int
	Size     Type = "size"     // int64, bytes
	Duration Type = "duration" // time.Duration
	List     Type = "list"     // []string
)

// Types lists every type.
var Types = []Type{String, Choice, Bool, Int, Size, Duration, List}

// sizeUnits are the units of a size, largest first among the binary ones. A bare "M" or "m" would leave the reader to
// guess between a million and 2^20, so there is none.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// Parse reads an answer as it stands on a command line, in the environment, or as a scalar of YAML.
func (d *Decision) Parse(text string) (any, error) {
	if err := checkLine(text); err != nil {
		return nil, err
	}
	switch d.Type {
	case Choice:
		if !slices.Contains(d.Values(), text) {
			return nil, fmt.Errorf("%q is not one of %s", text, strings.Join(d.Values(), ", "))
		}
		return text, nil
	case Bool:
		switch strings.ToLower(text) {
		case "yes", "true":
			return true, nil
		case "no", "false":
			return false, nil
		}
		return nil, fmt.Errorf("%q is neither yes nor no", text)
	case Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		return n, nil
	case Size:
		return ParseSize(text)
	case Duration:
		span, err := time.ParseDuration(text)
		if err != nil || text[0] == '-' || text[0] == '+' {
			return nil, fmt.Errorf("%q is not a duration such as 250ms, 1s or 2m", text)
		}
		return span, nil
	case List:
		return d.parseList(text)
	default:
		return text, nil
	}
}

// checkLine refuses what would break out of the line of a file that it is rendered into, or out of a terminal, and what
// nobody would see there.
func checkLine(text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%q is not one line of UTF-8", text)
	}
	if strings.ContainsFunc(text, tree.Invisible) {
		return fmt.Errorf("%+q has a character that is not seen or changes the direction of the text", text)
	}
	return nil
}

func (d *Decision) parseList(text string) (any, error) {
	if strings.TrimSpace(text) == "" {
		return []string{}, nil
	}
	return d.checkItems(strings.Split(text, ","))
}

// checkItems makes a list of items. The one item none, where it is no option, says that there are none.
func (d *Decision) checkItems(given []string) (any, error) {
	items := make([]string, len(given))
	for i, item := range given {
		items[i] = strings.TrimSpace(item)
	}
	if len(items) == 1 && items[0] == "none" && !slices.Contains(d.Values(), "none") {
		return []string{}, nil
	}
	for _, item := range items {
		if err := checkLine(item); err != nil {
			return nil, err
		}
		switch {
		case item == "":
			return nil, fmt.Errorf("the list has an empty item")
		case strings.Contains(item, ","):
			return nil, fmt.Errorf("item %q has a comma, which separates items", item)
		case len(d.Options) > 0 && !slices.Contains(d.Values(), item):
			return nil, fmt.Errorf("%q is not one of %s", item, strings.Join(d.Values(), ", "))
		}
	}
	return items, nil
}

// ParseNode reads an answer from YAML or JSON: a scalar, or a sequence of scalars for a list.
func (d *Decision) ParseNode(node *yaml.Node) (any, error) {
	switch {
	case node.Kind == yaml.AliasNode:
		return d.ParseNode(node.Alias)
	case node.Kind == yaml.ScalarNode && node.Tag != "!!null":
		return d.Parse(node.Value)
	case node.Kind == yaml.SequenceNode && d.Type == List:
		items := make([]string, 0, len(node.Content))
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return nil, fmt.Errorf("a list holds plain values")
			}
			items = append(items, item.Value)
		}
		return d.checkItems(items)
	default:
		return nil, fmt.Errorf("the value is not a %s", d.Type)
	}
}

// Format writes a value as Parse reads it.
func (d *Decision) Format(value any) string {
	switch v := value.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case int64:
		return FormatSize(v)
	case time.Duration:
		return FormatDuration(v)
	case []string:
		if len(v) == 0 {
			return "none"
		}
		return strings.Join(v, ",")
	default:
		return fmt.Sprint(v)
	}
}

// ParseSize reads a number of bytes with an optional unit, as in 512MiB.
func ParseSize(text string) (int64, error) {
	number, unit := text, int64(1)
	for _, u := range sizeUnits {
		if head, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = strings.TrimRight(head, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is too large", text)
	case err != nil || number[0] < '0' || number[0] > '9':
		return 0, fmt.Errorf("%q is not a size such as 512MiB or 1GiB", text)
	}
	if n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return n * unit, nil
}

// FormatSize writes a number of bytes with the largest binary unit that divides it.
func FormatSize(n int64) string {
	for _, u := range sizeUnits[:4] {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// FormatDuration writes a duration without zero units: 1m, not 1m0s.
func FormatDuration(span time.Duration) string {
	text := span.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// coerce turns what an expression gave into the decision's type.
func (d *Decision) coerce(value any) (any, error) {
	switch v := value.(type) {
	case []string:
		if d.Type == List {
			return d.checkItems(v)
		}
	case []any:
		if d.Type == List {
			items := make([]string, len(v))
			for i, item := range v {
				items[i] = fmt.Sprint(item)
			}
			return d.checkItems(items)
		}
	case time.Duration:
		if d.Type == Duration {
			return v, nil
		}
	}
	return d.Parse(fmt.Sprint(value))
}

// Node writes a value as YAML that ParseNode reads back: booleans, numbers and lists as such, all else as text.
func (d *Decision) Node(value any) yaml.Node {
	var n yaml.Node
	switch v := value.(type) {
	case bool:
		n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case int:
		n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case []string:
		n = yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			var i yaml.Node
			i.SetString(item)
			n.Content = append(n.Content, &i)
		}
	default:
		n.SetString(d.Format(value))
	}
	return n
}
