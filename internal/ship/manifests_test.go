package ship

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	admission "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// violations are what a deployment breaks of all that it must hold.
func (d *deployment) violations() []string {
	var f findings
	for what, missing := range map[string]bool{
		"workload": d.template == nil, "service": d.service == nil, "headless service": d.headless == nil, "service account": d.account == nil,
		"namespace": d.namespace == nil, "disruption budget": d.budget == nil, "network policy": d.network == nil,
		"service monitor": d.monitor == nil, "recording rules": len(d.rules) == 0, "alerts": len(d.rules) < 2 && !d.dev(),
		"autoscaler": d.scaler == nil && !d.stateful(), "dashboard": len(d.configs) != 1,
	} {
		f.wrong(!missing, "there is no %s", what)
	}
	if len(f) > 0 {
		return f
	}
	for _, check := range []func(*findings){
		d.security, d.resources, d.probes, d.ports, d.grace, d.selectors, d.scaling, d.alerts, d.volume, d.settings, d.spread, d.addresses, d.dashboards, d.tls,
	} {
		check(&f)
	}
	return f
}

// security is Pod Security "restricted", as the admission controller judges it, and what it does not judge.
func (d *deployment) security(f *findings) {
	pod, container := d.template.Spec, d.container()
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		f.wrong(false, "%v", err)
		return
	}
	restricted := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	for _, result := range checks.EvaluatePod(restricted, &d.template.ObjectMeta, &pod) {
		f.wrong(result.Allowed, "not restricted: %s (%s)", result.ForbiddenReason, result.ForbiddenDetail)
	}
	f.wrong(d.namespace.Labels["pod-security.kubernetes.io/enforce"] == "restricted", "the namespace does not enforce restricted")
	f.wrong(container.SecurityContext.ReadOnlyRootFilesystem != nil && *container.SecurityContext.ReadOnlyRootFilesystem, "the root file system is writable")
	f.wrong(pod.SecurityContext.RunAsUser != nil && *pod.SecurityContext.RunAsUser == 65532, "the user is not the image's")
	f.wrong(pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken, "a service account token is mounted")
	f.wrong(d.account.AutomountServiceAccountToken != nil && !*d.account.AutomountServiceAccountToken, "the service account offers its token")
	f.wrong(pod.ServiceAccountName == d.account.Name, "the pod's service account %q does not exist", pod.ServiceAccountName)
	f.wrong(len(d.namespaces) == 1 && d.namespaces[d.namespace.Name], "objects lie outside the overlay's namespace: %v", slices.Sorted(maps.Keys(d.namespaces)))
}

// resources follow from one number for memory.
func (d *deployment) resources(f *findings) {
	container := d.container()
	budget := d.rendered.data["memory"].(int64)
	f.wrong(container.Resources.Limits.Memory().Value() == budget, "memory limit %d is not the budget %d", container.Resources.Limits.Memory().Value(), budget)
	f.wrong(container.Resources.Requests.Memory().Value() == budget, "memory request %d is not the budget %d", container.Resources.Requests.Memory().Value(), budget)
	f.wrong(container.Resources.Limits.Cpu().Sign() > 0, "without a CPU limit the workers are as many as the node's cores")
}

// probes ask where callers cannot be in the way, for the health of the whole server, and kill nothing that drains. The
// liveness probe asks for what stays healthy while the service withdraws its readiness. A mesh recognises HTTP probes.
func (d *deployment) probes(f *findings) {
	container, names := d.container(), map[string]string{}
	for _, port := range container.Ports {
		names[port.Name], names[strconv.Itoa(int(port.ContainerPort))] = port.Name, port.Name
	}
	for kind, probe := range map[string]*corev1.Probe{"startup": container.StartupProbe, "readiness": container.ReadinessProbe, "liveness": container.LivenessProbe} {
		want := map[bool]string{false: "", true: "/readyz"}[d.meshed()]
		if kind == "liveness" {
			want = map[bool]string{false: "liveness", true: "/healthz"}[d.meshed()]
		}
		var port, asked string
		switch {
		case probe != nil && probe.GRPC != nil && !d.meshed():
			port = strconv.Itoa(int(probe.GRPC.Port))
			if probe.GRPC.Service != nil {
				asked = *probe.GRPC.Service
			}
		case probe != nil && probe.HTTPGet != nil && d.meshed():
			port, asked = probe.HTTPGet.Port.String(), probe.HTTPGet.Path
		default:
			f.wrong(false, "the %s probe is not %s probe", kind, map[bool]string{false: "a gRPC", true: "an HTTP"}[d.meshed()])
			continue
		}
		f.wrong(names[port] != "", "the %s probe asks port %s, which the container has not", kind, port)
		f.wrong(names[port] != "grpc", "the %s probe asks where callers may have all connections", kind)
		f.wrong(asked == want, "the %s probe asks for service %q, not %q", kind, asked, want)
	}
	if probe := container.LivenessProbe; probe != nil {
		f.wrong(int64(probe.FailureThreshold*probe.PeriodSeconds) > *d.template.Spec.TerminationGracePeriodSeconds, "the liveness probe kills a process that drains")
	}
}

// ports are the same in the image, the pod, the service, the monitor and the network policy.
func (d *deployment) ports(f *findings) {
	ports := map[string]bool{}
	exposed := exposedPorts.FindSubmatch(d.rendered.Tree["Dockerfile"].Data)
	for _, port := range d.container().Ports {
		ports[port.Name] = true
		number := strconv.Itoa(int(port.ContainerPort))
		f.wrong(exposed != nil && slices.Contains(strings.Fields(string(exposed[1])), number), "the image exposes no port %s", number)
	}
	for _, port := range d.service.Spec.Ports {
		f.wrong(port.TargetPort.Type == intstr.String && ports[port.TargetPort.StrVal], "the service's port %s leads to no port of the container", port.Name)
	}
	servicePorts := map[string]bool{}
	for _, port := range d.service.Spec.Ports {
		servicePorts[port.Name] = true
	}
	for _, endpoint := range d.monitor.Spec.Endpoints {
		f.wrong(servicePorts[endpoint.Port], "the monitor scrapes port %q, which the service has not", endpoint.Port)
	}
	allowed := map[string]bool{}
	for _, rule := range d.network.Spec.Ingress {
		for _, port := range rule.Ports {
			if d.meshed() && port.Port.Type == intstr.Int {
				continue
			}
			f.wrong(port.Port.Type == intstr.String && ports[port.Port.StrVal], "the network policy lets in to port %s, which the container has not", port.Port.String())
			allowed[port.Port.String()] = true
		}
	}
	f.wrong(len(allowed) == len(ports), "the network policy lets in to %d of %d ports", len(allowed), len(ports))
	f.wrong(d.headless.Spec.ClusterIP == corev1.ClusterIPNone, "the service is not headless")
	f.wrong(!d.meshed() || d.service.Spec.ClusterIP == "", "a mesh balances the service by its address, and it has none")
	f.wrong(!d.meshed() || len(d.headless.Spec.Ports) == 1 && d.headless.Spec.Ports[0].Name == "grpc", "replicas are scraped twice, once for each service")
}

// grace is the sum of what happens between the order to stop and the end.
func (d *deployment) grace(f *findings) {
	sum, container, env := int64(5), d.container(), d.env()
	grace := *d.template.Spec.TerminationGracePeriodSeconds
	if container.Lifecycle == nil || container.Lifecycle.PreStop == nil || container.Lifecycle.PreStop.Sleep == nil {
		f.wrong(false, "there is no preStop sleep")
	} else {
		sum += container.Lifecycle.PreStop.Sleep.Seconds
	}
	for _, variable := range []string{"DRAIN_DELAY_MS", "DRAIN_MS"} {
		milliseconds, err := strconv.ParseInt(env[variable], 10, 64)
		f.wrong(err == nil, "%s is %q", variable, env[variable])
		sum += milliseconds / 1000
	}
	if d.stateful() {
		sum += 5
	}
	if d.rendered.data["queue_depth"].(int) > 0 {
		sum += 5
	}
	f.wrong(grace == sum, "the grace period is %d s, and what happens in it takes %d s", grace, sum)
}

// selectors select the pods.
func (d *deployment) selectors(f *findings) {
	pods := labels.Set(d.template.Labels)
	selects := func(what string, selector *metav1.LabelSelector) {
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		f.wrong(err == nil && selector != nil && !parsed.Empty() && parsed.Matches(pods), "%s does not select the pods", what)
	}
	selects("the workload", d.selector)
	selects("the disruption budget", d.budget.Spec.Selector)
	selects("the network policy", &d.network.Spec.PodSelector)
	selects("the service", &metav1.LabelSelector{MatchLabels: d.service.Spec.Selector})
	f.wrong(len(d.template.Spec.TopologySpreadConstraints) == 2, "pods are not spread over zones and nodes")
	for _, constraint := range d.template.Spec.TopologySpreadConstraints {
		selects("the spread over "+constraint.TopologyKey, constraint.LabelSelector)
	}
	monitored, err := metav1.LabelSelectorAsSelector(&d.monitor.Spec.Selector)
	f.wrong(err == nil && !monitored.Empty() && monitored.Matches(labels.Set(d.service.Labels)), "the monitor does not select the service")
}

// scaling follows a series that a rule records, of the workload that there is.
func (d *deployment) scaling(f *findings) {
	if d.scaler == nil {
		return
	}
	target := d.scaler.Spec.ScaleTargetRef
	f.wrong(target.Kind == d.workload && target.Name == d.rendered.data["name"], "the autoscaler scales %s %s, which does not exist", target.Kind, target.Name)
	for _, metric := range d.scaler.Spec.Metrics {
		f.wrong(metric.Resource != nil, "the autoscaler follows what cannot be read without the adapter: it takes no replica away there")
	}
}

// alerts are production's, and every rule sees its own namespace alone: it is the first matcher of each expression.
func (d *deployment) alerts(f *findings) {
	f.wrong(len(d.rules) == map[bool]int{true: 1, false: 2}[d.dev()], "there are %d sets of rules", len(d.rules))
	scope := fmt.Sprintf("{namespace=%q,", d.namespace.Name)
	for _, rule := range d.allRules() {
		name, expression := rule.Alert+rule.Record, rule.Expr.StrVal
		f.wrong(!d.dev() || rule.Alert == "", "dev alerts by %s", name)
		at := strings.Index(expression, `"`)
		f.wrong(at > 0 && strings.HasPrefix(expression[at-len("{namespace="):], scope), "%s sees other namespaces than %s", name, d.namespace.Name)
		f.wrong(strings.Count(expression, "namespace=") == 1, "%s names a namespace that no overlay puts in", name)
		f.wrong(rule.Alert != "HotpathDown" || rule.Labels["namespace"] == d.namespace.Name, "HotpathDown is not of namespace %s", d.namespace.Name)
	}
}

// dashboards of all namespaces lie in one folder of Grafana's, under their files' names and uids.
func (d *deployment) dashboards(f *findings) {
	want := d.rendered.data["name"].(string)
	if d.dev() {
		want += "-dev"
	}
	for file, text := range d.configs[0].Data {
		var board struct{ UID, Title string }
		err := json.Unmarshal([]byte(text), &board)
		f.wrong(err == nil && file == want+".json" && board.Title == want && strings.Contains(board.UID, "-dev-") == d.dev(), "the dashboard %s, %q with uid %q, is that of another overlay", file, board.Title, board.UID)
	}
}

// volume is there where there is state.
func (d *deployment) volume(f *findings) {
	f.wrong(d.stateful() == (d.workload == "StatefulSet"), "a %s service is a %s", d.rendered.data["state"], d.workload)
	if !d.stateful() {
		return
	}
	f.wrong(d.replicas != nil && *d.replicas == 1, "each replica has a state of its own, and callers reach any of them")
	container := d.container()
	f.wrong(d.governing == d.headless.Name, "the governing service %q does not exist", d.governing)
	f.wrong(len(d.claims) == 1 && len(container.VolumeMounts) > 0 && container.VolumeMounts[0].Name == d.claims[0].Name, "the volume is not mounted")
	f.wrong(len(container.VolumeMounts) > 0 && container.VolumeMounts[0].MountPath == d.env()["STATE_DIR"], "the state does not lie on the volume")
}

// spread survives a zone's loss: the nodes of a lost zone are tainted, and do not count.
func (d *deployment) spread(f *findings) {
	for _, constraint := range d.template.Spec.TopologySpreadConstraints {
		policy := constraint.NodeTaintsPolicy
		f.wrong(constraint.TopologyKey != corev1.LabelTopologyZone || policy != nil && *policy == corev1.NodeInclusionPolicyHonor,
			"the nodes of a lost zone count for the spread, and replacements wait for them")
	}
}

// addresses of the services that are called are those which the manifests of a generated service of that name make.
func (d *deployment) addresses(f *findings) {
	for _, name := range d.rendered.data["downstream"].([]string) {
		variable := "DOWNSTREAM_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		want := fmt.Sprintf("%s://%s.%s:50051", d.scheme(), name, name)
		f.wrong(d.env()[variable] == want, "%s is %q, and the service is found at %s", variable, d.env()[variable], want)
	}
}

// scheme is that of the services that it calls: they are taken to speak TLS where it does.
func (d *deployment) scheme() string {
	if d.rendered.data["tls"] == "none" {
		return "http"
	}
	return "https"
}

// settings that the service does not know would be without effect.
func (d *deployment) settings(f *findings) {
	sources := ""
	for file, content := range d.rendered.Tree {
		if strings.HasSuffix(file, ".rs") {
			sources += string(content.Data)
		}
	}
	if d.rendered.data["queue_depth"].(int) > 0 {
		f.wrong(strings.Contains(sources, "FINISH: Duration = Duration::from_secs(5)"), "a queue takes other than 5 s to finish")
	}
	for variable := range d.env() {
		if downstream := strings.TrimPrefix(variable, "DOWNSTREAM_"); downstream != variable {
			f.wrong(slices.ContainsFunc(d.rendered.data["downstream"].([]string), func(service string) bool {
				return strings.ReplaceAll(strings.ToUpper(service), "-", "_") == downstream
			}), "%s names no downstream service", variable)
			continue
		}
		f.wrong(strings.Contains(sources, `"`+variable+`"`), "the service knows no setting %s", variable)
	}
}

var exposedPorts = regexp.MustCompile(`(?m)^EXPOSE (.*)$`)

var overlays = []string{"dev", "prod"}

func TestManifests(t *testing.T) {
	eachCase(t, "deploy/base/kustomization.yaml", func(t *testing.T, r rendered) {
		for _, overlay := range overlays {
			d, err := r.build(overlay)
			if err != nil {
				t.Fatalf("%s: %v", overlay, err)
			}
			for _, violation := range d.violations() {
				t.Errorf("%s: %s", overlay, violation)
			}
		}
	})
}

func TestManifestFaults(t *testing.T) {
	const (
		workload = "deploy/base/deployment.yaml"
		base     = "deploy/base/"
	)
	for _, fault := range []struct {
		file, old, new string
		found          string
	}{
		{workload, "enableServiceLinks", "enableServiceLink", "unknown field"},
		{base + "prometheusrule.yaml", "interval:", "intervall:", "unknown field"},
		{base + "servicemonitor.yaml", "scrapeTimeout", "timeout", "unknown field"},
		{base + "kustomization.yaml", "pdb.yaml", "pbd.yaml", "pbd.yaml"},
		{base + "kustomization.yaml", "  - pdb.yaml\n", "", "there is no disruption budget"},
		{workload, "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "not restricted"},
		{workload, "drop: [ALL]", "drop: [NET_RAW]", "not restricted"},
		{workload, "runAsNonRoot: true", "runAsNonRoot: false", "not restricted"},
		{workload, "type: RuntimeDefault", "type: Unconfined", "not restricted"},
		{workload, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "root file system is writable"},
		{workload, "automountServiceAccountToken: false", "automountServiceAccountToken: true", "token is mounted"},
		{base + "namespace.yaml", "enforce: restricted", "enforce: baseline", "does not enforce restricted"},
		{workload, `memory: "536870912"`, `memory: "268435456"`, "memory request 268435456 is not the budget"},
		{workload, "    limits:\n              cpu: \"2\"\n", "    limits:\n", "without a CPU limit"},
		{workload, "port: 9090\n            periodSeconds", "port: 50052\n            periodSeconds", "asks port 50052"},
		{workload, "port: 9090\n            periodSeconds", "port: 50051\n            periodSeconds", "callers may have all connections"},
		{workload, "port: 9090\n            periodSeconds", "port: 9090\n              service: hello.v1.HelloService\n            periodSeconds", `asks for service "hello.v1.HelloService"`},
		{workload, "              service: liveness\n", "", `the liveness probe asks for service ""`},
		{workload, "failureThreshold: 5", "failureThreshold: 1", "kills a process that drains"},
		{workload, "grpc:\n              port: 9090\n              service: liveness", "tcpSocket:\n              port: 9090", "liveness probe is not a gRPC probe"},
		{base + "service.yaml", "targetPort: admin", "targetPort: metrics", "leads to no port"},
		{base + "servicemonitor.yaml", "port: admin", "port: metrics", "scrapes port"},
		{base + "recordingrules.yaml", "hotpath:failures:rate5m{namespace=\"hello\",job=\"hello\"}", "hotpath:failures:rate5m{job=\"hello\"}", "hotpath:errors:ratio_rate5m sees other namespaces"},
		{base + "prometheusrule.yaml", "/ hotpath_connections_limit", "/ hotpath_connections_limit{namespace=\"hello\"}", "names a namespace that no overlay puts in"},
		{base + "networkpolicy.yaml", "port: grpc", "port: http", "lets in to port http"},
		{base + "service.yaml", "clusterIP: None", "clusterIP: ''", "not headless"},
		{workload, "terminationGracePeriodSeconds: 33", "terminationGracePeriodSeconds: 30", "grace period is 30 s"},
		{workload, `value: "20000"`, `value: "60000"`, "takes 73 s"},
		{workload, "              sleep:\n                seconds: 5", "              exec:\n                command: [sleep]", "no preStop sleep"},
		{base + "service.yaml", "app.kubernetes.io/name: hello", "app: hello", "the service does not select the pods"},
		{base + "pdb.yaml", "    matchLabels:\n      app.kubernetes.io/name: hello\n", "", "the disruption budget does not select"},
		{base + "networkpolicy.yaml", "app.kubernetes.io/name: hello", "app.kubernetes.io/name: other", "the network policy does not select"},
		{base + "servicemonitor.yaml", "app.kubernetes.io/name: hello", "app.kubernetes.io/name: other", "the monitor does not select"},
		{base + "hpa.yaml", "kind: Deployment", "kind: StatefulSet", "scales StatefulSet"},
		{base + "hpa.yaml", "  behavior:", "    - type: Pods\n      pods:\n        metric:\n          name: x\n        target:\n          type: AverageValue\n          averageValue: 500m\n  behavior:", "cannot be read without the adapter"},
		{workload, "          nodeTaintsPolicy: Honor\n", "", "the nodes of a lost zone count"},
		{workload, "name: DRAIN_MS", "name: DRAIN_MILLIS", "knows no setting DRAIN_MILLIS"},
		{"Dockerfile", "EXPOSE 50051 9090", "EXPOSE 50051", "exposes no port 9090"},
		{workload, "minReadySeconds: 5", "minReadySeconds: 5\n  replicas: many", "json: cannot unmarshal"},
	} {
		t.Run(fault.found, func(t *testing.T) {
			r := renderTree(t, cases["default"]).with(t, fault.file, fault.old, fault.new)
			var found []string
			d, err := r.build("prod")
			if err != nil {
				found = []string{err.Error()}
			} else {
				found = d.violations()
			}
			if !strings.Contains(strings.Join(found, "\n"), fault.found) {
				t.Errorf("%s with %q was not found: %q", fault.file, fault.new, found)
			}
		})
	}
}

// Each way of following permits in use builds, and follows a series that a rule records.
func TestAutoscaling(t *testing.T) {
	for decided, scaler := range map[string]string{"cpu": "HorizontalPodAutoscaler", "keda": "ScaledObject", "prometheus-adapter": "HorizontalPodAutoscaler"} {
		t.Run(decided, func(t *testing.T) {
			r := renderTree(t, answers{"name": "hello", "autoscaling": decided})
			objects, err := r.kustomize("prod")
			if err != nil {
				t.Fatal(err)
			}
			var scalers []string
			texts := map[string]string{}
			for _, object := range objects {
				texts[object.GetKind()] += object.MustYaml()
				if kind := object.GetKind(); kind == "ScaledObject" || kind == "HorizontalPodAutoscaler" {
					scalers = append(scalers, kind)
				}
			}
			series := regexp.MustCompile(`hotpath_[a-z0-9_]+`).FindString(texts[scaler])
			if (series == "") != (decided == "cpu") || series != "" && !strings.Contains(texts["PrometheusRule"], "record: "+series+"\n") {
				t.Errorf("it follows %q, which no rule records:\n%s", series, texts[scaler])
			}
			if !strings.Contains(texts[scaler], "cpu") {
				t.Errorf("it does not follow the CPU:\n%s", texts[scaler])
			}
			if !slices.Equal(scalers, []string{scaler}) {
				t.Errorf("%q scale, not one %s", scalers, scaler)
			}
		})
	}
}

// Two generated services, each with its own overlay, find each other at the addresses that they are given.
func TestServicesFindEachOther(t *testing.T) {
	for _, tls := range []string{"none", "server", "mutual"} {
		called, err := renderTree(t, answers{"name": "prices", "tls": tls}).build("prod")
		if err != nil {
			t.Fatal(err)
		}
		given := maps.Clone(cases["otel"])
		given["tls"] = tls
		caller, err := renderTree(t, given).build("prod")
		if err != nil {
			t.Fatal(err)
		}
		at := fmt.Sprintf("%s://%s.%s:%d", caller.scheme(), called.service.Name, called.service.Namespace, called.service.Spec.Ports[0].Port)
		if address := caller.env()["DOWNSTREAM_PRICES"]; address != at {
			t.Errorf("the caller is given %s, and the service is at %s", address, at)
		}
	}
}

// A team's own namespace for production is that of rules and alerts too; and dev has series and a dashboard of its own.
func TestOverlays(t *testing.T) {
	const dev, prod = "deploy/overlays/dev/kustomization.yaml", "deploy/overlays/prod/kustomization.yaml"
	moved := renderTree(t, cases["default"]).with(t, prod, "namespace: hello", "namespace: greetings")
	for _, test := range []struct {
		overlay string
		r       rendered
		found   string
	}{
		{"prod", moved, ""},
		{"prod", moved.with(t, prod, "index: 1", "index: 3"), "sees other namespaces than greetings"},
		{"prod", moved.with(t, prod, "labels.namespace", "labels.severity"), "HotpathDown is not of namespace greetings"},
		{"dev", renderTree(t, cases["default"]).with(t, dev, "      $patch: delete\n", ""), "dev alerts by HotpathDown"},
		{"dev", renderTree(t, cases["default"]).with(t, dev, "index: 3", "index: 11"), "is that of another overlay"},
		{"dev", renderTree(t, cases["default"]).with(t, dev, "index: 7", "index: 11"), "is that of another overlay"},
	} {
		d, err := test.r.build(test.overlay)
		if err != nil {
			t.Fatal(err)
		}
		if found := d.violations(); len(found) > 0 != (test.found != "") || !strings.Contains(strings.Join(found, "\n"), test.found) {
			t.Errorf("%q were found, not %q", found, test.found)
		}
	}
}
