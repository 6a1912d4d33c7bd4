package audit

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pods is a check of every container that runs the service.
func pods(look func(s *service, p pod) []Finding) func(*service) outcome {
	return func(s *service) (o outcome) {
		all := s.pods()
		if len(all) == 0 {
			return s.noPods()
		}
		for _, p := range all {
			o.findings = append(o.findings, look(s, p)...)
		}
		return o
	}
}

// noPods is the outcome where no manifest runs the service: a chart that is not rendered may.
func (s *service) noPods() outcome {
	if len(s.unrendered) > 0 {
		return outcome{unseen: slices.Clone(s.unrendered)}
	}
	return absent("there is no Deployment or StatefulSet of it")
}

// of is what a container says, or what a kustomization's patch does.
func (s *service) of(p pod, c *yaml.Node, keys ...string) string {
	if v := value(c, keys...); v != "" {
		return v
	}
	return s.inPatches(p, value(c, "name"), keys...)
}

var kubernetesChecks = []Check{
	{
		ID: "memory-limit", Area: "kubernetes", Severity: Risk, Title: "Memory: the request is the limit",
		Why:  "what is above the request is lent: the node takes it back by ending the process",
		Mend: "resources.requests.memory and limits.memory of the same value, from which the service takes its bounds",
		look: pods(func(s *service, p pod) (all []Finding) {
			for _, c := range p.containers {
				request, limit := s.of(p, c, "resources", "requests", "memory"), s.of(p, c, "resources", "limits", "memory")
				switch name := clear(value(c, "name")); {
				case limit == "":
					all = append(all, at(p.at(c), "%s has no memory limit", name))
				case request != "" && !sameQuantity(request, limit):
					all = append(all, at(p.at(child(c, "resources")), "%s requests %s of memory, and may use %s", name, clear(request), clear(limit)))
				}
			}
			return all
		}),
	},
	{
		ID: "cpu-workers", Area: "kubernetes", Severity: Risk, Title: "The runtime is as wide as its CPUs",
		Why:  "without a CPU limit tokio starts a worker for every core of the node",
		Mend: "resources.limits.cpu, or TOKIO_WORKER_THREADS, or Builder::worker_threads",
		look: func(s *service) outcome {
			if len(s.named(".worker_threads", "*::new_current_thread")) > 0 {
				return found()
			}
			return pods(func(s *service, p pod) (all []Finding) {
				for _, c := range p.containers {
					if s.of(p, c, "resources", "limits", "cpu") == "" && !strings.Contains(s.text(p.path), "TOKIO_WORKER_THREADS") {
						all = append(all, at(p.at(c), "%s has no CPU limit", clear(value(c, "name"))))
					}
				}
				return all
			})(s)
		},
	},
	{
		ID: "probes", Area: "kubernetes", Severity: Risk, Title: "Kubernetes asks whether it is ready, and whether it lives",
		Why:  "without readiness calls go to a process that is starting; without liveness to one that is stuck",
		Mend: "readinessProbe and livenessProbe with grpc: {port: ...}",
		look: pods(func(_ *service, p pod) (all []Finding) {
			for _, c := range p.containers {
				var missing []string
				for _, probe := range []string{"readinessProbe", "livenessProbe"} {
					if child(c, probe) == nil {
						missing = append(missing, probe)
					}
				}
				if len(missing) > 0 {
					all = append(all, at(p.at(c), "%s has no %s", clear(value(c, "name")), strings.Join(missing, " and no ")))
				}
			}
			return all
		}),
	},
	{
		ID: "pre-stop", Area: "kubernetes", Severity: Risk, Title: "Balancers have time to notice before it stops",
		Why:  "endpoints are updated while SIGTERM is already there: calls still arrive, and are refused",
		Mend: "lifecycle.preStop.sleep of 5 s, and a terminationGracePeriodSeconds that covers it and the drain",
		look: pods(func(_ *service, p pod) (all []Finding) {
			for _, c := range p.containers {
				if child(c, "lifecycle", "preStop") == nil {
					all = append(all, at(p.at(c), "%s has no lifecycle.preStop", clear(value(c, "name"))))
				}
			}
			return all
		}),
	},
	{
		ID: "pod-security", Area: "kubernetes", Severity: Advice, Title: `Pods keep to the standard "restricted"`,
		Why:  "what escapes from the service should find nothing to use",
		Mend: "runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities.drop: [ALL], seccompProfile RuntimeDefault",
		look: pods(podSecurity),
	},
	{
		ID: "disruption-budget", Area: "kubernetes", Severity: Advice, Title: "A PodDisruptionBudget keeps some replicas up",
		Why:  "a drain of nodes may take all of them at once",
		Mend: "kind: PodDisruptionBudget with maxUnavailable: 1",
		look: func(s *service) outcome {
			all := s.pods()
			switch {
			case len(all) == 0:
				return s.noPods()
			case s.has("PodDisruptionBudget"):
				return found()
			}
			return found(at(all[0].at(nil), "there is no PodDisruptionBudget"))
		},
	},
}

// podSecurity is what matters most of the standard; kube-linter knows all of it.
func podSecurity(_ *service, p pod) (all []Finding) {
	inPod := child(p.spec, "securityContext")
	for _, c := range p.containers {
		own := child(c, "securityContext")
		var may []string
		if value(inPod, "runAsNonRoot") != "true" && value(own, "runAsNonRoot") != "true" {
			may = append(may, "run as root")
		}
		if value(own, "allowPrivilegeEscalation") != "false" {
			may = append(may, "escalate its privileges")
		}
		if drop := child(own, "capabilities", "drop"); drop == nil || !slices.ContainsFunc(drop.Content, func(n *yaml.Node) bool { return n.Value == "ALL" }) {
			may = append(may, "keep capabilities")
		}
		if value(inPod, "seccompProfile", "type") == "" && value(own, "seccompProfile", "type") == "" {
			may = append(may, "make any system call")
		}
		if len(may) > 0 {
			all = append(all, at(p.at(c), "%s may %s", clear(value(c, "name")), strings.Join(may, ", ")))
		}
	}
	return all
}
