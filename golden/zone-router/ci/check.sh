#!/usr/bin/env bash
# Every check of this service. The pipeline calls it step by step; people call it the same way:
#   ci/check.sh                 all steps, in order
#   ci/check.sh lint unit       only these
set -euo pipefail
cd "$(dirname "$0")/.."

steps=(fmt lint unit deps advisories proto client manifests alerts image load)
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
    cargo fmt --all --check
}

lint() {
    cargo clippy --locked --workspace --all-targets -- --deny warnings
}

unit() {
    need cargo-nextest 'cargo install --locked cargo-nextest'
    cargo nextest run --locked --workspace
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

# The API against BASE_REF (main): what breaks a caller, on the wire or in its code, fails.
proto() {
    need buf 'go install github.com/bufbuild/buf/cmd/buf@v1.75.0'
    buf lint
    local base=${BASE_REF:-main} named=${BASE_REF:-}
    # Zeros are what a pipeline calls the commit before a new branch or tag. The parent stands for it, if there is one.
    if [[ $base =~ ^0+$ ]]; then base=HEAD^ named=; fi
    if ! git rev-parse --verify --quiet "$base^{commit}" >/dev/null; then
        [ -z "$named" ] || fail "BASE_REF=$named is no commit here"
        echo "proto: there is no $base to compare with"
    elif ! git cat-file -e "$base:./buf.yaml" 2>/dev/null; then
        echo "proto: $base has no API yet"
    else
        git archive "$base:./" buf.yaml proto | tar -x -C "$work"
        buf breaking --against "$work"
    fi
}

# The Go client: its stubs are the proto's, and it holds against the running service.
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

# Builds the image, as IMAGE and labelled with VERSION and SOURCE if these are set, and runs it as production does:
# read-only, without privileges, within its memory.
image() {
    need docker 'https://docs.docker.com/engine/install'
    local tag=${IMAGE:-zone-router:check} labels code
    labels=(--build-arg "REVISION=$(git rev-parse --verify --quiet HEAD || echo unknown)")
    if [ -n "${VERSION:-}" ]; then labels+=(--build-arg "VERSION=$VERSION"); fi
    if [ -n "${SOURCE:-}" ]; then labels+=(--build-arg "SOURCE=$SOURCE"); fi
    docker build "${labels[@]}" --tag "$tag" .
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

# The gates of crates/loadtest/gates.toml, against a release build.
load() {
    cargo run --release --locked -p loadtest -- run --quick
}

[ $# -gt 0 ] || set -- "${steps[@]}"
for step; do
    [[ " ${steps[*]} " == *" $step "* ]] || fail "no step $step" "steps: ${steps[*]}"
done
for step; do
    printf '\n== %s\n' "$step"
    "$step"
done
