// Package suites runs suites that others wrote, against the server layer and against plain tonic with the same handlers
// (templates/hotpath/suites): connectrpc's conformance suite, grpc-go's interop client, and h2spec. And it calls generated
// services with grpcurl, by reflection, as its library and as the program that their READMEs name. Each is pinned in go.mod.
package suites
