package ship

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// meshCases are services in each mesh, of each kind of workload.
var meshCases = map[string]answers{
	"linkerd":          {"name": "hello", "mesh": "linkerd", "downstream": "prices"},
	"istio":            {"name": "hello", "mesh": "istio", "downstream": "prices"},
	"linkerd stateful": {"name": "ledger", "mesh": "linkerd", "state": "stateful"},
	"istio stateful":   {"name": "ledger", "mesh": "istio", "state": "stateful", "traces": "none"},
}

// paths are what a network policy lets through, each as "in from FROM to PORT" or "out to TO at PORT". A peer without pods is
// the namespace's name, or * for all.
func paths(policy *networkingv1.NetworkPolicy) []string {
	var all []string
	add := func(format string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) {
		names := []string{"*"}
		if len(peers) > 0 {
			names = nil
		}
		for _, peer := range peers {
			name := peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]
			if name == "" {
				name = "*"
			}
			if peer.PodSelector != nil {
				name = peer.PodSelector.MatchLabels["app.kubernetes.io/name"]
			}
			names = append(names, name)
		}
		for _, name := range names {
			if len(ports) == 0 {
				all = append(all, fmt.Sprintf(format, name, "*"))
			}
			for _, port := range ports {
				all = append(all, fmt.Sprintf(format, name, port.Port.String()))
			}
		}
	}
	for _, rule := range policy.Spec.Ingress {
		add("in from %s to %s", rule.From, rule.Ports)
	}
	for _, rule := range policy.Spec.Egress {
		add("out to %s at %s", rule.To, rule.Ports)
	}
	return all
}

// meshPaths are what a mesh needs beside what every service does, of one that calls prices and sends traces.
var meshPaths = map[string][]string{
	"none": nil,
	"linkerd": {
		"in from * to 4143", "in from monitoring to 4191", "out to linkerd at *", "out to prices at 4143", "out to observability at 4143",
	},
	"istio": {
		"in from * to 15008", "in from monitoring to 15020", "in from monitoring to 15090", "out to istio-system at *",
		"out to prices at 15008", "out to observability at 15008",
	},
}

func TestMeshPaths(t *testing.T) {
	every := []string{
		"in from * to grpc", "in from monitoring to admin", "out to * at 53", "out to * at 53", "out to prices at 50051",
		"out to observability at 4317",
	}
	for mesh, more := range meshPaths {
		d, err := renderTree(t, answers{"name": "hello", "mesh": mesh, "downstream": "prices"}).build("prod")
		if err != nil {
			t.Fatal(err)
		}
		got, want := paths(d.network), slices.Concat(every, more)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s lets through\n%s\nnot\n%s", mesh, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// meshViolations are what a service in a mesh breaks of what the mesh needs.
func (d *deployment) meshViolations() []string {
	f := findings(d.violations())
	if len(f) > 0 {
		return f
	}
	mesh, name := d.rendered.data["mesh"], d.service.Name
	metadata := d.template.ObjectMeta
	kinds := map[string]string{}
	for _, policy := range d.policies {
		kinds[policy.GetKind()] += policy.MustYaml()
	}
	f.wrong(len(d.policies) > 0 && kinds["AuthorizationPolicy"] != "", "nobody guards the admin port behind the mesh's own")
	switch mesh {
	case "linkerd":
		f.wrong(metadata.Annotations["linkerd.io/inject"] == "enabled", "no proxy comes to the pods")
		f.wrong(metadata.Annotations["config.beta.linkerd.io/proxy-enable-native-sidecar"] == "true", "the proxy ends before the drain")
		f.wrong(strings.Contains(kinds["Server"], "app.kubernetes.io/name: "+name) && strings.Contains(kinds["Server"], "port: admin"), "the admin port is not the policy's")
		f.wrong(strings.Contains(kinds["AuthorizationPolicy"], "name: "+name+"-admin") && strings.Contains(kinds["Server"], "name: "+name+"-admin"), "the policy is of no server")
		f.wrong(strings.Contains(kinds["MeshTLSAuthentication"], "*.monitoring.serviceaccount.identity."), "Prometheus cannot scrape")
	case "istio":
		f.wrong(metadata.Labels["sidecar.istio.io/inject"] == "true", "no proxy comes to the pods")
		f.wrong(metadata.Annotations["sidecar.istio.io/nativeSidecar"] == "true", "the proxy ends before the drain")
		policy := kinds["AuthorizationPolicy"]
		f.wrong(strings.Contains(policy, "app.kubernetes.io/name: "+name), "the policy is of no pods")
		f.wrong(strings.Contains(policy, "action: ALLOW") && strings.Contains(policy, `- "50051"`), "callers are shut out")
		_, admin, _ := strings.Cut(policy, "- from:")
		f.wrong(strings.Contains(admin, "- monitoring") && strings.Contains(admin, `- "9090"`), "the admin port is open to all, or to nobody")
	}
	if client, ok := d.rendered.Tree["clients/go/partitions.go"]; ok {
		f.wrong(strings.Contains(string(client.Data), fmt.Sprintf("dns:///%s-%%d.%s.%s:50051", name, d.headless.Name, name)), "the Go client does not find the pods of the headless service")
	}
	return f
}

func TestMesh(t *testing.T) {
	for name, given := range meshCases {
		for _, overlay := range overlays {
			t.Run(name+" "+overlay, func(t *testing.T) {
				d, err := renderTree(t, given).build(overlay)
				if err != nil {
					t.Fatal(err)
				}
				for _, violation := range d.meshViolations() {
					t.Error(violation)
				}
			})
		}
	}
	const base = "deploy/base/"
	for _, fault := range []struct{ mesh, file, old, new, found string }{
		{"linkerd", "service.yaml", "spec:\n  selector", "spec:\n  clusterIP: None\n  selector", "by its address, and it has none"},
		{"linkerd", "service.yaml", "clusterIP: None", "clusterIP: ''", "not headless"},
		{"linkerd", "kustomization.yaml", "  - linkerd.yaml\n", "", "nobody guards the admin port"},
		{"linkerd", "linkerd.yaml", "port: admin", "port: grpc", "the admin port is not the policy's"},
		{"linkerd", "linkerd.yaml", "*.monitoring", "*.default", "Prometheus cannot scrape"},
		{"linkerd", "deployment.yaml", "inject: enabled", "inject: disabled", "no proxy comes to the pods"},
		{"linkerd", "deployment.yaml", "httpGet:\n              port: admin\n              path: /healthz", "grpc:\n              port: 9090", "liveness probe is not an HTTP probe"},
		{"istio", "deployment.yaml", "path: /healthz", "path: /readyz", `the liveness probe asks for service "/readyz"`},
		{"istio", "istio.yaml", "ports: [\"50051\"]", "ports: [\"50052\"]", "callers are shut out"},
		{"istio", "istio.yaml", "namespaces: [monitoring]", "namespaces: [default]", "the admin port is open to all"},
		{"istio", "deployment.yaml", "nativeSidecar: \"true\"", "nativeSidecar: \"false\"", "the proxy ends before the drain"},
	} {
		d, err := renderTree(t, meshCases[fault.mesh]).with(t, base+fault.file, fault.old, fault.new).build("prod")
		if err != nil {
			t.Fatal(err)
		}
		if found := d.meshViolations(); !strings.Contains(strings.Join(found, "\n"), fault.found) {
			t.Errorf("%s with %q: %q was not found: %q", fault.file, fault.new, fault.found, found)
		}
	}
}
