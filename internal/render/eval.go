package render

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/template"

	"rustgen/internal/lazyregexp"
)

// The delimiters of templates: {{ }} belongs to Rust's formatting and to CI files, [[ ]] to TOML.
const leftDelim, rightDelim = "<%", "%>"

// Engine evaluates expressions and templates. It is for one goroutine at a time.
type Engine struct {
	// blank has the options and functions and stays without templates. files is the namespace of those that know no
	// other, expressions that of expressions.
	blank, files, expressions *template.Template
	// parsed are the expressions so far: conditions come back for every file.
	parsed map[string]*template.Template
	// result is where the expression that is being computed leaves its value.
	result any
	// budget is shared with the engines that render beside this one.
	budget *budget
}

// NewEngine makes an engine with the allowed functions.
func NewEngine() *Engine { return NewEngineContext(context.Background()) }

// NewEngineContext makes an engine that ends with a context: what it is doing then is given up at once.
func NewEngineContext(ctx context.Context) *Engine {
	b := &budget{ctx: ctx, time: maxTime}
	blank := template.New("").Delims(leftDelim, rightDelim).Option("missingkey=error").Funcs(functions(b)).Funcs(template.FuncMap{
		"include": func(string, any) (string, error) {
			return "", errors.New("only a file has templates to include")
		},
	})
	return newEngine(blank, b)
}

func newEngine(blank *template.Template, b *budget) *Engine {
	e := &Engine{blank: blank, parsed: map[string]*template.Template{}, budget: b}
	e.files = template.Must(e.blank.Clone())
	e.expressions = template.Must(e.blank.Clone()).Funcs(template.FuncMap{
		"result": func(value any) string { e.result = value; return "" },
	})
	return e
}

// Eval computes an expression: a template pipeline without delimiters. It is a [decision.Evaluate].
func (e *Engine) Eval(expr string, data map[string]any) (any, error) {
	return within(e.budget, func() (any, error) { return e.eval(expr, data) })
}

func (e *Engine) eval(expr string, data map[string]any) (any, error) {
	t, err := e.expression(expr)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", expr, plain(err))
	}
	e.result = nil
	if err := t.Execute(&bounded{budget: e.budget}, data); err != nil {
		return nil, fmt.Errorf("%q: %w", expr, plain(err))
	}
	return e.result, nil
}

// maxExpression is the length of an expression, in bytes.
const maxExpression = 64 << 10

func (e *Engine) expression(expr string) (*template.Template, error) {
	if t, ok := e.parsed[expr]; ok {
		return t, nil
	}
	if len(expr) > maxExpression {
		return nil, fmt.Errorf("longer than %d KiB", maxExpression>>10)
	}
	if strings.Contains(expr, leftDelim) || strings.Contains(expr, rightDelim) {
		return nil, fmt.Errorf("an expression holds no %s and no %s", leftDelim, rightDelim)
	}
	t, err := e.expressions.New("expression").Parse(leftDelim + " result (" + expr + ") " + rightDelim)
	if err != nil {
		return nil, err
	}
	e.parsed[expr] = t
	return t, nil
}

var several = lazyregexp.New(`\b(define|block|template|include)\b`)

// hasSeveral reports whether an action of a text may define templates, or call them by name.
func hasSeveral(text string) bool {
	for {
		_, after, ok := strings.Cut(text, leftDelim)
		if !ok {
			return false
		}
		var action string
		if action, text, _ = strings.Cut(after, rightDelim); several.MatchString(action) {
			return true
		}
	}
}

// start makes the template that text will be parsed into. Templates that know each other get a namespace of their own,
// which is dear: all functions are copied into it.
func (e *Engine) start(name, text string) (t *template.Template, own bool, err error) {
	if !hasSeveral(text) {
		return e.files.New(name), false, nil
	}
	blank, err := e.blank.Clone()
	if err != nil {
		return nil, true, err
	}
	return blank.New(name), true, nil
}

// Text renders a template; name is its path, for errors.
func (e *Engine) Text(name, text string, data map[string]any) ([]byte, error) {
	return within(e.budget, func() ([]byte, error) { return e.text(name, text, data) })
}

func (e *Engine) text(name, text string, data map[string]any) ([]byte, error) {
	// The template package formats a template's name as a format: it may hold no percent sign.
	t, own, err := e.start(strings.ReplaceAll(name, "%", ""), text)
	if err != nil {
		return nil, err
	}
	if own {
		t.Funcs(template.FuncMap{"include": include(t, e.budget)})
	}
	if _, err := t.Parse(text); err != nil {
		return nil, located(name, err)
	}
	out := bounded{budget: e.budget}
	out.Grow(len(text) + len(text)/8)
	if err := t.Execute(&out, data); err != nil {
		return nil, located(name, err)
	}
	return out.Bytes(), nil
}

// include renders a template that a file defines to a string.
func include(t *template.Template, b *budget) any {
	depth := 0
	return func(part string, data any) (string, error) {
		if depth++; depth > maxDepth {
			return "", fmt.Errorf("nested more than %d deep", maxDepth)
		}
		defer func() { depth-- }()
		if t.Lookup(part) == nil {
			return "", fmt.Errorf("there is no template %q", part)
		}
		out := bounded{budget: b}
		if err := t.ExecuteTemplate(&out, part, data); err != nil {
			return "", located(t.Name(), err)
		}
		if out.Len() > maxValue {
			return "", errTooLarge
		}
		return out.String(), nil
	}
}

// fault is what is wrong with a template, and where.
type fault struct{ at, what string }

func (f *fault) Error() string { return f.at + ": " + f.what }

// located makes a fault of the template package's error. The innermost one stays: it is where the mistake stands.
func located(name string, err error) error {
	var inner *fault
	if errors.As(err, &inner) {
		return inner
	}
	if m := executing.FindStringSubmatch(err.Error()); m != nil {
		name += m[1]
	}
	return &fault{name, plain(err).Error()}
}

var executing = lazyregexp.New(`^template: .*?(:\d+)(?::\d+)?: (?:executing ".*?" at <.*?>: )?`)

// wording puts the template package's words for common mistakes into plainer ones.
var wording = []struct {
	theirs *lazyregexp.Regexp
	ours   string
}{
	{executing, ""},
	{lazyregexp.New(`^template: `), ""},
	{lazyregexp.New(`error calling (\w+): (runtime error: )?`), "$1: "},
	{lazyregexp.New(`map has no entry for key "([^"]*)"`), `there is no value named "$1"`},
	{lazyregexp.New(`function "([^"]*)" not defined`), `templates have no function "$1"`},
	{lazyregexp.New(`^template "([^"]*)" not defined`), `there is no template "$1"`},
}

// plain takes the template package's own words out of an error.
func plain(err error) error {
	text := err.Error()
	for _, w := range wording {
		text = w.theirs.ReplaceAllString(text, w.ours)
	}
	return errors.New(text)
}
