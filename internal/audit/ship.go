package audit

import (
	"regexp"
	"strconv"
	"strings"
)

// image is a check of the stage that each Dockerfile ships.
func image(look func(d dockerfile, base from, own []instruction) []Finding) func(*service) outcome {
	return func(s *service) (o outcome) {
		for _, d := range s.images {
			if base, own := d.last(); base.image != "" {
				o.findings = append(o.findings, look(d, base, own)...)
			}
		}
		if len(s.images) == 0 {
			return absent("there is no Dockerfile")
		}
		return o
	}
}

// pods is a check of every container that a Deployment or StatefulSet runs.
func pods(look func(p pod) []Finding) func(*service) outcome {
	return func(s *service) (o outcome) {
		all := s.pods()
		if len(all) == 0 {
			return absent("there is no Deployment or StatefulSet")
		}
		for _, p := range all {
			o.findings = append(o.findings, look(p)...)
		}
		return o
	}
}

// pipeline are the files that continuous integration runs.
var pipeline = regexp.MustCompile(`^(\.github/workflows/[^/]*\.ya?ml|\.gitlab-ci\.yml|\.gitlab/.*\.ya?ml|\.circleci/config\.yml|\.buildkite/.*\.ya?ml|azure-pipelines\.yml|Jenkinsfile|\.ci/.*|ci/.*|scripts?/.*|Makefile|justfile|\.justfile|Taskfile\.ya?ml|xtask/.*)$`)

// runs is a check that continuous integration does something.
func runs(missing string, pattern *regexp.Regexp) func(*service) outcome {
	return func(s *service) outcome {
		if len(s.matching(pipeline)) == 0 {
			return absent("there is no pipeline")
		}
		if _, ok := s.anywhere(pipeline, pattern); ok {
			return found()
		}
		return found(at(Place{}, "%s", missing))
	}
}

var shipChecks = []Check{
	{
		ID: "image-base", Area: "image", Title: "The image holds the service and little else",
		Why:  "a compiler and a shell are an attacker's tools, and hundreds of megabytes to pull when a node is new",
		Mend: "a last stage from distroless, scratch or a slim image, with the binary copied in",
		look: image(func(d dockerfile, base from, _ []instruction) []Finding {
			if name, _, _ := strings.Cut(base.image[strings.LastIndex(base.image, "/")+1:], ":"); name == "rust" || name == "ubuntu" {
				return []Finding{at(Place{d.path, base.line}, "the image is made from %s", base.image)}
			}
			return nil
		}),
	},
	{
		ID: "image-pinned", Area: "image", Title: "Base images are named by version",
		Why:  "the same commit builds another image tomorrow",
		Mend: "FROM rust:1.95-bookworm, not latest and not nothing; a digest is better still",
		look: image(func(d dockerfile, _ from, _ []instruction) (all []Finding) {
			stages := map[string]bool{"scratch": true}
			for _, f := range d.froms() {
				name := f.image[strings.LastIndex(f.image, "/")+1:]
				if _, tag, _ := strings.Cut(name, ":"); !stages[f.image] && (tag == "" || tag == "latest") && !strings.Contains(f.image, "$") {
					all = append(all, at(Place{d.path, f.line}, "FROM %s", f.image))
				}
				stages[f.name] = true
			}
			return all
		}),
	},
	{
		ID: "image-user", Area: "image", Title: "The image runs as a numeric user, not as root",
		Why:  "Kubernetes cannot tell whether a name is root, and refuses it under runAsNonRoot",
		Mend: "USER 65532:65532",
		look: image(func(d dockerfile, base from, own []instruction) []Finding {
			user, ok := find(own, "USER")
			switch name, _, _ := strings.Cut(strings.Trim(d.expand(user.value), `"'`), ":"); {
			case !ok:
				return []Finding{at(Place{d.path, base.line}, "no USER")}
			case name == "0" || name == "root":
				return []Finding{at(Place{d.path, user.line}, "USER %s is root", user.value)}
			case strings.Contains(name, "$"):
				return nil
			default:
				if _, err := strconv.Atoi(name); err != nil {
					return []Finding{at(Place{d.path, user.line}, "USER %s is no number", user.value)}
				}
			}
			return nil
		}),
	},
	{
		ID: "image-exec", Area: "image", Title: "The service is PID 1, not a shell",
		Why:  "a shell does not pass SIGTERM on: every stop is a kill after the grace period",
		Mend: `ENTRYPOINT ["/service"]`,
		look: image(func(d dockerfile, base from, own []instruction) []Finding {
			start, ok := find(own, "ENTRYPOINT")
			if !ok {
				start, ok = find(own, "CMD")
			}
			switch {
			case !ok:
				return []Finding{at(Place{d.path, base.line}, "neither ENTRYPOINT nor CMD")}
			case !isExec(start.value):
				return []Finding{at(Place{d.path, start.line}, "%s in the shell form", start.name)}
			}
			return nil
		}),
	},
	{
		ID: "image-locked", Area: "image", Title: "The image is built from Cargo.lock",
		Why:  "without --locked cargo takes newer versions than those that were tested",
		Mend: "cargo build --release --locked",
		look: image(func(d dockerfile, _ from, _ []instruction) (all []Finding) {
			for _, in := range d.instructions {
				if in.name == "RUN" && cargoBuild.MatchString(in.value) && !strings.Contains(in.value, "--locked") && !strings.Contains(in.value, "--frozen") {
					all = append(all, at(Place{d.path, in.line}, "cargo without --locked"))
				}
			}
			return all
		}),
	},
	{
		ID: "memory-limit", Area: "kubernetes", Title: "Memory: the request is the limit",
		Why:  "what is above the request is lent: the node takes it back by ending the process",
		Mend: "resources.requests.memory and limits.memory of the same value, from which the service takes its bounds",
		look: pods(func(p pod) (all []Finding) {
			for _, c := range p.containers {
				request, limit := value(c, "resources", "requests", "memory"), value(c, "resources", "limits", "memory")
				switch {
				case limit == "":
					all = append(all, at(p.at(c), "%s has no memory limit", value(c, "name")))
				case request != "" && request != limit:
					all = append(all, at(p.at(child(c, "resources")), "%s requests %s of memory, and may use %s", value(c, "name"), request, limit))
				}
			}
			return all
		}),
	},
	{
		ID: "cpu-workers", Area: "kubernetes", Title: "The runtime is as wide as its CPUs",
		Why:  "without a CPU limit tokio starts a worker for every core of the node",
		Mend: "resources.limits.cpu, or TOKIO_WORKER_THREADS, or Builder::worker_threads",
		look: func(s *service) outcome {
			if len(s.named(".worker_threads", "*::new_current_thread")) > 0 {
				return found()
			}
			return pods(func(p pod) (all []Finding) {
				for _, c := range p.containers {
					if value(c, "resources", "limits", "cpu") == "" && !strings.Contains(s.text(p.path), "TOKIO_WORKER_THREADS") {
						all = append(all, at(p.at(c), "%s has no CPU limit", value(c, "name")))
					}
				}
				return all
			})(s)
		},
	},
	{
		ID: "probes", Area: "kubernetes", Title: "Kubernetes asks whether it is ready, and whether it lives",
		Why:  "without readiness calls go to a process that is starting; without liveness to one that is stuck",
		Mend: "readinessProbe and livenessProbe with grpc: {port: ...}",
		look: pods(func(p pod) (all []Finding) {
			for _, c := range p.containers {
				for _, probe := range []string{"readinessProbe", "livenessProbe"} {
					if child(c, probe) == nil && len(p.containers) == 1 {
						all = append(all, at(p.at(c), "%s has no %s", value(c, "name"), probe))
					}
				}
			}
			return all
		}),
	},
	{
		ID: "pre-stop", Area: "kubernetes", Title: "Balancers have time to notice before it stops",
		Why:  "endpoints are updated while SIGTERM is already there: calls still arrive, and are refused",
		Mend: "lifecycle.preStop.sleep of 5 s, and a terminationGracePeriodSeconds that covers it and the drain",
		look: pods(func(p pod) (all []Finding) {
			for _, c := range p.containers {
				if child(c, "lifecycle", "preStop") == nil && len(p.containers) == 1 {
					all = append(all, at(p.at(c), "%s has no lifecycle.preStop", value(c, "name")))
				}
			}
			return all
		}),
	},
	{
		ID: "pod-security", Area: "kubernetes", Title: `Pods keep to the standard "restricted"`,
		Why:  "what escapes from the service should find nothing to use",
		Mend: "runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities.drop: [ALL], seccompProfile RuntimeDefault",
		look: pods(func(p pod) (all []Finding) {
			inPod := child(p.spec, "securityContext")
			for _, c := range p.containers {
				own := child(c, "securityContext")
				name := value(c, "name")
				if value(inPod, "runAsNonRoot") != "true" && value(own, "runAsNonRoot") != "true" {
					all = append(all, at(p.at(c), "%s may run as root", name))
				}
				if value(own, "allowPrivilegeEscalation") != "false" {
					all = append(all, at(p.at(c), "%s may escalate its privileges", name))
				}
			}
			return all
		}),
	},
	{
		ID: "disruption-budget", Area: "kubernetes", Title: "A PodDisruptionBudget keeps some replicas up",
		Why:  "a drain of nodes may take all of them at once",
		Mend: "kind: PodDisruptionBudget with maxUnavailable: 1",
		look: func(s *service) outcome {
			all := s.pods()
			switch {
			case len(all) == 0:
				return absent("there is no Deployment or StatefulSet")
			case s.has("PodDisruptionBudget"):
				return found()
			}
			return found(at(all[0].at(nil), "there is no PodDisruptionBudget"))
		},
	},
	{
		ID: "ci-clippy", Area: "pipeline", Title: "CI refuses what clippy warns of",
		Why:  "a lock held over an await, among others, is a warning and no error",
		Mend: "cargo clippy --all-targets --locked -- -D warnings",
		look: runs("no cargo clippy with -D warnings", regexp.MustCompile(`clippy[^\n]*(-D ?warnings|--deny[ =]warnings)|RUSTFLAGS["']?[:=][^\n]*-D ?warnings`)),
	},
	{
		ID: "ci-advisories", Area: "pipeline", Title: "CI looks for known vulnerabilities",
		Why:  "an advisory is published for a version that was fine when it was taken",
		Mend: "cargo deny check advisories, or cargo audit; also on a schedule",
		look: runs("neither cargo-deny nor cargo-audit", regexp.MustCompile(`cargo[ -](deny|audit)\b`)),
	},
	{
		ID: "ci-pinned", Area: "pipeline", Title: "Actions are pinned to commits",
		Why:  "a tag can be moved to other code, which then has the pipeline's secrets",
		Mend: "uses: actions/checkout@<commit> # v7",
		look: func(s *service) (o outcome) {
			paths := s.matching(regexp.MustCompile(`^\.github/workflows/[^/]*\.ya?ml$`))
			if len(paths) == 0 {
				return absent("there is no GitHub workflow")
			}
			for _, p := range paths {
				for i, l := range strings.Split(s.text(p), "\n") {
					if m := action.FindStringSubmatch(l); m != nil && !commit.MatchString(m[1]) {
						o.findings = append(o.findings, at(Place{p, i + 1}, "uses: %s", m[1]))
					}
				}
			}
			return o
		},
	},
}

var (
	cargoBuild = regexp.MustCompile(`\bcargo (auditable )?(build|install|chef cook)\b`)
	// action is one that is fetched from elsewhere.
	action = regexp.MustCompile(`^\s*(?:-\s+)?uses:\s*["']?(\w[\w.-]*/[^\s"'#]+)`)
	commit = regexp.MustCompile(`@[0-9a-f]{40}$`)
)
