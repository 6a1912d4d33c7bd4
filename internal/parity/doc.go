// Package parity proves that a generated service is, to whoever watches the fleet, one more of its Go services: the same
// calls are made to it and to a real Go server that uses the library of the dialect, and what both export is compared
// name by name, help, type, label, bucket and value. It also starts every kept service and talks to it. It is a module
// of its own, so that the generator depends on neither gRPC nor Prometheus nor OpenTelemetry.
package parity
