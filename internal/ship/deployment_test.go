package ship

import (
	"fmt"
	"path"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// deployment is what an overlay applies, decoded into the types that an API server would use.
type deployment struct {
	template  *corev1.PodTemplateSpec
	replicas  *int32
	selector  *metav1.LabelSelector
	workload  string
	claims    []corev1.PersistentVolumeClaim
	governing string
	service   *corev1.Service
	// headless gives pods names, and callers outside a mesh their addresses: without a mesh it is the service itself.
	headless  *corev1.Service
	account   *corev1.ServiceAccount
	namespace *corev1.Namespace
	budget    *policyv1.PodDisruptionBudget
	scaler    *autoscalingv2.HorizontalPodAutoscaler
	network   *networkingv1.NetworkPolicy
	monitor   *monitoringv1.ServiceMonitor
	rules     []*monitoringv1.PrometheusRule
	configs   []*corev1.ConfigMap
	// certificate is there where the service speaks TLS itself.
	certificate *certmanagerv1.Certificate
	// policies are the mesh's own objects.
	policies   []*resource.Resource
	rendered   rendered
	namespaces map[string]bool
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
		networkingv1.AddToScheme, monitoringv1.AddToScheme, certmanagerv1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	d := &deployment{rendered: r, namespaces: map[string]bool{}}
	for _, resource := range built {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		if resource.GetGvk().Group == "policy.linkerd.io" || resource.GetGvk().Group == "security.istio.io" {
			d.policies = append(d.policies, resource)
			continue
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
		d.replicas = object.Spec.Replicas
		d.claims, d.governing = object.Spec.VolumeClaimTemplates, object.Spec.ServiceName
	case *corev1.Service:
		if object.Name == d.rendered.data["name"] {
			d.service = object
		}
		if object.Name == d.rendered.data["headless"] {
			d.headless = object
		}
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
		d.rules = append(d.rules, object)
	case *certmanagerv1.Certificate:
		d.certificate = object
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
	for _, rules := range d.rules {
		for _, group := range rules.Spec.Groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

// stateful says whether the service was asked to have state.
func (d *deployment) stateful() bool {
	return d.rendered.data["stateful"].(bool)
}

// container is the one that a pod has.
func (d *deployment) container() corev1.Container {
	return d.template.Spec.Containers[0]
}

// env are the settings of the container.
func (d *deployment) env() map[string]string {
	env := map[string]string{}
	for _, variable := range d.container().Env {
		env[variable.Name] = variable.Value
	}
	return env
}

// meshed says whether the pods are in a mesh.
func (d *deployment) meshed() bool {
	return d.rendered.data["meshed"].(bool)
}
