package proto

import (
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// words splits a name where the heck crate does, which prost-build and tonic-build make all of their names with: before
// an upper-case letter that follows a lower-case one, before the last of several upper-case letters that a lower-case one
// follows, and at whatever is neither a letter nor a digit.
func words(name string) []string {
	const (
		boundary = iota
		lower
		upper
	)
	var all []string
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }) {
		runes := []rune(part)
		start, mode := 0, boundary
		for i, c := range runes {
			if i == len(runes)-1 {
				all = append(all, string(runes[start:]))
				break
			}
			with := mode
			if unicode.IsLower(c) {
				with = lower
			} else if unicode.IsUpper(c) {
				with = upper
			}
			switch next := runes[i+1]; {
			case with == lower && unicode.IsUpper(next):
				all = append(all, string(runes[start:i+1]))
				start, mode = i+1, boundary
			case mode == upper && unicode.IsUpper(c) && unicode.IsLower(next):
				all = append(all, string(runes[start:i]))
				start, mode = i, boundary
			default:
				mode = with
			}
		}
	}
	return all
}

// Snake is the Rust name of a field, a method or a module.
func Snake(name string) string {
	parts := words(name)
	for i, p := range parts {
		parts[i] = strings.ToLower(p)
	}
	return identifier(strings.Join(parts, "_"))
}

// UpperCamel is the Rust name of a message, an enum, a oneof, a service or a variant.
func UpperCamel(name string) string {
	var b strings.Builder
	for _, p := range words(name) {
		runes := []rune(p)
		b.WriteRune(unicode.ToUpper(runes[0]))
		b.WriteString(strings.ToLower(string(runes[1:])))
	}
	return identifier(b.String())
}

// rawKeywords are the words of Rust that prost writes as r#word.
var rawKeywords = strings.Fields(`abstract as async await become box break const continue do dyn else enum false final fn for
	gen if impl in let loop macro match mod move mut override priv pub ref return static struct trait true try type typeof
	unsafe unsized use virtual where while yield`)

// identifier makes a Rust identifier of a name that may be a word of the language, as prost does.
func identifier(name string) string {
	switch {
	case slices.Contains(rawKeywords, name):
		return "r#" + name
	case slices.Contains([]string{"_", "super", "self", "Self", "extern", "crate"}, name):
		return name + "_"
	case name != "" && unicode.IsNumber([]rune(name)[0]):
		return "_" + name
	default:
		return name
	}
}

// moduleOf is the Rust module of a package, below the one that all protos are compiled to; "" is that one itself.
func moduleOf(pkg protoreflect.FullName) string {
	var parts []string
	for part := range strings.SplitSeq(string(pkg), ".") {
		if part != "" {
			parts = append(parts, Snake(part))
		}
	}
	return strings.Join(parts, "::")
}

// serviceModule is the part of a service's modules before _server and _client. tonic-build puts an underscore before
// every upper-case letter but the first, whatever stands before it.
func serviceModule(service string) string {
	var b strings.Builder
	for i, r := range UpperCamel(service) {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// inside joins module paths.
func inside(module, name string) string {
	if module == "" {
		return name
	}
	return module + "::" + name
}

// scopeOf is the Rust module that the declarations in a package or message are in.
func scopeOf(d protoreflect.Descriptor) string {
	if m, ok := d.(protoreflect.MessageDescriptor); ok {
		return inside(scopeOf(m.Parent()), Snake(string(m.Name())))
	}
	return moduleOf(d.ParentFile().Package())
}

// googleProtobuf is the package of the files that every compiler has.
const googleProtobuf = "google.protobuf"

// wellKnown are the types that prost has a Rust type of its own for. The others of google.protobuf are prost_types'.
var wellKnown = map[protoreflect.FullName]string{
	"google.protobuf.Empty":       "()",
	"google.protobuf.StringValue": "String",
	"google.protobuf.BytesValue":  "Vec<u8>",
	"google.protobuf.BoolValue":   "bool",
	"google.protobuf.Int32Value":  "i32",
	"google.protobuf.Int64Value":  "i64",
	"google.protobuf.UInt32Value": "u32",
	"google.protobuf.UInt64Value": "u64",
	"google.protobuf.FloatValue":  "f32",
	"google.protobuf.DoubleValue": "f64",
}

// bare are the Rust types of well-known messages that tonic-build cannot name in a method: it looks for them beside the
// service.
var bare = []string{"bool", "i32", "i64", "u32", "u64", "f32", "f64"}

// rustType is the Rust type of a message. A type of the service's own protos begins with the module that the caller
// names, as `crate::pb`.
func rustType(m protoreflect.MessageDescriptor) (path string, own bool) {
	if t, ok := wellKnown[m.FullName()]; ok {
		return t, false
	}
	path = inside(scopeOf(m.Parent()), UpperCamel(string(m.Name())))
	if rest, ok := strings.CutPrefix(path, moduleOf(googleProtobuf)+"::"); ok {
		return "prost_types::" + rest, false
	}
	return path, true
}

// variants are the Rust names of an enum's values, each with the first value of that number, in their order.
func variants(e protoreflect.EnumDescriptor) (names []string, values []protoreflect.EnumValueDescriptor) {
	prefix := UpperCamel(string(e.Name()))
	seen := map[protoreflect.EnumNumber]bool{}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		if seen[v.Number()] {
			continue
		}
		seen[v.Number()] = true
		name := UpperCamel(string(v.Name()))
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && unicode.IsUpper([]rune(rest)[0]) {
			name = rest
		}
		names, values = append(names, identifier(name)), append(values, v)
	}
	return names, values
}
