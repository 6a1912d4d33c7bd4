#!/usr/bin/env bash
# Every check of this service. The pipeline calls it step by step; people call it the same way:
#   ci/check.sh                 all steps, in order
#   ci/check.sh lint unit       only these
#   ci/check.sh doctor          what the steps need, and what of it is missing here
set -euo pipefail
cd "$(dirname "$0")/.."

steps=(fmt lint unit deps advisories proto client image load)
packages=(--package edge-filter --package loadtest)
work=$(mktemp -d)
container=
cleanup() {
    if [ -n "$container" ]; then docker rm --force --volumes "$container" >/dev/null; fi
    rm -rf "$work"
}
trap cleanup EXIT

fail() {
    printf 'ci/check.sh: %s\n' "$@" >&2
    exit 1
}

how() { # PROGRAM
    case $1 in
    bash) echo 'your package manager: macOS has 3.2' ;;
    git) echo 'https://git-scm.com/downloads' ;;
    cargo) echo 'https://rustup.rs, then: rustup update' ;;
    rustfmt) echo 'rustup component add rustfmt' ;;
    cargo-clippy) echo 'rustup component add clippy' ;;
    cc) echo 'apt-get install build-essential, or xcode-select --install' ;;
    cargo-nextest) echo 'cargo install --locked cargo-nextest' ;;
    cargo-deny) echo 'cargo install --locked cargo-deny' ;;
    buf) echo 'go install github.com/bufbuild/buf/cmd/buf@v1.75.0' ;;
    go) echo 'https://go.dev/dl' ;;
    kubectl | kustomize) echo 'https://kubernetes.io/docs/tasks/tools' ;;
    openssl) echo 'apt-get install openssl, apk add openssl, or brew install openssl' ;;
    docker) echo 'https://docs.docker.com/engine/install; its daemon must run' ;;
    *) echo 'apt-get install prometheus, or https://prometheus.io/download' ;;
    esac
}

need() { # PROGRAM
    command -v "$1" >/dev/null || fail "$1 is missing" "get it by: $(how "$1")"
}

# One line of the doctor: a program, the version found, and the one that is wanted at least.
program() { # PROGRAM WANTED STEPS COMMAND-THAT-SAYS-ITS-VERSION...
    local name=$1 wanted=$2 for=$3 said found=- verdict=ok
    shift 3
    if ! command -v "$name" >/dev/null; then
        verdict=missing
    elif ! said=$("$@" 2>/dev/null) || ! found=$(grep -oE '[0-9]+([.][0-9]+)+' <<<"$said" | sed -n 1p); then
        verdict='does not run'
        found=-
    elif [ "$wanted" != any ] && [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | sed -n 1p)" != "$wanted" ]; then
        verdict='too old'
    fi
    printf '%-13s %-14s %-10s %-10s %s\n' "$verdict" "$name" "$found" "$wanted" "$for"
    if [ "$verdict" != ok ]; then
        printf '%-13s get it by: %s\n' '' "$(how "$name")"
        lacking=$((lacking + 1))
    fi
}

# All programs that the steps need. The versions are those that the pipeline and the manifests of the code name, or the
# oldest that the steps were tried with.
doctor() {
    local rust lacking=0
    rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    printf '%-13s %-14s %-10s %-10s %s\n' '' PROGRAM FOUND WANTED STEPS
    program bash 4.4 all bash --version
    program git any 'proto image' git --version
    program cargo "$rust" 'fmt lint unit client load' cargo --version
    program rustfmt any fmt rustfmt --version
    program cargo-clippy any lint cargo-clippy --version
    program cc any 'lint unit client load' cc --version
    program cargo-nextest 0.9.143 unit cargo-nextest nextest --version
    program cargo-deny 0.20.2 'deps advisories' cargo-deny --version
    program buf 1.75.0 proto buf --version
    program go "$(sed -n 's/^go //p' clients/go/go.mod)" client go -C clients/go version
    program openssl 1.1.1 image openssl version
    program docker 20.10 image docker version --format '{{.Server.Version}}'
    [ "$lacking" = 0 ] || fail "missing, too old or not running: $lacking of these programs"
    echo 'nothing is missing'
}

fmt() {
    cargo fmt "${packages[@]}" --check
}

lint() {
    cargo clippy --locked "${packages[@]}" --all-targets -- --deny warnings
}

unit() {
    need cargo-nextest
    cargo nextest run --locked "${packages[@]}"
}

# Licences, sources and banned crates; needs no network.
deps() {
    need cargo-deny
    cargo deny --locked check bans licenses sources
}

# Known vulnerabilities, from the RustSec database.
advisories() {
    need cargo-deny
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
    need buf
    if grep -q '^lint:' buf.yaml; then buf lint; fi
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
    need go
    if [ -z "${SERVICE_BINARY:-}" ]; then
        cargo build --locked --bin edge-filter
        export SERVICE_BINARY=${CARGO_TARGET_DIR:-$PWD/target}/debug/edge-filter
    fi
    (cd clients/go/internal/generate && go run . -check)
    (cd clients/go && go vet ./... && go test -race -count=1 ./...)
}

# What a service needs to start: a certificate, its key, and an authority. Nobody calls it by TLS here.
certificate() { # FOLDER
    need openssl
    mkdir -p "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -keyout "$1/tls.key" -out "$1/tls.crt" 2>/dev/null
    cp "$1/tls.crt" "$1/ca.crt"
    # The container's user is another one.
    chmod a+r "$1/tls.key"
}

# Builds the image, as IMAGE, or pulls the one that BUILT names, and runs it as production does: read-only, without
# privileges, within its memory.
image() {
    need docker
    local tag=${BUILT:-${IMAGE:-edge-filter:check}} code
    if [ -n "${BUILT:-}" ]; then
        docker pull --quiet "$BUILT"
    else
        ci/image.sh build "$tag"
    fi
    certificate "$work/tls"
    # A volume, and a copy into it: the engine may be on another machine, which has none of this one's folders.
    container=$(docker create --volume /etc/tls --read-only --cap-drop ALL --security-opt no-new-privileges \
        --memory 67108864 "$tag")
    docker cp "$work/tls/." "$container:/etc/tls"
    docker start "$container" >/dev/null
    for _ in $(seq 30); do
        sleep 1
        if docker exec "$container" /edge-filter healthcheck; then break; fi
    done
    docker exec "$container" /edge-filter healthcheck || {
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

if [ "$*" = doctor ]; then
    doctor
    exit
fi
[ $# -gt 0 ] || set -- "${steps[@]}"
for step; do
    [[ " ${steps[*]} " == *" $step "* ]] || fail "no step $step" "steps: ${steps[*]}; or: doctor"
done
for step; do
    printf '\n== %s\n' "$step"
    "$step"
done
