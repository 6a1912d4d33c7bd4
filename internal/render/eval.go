package render

import (
	"errors"
	"fmt"
	"regexp"
	"text/template"
)

// The delimiters of templates: {{ }} belongs to Rust's formatting and to CI files, [[ ]] to TOML.
const leftDelim, rightDelim = "<%", "%>"

// Engine evaluates expressions and templates. It is for one goroutine at a time.
type Engine struct {
	// blank has the options and functions; every template starts as a copy.
	blank *template.Template
	// expressions are those parsed so far: conditions come back for every file.
	expressions map[string]*template.Template
	// result is where the expression that is being computed leaves its value.
	result any
}

// NewEngine makes an engine with the allowed functions.
func NewEngine() *Engine {
	e := &Engine{expressions: map[string]*template.Template{}}
	e.blank = template.New("").Delims(leftDelim, rightDelim).Option("missingkey=error").Funcs(functions()).Funcs(template.FuncMap{
		"include": func(string, any) (string, error) {
			return "", errors.New("include: only a file has templates to include")
		},
	})
	return e
}

// Eval computes an expression: a template pipeline without delimiters. It is a [decision.Evaluate].
func (e *Engine) Eval(expr string, data map[string]any) (any, error) {
	t, err := e.expression(expr)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", expr, plain(err))
	}
	e.result = nil
	if err := t.Execute(&bounded{steps: new(int)}, data); err != nil {
		return nil, fmt.Errorf("%q: %w", expr, plain(err))
	}
	return e.result, nil
}

func (e *Engine) expression(expr string) (*template.Template, error) {
	if t, ok := e.expressions[expr]; ok {
		return t, nil
	}
	t, err := e.blank.Clone()
	if err != nil {
		return nil, err
	}
	t.Funcs(template.FuncMap{"result": func(value any) string { e.result = value; return "" }})
	if _, err := t.Parse(leftDelim + " result (" + expr + ") " + rightDelim); err != nil {
		return nil, err
	}
	countSteps(t)
	e.expressions[expr] = t
	return t, nil
}

// Text renders a template; name is its path, for errors.
func (e *Engine) Text(name, text string, data map[string]any) (string, error) {
	blank, err := e.blank.Clone()
	if err != nil {
		return "", err
	}
	t := blank.New(name)
	depth, steps := 0, 0
	t.Funcs(template.FuncMap{"include": func(part string, data any) (string, error) {
		if depth++; depth > maxDepth {
			return "", fmt.Errorf("nested more than %d deep", maxDepth)
		}
		defer func() { depth-- }()
		if t.Lookup(part) == nil {
			return "", fmt.Errorf("there is no template %q", part)
		}
		out := bounded{steps: &steps}
		if err := t.ExecuteTemplate(&out, part, data); err != nil {
			return "", located(name, err)
		}
		return out.String(), nil
	}})
	if _, err := t.Parse(text); err != nil {
		return "", located(name, err)
	}
	countSteps(t)
	out := bounded{steps: &steps}
	if err := t.Execute(&out, data); err != nil {
		return "", located(name, err)
	}
	return out.String(), nil
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

var executing = regexp.MustCompile(`^template: .*?(:\d+)(?::\d+)?: (?:executing ".*?" at <.*?>: )?`)

// wording puts the template package's words for common mistakes into plainer ones.
var wording = []struct {
	theirs *regexp.Regexp
	ours   string
}{
	{executing, ""},
	{regexp.MustCompile(`^template: `), ""},
	{regexp.MustCompile(`error calling (\w+): (runtime error: )?`), "$1: "},
	{regexp.MustCompile(`map has no entry for key "([^"]*)"`), `there is no value named "$1"`},
	{regexp.MustCompile(`function "([^"]*)" not defined`), `templates have no function "$1"`},
	{regexp.MustCompile(`^template "([^"]*)" not defined`), `there is no template "$1"`},
}

// plain takes the template package's own words out of an error.
func plain(err error) error {
	text := err.Error()
	for _, w := range wording {
		text = w.theirs.ReplaceAllString(text, w.ours)
	}
	return errors.New(text)
}
