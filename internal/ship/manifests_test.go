package ship

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	admission "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// deployment is what an overlay applies, decoded into the types that an API server would use.
type deployment struct {
	template     *corev1.PodTemplateSpec
	selector     *metav1.LabelSelector
	workload     string
	claims       []corev1.PersistentVolumeClaim
	governing    string
	service      *corev1.Service
	account      *corev1.ServiceAccount
	namespace    *corev1.Namespace
	budget       *policyv1.PodDisruptionBudget
	scaler       *autoscalingv2.HorizontalPodAutoscaler
	network      *networkingv1.NetworkPolicy
	monitor      *monitoringv1.ServiceMonitor
	rules        *monitoringv1.PrometheusRule
	configs      []*corev1.ConfigMap
	rendered     rendered
	namespaces   map[string]bool
	containerEnv map[string]string
}

// kustomize gives the objects of an overlay.
func (r rendered) kustomize(overlay string) ([]*resource.Resource, error) {
	disk := filesys.MakeFsInMemory()
	for name, file := range r.Tree {
		if err := disk.WriteFile("/"+name, file.Data); err != nil {
			return nil, err
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/"+path.Join("deploy/overlays", overlay))
	if err != nil {
		return nil, err
	}
	return built.Resources(), nil
}

// build decodes every object of an overlay strictly: an unknown field is an error.
func (r rendered) build(overlay string) (*deployment, error) {
	built, err := r.kustomize(overlay)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme, autoscalingv2.AddToScheme,
		networkingv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	d := &deployment{rendered: r, namespaces: map[string]bool{}, containerEnv: map[string]string{}}
	for _, resource := range built {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", resource.CurId(), err)
		}
		if accessor, ok := object.(metav1.Object); ok && accessor.GetNamespace() != "" {
			d.namespaces[accessor.GetNamespace()] = true
		}
		if err := d.add(object); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *deployment) add(object runtime.Object) error {
	switch object := object.(type) {
	case *appsv1.Deployment:
		d.workload, d.template, d.selector = "Deployment", &object.Spec.Template, object.Spec.Selector
	case *appsv1.StatefulSet:
		d.workload, d.template, d.selector = "StatefulSet", &object.Spec.Template, object.Spec.Selector
		d.claims, d.governing = object.Spec.VolumeClaimTemplates, object.Spec.ServiceName
	case *corev1.Service:
		d.service = object
	case *corev1.ServiceAccount:
		d.account = object
	case *corev1.Namespace:
		d.namespace = object
	case *policyv1.PodDisruptionBudget:
		d.budget = object
	case *autoscalingv2.HorizontalPodAutoscaler:
		d.scaler = object
	case *networkingv1.NetworkPolicy:
		d.network = object
	case *monitoringv1.ServiceMonitor:
		d.monitor = object
	case *monitoringv1.PrometheusRule:
		d.rules = object
	case *corev1.ConfigMap:
		d.configs = append(d.configs, object)
	default:
		return fmt.Errorf("no rule says what %T is for", object)
	}
	return nil
}

// dev says whether this is the overlay that may stand beside production's in a cluster.
func (d *deployment) dev() bool {
	return d.namespace != nil && strings.HasSuffix(d.namespace.Name, "-dev")
}

// allRules are the alerts and the recorded series.
func (d *deployment) allRules() []monitoringv1.Rule {
	var all []monitoringv1.Rule
	if d.rules != nil {
		for _, group := range d.rules.Spec.Groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

// violations are the ways in which a deployment breaks what it must hold.
func (d *deployment) violations() []string {
	var found []string
	wrong := func(holds bool, format string, args ...any) {
		if !holds {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	name := d.rendered.data["name"].(string)
	stateful := d.rendered.data["stateful"].(bool)
	for what, missing := range map[string]bool{
		"workload": d.template == nil, "service": d.service == nil, "service account": d.account == nil,
		"namespace": d.namespace == nil, "disruption budget": d.budget == nil, "network policy": d.network == nil,
		"service monitor": d.monitor == nil, "rules": d.rules == nil && !d.dev(),
		"autoscaler": d.scaler == nil && !stateful, "dashboard": len(d.configs) != 1,
	} {
		wrong(!missing, "there is no %s", what)
	}
	if len(found) > 0 {
		return found
	}
	pod, container := d.template.Spec, d.template.Spec.Containers[0]
	for _, variable := range container.Env {
		d.containerEnv[variable.Name] = variable.Value
	}

	// Pod Security "restricted", as the admission controller judges it.
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	restricted := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	for _, result := range checks.EvaluatePod(restricted, &d.template.ObjectMeta, &pod) {
		wrong(result.Allowed, "not restricted: %s (%s)", result.ForbiddenReason, result.ForbiddenDetail)
	}
	wrong(d.namespace.Labels["pod-security.kubernetes.io/enforce"] == "restricted", "the namespace does not enforce restricted")
	wrong(container.SecurityContext.ReadOnlyRootFilesystem != nil && *container.SecurityContext.ReadOnlyRootFilesystem, "the root file system is writable")
	wrong(pod.SecurityContext.RunAsUser != nil && *pod.SecurityContext.RunAsUser == 65532, "the user is not the image's")
	wrong(pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken, "a service account token is mounted")
	wrong(d.account.AutomountServiceAccountToken != nil && !*d.account.AutomountServiceAccountToken, "the service account offers its token")
	wrong(pod.ServiceAccountName == d.account.Name, "the pod's service account %q does not exist", pod.ServiceAccountName)
	wrong(len(d.namespaces) == 1 && d.namespaces[d.namespace.Name], "objects lie outside the overlay's namespace: %v", slices.Sorted(maps.Keys(d.namespaces)))

	// One number for memory.
	budget := d.rendered.data["memory"].(int64)
	wrong(container.Resources.Limits.Memory().Value() == budget, "memory limit %d is not the budget %d", container.Resources.Limits.Memory().Value(), budget)
	wrong(container.Resources.Requests.Memory().Value() == budget, "memory request %d is not the budget %d", container.Resources.Requests.Memory().Value(), budget)
	wrong(container.Resources.Limits.Cpu().Sign() > 0, "without a CPU limit the workers are as many as the node's cores")

	// Ports.
	ports, names := map[string]bool{}, map[int32]string{}
	for _, port := range container.Ports {
		ports[port.Name], names[port.ContainerPort] = true, port.Name
	}
	exposed := exposedPorts.FindSubmatch(d.rendered.Tree["Dockerfile"].Data)
	for number := range names {
		wrong(exposed != nil && slices.Contains(strings.Fields(string(exposed[1])), strconv.Itoa(int(number))), "the image exposes no port %d", number)
	}
	grpcService := fmt.Sprintf("%s.%s", d.rendered.data["package"], d.rendered.data["service"])
	grace := *pod.TerminationGracePeriodSeconds
	for kind, probe := range map[string]*corev1.Probe{"startup": container.StartupProbe, "readiness": container.ReadinessProbe, "liveness": container.LivenessProbe} {
		if probe == nil || probe.GRPC == nil {
			wrong(false, "the %s probe is not a gRPC probe", kind)
			continue
		}
		wrong(names[probe.GRPC.Port] != "", "the %s probe asks port %d, which the container has not", kind, probe.GRPC.Port)
		wrong(names[probe.GRPC.Port] != "grpc", "the %s probe asks where callers may have all connections", kind)
		asked := ""
		if probe.GRPC.Service != nil {
			asked = *probe.GRPC.Service
		}
		wrong(asked == map[string]string{"startup": grpcService, "readiness": grpcService}[kind], "the %s probe asks for service %q", kind, asked)
	}
	if probe := container.LivenessProbe; probe != nil {
		wrong(int64(probe.FailureThreshold*probe.PeriodSeconds) > grace, "the liveness probe kills a process that drains")
	}
	for _, port := range d.service.Spec.Ports {
		wrong(port.TargetPort.Type == intstr.String && ports[port.TargetPort.StrVal], "the service's port %s leads to no port of the container", port.Name)
	}
	servicePorts := map[string]bool{}
	for _, port := range d.service.Spec.Ports {
		servicePorts[port.Name] = true
	}
	for _, endpoint := range d.monitor.Spec.Endpoints {
		wrong(servicePorts[endpoint.Port], "the monitor scrapes port %q, which the service has not", endpoint.Port)
	}
	allowed := map[string]bool{}
	for _, rule := range d.network.Spec.Ingress {
		for _, port := range rule.Ports {
			wrong(port.Port.Type == intstr.String && ports[port.Port.StrVal], "the network policy lets in to port %s, which the container has not", port.Port.String())
			allowed[port.Port.String()] = true
		}
	}
	wrong(len(allowed) == len(ports), "the network policy lets in to %d of %d ports", len(allowed), len(ports))
	wrong(d.service.Spec.ClusterIP == corev1.ClusterIPNone, "the service is not headless")

	// The grace period is the sum of what happens in it.
	sum := int64(5)
	if container.Lifecycle == nil || container.Lifecycle.PreStop == nil || container.Lifecycle.PreStop.Sleep == nil {
		wrong(false, "there is no preStop sleep")
	} else {
		sum += container.Lifecycle.PreStop.Sleep.Seconds
	}
	for _, variable := range []string{"DRAIN_DELAY_MS", "DRAIN_MS"} {
		milliseconds, err := strconv.ParseInt(d.containerEnv[variable], 10, 64)
		wrong(err == nil, "%s is %q", variable, d.containerEnv[variable])
		sum += milliseconds / 1000
	}
	if stateful {
		sum += 5
	}
	if d.rendered.data["queue_depth"].(int) > 0 {
		sum += 5
	}
	wrong(grace == sum, "the grace period is %d s, and what happens in it takes %d s", grace, sum)

	// Selectors.
	pods := labels.Set(d.template.Labels)
	selects := func(what string, selector *metav1.LabelSelector) {
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		wrong(err == nil && selector != nil && !parsed.Empty() && parsed.Matches(pods), "%s does not select the pods", what)
	}
	selects("the workload", d.selector)
	selects("the disruption budget", d.budget.Spec.Selector)
	selects("the network policy", &d.network.Spec.PodSelector)
	selects("the service", &metav1.LabelSelector{MatchLabels: d.service.Spec.Selector})
	wrong(len(pod.TopologySpreadConstraints) == 2, "pods are not spread over zones and nodes")
	for _, constraint := range pod.TopologySpreadConstraints {
		selects("the spread over "+constraint.TopologyKey, constraint.LabelSelector)
	}
	monitored, err := metav1.LabelSelectorAsSelector(&d.monitor.Spec.Selector)
	wrong(err == nil && !monitored.Empty() && monitored.Matches(labels.Set(d.service.Labels)), "the monitor does not select the service")
	if d.scaler != nil {
		target := d.scaler.Spec.ScaleTargetRef
		wrong(target.Kind == d.workload && target.Name == name, "the autoscaler scales %s %s, which does not exist", target.Kind, target.Name)
		for _, metric := range d.scaler.Spec.Metrics {
			if metric.Pods != nil && d.rules != nil {
				wrong(slices.ContainsFunc(d.allRules(), func(rule monitoringv1.Rule) bool {
					return rule.Record == metric.Pods.Metric.Name
				}), "the autoscaler follows %s, which no rule records", metric.Pods.Metric.Name)
			}
		}
	}
	// One set of rules for all overlays in a cluster, and the alert that nobody answers is production's.
	wrong(d.rules == nil || !d.dev(), "the rules of dev record the series of production a second time")
	for _, rule := range d.allRules() {
		if rule.Alert == "HotpathDown" {
			wrong(strings.Contains(rule.Expr.StrVal, fmt.Sprintf("namespace=%q", d.namespace.Name)) && rule.Labels["namespace"] == d.namespace.Name,
				"HotpathDown is not of namespace %s", d.namespace.Name)
		}
	}
	// What the autoscaler or a volume would make of it.
	wrong(stateful == (d.workload == "StatefulSet"), "a %s service is a %s", d.rendered.data["state"], d.workload)
	if stateful {
		wrong(d.governing == d.service.Name, "the governing service %q does not exist", d.governing)
		wrong(len(d.claims) == 1 && len(container.VolumeMounts) == 1 && container.VolumeMounts[0].Name == d.claims[0].Name, "the volume is not mounted")
		wrong(len(container.VolumeMounts) == 1 && container.VolumeMounts[0].MountPath == d.containerEnv["STATE_DIR"], "the state does not lie on the volume")
	}

	// Settings that the service does not know would be without effect.
	sources := ""
	for file, content := range d.rendered.Tree {
		if strings.HasSuffix(file, ".rs") {
			sources += string(content.Data)
		}
	}
	if d.rendered.data["queue_depth"].(int) > 0 {
		wrong(strings.Contains(sources, "FINISH: Duration = Duration::from_secs(5)"), "a queue takes other than 5 s to finish")
	}
	for variable := range d.containerEnv {
		if downstream := strings.TrimPrefix(variable, "DOWNSTREAM_"); downstream != variable {
			wrong(slices.ContainsFunc(d.rendered.data["downstream"].([]string), func(service string) bool {
				return strings.ReplaceAll(strings.ToUpper(service), "-", "_") == downstream
			}), "%s names no downstream service", variable)
			continue
		}
		wrong(strings.Contains(sources, `"`+variable+`"`), "the service knows no setting %s", variable)
	}
	return found
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
		{"deploy/overlays/prod/namespace.yaml", "enforce: restricted", "enforce: baseline", "does not enforce restricted"},
		{workload, `memory: "536870912"`, `memory: "268435456"`, "memory request 268435456 is not the budget"},
		{workload, "    limits:\n              cpu: \"2\"\n", "    limits:\n", "without a CPU limit"},
		{workload, "port: 9090\n              service", "port: 50052\n              service", "asks port 50052"},
		{workload, "port: 9090\n              service", "port: 50051\n              service", "callers may have all connections"},
		{workload, "service: hello.v1.HelloService", "service: hello.v1.Hello", `asks for service "hello.v1.Hello"`},
		{workload, "failureThreshold: 5", "failureThreshold: 1", "kills a process that drains"},
		{workload, "grpc:\n              port: 9090\n            periodSeconds: 10", "tcpSocket:\n              port: 9090\n            periodSeconds: 10", "liveness probe is not a gRPC probe"},
		{base + "service.yaml", "targetPort: admin", "targetPort: metrics", "leads to no port"},
		{base + "servicemonitor.yaml", "port: admin", "port: metrics", "scrapes port"},
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
		{base + "hpa.yaml", "name: hotpath_permits_in_use_ratio", "name: hotpath_permits", "no rule records"},
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

// A team's own namespace for production is that of the alert too; and dev applies no rules of its own.
func TestOverlays(t *testing.T) {
	const dev, prod = "deploy/overlays/dev/kustomization.yaml", "deploy/overlays/prod/kustomization.yaml"
	moved := renderTree(t, cases["default"]).with(t, prod, "namespace: hello", "namespace: greetings").
		with(t, "deploy/overlays/prod/namespace.yaml", "name: hello", "name: greetings")
	for _, test := range []struct {
		overlay string
		r       rendered
		found   []string
	}{
		{"prod", moved, nil},
		{"prod", moved.with(t, prod, "index: 3", "index: 1"), []string{"HotpathDown is not of namespace greetings"}},
		{"prod", moved.with(t, prod, "labels.namespace", "labels.severity"), []string{"HotpathDown is not of namespace greetings"}},
		{"dev", renderTree(t, cases["default"]).with(t, dev, "      $patch: delete\n", ""), []string{"the rules of dev record the series of production a second time", "HotpathDown is not of namespace hello-dev"}},
	} {
		d, err := test.r.build(test.overlay)
		if err != nil {
			t.Fatal(err)
		}
		if found := d.violations(); !slices.Equal(found, test.found) {
			t.Errorf("%q were found, not %q", found, test.found)
		}
	}
}
