package decision

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// Value is the answer to a decision: one of the types, and nothing else. The zero value is an empty text.
type Value struct {
	kind  Type
	text  string
	yes   bool
	n     int64 // a number, bytes, or nanoseconds
	items []string
}

// TextValue is the value of a decision of type String.
func TextValue(s string) Value { return Value{kind: String, text: s} }

// ListValue is the value of a decision of type List.
func ListValue(items ...string) Value { return Value{kind: List, items: slices.Clone(items)} }

// Data is the value as templates see it; [Type] says which Go type that is.
func (v Value) Data() any {
	switch v.kind {
	case Bool:
		return v.yes
	case Int:
		return int(v.n)
	case Size:
		return v.n
	case Duration:
		return time.Duration(v.n)
	case List:
		return v.Items()
	default:
		return v.text
	}
}

// Items are those of a list; none of any other value.
func (v Value) Items() []string { return append([]string{}, v.items...) }

// String writes a value as Parse reads it.
func (v Value) String() string {
	switch v.kind {
	case Bool:
		if v.yes {
			return "yes"
		}
		return "no"
	case Int:
		return strconv.FormatInt(v.n, 10)
	case Size:
		return FormatSize(v.n)
	case Duration:
		return FormatDuration(time.Duration(v.n))
	case List:
		if len(v.items) == 0 {
			return "none"
		}
		return strings.Join(v.items, ",")
	default:
		return v.text
	}
}

// Equal reports whether two values are the same answer.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.text == w.text && v.yes == w.yes && v.n == w.n && slices.Equal(v.items, w.items)
}

// Raw is the value as a file holds it: booleans, numbers and lists as such, all else as text.
func (v Value) Raw() Raw {
	switch v.kind {
	case Bool:
		return Raw{form: text, text: strconv.FormatBool(v.yes), plain: v.yes}
	case Int:
		return Raw{form: text, text: v.String(), plain: int(v.n)}
	case List:
		return RawList(v.items...)
	default:
		return RawText(v.String())
	}
}

// MarshalJSON writes the value as an answers file holds it.
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(v.Raw().Plain()) }

// zero is the value of a type that stands for none.
func zero(t Type) Value { return Value{kind: t} }

// Parse reads an answer as it stands on a command line, in the environment, or as a scalar of YAML.
func (d *Decision) Parse(text string) (Value, error) {
	if err := checkLine(text); err != nil {
		return Value{}, err
	}
	v := Value{kind: d.Type}
	switch d.Type {
	case Choice:
		if !slices.Contains(d.Values(), text) {
			return Value{}, fmt.Errorf("%q is not one of %s", text, strings.Join(d.Values(), ", "))
		}
		v.text = text
	case Bool:
		switch strings.ToLower(text) {
		case "yes", "true":
			v.yes = true
		case "no", "false":
		default:
			return Value{}, fmt.Errorf("%q is neither yes nor no", text)
		}
	case Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return Value{}, fmt.Errorf("%q is not a whole number", text)
		}
		v.n = int64(n)
	case Size:
		n, err := ParseSize(text)
		if err != nil {
			return Value{}, err
		}
		v.n = n
	case Duration:
		span, err := time.ParseDuration(text)
		if err != nil || text[0] == '-' || text[0] == '+' {
			return Value{}, fmt.Errorf("%q is not a duration such as 250ms, 1s or 2m", text)
		}
		v.n = int64(span)
	case List:
		return d.parseList(text)
	default:
		v.text = text
	}
	return v, nil
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

func (d *Decision) parseList(text string) (Value, error) {
	if strings.TrimSpace(text) == "" {
		return ListValue(), nil
	}
	return d.checkItems(strings.Split(text, ","))
}

// checkItems makes a list of items. The one item none, where it is no option, says that there are none.
func (d *Decision) checkItems(given []string) (Value, error) {
	items := make([]string, len(given))
	for i, item := range given {
		items[i] = strings.TrimSpace(item)
	}
	if len(items) == 1 && items[0] == "none" && !slices.Contains(d.Values(), "none") {
		return ListValue(), nil
	}
	for _, item := range items {
		if err := checkLine(item); err != nil {
			return Value{}, err
		}
		switch {
		case item == "":
			return Value{}, fmt.Errorf("the list has an empty item")
		case strings.Contains(item, ","):
			return Value{}, fmt.Errorf("item %q has a comma, which separates items", item)
		case len(d.Options) > 0 && !slices.Contains(d.Values(), item):
			return Value{}, fmt.Errorf("%q is not one of %s", item, strings.Join(d.Values(), ", "))
		}
	}
	return ListValue(items...), nil
}

// Read reads an answer as it was written: a text, or a list of texts for a list.
func (d *Decision) Read(raw Raw) (Value, error) {
	switch {
	case raw.form == text:
		return d.Parse(raw.text)
	case raw.form == list && d.Type == List:
		return d.checkItems(raw.items)
	case raw.form == other && d.Type == List:
		return Value{}, errors.New("a list holds plain values")
	case d.Type == Int:
		return Value{}, errors.New("the value is not a whole number")
	default:
		return Value{}, fmt.Errorf("the value is not a %s", d.Type)
	}
}

// Show writes an answer of a record as the decision does, or as it stands where it is none of the decision's any more.
func (d *Decision) Show(raw Raw) string {
	if value, err := d.Read(raw); err == nil {
		return value.String()
	}
	return raw.String()
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
func (d *Decision) coerce(value any) (Value, error) {
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
			return Value{kind: Duration, n: int64(v)}, nil
		}
	}
	return d.Parse(fmt.Sprint(value))
}
