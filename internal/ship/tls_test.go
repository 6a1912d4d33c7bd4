package ship

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// tlsCases are services that speak TLS, one of each kind of workload.
var tlsCases = map[string]answers{
	"tls server": {"name": "hello", "tls": "server"},
	"tls mutual": {"name": "ledger", "tls": "mutual", "state": "stateful", "downstream": "prices"},
}

// certificateDir is where the server layer looks for its certificates.
const certificateDir = "/etc/tls"

// certificateViolations are what keeps a service that speaks TLS from a certificate that its callers take.
func (d *deployment) certificateViolations() []string {
	f := findings(d.violations())
	if d.certificate == nil {
		return append(f, "nothing makes a certificate")
	}
	var certificate struct {
		Spec struct {
			SecretName            string
			Duration, RenewBefore string
			PrivateKey            struct{ RotationPolicy string }
			Usages, DNSNames      []string
			URIs                  []string
		}
	}
	if err := yaml.Unmarshal([]byte(d.certificate.MustYaml()), &certificate); err != nil {
		return append(f, err.Error())
	}
	spec, name, namespace := certificate.Spec, d.service.Name, d.service.Namespace
	for _, dialed := range []string{name, name + "." + namespace, name + "." + namespace + ".svc", name + "." + namespace + ".svc.cluster.local"} {
		f.wrong(slices.Contains(spec.DNSNames, dialed), "callers that dial %s do not take the certificate", dialed)
	}
	f.wrong(slices.Contains(spec.Usages, "server auth"), "the certificate is none for a server")
	f.wrong(spec.PrivateKey.RotationPolicy == "Always", "a renewed certificate keeps its key")
	life, err := time.ParseDuration(spec.Duration)
	f.wrong(err == nil, "duration: %v", err)
	before, err := time.ParseDuration(spec.RenewBefore)
	f.wrong(err == nil && before*5 > life && before*2 < life, "it is renewed %s before its end, and lives %s: the alert comes at a fifth", before, life)
	f.wrong(slices.Contains(spec.Usages, "client auth"), "the certificate is none for a caller")
	identity := fmt.Sprintf("spiffe://cluster.local/ns/%s/sa/%s", namespace, d.account.Name)
	f.wrong(slices.Equal(spec.URIs, []string{identity}), "where it calls it is %s, not %s", spec.URIs, identity)
	pod := d.template.Spec
	for _, volume := range pod.Volumes {
		if volume.Secret == nil || volume.Secret.SecretName != spec.SecretName {
			continue
		}
		f.wrong(volume.Secret.DefaultMode != nil && *volume.Secret.DefaultMode == 0o440 && pod.SecurityContext.FSGroup != nil && *pod.SecurityContext.FSGroup == *pod.SecurityContext.RunAsGroup,
			"the process may not read its key, or others may")
		for _, mount := range pod.Containers[0].VolumeMounts {
			if mount.Name == volume.Name {
				f.wrong(mount.SubPath == "", "a file that is mounted by subPath never changes")
				f.wrong(mount.MountPath == certificateDir && mount.ReadOnly, "the certificate is mounted at %s", mount.MountPath)
				return f
			}
		}
	}
	return append(f, "the Secret of the certificate is not mounted")
}

func TestCertificates(t *testing.T) {
	for name, given := range tlsCases {
		t.Run(name, func(t *testing.T) {
			r := renderTree(t, given)
			for _, overlay := range overlays {
				d, err := r.build(overlay)
				if err != nil {
					t.Fatal(err)
				}
				for _, violation := range d.certificateViolations() {
					t.Errorf("%s: %s", overlay, violation)
				}
				if protocol := d.service.Spec.Ports[0].AppProtocol; protocol == nil || *protocol != "https" {
					t.Errorf("%s: a gateway is told to speak plain text", overlay)
				}
			}
		})
	}
	d, err := renderTree(t, cases["default"]).build("prod")
	if err != nil {
		t.Fatal(err)
	}
	if d.certificate != nil {
		t.Error("a service without TLS has a certificate")
	}
}

func TestCertificateFaults(t *testing.T) {
	const certificate, workload = "deploy/base/certificate.yaml", "deploy/base/statefulset.yaml"
	for _, fault := range []struct{ file, old, new, found string }{
		{certificate, "    - ledger.ledger\n", "", "that dial ledger.ledger do not take"},
		{certificate, "- server auth", "- code signing", "none for a server"},
		{certificate, "- client auth", "- code signing", "none for a caller"},
		{certificate, "/sa/ledger", "/sa/default", "where it calls it is"},
		{certificate, "rotationPolicy: Always", "rotationPolicy: Never", "keeps its key"},
		{certificate, "renewBefore: 720h", "renewBefore: 120h", "the alert comes at a fifth"},
		{certificate, "secretName: ledger-tls", "secretName: other", "is not mounted"},
		{workload, "mountPath: /etc/tls", "mountPath: /etc/tls/tls.crt\n              subPath: tls.crt", "by subPath never changes"},
		{workload, "mountPath: /etc/tls", "mountPath: /etc/certs", "is mounted at /etc/certs"},
		{workload, "defaultMode: 0440", "defaultMode: 0444", "or others may"},
		{"deploy/base/kustomization.yaml", "  - certificate.yaml\n", "", "nothing makes a certificate"},
	} {
		t.Run(fault.found, func(t *testing.T) {
			r := renderTree(t, tlsCases["tls mutual"]).with(t, fault.file, fault.old, fault.new)
			d, err := r.build("prod")
			if err != nil {
				t.Fatal(err)
			}
			if found := strings.Join(d.certificateViolations(), "\n"); !strings.Contains(found, fault.found) {
				t.Errorf("%s with %q was not found: %q", fault.file, fault.new, found)
			}
		})
	}
}

// The alerts of certificates fire, stay quiet, and are in the runbook, as those of every service.
func TestCertificateAlerts(t *testing.T) {
	need(t, "promtool", "apt-get install prometheus")
	for name, given := range tlsCases {
		t.Run(name, func(t *testing.T) {
			r := renderTree(t, given)
			t.Log(mustRun(t, r.write(t), "ci/check.sh", "alerts"))
			for _, violation := range alertViolations(r) {
				t.Error(violation)
			}
		})
	}
}
