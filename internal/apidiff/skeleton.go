package apidiff

import (
	"strings"

	"rustgen/internal/proto"
	"rustgen/internal/rustsrc"
)

// Skeleton is the Rust of a service that has nothing yet but its protos, for a template that holds it.
type Skeleton struct {
	// Handlers are the blocks of all services, each answering UNIMPLEMENTED.
	Handlers string
	// Policies are the lines of the table.
	Policies string
}

// NewSkeleton writes the handlers of an API for one type, and its policies, as rustfmt has them in a file with the
// imports that it is given.
func NewSkeleton(api *proto.API, imports, handlers string, width int) Skeleton {
	f := rustsrc.Parse("", []byte(imports))
	var s Skeleton
	var blocks, policies strings.Builder
	for i := range api.Services {
		service := &api.Services[i]
		if i > 0 {
			blocks.WriteString("\n")
		}
		blocks.WriteString(implementation(width, f, modules{pb: "crate::pb"}, service, handlers))
		for j := range service.Methods {
			m := &service.Methods[j]
			policies.WriteString(policyLine(f, service, m))
		}
	}
	s.Handlers, s.Policies = blocks.String(), policies.String()
	return s
}
