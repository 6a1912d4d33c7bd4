package audit

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"rustgen/internal/lazyregexp"
)

// dockerfile is the instructions of one file, in order.
type dockerfile struct {
	path         string
	instructions []instruction
	arguments    map[string]string
}

// instruction is one instruction of a Dockerfile; name is in capitals.
type instruction struct {
	name, value string
	// words are the arguments, and exec says that they are in the exec form.
	words []string
	exec  bool
	line  int
}

var variable = lazyregexp.New(`\$\{?(\w+)(?::-([^}]*))?\}?`)

// parseDockerfile reads a file with BuildKit's own parser.
func parseDockerfile(p string, data []byte) (dockerfile, error) {
	d := dockerfile{path: p, arguments: map[string]string{}}
	parsed, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return d, err
	}
	for _, node := range parsed.AST.Children {
		in := instruction{name: strings.ToUpper(node.Value), line: node.StartLine, exec: node.Attributes["json"]}
		for n := node.Next; n != nil; n = n.Next {
			in.words = append(in.words, n.Value)
		}
		in.value = strings.Join(append(slices.Clone(node.Flags), in.words...), " ")
		for _, doc := range node.Heredocs {
			in.value += "\n" + doc.Content
		}
		if in.name == "ARG" {
			for _, w := range in.words {
				if name, value, ok := strings.Cut(w, "="); ok {
					d.arguments[name] = strings.Trim(value, `"'`)
				}
			}
		}
		d.instructions = append(d.instructions, in)
	}
	return d, nil
}

// expand puts the defaults of arguments in; one without a default stays as it is.
func (d dockerfile) expand(text string) string {
	for range 3 {
		expanded := variable.ReplaceAllStringFunc(text, func(reference string) string {
			m := variable.FindStringSubmatch(reference)
			if value, ok := d.arguments[m[1]]; ok {
				return value
			}
			return cmp.Or(m[2], reference)
		})
		if expanded == text || len(expanded) > 4096 {
			break
		}
		text = expanded
	}
	return text
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
		if in.name != "FROM" || len(in.words) == 0 {
			continue
		}
		f := from{image: d.expand(in.words[0]), line: in.line, index: i}
		if len(in.words) == 3 && strings.EqualFold(in.words[1], "as") {
			f.name = in.words[2]
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
	byName := map[string]int{}
	for i, f := range froms {
		if f.name != "" {
			byName[f.name] = i
		}
	}
	at := len(froms) - 1
	for {
		end := len(d.instructions)
		if at+1 < len(froms) {
			end = froms[at+1].index
		}
		base = froms[at]
		own = append(slices.Clone(d.instructions[base.index+1:end]), own...)
		parent, ok := byName[base.image]
		if !ok || parent >= at || len(own) > 4096 {
			return base, own
		}
		at = parent
	}
}

// find is the last instruction of a name.
func find(all []instruction, name string) (instruction, bool) {
	for _, in := range slices.Backward(all) {
		if in.name == name {
			return in, true
		}
	}
	return instruction{}, false
}

// start is what the image runs: its ENTRYPOINT, else its CMD.
func start(own []instruction) (instruction, bool) {
	if in, ok := find(own, "ENTRYPOINT"); ok && len(in.words) > 0 {
		return in, true
	}
	return find(own, "CMD")
}

var dockerfileName = lazyregexp.New(`^((Dockerfile|Containerfile)([.-].+)?|.+\.([Dd]ockerfile|Containerfile))$`)

// notShipped are words of paths that say that an image is not the one that is shipped.
var notShipped = strings.Fields(`dev devcontainer test tests testing ci builder toolchain e2e bench fuzz cross gitpod example examples vendor third
mock local debug development regression tilt base sample samples benchmark docs documentation website site devtools hack`)

// readImages takes the Dockerfiles that ship this service: those that build its crates or copy its binary in.
func (s *service) readImages() {
	var others []dockerfile
	for _, p := range s.paths {
		if !dockerfileName.MatchString(path.Base(p)) || !s.files[p].IsText() || strings.HasSuffix(p, ".dockerignore") {
			continue
		}
		d, err := parseDockerfile(p, s.files[p].Data)
		if err != nil {
			s.notes = append(s.notes, at(Place{p, 0}, "it is no Dockerfile: %s", firstLine(err.Error())))
			continue
		}
		if !shipped(p) {
			continue
		}
		switch {
		case s.ships(d):
			s.images = append(s.images, d)
		case p == path.Join(s.dir, "Dockerfile") || p == path.Join(s.focus, "Dockerfile"):
			others = append(others, d)
		}
	}
	if len(s.images) == 0 {
		s.images = others
	}
}

func shipped(p string) bool {
	for piece := range strings.FieldsFuncSeq(strings.ToLower(p), func(r rune) bool { return strings.ContainsRune("/-_.", r) }) {
		if slices.Contains(notShipped, piece) {
			return false
		}
	}
	return true
}

// ships reports whether an image holds this service: it builds with cargo what lies here, or copies a binary of it in.
func (s *service) ships(d dockerfile) bool {
	names := s.binaryNames()
	named, builds := false, false
	for _, in := range d.instructions {
		value := d.expand(in.value)
		builds = builds || buildsOwn.MatchString(value)
		if in.name != "RUN" && in.name != "COPY" && in.name != "ADD" && in.name != "CMD" && in.name != "ENTRYPOINT" {
			continue
		}
		for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return !strings.ContainsRune("-_", r) && !isAlnum(r) }) {
			named = named || slices.Contains(names, word)
		}
	}
	above := s.dir
	_, inside := below(above, d.path)
	if s.focus != s.dir {
		_, own := below(s.focus, d.path)
		return named || builds && own
	}
	return named || builds && inside
}

func isAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// binaryNames are what the binaries of the judged packages are called.
func (s *service) binaryNames() (names []string) {
	for _, p := range s.packages {
		if !s.hasBinary(p) {
			continue
		}
		names = append(names, p.name())
		bins, _ := p.key("bin").([]any)
		for _, b := range bins {
			if bin, ok := b.(map[string]any); ok {
				if name, ok := bin["name"].(string); ok {
					names = append(names, name)
				}
			}
		}
	}
	return names
}
