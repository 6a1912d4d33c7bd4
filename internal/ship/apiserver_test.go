package ship

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/yaml"
)

// apiServer is Kubernetes' own, with its database, and the custom resources of the Prometheus operator and of cert-manager.
type apiServer struct {
	url, token string
	client     *http.Client
}

// startAPIServer builds the server where it is not built yet, which takes minutes: RUSTGEN_APISERVER asks for it.
func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	asked(t, "RUSTGEN_APISERVER")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(cache, "rustgen", "apiserver")
	mustRun(t, "apiserver", "go", "build", "-o", binary, ".")

	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &apiServer{
		url: "https://127.0.0.1:" + port, token: rand.Text(),
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
	var log bytes.Buffer
	process := exec.Command(binary, t.TempDir(), port, s.token)
	process.Stdout, process.Stderr = &log, &log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		process.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		process.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			process.Process.Kill()
			<-ended
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if answer, err := s.ask("GET", "/readyz", "", nil); err == nil && answer.status == http.StatusOK {
			break
		}
		select {
		case <-ended:
			deadline = time.Now()
		default:
		}
		if time.Now().After(deadline) {
			process.Process.Kill()
			<-ended
			t.Fatalf("the API server does not start:\n%s", log.String())
		}
	}
	s.installKinds(t)
	return s
}

// installKinds makes the kinds of the Prometheus operator and of cert-manager known to the server.
func (s *apiServer) installKinds(t *testing.T) {
	t.Helper()
	for module, files := range map[string][]string{
		"github.com/prometheus-operator/prometheus-operator@v0.85.0": {
			"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		},
		"github.com/cert-manager/cert-manager@v1.21.2": {"deploy/crds/cert-manager.io_certificates.yaml"},
	} {
		var downloaded struct{ Dir string }
		if err := json.Unmarshal([]byte(mustRun(t, t.TempDir(), "go", "mod", "download", "-json", module)), &downloaded); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			definition, err := os.ReadFile(filepath.Join(downloaded.Dir, filepath.FromSlash(file)))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.apply(definition, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	for version, kind := range map[string]string{"monitoring.coreos.com/v1": "PrometheusRule", "cert-manager.io/v1": "Certificate"} {
		s.waitFor(t, version, kind)
	}
}

// waitFor waits until the server knows a kind.
func (s *apiServer) waitFor(t *testing.T, version, kind string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		_, err := s.resource(version, kind)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

type answer struct {
	status   int
	warnings []string
	body     []byte
}

func (s *apiServer) ask(method, path, contentType string, body []byte) (*answer, error) {
	request, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", contentType)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &answer{response.StatusCode, response.Header.Values("Warning"), text}, nil
}

// resource is the path under which the server knows a kind, up to the namespace, and what comes after.
type resourcePath struct {
	prefix, name string
	namespaced   bool
}

func (s *apiServer) resource(version, kind string) (*resourcePath, error) {
	prefix := "/apis/" + version
	if version == "v1" {
		prefix = "/api/v1"
	}
	answer, err := s.ask("GET", prefix, "", nil)
	if err != nil {
		return nil, err
	}
	var list struct {
		Resources []struct {
			Name, Kind string
			Namespaced bool
		}
	}
	if err := json.Unmarshal(answer.body, &list); err != nil {
		return nil, err
	}
	for _, resource := range list.Resources {
		if resource.Kind == kind && !strings.Contains(resource.Name, "/") {
			return &resourcePath{prefix, resource.Name, resource.Namespaced}, nil
		}
	}
	return nil, fmt.Errorf("the server knows no %s in %s", kind, version)
}

// apply sends an object as `kubectl apply --server-side` does. What the server does not take, or warns of, is an error.
func (s *apiServer) apply(object []byte, dry bool) error {
	var meta struct {
		APIVersion, Kind string
		Metadata         struct{ Name, Namespace string }
	}
	if err := yaml.Unmarshal(object, &meta); err != nil {
		return err
	}
	resource, err := s.resource(meta.APIVersion, meta.Kind)
	if err != nil {
		return err
	}
	path := resource.prefix
	if resource.namespaced {
		path += "/namespaces/" + meta.Metadata.Namespace
	}
	path += "/" + resource.name + "/" + meta.Metadata.Name + "?fieldManager=rustgen&fieldValidation=Strict"
	if dry {
		path += "&dryRun=All"
	}
	answer, err := s.ask("PATCH", path, "application/apply-patch+yaml", object)
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK && answer.status != http.StatusCreated || len(answer.warnings) > 0 {
		var status struct{ Message string }
		_ = json.Unmarshal(answer.body, &status)
		return fmt.Errorf("%s %s: %d %s %q", meta.Kind, meta.Metadata.Name, answer.status, status.Message, answer.warnings)
	}
	return nil
}

// refused is what the server says against an overlay. The namespace and the service account are made, as others need
// them; all else is a dry run, and so is a pod of the workload's template: only pods are held to Pod Security.
func (s *apiServer) refused(r rendered, overlay string) []string {
	objects, err := r.kustomize(overlay)
	if err != nil {
		return []string{err.Error()}
	}
	made := []string{"Namespace", "ServiceAccount"}
	var texts [][]byte
	var found []string
	for _, first := range []bool{true, false} {
		for _, object := range objects {
			if slices.Contains(made, object.GetKind()) != first {
				continue
			}
			text, err := object.AsYAML()
			if err != nil {
				return []string{err.Error()}
			}
			texts = append(texts, text)
			if err := s.apply(text, !first); err != nil {
				found = append(found, err.Error())
			}
		}
	}
	for _, text := range texts {
		pod, err := podOf(text)
		if err != nil {
			return []string{err.Error()}
		}
		if pod == nil {
			continue
		}
		if err := s.apply(pod, true); err != nil {
			found = append(found, err.Error())
		}
	}
	return found
}

// podOf is a pod as a workload's controller would make it; nil of what is no workload.
func podOf(workload []byte) ([]byte, error) {
	var object struct {
		Metadata map[string]any
		Spec     struct {
			Template             map[string]any
			VolumeClaimTemplates []struct{ Metadata struct{ Name string } }
		}
	}
	if err := yaml.Unmarshal(workload, &object); err != nil || object.Spec.Template == nil {
		return nil, err
	}
	pod := object.Spec.Template
	pod["apiVersion"], pod["kind"] = "v1", "Pod"
	metadata := pod["metadata"].(map[string]any)
	metadata["name"], metadata["namespace"] = object.Metadata["name"], object.Metadata["namespace"]
	volumes, _ := pod["spec"].(map[string]any)["volumes"].([]any)
	for _, claim := range object.Spec.VolumeClaimTemplates {
		volumes = append(volumes, map[string]any{
			"name": claim.Metadata.Name, "persistentVolumeClaim": map[string]any{"claimName": claim.Metadata.Name + "-0"},
		})
	}
	if volumes != nil {
		pod["spec"].(map[string]any)["volumes"] = volumes
	}
	return yaml.Marshal(pod)
}

// Every object of every overlay passes a real API server: its schema, its validation, its defaults and its admission.
func TestAPIServer(t *testing.T) {
	s := startAPIServer(t)
	eachCase(t, "deploy/base/kustomization.yaml", func(t *testing.T, r rendered) {
		for _, overlay := range overlays {
			for _, refusal := range s.refused(r, overlay) {
				t.Errorf("%s: %s", overlay, refusal)
			}
		}
	})

	for name, given := range tlsCases {
		for _, overlay := range overlays {
			for _, refusal := range s.refused(renderTree(t, given), overlay) {
				t.Errorf("tls, %s, %s: %s", name, overlay, refusal)
			}
		}
	}

	t.Run("volumes", s.testVolumes)

	// What only the server knows: the types would take all of these.
	const base = "deploy/base/"
	for _, fault := range []struct{ file, old, new, found string }{
		{base + "deployment.yaml", `memory: "536870912"`, `memory: "1073741824"`, "must be less than or equal to memory limit"},
		{base + "deployment.yaml", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: hello", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: other", "`selector` does not match template `labels`"},
		{base + "deployment.yaml", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "violates PodSecurity"},
		{base + "deployment.yaml", "name: grpc\n", "name: a-name-that-is-too-long\n", "must be no more than 15 characters"},
		{base + "hpa.yaml", "minReplicas: 3", "minReplicas: 30", "must be greater than or equal to `minReplicas`"},
		{base + "pdb.yaml", "maxUnavailable: 1", "maxUnavailable: 1\n  minAvailable: 1", "cannot be both set"},
		{base + "service.yaml", "targetPort: admin", "targetPort: admin_port", "targetPort"},
		{base + "servicemonitor.yaml", "interval: 15s", "interval: 15 seconds", "interval"},
		{base + "prometheusrule.yaml", "for: 10m", "for: 10 minutes", "for"},
		{base + "networkpolicy.yaml", "protocol: TCP", "protocol: HTTP", "protocol"},
	} {
		r := renderTree(t, cases["default"]).with(t, fault.file, fault.old, fault.new)
		if found := s.refused(r, "prod"); !strings.Contains(strings.Join(found, "\n"), fault.found) {
			t.Errorf("%s with %q: %q was not found: %q", fault.file, fault.new, fault.found, found)
		}
	}
	usage := renderTree(t, tlsCases["mutual"]).with(t, base+"certificate.yaml", "- client auth", "- caller auth")
	if found := s.refused(usage, "prod"); !strings.Contains(strings.Join(found, "\n"), "caller auth") {
		t.Errorf("a usage that there is not was not found: %q", found)
	}
}

// The size of a StatefulSet's volumes changes in the way that the README tells, and in no other.
func (s *apiServer) testVolumes(t *testing.T) {
	given := maps.Clone(cases["stateful"])
	render := func(memory string) (rendered, []byte) {
		given["memory"] = memory
		r := renderTree(t, given)
		objects, err := r.kustomize("prod")
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(objects, func(object *resource.Resource) bool { return object.GetKind() == "StatefulSet" })
		text, err := objects[at].AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		return r, text
	}
	r, before := render("512MiB")
	for _, refusal := range s.refused(r, "prod") {
		t.Fatal(refusal)
	}
	if err := s.apply(before, false); err != nil {
		t.Fatal(err)
	}
	_, after := render("1GiB")
	if err := s.apply(after, false); err == nil || !strings.Contains(err.Error(), "spec.volumeClaimTemplates: Invalid value") {
		t.Fatalf("a change of the volumes was not refused: %v", err)
	}

	path := "/apis/apps/v1/namespaces/order-api/statefulsets/order-api"
	deleted, err := s.ask("DELETE", path, "application/json", []byte(`{"propagationPolicy": "Orphan"}`))
	if err != nil || deleted.status != http.StatusOK {
		t.Fatalf("%v %s", err, deleted.body)
	}
	// The garbage collector, which is not here, takes the pods out of its hands, and then this off.
	if _, err := s.ask("PATCH", path, "application/merge-patch+json", []byte(`{"metadata": {"finalizers": null}}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.apply(after, false); err != nil {
		t.Error(err)
	}
}

// When a zone is lost, the scheduler's own plugin takes the replacements in the zones that are left; and it is that plugin
// which says no without the line that makes it so.
func TestZoneLoss(t *testing.T) {
	asked(t, "RUSTGEN_APISERVER")
	survives := func(r rendered) (string, error) {
		objects, err := r.kustomize("prod")
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(objects, func(object *resource.Resource) bool { return object.GetKind() == "Deployment" })
		pod, err := podOf([]byte(objects[at].MustYaml()))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "pod.yaml")
		if err := os.WriteFile(file, pod, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv("POD", file)
		return run(t, "apiserver", "go", "test", "-count=1", "-v", "./zoneloss")
	}
	r := renderTree(t, cases["default"])
	if output, err := survives(r); err != nil || !strings.Contains(output, "--- PASS: TestZoneLoss") {
		t.Errorf("%v\n%s", err, output)
	}
	output, err := survives(r.with(t, "deploy/base/deployment.yaml", "          nodeTaintsPolicy: Honor\n", ""))
	if err == nil || !strings.Contains(output, "replacements wait for a zone that is lost") {
		t.Errorf("%v\n%s", err, output)
	}
}
