#!/usr/bin/env bash
# Every check of this service. The pipeline calls it step by step; people call it the same way:
#   ci/check.sh                 all steps, in order
#   ci/check.sh lint unit       only these
set -euo pipefail
cd "$(dirname "$0")/.."

steps=(fmt lint unit deps advisories proto client manifests alerts image load)
packages=(--package zone-router --package loadtest)
promtool=${PROMTOOL:-promtool}
work=$(mktemp -d)
container=
cleanup() {
    if [ -n "$container" ]; then docker rm --force "$container" >/dev/null; fi
    rm -rf "$work"
}
trap cleanup EXIT

fail() {
    printf 'ci/check.sh: %s\n' "$@" >&2
    exit 1
}

need() { # TOOL HOW-TO-GET-IT
    command -v "$1" >/dev/null || fail "$1 is missing" "get it by: $2"
}

fmt() {
    cargo fmt "${packages[@]}" --check
}

lint() {
    cargo clippy --locked "${packages[@]}" --all-targets -- --deny warnings
}

unit() {
    need cargo-nextest 'cargo install --locked cargo-nextest'
    cargo nextest run --locked "${packages[@]}"
}

# Licences, sources and banned crates; needs no network.
deps() {
    need cargo-deny 'cargo install --locked cargo-deny'
    cargo deny --locked check bans licenses sources
}

# Known vulnerabilities, from the RustSec database.
advisories() {
    need cargo-deny 'cargo install --locked cargo-deny'
    cargo deny --locked check advisories
}

# The protos of a folder's API: those of others (proto/foreign) are theirs to change, whether they stand there in that
# folder or only by now, in this one.
api() { # FOLDER
    (cd "$1" && find proto -path proto/foreign -prune -o -name '*.proto' -print) | while read -r file; do
        if [ ! -e "proto/foreign/${file#proto/}" ]; then printf -- '--path\n%s\n' "$file"; fi
    done
}

# The API against its last release, the highest tag such as v1.2.3 before this commit: what breaks a caller, on the wire
# or in its code, fails. Until the first release there is nobody to break.
proto() {
    need buf 'go install github.com/bufbuild/buf/cmd/buf@v1.75.0'
    buf lint
    if [ "$(git rev-parse --is-shallow-repository 2>/dev/null)" = true ]; then
        fail 'this clone is shallow, and the last release may be missing' 'git fetch --unshallow --tags'
    fi
    local release now before
    release=$(git -c versionsort.suffix=- tag --list 'v[0-9]*' --merged HEAD --no-contains HEAD --sort=-version:refname 2>/dev/null |
        sed -n 1p) || release=
    if [ -z "$release" ] || ! git cat-file -e "$release:./buf.yaml" 2>/dev/null; then
        echo 'proto: the API is in no release yet, and breaks nobody'
        return
    fi
    mkdir "$work/release"
    git archive "$release:./" buf.yaml proto | tar -x -C "$work/release"
    mapfile -t before < <(api "$work/release")
    mapfile -t now < <(api .)
    if [ ${#before[@]} -gt 0 ]; then (cd "$work/release" && buf build "${before[@]}" --output "$work/before.binpb"); fi
    echo "proto: compared with $release"
    buf build "${now[@]}" --output "$work/now.binpb"
    buf breaking "$work/now.binpb" --against "$work/before.binpb" --exclude-imports
}

# The Go client: its stubs are those of the protos, and it holds against the running service.
client() {
    need go 'https://go.dev/dl'
    if [ -z "${SERVICE_BINARY:-}" ]; then
        cargo build --locked --bin zone-router
        export SERVICE_BINARY=${CARGO_TARGET_DIR:-$PWD/target}/debug/zone-router
    fi
    (cd clients/go/internal/generate && go run . -check)
    (cd clients/go && go vet ./... && go test -race -count=1 ./...)
}

manifests() {
    local overlay build='kustomize build'
    if ! command -v kustomize >/dev/null; then
        need kubectl 'https://kubernetes.io/docs/tasks/tools'
        build='kubectl kustomize'
    fi
    for overlay in dev prod; do
        $build "deploy/overlays/$overlay" >/dev/null
        echo "manifests: $overlay builds"
    done
}

# The alerts, and for each the cases in which it must and must not fire.
alerts() {
    need "$promtool" 'apt-get install prometheus'
    # promtool reads what stands under `spec:` of the PrometheusRule.
    sed -e '1,/^spec:/d' -e 's/^  //' deploy/base/prometheusrule.yaml >"$work/rules.yaml"
    cp deploy/monitoring/rules_test.yaml "$work"
    "$promtool" check rules "$work/rules.yaml"
    "$promtool" test rules "$work/rules_test.yaml"
}

# Builds the image, as IMAGE, or pulls the one that BUILT names, and runs it as production does: read-only, without
# privileges, within its memory.
image() {
    need docker 'https://docs.docker.com/engine/install'
    local tag=${BUILT:-${IMAGE:-zone-router:check}} code
    if [ -n "${BUILT:-}" ]; then
        docker pull --quiet "$BUILT"
    else
        ci/image.sh build "$tag"
    fi
    container=$(docker run --detach --read-only --cap-drop ALL --security-opt no-new-privileges \
        --memory 134217728 "$tag")
    for _ in $(seq 30); do
        sleep 1
        if docker exec "$container" /zone-router healthcheck; then break; fi
    done
    docker exec "$container" /zone-router healthcheck || {
        docker logs "$container" >&2
        fail 'the container did not become healthy'
    }
    docker stop -t 33 "$container" >/dev/null
    code=$(docker inspect --format '{{.State.ExitCode}}' "$container")
    [ "$code" = 0 ] || fail "the container exited $code on SIGTERM"
    docker image inspect --format "image: $tag, {{.Size}} bytes" "$tag"
}

# The gates of loadtest/gates.toml, against a release build.
load() {
    local code=0
    cargo run --release --locked -p loadtest -- run --quick || code=$?
    # The machine disturbed it, twice: that says nothing of the service.
    if [ "$code" = 5 ]; then
        echo "load: inconclusive, and so no reason to stop" >&2
        return 0
    fi
    return "$code"
}

[ $# -gt 0 ] || set -- "${steps[@]}"
for step; do
    [[ " ${steps[*]} " == *" $step "* ]] || fail "no step $step" "steps: ${steps[*]}"
done
for step; do
    printf '\n== %s\n' "$step"
    "$step"
done
