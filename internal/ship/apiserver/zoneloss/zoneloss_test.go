// Package zoneloss asks the scheduler's own plugin where replacements may run when a zone is lost.
package zoneloss

import (
	"context"
	"fmt"
	"os"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread"
	plugintesting "k8s.io/kubernetes/pkg/scheduler/framework/plugins/testing"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	"sigs.k8s.io/yaml"
)

// Of twelve replicas of the pod in the file POD, four ran in each of three zones. The nodes of zone c are gone but still
// registered, as they are for minutes: the nodes of a and b must take the pods that ran there.
func TestZoneLoss(t *testing.T) {
	file := os.Getenv("POD")
	if file == "" {
		t.Skip("SKIPPED: POD names no pod")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pod := new(v1.Pod)
	if err := yaml.UnmarshalStrict(text, pod); err != nil {
		t.Fatal(err)
	}
	var nodes []*v1.Node
	var pods []*v1.Pod
	for _, zone := range []string{"a", "b", "c"} {
		for i := range 2 {
			node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s%d", zone, i)}}
			node.Labels = map[string]string{v1.LabelTopologyZone: zone, v1.LabelHostname: node.Name}
			nodes = append(nodes, node)
			if zone == "c" {
				node.Spec.Taints = []v1.Taint{{Key: v1.TaintNodeUnreachable, Effect: v1.TaintEffectNoSchedule}}
				continue
			}
			for replica := range 2 {
				running := pod.DeepCopy()
				running.Name, running.Spec.NodeName = fmt.Sprintf("%s-%d", node.Name, replica), node.Name
				pods = append(pods, running)
			}
		}
	}
	metrics.Register()
	features := feature.Features{EnableNodeInclusionPolicyInPodTopologySpread: true, EnableMatchLabelKeysInPodTopologySpread: true}
	snapshot := cache.NewSnapshot(pods, nodes)
	spread := plugintesting.SetupPlugin(t.Context(), t, frameworkruntime.FactoryAdapter(features, podtopologyspread.New),
		&config.PodTopologySpreadArgs{DefaultingType: config.ListDefaulting}, snapshot).(*podtopologyspread.PodTopologySpread)
	if refused := refusals(t.Context(), t, spread, snapshot, pod); refused["a0"] != "" || refused["a1"] != "" || refused["b0"] != "" || refused["b1"] != "" {
		t.Errorf("replacements wait for a zone that is lost: %v", refused)
	}
}

// refusals are the nodes that do not take the pod, and why.
func refusals(ctx context.Context, t *testing.T, spread *podtopologyspread.PodTopologySpread, snapshot *cache.Snapshot, pod *v1.Pod) map[string]string {
	t.Helper()
	nodes, err := snapshot.NodeInfos().List()
	if err != nil {
		t.Fatal(err)
	}
	state := framework.NewCycleState()
	if _, status := spread.PreFilter(ctx, state, pod, nodes); !status.IsSuccess() {
		t.Fatal(status)
	}
	refused := map[string]string{}
	for _, node := range nodes {
		if status := spread.Filter(ctx, state, pod, node); !status.IsSuccess() {
			refused[node.Node().Name] = status.Message()
		}
	}
	return refused
}
