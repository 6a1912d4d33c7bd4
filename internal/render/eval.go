package render

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
)

// The delimiters of templates: {{ }} belongs to Rust's formatting and to CI files, [[ ]] to TOML.
const leftDelim, rightDelim = "<%", "%>"

// maxDepth is how deep `include` may nest.
const maxDepth = 64

// maxOutput is the most that one template may render to.
const maxOutput = 64 << 20

// Engine evaluates expressions and templates. It is safe for one goroutine.
type Engine struct {
	funcs template.FuncMap
}

// NewEngine makes an engine with the allowed functions.
func NewEngine() *Engine { return &Engine{funcs: functions()} }

// Eval computes an expression: a template pipeline without delimiters. It is a [decision.Evaluate].
func (e *Engine) Eval(expr string, data map[string]any) (any, error) {
	var result any
	capture := template.FuncMap{"result": func(value any) string { result = value; return "" }}
	t, err := e.template("expression").Funcs(capture).Parse(leftDelim + " result (" + expr + ") " + rightDelim)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", expr, plain(err))
	}
	if err := t.Execute(new(bounded), data); err != nil {
		return nil, fmt.Errorf("%q: %w", expr, plain(err))
	}
	return result, nil
}

// Text renders a template; name is its path, for errors.
func (e *Engine) Text(name, text string, data map[string]any) (string, error) {
	t := e.template(name)
	depth := 0
	t.Funcs(template.FuncMap{"include": func(part string, data any) (string, error) {
		if depth++; depth > maxDepth {
			return "", fmt.Errorf("include: nested more than %d deep", maxDepth)
		}
		defer func() { depth-- }()
		var out bounded
		err := t.ExecuteTemplate(&out, part, data)
		return out.String(), err
	}})
	if _, err := t.Parse(text); err != nil {
		return "", located(name, err)
	}
	var out bounded
	if err := t.Execute(&out, data); err != nil {
		return "", located(name, err)
	}
	return out.String(), nil
}

func (e *Engine) template(name string) *template.Template {
	return template.New(name).Delims(leftDelim, rightDelim).Option("missingkey=error").Funcs(e.funcs)
}

// bounded is a buffer that refuses to grow without end.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("renders to more than %d MiB", maxOutput>>20)
	}
	return b.Builder.Write(p)
}

var (
	executing  = regexp.MustCompile(`^template: .*?(:\d+)(?::\d+)?: (?:executing ".*?" at <.*?>: )?`)
	missingKey = regexp.MustCompile(`map has no entry for key "([^"]*)"`)
)

// plain takes the template package's own words out of an error.
func plain(err error) error {
	text := executing.ReplaceAllString(err.Error(), "")
	return errors.New(missingKey.ReplaceAllString(text, `there is no value named "$1"`))
}

// located is plain, with file and line in front.
func located(name string, err error) error {
	at := name
	if m := executing.FindStringSubmatch(err.Error()); m != nil {
		at += m[1]
	}
	return fmt.Errorf("%s: %w", at, plain(err))
}
