// Package apidiff compares the methods that the protos of a service declare with its handlers, its policies and the
// stubs of its Go client, and writes what is missing. It never changes or removes a line that a person wrote.
package apidiff

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"rustgen/internal/gostubs"
	"rustgen/internal/lazyregexp"
	"rustgen/internal/proto"
	"rustgen/internal/rustsrc"
	"rustgen/internal/tree"
)

// The parts of a service that a method needs.
const (
	Handler = "handler"
	Policy  = "policy"
	GoStub  = "Go stub"
)

// Missing is a method that a service has no part for.
type Missing struct {
	// Method is its path on the wire: /PACKAGE.SERVICE/METHOD.
	Method string `json:"method"`
	Kind   string `json:"kind"`
	// Proto is where it is declared.
	Proto string   `json:"proto"`
	Parts []string `json:"parts"`
}

// Changed is a method whose handler has another kind.
type Changed struct {
	Method string `json:"method"`
	Was    string `json:"was"`
	Is     string `json:"is"`
	Place  string `json:"place"`
}

// Gone is a handler or a policy of a method that there is no more.
type Gone struct {
	Method string `json:"method"`
	Part   string `json:"part"`
	Place  string `json:"place"`
}

// Ambiguous is a policy that may mean more than one method.
type Ambiguous struct {
	Key     string   `json:"key"`
	Place   string   `json:"place"`
	Methods []string `json:"methods"`
}

// Stub is a file of Go stubs that is not what the protos give.
type Stub struct {
	Path  string `json:"path"`
	State string `json:"state"`
}

// The states of a file of stubs: there is none, it is of other protos, or no proto gives it any more.
const (
	StubMissing = "missing"
	StubStale   = "stale"
	StubGone    = "gone"
)

// Report is how a service differs from its protos.
type Report struct {
	Missing   []Missing   `json:"missing"`
	Changed   []Changed   `json:"changed"`
	Gone      []Gone      `json:"gone"`
	Ambiguous []Ambiguous `json:"ambiguous"`
	// Stubs are the files of the Go client's stubs, where they could be compared.
	Stubs []Stub `json:"stubs"`
}

// Empty reports whether the service has all that its protos have, and no more.
func (r *Report) Empty() bool {
	return len(r.Missing)+len(r.Changed)+len(r.Gone)+len(r.Ambiguous)+len(r.Stubs) == 0
}

// Diff is a report with what it was made from.
type Diff struct {
	Report
	api   *proto.API
	files []*rustsrc.File
	table *rustsrc.Table
	// handlers are the blocks of each service, by its full name.
	handlers map[string][]rustsrc.Impl
	width    int
	// lacking are the handlers and policies to write.
	handler []lack
	policy  []lack
	// stubs are those that the service must have; nil where that is not known.
	stubs tree.Tree
}

// lack is a method without a part. impl is nil where its service has no block yet.
type lack struct {
	service *proto.Service
	method  *proto.Method
	impl    *rustsrc.Impl
}

var maxWidth = lazyregexp.New(`(?m)^\s*max_width\s*=\s*(\d+)`)

// Compare compares an API with a service: the Rust below src/, and the stubs below clients/go/ with those that it must have.
func Compare(api *proto.API, service, stubs tree.Tree) *Diff {
	d := &Diff{
		Report: Report{Missing: []Missing{}, Changed: []Changed{}, Gone: []Gone{}, Ambiguous: []Ambiguous{}, Stubs: []Stub{}},
		api:    api, handlers: map[string][]rustsrc.Impl{}, width: 100, stubs: stubs,
	}
	d.compareStubs(service)
	if m := maxWidth.FindSubmatch(service["rustfmt.toml"].Data); m != nil {
		_, _ = fmt.Sscan(string(m[1]), &d.width)
	}
	for _, p := range service.Paths() {
		if strings.HasPrefix(p, "src/") && path.Ext(p) == ".rs" {
			d.files = append(d.files, rustsrc.Parse(p, service[p].Data))
		}
	}
	for _, f := range d.files {
		if t := f.Policies(); t != nil && d.table == nil {
			d.table = t
		}
		for _, m := range f.Impls() {
			if s := d.serviceOf(&m); s != nil {
				d.handlers[s.FullName] = append(d.handlers[s.FullName], m)
			}
		}
	}
	covered := d.policies()
	called, hasClient := goStubs(service)
	for i := range api.Services {
		s := &api.Services[i]
		d.goneHandlers(s)
		for j := range s.Methods {
			m := &s.Methods[j]
			var parts []string
			if d.checkHandlers(s, m) {
				parts = append(parts, Handler)
			}
			if !covered[s.Key(m)] {
				parts = append(parts, Policy)
				d.policy = append(d.policy, lack{service: s, method: m})
			}
			if hasClient && !strings.Contains(called, `"/`+s.Key(m)+`"`) {
				parts = append(parts, GoStub)
			}
			if len(parts) > 0 {
				d.Missing = append(d.Missing, Missing{"/" + s.Key(m), m.Kind.String(), m.Place, parts})
			}
		}
	}
	d.nameGone()
	return d
}

// nameGone names a policy in full where the handler of its method is gone as well.
func (d *Diff) nameGone() {
	for i, p := range d.Gone {
		for _, h := range d.Gone {
			if p.Part == Policy && h.Part == Handler && means(strings.TrimPrefix(p.Method, "/"), strings.TrimPrefix(h.Method, "/")) {
				d.Gone[i].Method = h.Method
			}
		}
	}
	slices.SortStableFunc(d.Gone, func(a, b Gone) int { return cmp.Or(cmp.Compare(a.Method, b.Method), cmp.Compare(a.Part, b.Part)) })
}

// serviceOf is the service whose trait a block implements. A trait is known by its module, as in rides_server::Rides. Of
// several services with such a trait it is the one of whose path the block says most.
func (d *Diff) serviceOf(m *rustsrc.Impl) *proto.Service {
	name := m.Trait[len(m.Trait)-1]
	var best *proto.Service
	most, tied := -1, false
	for i := range d.api.Services {
		s := &d.api.Services[i]
		if s.Trait != name {
			continue
		}
		want := append(strings.Split(s.Module, "::"), s.Trait)
		same := 0
		for same < min(len(want), len(m.Trait)) && bare(want[len(want)-1-same]) == m.Trait[len(m.Trait)-1-same] {
			same++
		}
		// `server` is what the crate root of older services calls the one server module.
		if len(m.Trait) > 1 && same == 1 && m.Trait[len(m.Trait)-2] != "server" {
			continue
		}
		switch {
		case same > most:
			best, most, tied = s, same, false
		case same == most:
			tied = true
		}
	}
	if tied {
		return nil
	}
	return best
}

// bare is a name as it is read from Rust, where r#type is the word type.
func bare(name string) string { return strings.TrimPrefix(name, "r#") }

// checkHandlers compares the handlers of a method, and reports whether one is missing.
func (d *Diff) checkHandlers(s *proto.Service, m *proto.Method) bool {
	blocks := d.handlers[s.FullName]
	if len(blocks) == 0 {
		d.handler = append(d.handler, lack{service: s, method: m})
		return true
	}
	missing := false
	for i := range blocks {
		block := &blocks[i]
		at := slices.IndexFunc(block.Functions, func(f rustsrc.Function) bool { return f.Name == bare(m.Rust) })
		if at < 0 {
			d.handler = append(d.handler, lack{s, m, block})
			missing = true
			continue
		}
		f := block.Functions[at]
		if was := kindOf(block, m, f); was != m.Kind {
			d.Changed = append(d.Changed, Changed{"/" + s.Key(m), was.String(), m.Kind.String(), place(block.File, f.Line)})
		}
	}
	return missing
}

// kindOf is the kind that a handler was written for: the trait asks for an associated type where replies are a stream, and
// hands over a tonic::Streaming where requests are.
func kindOf(block *rustsrc.Impl, m *proto.Method, f rustsrc.Function) proto.Kind {
	replies := slices.Contains(block.Types, m.Name+"Stream")
	switch {
	case f.Streaming && replies:
		return proto.Bidirectional
	case f.Streaming:
		return proto.ClientStreaming
	case replies:
		return proto.ServerStreaming
	default:
		return proto.Unary
	}
}

func place(f *rustsrc.File, line int) string { return fmt.Sprintf("%s:%d", f.Path, line) }

// goneHandlers finds the functions of a service's blocks that no method of it has.
func (d *Diff) goneHandlers(s *proto.Service) {
	for _, block := range d.handlers[s.FullName] {
		for _, f := range block.Functions {
			if slices.ContainsFunc(s.Methods, func(m proto.Method) bool { return bare(m.Rust) == f.Name }) {
				continue
			}
			name := proto.UpperCamel(f.Name)
			if d.table != nil {
				for _, e := range d.table.Entries {
					if method := path.Base(e.Key); bare(proto.Snake(method)) == f.Name {
						name = method
					}
				}
			}
			d.Gone = append(d.Gone, Gone{"/" + s.FullName + "/" + name, Handler, place(block.File, f.Line)})
		}
	}
}

// policies finds the methods that have a line, and the lines that mean none or several.
func (d *Diff) policies() map[string]bool {
	covered := map[string]bool{}
	if d.table == nil {
		return covered
	}
	for _, e := range d.table.Entries {
		var meant []string
		for i := range d.api.Services {
			s := &d.api.Services[i]
			for j := range s.Methods {
				if key := s.Key(&s.Methods[j]); means(e.Key, key) {
					meant = append(meant, key)
				}
			}
		}
		at := place(d.table.File, e.Line)
		switch len(meant) {
		case 0:
			method := e.Key
			if strings.Contains(method, "/") {
				method = "/" + method
			}
			d.Gone = append(d.Gone, Gone{method, Policy, at})
		case 1:
			covered[meant[0]] = true
		default:
			d.Ambiguous = append(d.Ambiguous, Ambiguous{e.Key, at, meant})
			// It was written for the methods that have a handler; the others get a line of their own.
			for _, key := range meant {
				covered[key] = d.handled(key)
			}
		}
	}
	return covered
}

// means reports whether a line's key names a method: by its name, with its service, or with its package as well.
func means(key, method string) bool {
	service, name, _ := strings.Cut(method, "/")
	return key == name || key == method || key == service[strings.LastIndexByte(service, '.')+1:]+"/"+name
}

// handled reports whether a method has a handler.
func (d *Diff) handled(key string) bool {
	service, name, _ := strings.Cut(key, "/")
	return slices.ContainsFunc(d.handlers[service], func(m rustsrc.Impl) bool {
		return slices.ContainsFunc(m.Functions, func(f rustsrc.Function) bool { return f.Name == bare(proto.Snake(name)) })
	})
}

// compareStubs finds the files of stubs that are not what the protos give.
func (d *Diff) compareStubs(service tree.Tree) {
	for _, p := range d.stubs.Paths() {
		if was, ok := service[p]; !ok {
			d.Stubs = append(d.Stubs, Stub{p, StubMissing})
		} else if !bytes.Equal(was.Data, d.stubs[p].Data) {
			d.Stubs = append(d.Stubs, Stub{p, StubStale})
		}
	}
	if d.stubs == nil {
		return
	}
	for _, p := range gostubs.Stale(service, d.stubs) {
		d.Stubs = append(d.Stubs, Stub{p, StubGone})
	}
}

// goStubs is the text of all stubs of the Go client, if the service has one.
func goStubs(service tree.Tree) (text string, hasClient bool) {
	var b strings.Builder
	for _, p := range service.Paths() {
		if strings.HasPrefix(p, "clients/go/") && strings.HasSuffix(p, "_grpc.pb.go") {
			b.Write(service[p].Data)
		}
	}
	_, hasClient = service["clients/go/go.mod"]
	return b.String(), hasClient
}
