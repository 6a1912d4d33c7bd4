package audit

import (
	"errors"
	"io"
	"math/big"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rustgen/internal/lazyregexp"
)

// object is one Kubernetes object of a manifest.
type object struct {
	path string
	kind string
	node *yaml.Node
	// rendered says that a chart was made into it, so that its lines are of no file.
	rendered bool
}

// workloads are the kinds that run pods, and where the pod is in each.
var workloads = map[string][]string{
	"Deployment": {"spec", "template", "spec"}, "StatefulSet": {"spec", "template", "spec"}, "DaemonSet": {"spec", "template", "spec"},
	"Rollout": {"spec", "template", "spec"}, "ReplicaSet": {"spec", "template", "spec"},
}

// manifestPlace leaves out YAML that is not this service's: of tests, vendored, of pipelines.
func manifestPlace(p string) bool {
	for part := range strings.SplitSeq(path.Dir(p), "/") {
		if strings.HasPrefix(part, ".") && part != "." {
			return false
		}
	}
	return shipped(strings.ReplaceAll(path.Dir(p), "base", "")+"/x") && isService(path.Dir(p)+"/x")
}

// readManifests reads the manifests of the repository that run this service.
func (s *service) readManifests(rendered map[string][]byte) {
	charts := map[string]bool{}
	for _, p := range s.paths {
		if path.Base(p) == "Chart.yaml" {
			charts[path.Dir(p)] = true
		}
	}
	for _, p := range s.paths {
		if !strings.HasSuffix(p, ".yaml") && !strings.HasSuffix(p, ".yml") || !manifestPlace(p) || !s.files[p].IsText() {
			continue
		}
		if dir, in := inChart(charts, p); in {
			if _, ok := rendered[dir]; !ok && path.Base(p) == "Chart.yaml" {
				s.unrendered = append(s.unrendered, at(Place{p, 0}, "a Helm chart that was not rendered: helm is not there, or it failed"))
			}
			continue
		}
		s.addObjects(p, s.files[p].Data)
	}
	for dir, data := range rendered {
		before := len(s.objects)
		s.addObjects(path.Join(dir, "Chart.yaml"), data)
		for i := range s.objects[before:] {
			s.objects[before+i].rendered = true
		}
	}
	slices.SortStableFunc(s.objects, func(a, b object) int { return strings.Compare(a.path, b.path) })
	s.objects = s.patched()
}

func inChart(charts map[string]bool, p string) (string, bool) {
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		if charts[dir] {
			return dir, true
		}
		if dir == "." || dir == "/" {
			return "", false
		}
	}
}

func (s *service) addObjects(p string, data []byte) {
	all, err := parseObjects(p, string(data))
	s.objects = append(s.objects, all...)
	if err != nil && looksLikeManifest.Match(data) {
		s.notes = append(s.notes, at(Place{p, 0}, "it is no YAML, so it is read up to there: %s", firstLine(err.Error())))
	}
}

var looksLikeManifest = lazyregexp.New(`(?m)^kind: *\w+`)

func parseObjects(p, text string) (all []object, err error) {
	if !strings.Contains(text, "kind") {
		return nil, nil
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, err
		}
		if len(document.Content) > 0 {
			all = append(all, objectsIn(p, document.Content[0])...)
		}
	}
}

// objectsIn are an object, or the items of a List.
func objectsIn(p string, node *yaml.Node) (all []object) {
	if child(node, "apiVersion") == nil || child(node, "kind") == nil {
		return nil
	}
	o := object{path: p, node: node, kind: value(node, "kind")}
	if items := child(node, "items"); o.kind == "List" && items != nil {
		for _, item := range items.Content {
			all = append(all, objectsIn(p, resolved(item))...)
		}
		return all
	}
	return []object{o}
}

// resolved follows an alias.
func resolved(node *yaml.Node) *yaml.Node {
	for n := 0; n < 8 && node != nil && node.Kind == yaml.AliasNode; n++ {
		node = node.Alias
	}
	return node
}

// child follows keys down, through aliases and merges; nil where one is missing.
func child(node *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		node = member(node, key, 8)
	}
	return node
}

func member(node *yaml.Node, key string, depth int) (found *yaml.Node) {
	node = resolved(node)
	if node == nil || node.Kind != yaml.MappingNode || depth == 0 {
		return nil
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		switch node.Content[i].Value {
		case key:
			found = resolved(node.Content[i+1])
		case "<<":
			if from := resolved(node.Content[i+1]); from.Kind == yaml.SequenceNode {
				merged = append(merged, from.Content...)
			} else {
				merged = append(merged, from)
			}
		}
	}
	for _, m := range merged {
		if found == nil {
			found = member(m, key, depth-1)
		}
	}
	return found
}

// value is the scalar that keys lead to, or nothing.
func value(node *yaml.Node, keys ...string) string {
	if n := child(node, keys...); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// at is the line of a node in its file.
func (o object) at(node *yaml.Node) Place {
	if node == nil {
		node = o.node
	}
	if o.rendered {
		return Place{o.path, 0}
	}
	return Place{o.path, node.Line}
}

func (o object) name() string { return value(o.node, "metadata", "name") }

// pod is what a workload runs.
type pod struct {
	object
	spec *yaml.Node
	// containers are those of the service: with an image, and not beside it for something else.
	containers []*yaml.Node
}

// patched leaves out objects that a kustomization's patch completes or that are patches: what holds is what is rendered.
func (s *service) patched() (all []object) {
	byName := map[string][]object{}
	for _, o := range s.objects {
		byName[o.kind+" "+o.name()] = append(byName[o.kind+" "+o.name()], o)
	}
	for _, o := range s.objects {
		others := byName[o.kind+" "+o.name()]
		if _, ok := workloads[o.kind]; ok && len(others) > 1 && o.name() != "" {
			if !slices.ContainsFunc(others, func(x object) bool { return !x.isPatch() }) || o.isPatch() {
				continue
			}
		}
		all = append(all, o)
	}
	return all
}

// isPatch reports whether an object is a part of one: no container of it has an image.
func (o object) isPatch() bool {
	list := child(o.node, append(workloads[o.kind], "containers")...)
	if list == nil {
		return true
	}
	return !slices.ContainsFunc(list.Content, func(c *yaml.Node) bool { return value(c, "image") != "" })
}

// patches finds what a patch of the same object says of a container.
func (s *service) inPatches(p pod, container string, keys ...string) string {
	for name, f := range s.files {
		if !strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, ".yml") || name == p.path || !strings.Contains(string(f.Data), p.name()) {
			continue
		}
		objects, _ := parseObjects(name, string(f.Data))
		for _, o := range objects {
			list := child(o.node, append(workloads[o.kind], "containers")...)
			if o.kind != p.kind || o.name() != p.name() || !o.isPatch() || list == nil {
				continue
			}
			for _, c := range list.Content {
				if v := value(c, keys...); value(c, "name") == container && v != "" {
					return v
				}
			}
		}
	}
	return ""
}

// pods are the workloads that run this service's image; where none names it, all of the repository.
func (s *service) pods() (all []pod) {
	names := s.imageNames()
	var own []pod
	for _, o := range s.objects {
		keys, ok := workloads[o.kind]
		if !ok {
			continue
		}
		p := pod{object: o, spec: child(o.node, keys...)}
		mine := false
		if list := child(p.spec, "containers"); list != nil && list.Kind == yaml.SequenceNode {
			for _, c := range list.Content {
				if value(c, "image") == "" {
					continue
				}
				p.containers = append(p.containers, resolved(c))
				if names, image := names, imageName(value(c, "image")); slices.Contains(names, image) || slices.Contains(names, value(c, "name")) {
					mine = true
				}
			}
		}
		if len(p.containers) == 0 {
			continue
		}
		all = append(all, p)
		if mine || slices.Contains(names, o.name()) {
			own = append(own, p.ofService(names))
		}
	}
	if len(own) > 0 {
		return own
	}
	return slices.DeleteFunc(all, func(p pod) bool { return !s.hasOwnImage(p) })
}

// imageNames are what images of the service may be called: as its binaries, with and without what says that they serve.
func (s *service) imageNames() []string {
	names := s.binaryNames()
	for _, name := range slices.Clone(names) {
		for _, end := range []string{"-server", "-service", "_server", "_service"} {
			if short, ok := strings.CutSuffix(name, end); ok && !slices.Contains(names, short) {
				names = append(names, short)
			}
		}
	}
	return names
}

// ofService leaves the containers beside the service out.
func (p pod) ofService(names []string) pod {
	own := slices.DeleteFunc(slices.Clone(p.containers), func(c *yaml.Node) bool {
		return !slices.Contains(names, imageName(value(c, "image"))) && !slices.Contains(names, value(c, "name"))
	})
	if len(own) > 0 {
		p.containers = own
	}
	return p
}

// public are images of others, which a repository runs beside its own.
var public = lazyregexp.New(`^((docker\.io/)?(library/)?(postgres|redis|nginx|mysql|mariadb|mongo|rabbitmq|busybox|alpine|debian|ubuntu|minio|grafana|prom|envoyproxy|jaegertracing|otel|quay\.io|gcr\.io/google|bitnami|confluentinc|apache|memcached|vault|consul|traefik|zookeeper|kafka|elasticsearch|nats|etcd)([/:@-].*)?|[^/]*\.k8s\.io/.*)$`)

func (s *service) hasOwnImage(p pod) bool {
	return !slices.ContainsFunc(p.containers, func(c *yaml.Node) bool { return public.MatchString(value(c, "image")) }) && len(s.images) > 0 && len(s.packages) < 4
}

func imageName(image string) string {
	name, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// has reports whether there is an object of the kind.
func (s *service) has(kind string) bool {
	return slices.ContainsFunc(s.objects, func(o object) bool { return o.kind == kind })
}

// sameQuantity compares two quantities of Kubernetes: 1Gi is 1024Mi.
func sameQuantity(a, b string) bool {
	x, okX := quantity(a)
	y, okY := quantity(b)
	if !okX || !okY {
		return a == b
	}
	return x.Cmp(y) == 0
}

var suffixes = map[string]string{
	"": "1", "m": "1/1000", "k": "1000", "M": "1000000", "G": "1000000000", "T": "1000000000000",
	"Ki": "1024", "Mi": "1048576", "Gi": "1073741824", "Ti": "1099511627776",
}

func quantity(text string) (*big.Rat, bool) {
	if len(text) > 32 {
		return nil, false
	}
	digits := strings.TrimRight(text, "mkMGTiK")
	factor, ok := suffixes[text[len(digits):]]
	if !ok {
		return nil, false
	}
	n, okN := new(big.Rat).SetString(digits)
	f, _ := new(big.Rat).SetString(factor)
	if !okN || strings.ContainsAny(digits, "eE/") {
		return nil, false
	}
	return n.Mul(n, f), true
}
