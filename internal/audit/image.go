package audit

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
)

// dockerfile is the instructions of one file, in order.
type dockerfile struct {
	path         string
	instructions []instruction
	arguments    map[string]string
}

// instruction is one line of a Dockerfile with its continuations; name is in capitals.
type instruction struct {
	name, value string
	line        int
}

var variable = regexp.MustCompile(`\$\{?(\w+)(?::-([^}]*))?\}?`)

func parseDockerfile(p, text string) dockerfile {
	d := dockerfile{path: p, arguments: map[string]string{}}
	open := instruction{}
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		if open.line == 0 {
			open.line = i + 1
		}
		more := strings.HasSuffix(l, `\`)
		open.value += strings.TrimSuffix(l, `\`) + " "
		if more {
			continue
		}
		open.name, open.value, _ = strings.Cut(strings.TrimSpace(open.value), " ")
		open.name, open.value = strings.ToUpper(open.name), strings.TrimSpace(open.value)
		if name, value, ok := strings.Cut(open.value, "="); ok && open.name == "ARG" {
			d.arguments[name] = strings.Trim(value, `"'`)
		}
		d.instructions = append(d.instructions, open)
		open = instruction{}
	}
	return d
}

// expand puts the defaults of arguments in; one without a default stays as it is.
func (d dockerfile) expand(text string) string {
	return variable.ReplaceAllStringFunc(text, func(reference string) string {
		m := variable.FindStringSubmatch(reference)
		if value, ok := d.arguments[m[1]]; ok {
			return value
		}
		return cmp.Or(m[2], reference)
	})
}

// from is one stage: its image, and what it is called.
type from struct {
	image, name string
	line        int
	// index is that of its instruction.
	index int
}

func (d dockerfile) froms() (all []from) {
	for i, in := range d.instructions {
		if in.name != "FROM" {
			continue
		}
		words := strings.Fields(d.expand(in.value))
		for len(words) > 0 && strings.HasPrefix(words[0], "--") {
			words = words[1:]
		}
		if len(words) == 0 {
			continue
		}
		f := from{image: words[0], line: in.line, index: i}
		if len(words) == 3 && strings.EqualFold(words[1], "as") {
			f.name = words[2]
		}
		all = append(all, f)
	}
	return all
}

// last is the stage that is shipped, with its own instructions and those of the stages that it is made from.
func (d dockerfile) last() (base from, own []instruction) {
	froms := d.froms()
	if len(froms) == 0 {
		return from{}, nil
	}
	at := len(froms) - 1
	for {
		end := len(d.instructions)
		if at+1 < len(froms) {
			end = froms[at+1].index
		}
		base = froms[at]
		own = append(append([]instruction{}, d.instructions[base.index+1:end]...), own...)
		parent := -1
		for i, f := range froms[:at] {
			if f.name != "" && f.name == base.image {
				parent = i
			}
		}
		if parent < 0 {
			return base, own
		}
		at = parent
	}
}

// find is the last instruction of a name.
func find(all []instruction, name string) (instruction, bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].name == name {
			return all[i], true
		}
	}
	return instruction{}, false
}

// isExec reports whether a command is in the exec form, which runs without a shell.
func isExec(value string) bool {
	var words []string
	return json.Unmarshal([]byte(value), &words) == nil
}
