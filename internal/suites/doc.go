// Package suites runs suites that others wrote against the server layer, and against plain tonic with the same handlers
// (templates/hotpath/suites): connectrpc's conformance suite, grpc-go's interop client, and h2spec. Each is pinned in
// go.mod as a tool.
package suites
