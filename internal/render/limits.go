package render

import (
	"bytes"
	"fmt"
	"reflect"
	"text/template"
	"text/template/parse"
)

// What one template may take: more than any file needs, and little enough that a slip in a set is an error rather than
// a machine without memory or a run without end.
const (
	maxDepth  = 64       // of `include` within `include`, and of lists within lists
	maxOutput = 64 << 20 // bytes of one rendered file
	maxSteps  = 500_000  // pieces of text written and turns of loops
	maxValue  = 4 << 20  // bytes and items of one value
	maxWidth  = 256      // of a column in printf, of an indentation, of a replacement's pattern
)

// bounded is a buffer that refuses to grow without end, and a template that turns without end: each write is a step.
type bounded struct {
	bytes.Buffer
	steps *int
}

func (b *bounded) Write(p []byte) (int, error) {
	if *b.steps++; *b.steps > maxSteps {
		return 0, fmt.Errorf("takes more than %d steps", maxSteps)
	}
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("renders to more than %d MiB", maxOutput>>20)
	}
	return b.Buffer.Write(p)
}

// countSteps puts an empty text in front of every body, so that a loop or a recursion that prints nothing writes, and
// is counted, too.
func countSteps(t *template.Template) {
	if t.Tree != nil {
		countIn(t.Root, true)
	}
}

func countIn(list *parse.ListNode, again bool) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.RangeNode:
			countIn(n.List, true)
			countIn(n.ElseList, false)
		case *parse.IfNode:
			countIn(n.List, false)
			countIn(n.ElseList, false)
		case *parse.WithNode:
			countIn(n.List, false)
			countIn(n.ElseList, false)
		}
	}
	if again {
		step := &parse.TextNode{NodeType: parse.NodeText, Pos: list.Pos}
		list.Nodes = append([]parse.Node{step}, list.Nodes...)
	}
}

var errorType = reflect.TypeFor[error]()

// limited is a function whose result may not outgrow maxValue. The common signatures are written out: a function made by
// reflection is slower to make and to call.
func limited(function any) any {
	switch f := function.(type) {
	case func(string) string:
		return func(s string) (string, error) { return limitedText(f(s), nil) }
	case func(string) (string, error):
		return func(s string) (string, error) { return limitedText(f(s)) }
	case func(int, string) string:
		return func(n int, s string) (string, error) { return limitedText(f(n, s), nil) }
	case func(int, string) (string, error):
		return func(n int, s string) (string, error) { return limitedText(f(n, s)) }
	case func(string, string) string:
		return func(a, b string) (string, error) { return limitedText(f(a, b), nil) }
	case func(string, string, string) string:
		return func(a, b, c string) (string, error) { return limitedText(f(a, b, c), nil) }
	case func(string, string, string) (string, error):
		return func(a, b, c string) (string, error) { return limitedText(f(a, b, c)) }
	case func(any) string:
		return func(value any) (string, error) { return limitedText(f(value), nil) }
	case func(...any) string:
		return func(values ...any) (string, error) { return limitedText(f(values...), nil) }
	case func(string, ...any) (string, error):
		return func(s string, values ...any) (string, error) { return limitedText(f(s, values...)) }
	}
	f := reflect.ValueOf(function)
	t := f.Type()
	switch t.Out(0).Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Interface:
	default:
		return function
	}
	var in []reflect.Type
	for i := range t.NumIn() {
		in = append(in, t.In(i))
	}
	call := f.Call
	if t.IsVariadic() {
		call = f.CallSlice
	}
	limitedType := reflect.FuncOf(in, []reflect.Type{t.Out(0), errorType}, t.IsVariadic())
	return reflect.MakeFunc(limitedType, func(args []reflect.Value) []reflect.Value {
		results := call(args)
		err := reflect.Zero(errorType)
		if len(results) == 2 {
			err = results[1]
		}
		if weight(results[0], 0) > maxValue {
			err = reflect.ValueOf(errTooLarge)
		}
		return []reflect.Value{results[0], err}
	}).Interface()
}

var errTooLarge = fmt.Errorf("gives a value that is larger than %d MiB or nested more than %d deep", maxValue>>20, maxDepth)

func limitedText(s string, err error) (string, error) {
	if err == nil && len(s) > maxValue {
		err = errTooLarge
	}
	return s, err
}

// weight counts the bytes and items of a value, and stops where they are too many.
func weight(v reflect.Value, depth int) int {
	if depth > maxDepth {
		return maxValue + 1
	}
	sum := 16
	switch v.Kind() {
	case reflect.Interface:
		return weight(v.Elem(), depth)
	case reflect.String:
		return 16 + v.Len()
	case reflect.Slice:
		for i := 0; i < v.Len() && sum <= maxValue; i++ {
			sum += weight(v.Index(i), depth+1)
		}
	case reflect.Map:
		for entries := v.MapRange(); sum <= maxValue && entries.Next(); {
			sum += weight(entries.Key(), depth+1) + weight(entries.Value(), depth+1)
		}
	}
	return sum
}
