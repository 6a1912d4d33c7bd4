package render

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"rustgen/internal/tree"
)

// What a run may take: far more than any set needs, and little enough that a slip in one is an error rather than a
// machine without memory or a run without end.
const (
	maxDepth = 64        // of `include` within `include`, and of lists within lists
	maxValue = 4 << 20   // bytes and items of one value
	maxWidth = 256       // of a column in printf, of an indentation, of a replacement's pattern
	maxWork  = 128 << 20 // bytes that functions are given and give, in one call of an engine
	maxRun   = 4 << 30   // the same in all calls
	maxTime  = 30 * time.Second
)

// budget is what the calls of an engine, and of those that help it, may still take. A step costs what it works on, in
// bytes.
type budget struct {
	// run is what all calls have taken, call and output what the present one has, and has written.
	run, call, output atomic.Int64
	// ended says that nothing is to be done any more.
	ended atomic.Bool
	ctx   context.Context
	time  time.Duration
}

// stepCost is what a step costs beside what it works on: a call, or a piece of text that is written.
const stepCost = 512

// charge takes a step that works on so many bytes.
func (b *budget) charge(bytes int) error {
	if b.ended.Load() {
		return errEnded
	}
	return b.take(int64(bytes) + stepCost)
}

func (b *budget) take(cost int64) error {
	if b.call.Add(cost) > maxWork {
		return fmt.Errorf("takes more than %d MiB of work", maxWork>>20)
	}
	if b.run.Add(cost) > maxRun {
		return fmt.Errorf("takes more than %d MiB of work in one run", maxRun>>20)
	}
	return nil
}

// write takes so many bytes of what is rendered.
func (b *budget) write(bytes int) error {
	if b.output.Add(int64(bytes)) > tree.MaxBytes {
		return fmt.Errorf("renders to more than %d MiB", tree.MaxBytes>>20)
	}
	return b.charge(0)
}

var errEnded = fmt.Errorf("was ended")

// within does what one call of an engine is to do, and returns when it is done, its time is over or the run is ended by a
// signal. What is not done by then ends at its next step, and the engine with it.
func within[T any](b *budget, do func() (T, error)) (T, error) {
	var none T
	if b.ended.Load() {
		return none, cmp.Or(b.ctx.Err(), errEnded)
	}
	b.call.Store(0)
	b.output.Store(0)
	ctx, cancel := context.WithTimeout(b.ctx, b.time)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		b.ended.Store(true)
		if err := b.ctx.Err(); err != nil {
			return none, err
		}
		return none, fmt.Errorf("the template set takes longer than %v", b.time)
	}
}

// bounded is a buffer that the budget limits.
type bounded struct {
	bytes.Buffer
	budget *budget
}

func (b *bounded) Write(p []byte) (int, error) {
	if err := b.budget.write(len(p)); err != nil {
		return 0, err
	}
	return b.Buffer.Write(p)
}

var errorType = reflect.TypeFor[error]()

// limited is a function that the budget charges for what it is given and gives, and whose result may not outgrow
// maxValue. The common signatures are written out: a function made by reflection is slower to make and to call.
func (b *budget) limited(function any) any {
	text := func(s string, err error, given int) (string, error) {
		if err != nil {
			return "", err
		}
		if len(s) > maxValue {
			return "", errTooLarge
		}
		return s, b.charge(given + len(s))
	}
	switch f := function.(type) {
	case func(string) string:
		return func(s string) (string, error) { return text(f(s), nil, len(s)) }
	case func(string) (string, error):
		return func(s string) (string, error) { r, err := f(s); return text(r, err, len(s)) }
	case func(int, string) string:
		return func(n int, s string) (string, error) { return text(f(n, s), nil, len(s)) }
	case func(int, string) (string, error):
		return func(n int, s string) (string, error) { r, err := f(n, s); return text(r, err, len(s)) }
	case func(string, string) string:
		return func(s, t string) (string, error) { return text(f(s, t), nil, len(s)+len(t)) }
	case func(string, string) bool:
		return func(s, t string) (bool, error) { return f(s, t), b.charge(len(s) + len(t)) }
	case func(string, string, string) string:
		return func(s, t, u string) (string, error) { return text(f(s, t, u), nil, len(s)+len(t)+len(u)) }
	case func(string, string, string) (string, error):
		return func(s, t, u string) (string, error) { r, err := f(s, t, u); return text(r, err, len(s)+len(t)+len(u)) }
	case func(string, ...any) (string, error):
		return func(s string, more ...any) (string, error) {
			r, err := f(s, more...)
			return text(r, err, len(s)+weightOf(more...))
		}
	case func(...any) string:
		return func(items ...any) (string, error) { return text(f(items...), nil, weightOf(items...)) }
	case func(any) int:
		return func(v any) (int, error) { return f(v), b.charge(weightOf(v)) }
	case func(any) int64:
		return func(v any) (int64, error) { return f(v), b.charge(weightOf(v)) }
	case func(any, any) int64:
		return func(v, w any) (int64, error) { return f(v, w), b.charge(weightOf(v, w)) }
	case func(...any) int64:
		return func(items ...any) (int64, error) { return f(items...), b.charge(weightOf(items...)) }
	case func(any, ...any) int64:
		return func(v any, more ...any) (int64, error) {
			return f(v, more...), b.charge(weightOf(v) + weightOf(more...))
		}
	}
	return b.reflected(reflect.ValueOf(function))
}

// weightOf is the weight of values, most of which are texts, numbers, and lists and maps of them.
func weightOf(values ...any) int {
	sum := 0
	for _, value := range values {
		switch v := value.(type) {
		case string:
			sum += 16 + len(v)
		case int, int64, float64, bool:
			sum += 16
		default:
			sum += weight(reflect.ValueOf(value), 0)
		}
	}
	return sum
}

// reflected is limited for any signature.
func (b *budget) reflected(f reflect.Value) any {
	t := f.Type()
	var in []reflect.Type
	for i := range t.NumIn() {
		in = append(in, t.In(i))
	}
	call := f.Call
	if t.IsVariadic() {
		call = f.CallSlice
	}
	signature := reflect.FuncOf(in, []reflect.Type{t.Out(0), errorType}, t.IsVariadic())
	return reflect.MakeFunc(signature, func(args []reflect.Value) []reflect.Value {
		given := 0
		for _, arg := range args {
			given += weight(arg, 0)
		}
		fail := func(err error) []reflect.Value {
			return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
		}
		if err := b.charge(given); err != nil {
			return fail(err)
		}
		results := call(args)
		if len(results) == 2 && !results[1].IsNil() {
			return results
		}
		made := weight(results[0], 0)
		if made > maxValue {
			return fail(errTooLarge)
		}
		if err := b.take(int64(made)); err != nil {
			return fail(err)
		}
		return []reflect.Value{results[0], reflect.Zero(errorType)}
	}).Interface()
}

var errTooLarge = fmt.Errorf("gives a value that is larger than %d MiB or nested more than %d deep", maxValue>>20, maxDepth)

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
