package proto

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// clientMethods are the functions that tonic gives every client, by their Rust names. `connect` is left out of it, as
// services are built without tonic's own transport.
var clientMethods = []string{
	"accept_compressed", "max_decoding_message_size", "max_encoding_message_size", "new", "send_compressed",
	"with_interceptor", "with_origin",
}

// serverNames are the names that the code of a server uses where the trait of its service is declared, which would hide
// them: the types of tonic::codegen, those of Rust's prelude, and the parameters of its own functions.
var serverNames = []string{
	"Arc", "B", "Body", "Box", "BoxFuture", "Clone", "CompressionEncoding", "Context", "Default", "EnabledCompressionEncodings",
	"InterceptedService", "Into", "Option", "Poll", "StdError", "T",
}

func (c *checker) service(scope string, s protoreflect.ServiceDescriptor) error {
	for _, side := range []string{"_server", "_client"} {
		if err := c.claim(scope, serviceModule(string(s.Name()))+side, named("service", s)); err != nil {
			return err
		}
	}
	if trait := UpperCamel(string(s.Name())); slices.Contains(serverNames, trait) {
		return fault(c.l.place(s), "rename it", "service %s is %s in Rust, of which name tonic's server uses something else", s.FullName(), trait)
	}
	var reserved []string
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		if err := c.claim("service "+string(s.FullName()), Snake(string(m.Name())), methodClaim(m)); err != nil {
			return err
		}
		if UpperCamel(string(s.Name())) == string(m.Name())+"Svc" {
			return fault(c.l.place(m), "rename the method or the service",
				"rpc %s of service %s: tonic's server has a type %sSvc for the method, which hides the service's own", m.Name(), s.FullName(), m.Name())
		}
		if slices.Contains(clientMethods, Snake(string(m.Name()))) {
			reserved = append(reserved, string(m.Name()))
		}
		for _, message := range []protoreflect.MessageDescriptor{m.Input(), m.Output()} {
			if rust, _ := rustType(message); slices.Contains(bare, rust) {
				return fault(c.l.place(m), "put it into a field of a message of your own",
					"rpc %s takes or gives %s itself, which the Rust build (tonic-build) cannot name there", m.Name(), message.FullName())
			}
		}
	}
	if len(reserved) > 0 {
		return fault(c.l.place(s), "rename them; their names in Rust are functions of the client itself",
			"service %s has %s, of whose names tonic's client has functions of its own, so that it does not compile", s.FullName(), strings.Join(reserved, ", "))
	}
	return nil
}

func methodClaim(m protoreflect.MethodDescriptor) claim {
	return claim{what: fmt.Sprintf("rpc /%s/%s", m.Parent().FullName(), m.Name()), at: m}
}
