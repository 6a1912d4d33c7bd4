package render

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode"

	"github.com/Masterminds/sprig/v3"

	"rustgen/internal/lazyregexp"
)

// allowed are the functions of sprig that templates may call: pure and deterministic ones. What is missing here reads
// the clock, the environment, the network or a source of randomness, depends on the order of a map or on the operating
// system, changes its argument, or hides a missing key.
var allowed = strings.Fields(`
	abbrev add add1 add1f addf adler32sum all any append atoi b32dec b32enc b64dec b64enc base biggest cat ceil chunk
	clean coalesce compact concat contains deepCopy deepEqual default dict dir div divf duration durationRound empty
	ext fail first float64 floor fromJson has hasKey hasPrefix hasSuffix initial initials int int64 isAbs kindIs
	kindOf last list lower max maxf min minf mod mul mulf nospace omit pick plural prepend quote regexFind regexFindAll
	regexMatch regexQuoteMeta regexSplit rest reverse round semver semverCompare sha1sum sha256sum sha512sum slice
	sortAlpha splitList squote sub subf substr swapcase ternary title toDecimal toJson toPrettyJson toRawJson toString
	toStrings trim trimAll trimPrefix trimSuffix trunc tuple typeIs typeIsLike typeOf uniq untitle upper without wrap`)

// maxUntil is the longest list of numbers.
const maxUntil = 10_000

// functions are all that templates and expressions may call, beside the language's own.
func functions(b *budget) template.FuncMap {
	library := sprig.HermeticTxtFuncMap()
	funcs := template.FuncMap{}
	for _, name := range allowed {
		funcs[name] = library[name]
	}
	maps.Copy(funcs, template.FuncMap{
		"snake":         func(s string) string { return strings.Join(words(s), "_") },
		"kebab":         func(s string) string { return strings.Join(words(s), "-") },
		"pascal":        pascal,
		"camel":         func(s string) string { return uncapitalised(pascal(s)) },
		"sortCargoLock": sortCargoLock,
		"index":         index,
		"repeat":        repeat,
		"indent":        indent,
		"nindent":       nindent,
		"until":         until,
		"join":          join(library["join"].(func(string, any) string), library["toStrings"].(func(any) []string)),
		"replace":       replace,
		"sortAlpha":     sortAlpha(library["sortAlpha"].(func(any) []string)),
		"print":         fmt.Sprint,
		"println":       fmt.Sprintln,
		"printf":        printf,
		"html":          template.HTMLEscaper,
		"js":            template.JSEscaper,
		"urlquery":      template.URLQueryEscaper,
	})
	for _, name := range []string{"regexReplaceAll", "regexReplaceAllLiteral"} {
		funcs[name] = replaceAll(library[name].(func(string, string, string) string))
	}
	for name, f := range funcs {
		funcs[name] = b.limited(f)
	}
	return funcs
}

// sortAlpha is sprig's, which sorts a list of strings in place, on a copy: no file is to change what the next one sees.
func sortAlpha(library func(any) []string) func(any) []string {
	return func(list any) []string {
		if items, ok := list.([]string); ok {
			list = slices.Clone(items)
		}
		return library(list)
	}
}

// words splits a name at everything that is neither a letter nor a digit, and at capitals as heck does, the crate that
// names tonic's modules: before one that follows a lower-case letter, and before the last of several that a lower-case
// letter follows. Digits belong to what stands before them.
func words(s string) []string {
	var out []string
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		runes := []rune(part)
		start, lower, upper := 0, false, false
		cut := func(at int) {
			out = append(out, strings.ToLower(string(runes[start:at])))
			start, lower, upper = at, false, false
		}
		for i, r := range runes[:len(runes)-1] {
			isLower, isUpper, next := unicode.IsLower(r), unicode.IsUpper(r), runes[i+1]
			switch {
			case (isLower || lower && !isUpper) && unicode.IsUpper(next):
				cut(i + 1)
			case upper && isUpper && unicode.IsLower(next):
				cut(i)
			case isLower:
				lower, upper = true, false
			case isUpper:
				lower, upper = false, true
			}
		}
		cut(len(runes))
	}
	return out
}

func pascal(s string) string {
	var b strings.Builder
	for _, w := range words(s) {
		r := []rune(w)
		b.WriteRune(unicode.ToUpper(r[0]))
		b.WriteString(string(r[1:]))
	}
	return b.String()
}

func uncapitalised(s string) string {
	r := []rune(s)
	if len(r) > 0 {
		r[0] = unicode.ToLower(r[0])
	}
	return string(r)
}

// index is the language's own, but a key that a map lacks is an error here too.
func index(item reflect.Value, keys ...reflect.Value) (reflect.Value, error) {
	for _, key := range keys {
		for item.Kind() == reflect.Interface {
			item = item.Elem()
		}
		for key.Kind() == reflect.Interface {
			key = key.Elem()
		}
		switch item.Kind() {
		case reflect.Map:
			if !key.IsValid() || !key.Type().AssignableTo(item.Type().Key()) {
				return item, fmt.Errorf("%v is no key of this map", key)
			}
			found := item.MapIndex(key)
			if !found.IsValid() {
				return item, fmt.Errorf("the map has no %q", key)
			}
			item = found
		case reflect.Slice, reflect.Array, reflect.String:
			if !key.CanInt() || key.Int() < 0 || key.Int() >= int64(item.Len()) {
				return item, fmt.Errorf("%v is out of range", key)
			}
			item = item.Index(int(key.Int()))
		default:
			return item, errors.New("neither a list nor a map")
		}
	}
	return item, nil
}

func repeat(n int, s string) (string, error) {
	if n < 0 || len(s) > 0 && n > maxValue/len(s) {
		return "", fmt.Errorf("%d times is out of range", n)
	}
	return strings.Repeat(s, n), nil
}

func replace(from, to, s string) (string, error) {
	if len(s)+strings.Count(s, from)*len(to) > maxValue {
		return "", errors.New("the result is too large")
	}
	return strings.ReplaceAll(s, from, to), nil
}

func replaceAll(library func(pattern, s, to string) string) any {
	return func(pattern, s, to string) (string, error) {
		if len(to) > maxWidth {
			return "", fmt.Errorf("the replacement is longer than %d bytes", maxWidth)
		}
		return library(pattern, s, to), nil
	}
}

func join(library func(string, any) string, items func(any) []string) any {
	return func(separator string, list any) (string, error) {
		size := 0
		for _, item := range items(list) {
			if size += len(separator) + len(item); size > maxValue {
				return "", errors.New("the result is too large")
			}
		}
		return library(separator, list), nil
	}
}

// width matches a verb's width or precision, which printf pads to.
var width = lazyregexp.New(`%[-+# 0]*(?:\[\d+\])?(\*|\d*)(?:\.(?:\[\d+\])?(\*|\d*))?`)

func printf(format string, args ...any) (string, error) {
	for _, m := range width.FindAllStringSubmatch(strings.ReplaceAll(format, "%%", ""), -1) {
		for _, text := range m[1:] {
			if n, err := strconv.Atoi(text); text != "" && (err != nil || n > maxWidth) {
				return "", fmt.Errorf("width %s is out of range", text)
			}
		}
	}
	return fmt.Sprintf(format, args...), nil
}

func indent(n int, s string) (string, error) {
	if n < 0 || n > maxWidth || n*strings.Count(s, "\n") > maxValue {
		return "", fmt.Errorf("%d spaces is out of range", n)
	}
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad), nil
}

func nindent(n int, s string) (string, error) {
	text, err := indent(n, s)
	return "\n" + text, err
}

func until(n int) ([]int, error) {
	if n < 0 || n > maxUntil {
		return nil, fmt.Errorf("%d is out of range", n)
	}
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list, nil
}
