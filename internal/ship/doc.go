// Package ship proves what the hotpath set generates around the service: image, manifests, alerts, dashboard, pipeline
// and Go client. Each proof runs the real program or the real type over a rendered tree, and each has a planted fault
// that it must find. It is a module of its own, so that the generator does not depend on Kubernetes.
package ship
