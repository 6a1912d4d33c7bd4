#!/usr/bin/env bash
# The image of this service. The pipeline calls it; people call it the same way:
#   ci/image.sh build IMAGE      for this machine, under that name
#   ci/image.sh cache            for every platform; only what it compiled is kept, in CACHE
#   ci/image.sh publish IMAGE    for every platform, pushed as IMAGE:VERSION, checked as it was pushed, and signed. TAG is
#                                the release's, such as v1.2.3
# CACHE names an image of a registry that holds what earlier builds compiled; without it, nothing is taken from there.
# SOURCE is the repository that the image says it comes from. SIGNING_KEY is a key of cosign's, such as
# env://COSIGN_PRIVATE_KEY, for a pipeline whose identity the public Sigstore does not know; without it none is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

platforms=linux/amd64,linux/arm64
# The engine that builds for other platforms and keeps a cache in a registry, and the program that lists what is in an image.
buildkit=moby/buildkit:v0.31.2@sha256:2f5adac4ecd194d9f8c10b7b5d7bceb5186853db1b26e5abd3a657af0b7e26ec
sbom=docker/buildkit-syft-scanner:stable-1@sha256:ae4f3b554449e7e25548e7d8ccc029d17357348e30c6e3df01b92bc93654d6a9
metadata=$(mktemp)
trap 'rm -f "$metadata"' EXIT

fail() {
    printf 'ci/image.sh: %s\n' "$@" >&2
    exit 1
}

need() { # TOOL HOW-TO-GET-IT
    command -v "$1" >/dev/null || fail "$1 is missing" "get it by: $2"
}

need docker 'https://docs.docker.com/engine/install'
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$version" ] || fail 'Cargo.toml has no version under [package]' "write there: version = \"0.1.0\""
options=(--build-arg "VERSION=$version" --build-arg "REVISION=$(git rev-parse --verify --quiet HEAD 2>/dev/null || echo unknown)")
if [ -n "${SOURCE:-}" ]; then options+=(--build-arg "SOURCE=$SOURCE"); fi
if [ -n "${CACHE:-}" ]; then options+=(--cache-from "type=registry,ref=$CACHE"); fi
if [ -n "${CARGO_REGISTRIES_COMPANY_TOKEN:-}" ]; then options+=(--secret "id=CARGO_REGISTRIES_COMPANY_TOKEN,env=CARGO_REGISTRIES_COMPANY_TOKEN"); fi

# Runs a build with the engine above.
buildx() { # OPTION...
    if ! docker buildx inspect ad-counter >/dev/null 2>&1; then
        # A context carries the TLS settings of the environment, which buildx does not read: a docker:dind has them.
        docker context inspect ad-counter >/dev/null 2>&1 || docker context create ad-counter >/dev/null
        docker buildx create --name ad-counter --driver docker-container --driver-opt "image=$buildkit" ad-counter >/dev/null
    fi
    docker buildx build --builder ad-counter "${options[@]}" "$@" .
}

build() { # IMAGE
    if [ -n "${CACHE:-}" ]; then
        buildx --load --tag "$1"
    else
        docker build "${options[@]}" --tag "$1" .
    fi
}

cache() {
    [ -n "${CACHE:-}" ] || fail 'CACHE names no image to keep the cache in' 'CACHE=registry.example.com/ad-counter:cache ci/image.sh cache'
    buildx --platform "$platforms" --cache-to "type=registry,ref=$CACHE,mode=max" --output type=cacheonly
}

publish() { # IMAGE
    local digest key=()
    if [ -n "${SIGNING_KEY:-}" ]; then key=(--key "$SIGNING_KEY"); fi
    [ "${TAG:-}" = "v$version" ] ||
        fail "the tag is ${TAG:-none}, and Cargo.toml says $version" "tag a commit that says so itself: git tag v$version && TAG=v$version ci/image.sh publish $1"
    need cosign 'go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3'
    buildx --platform "$platforms" --provenance mode=max --attest "type=sbom,generator=$sbom" \
        --tag "$1:$version" --metadata-file "$metadata" --push
    digest=$(sed -n 's/^ *"containerimage.digest": "\(sha256:[0-9a-f]*\)".*/\1/p' "$metadata")
    [ -n "$digest" ] || fail 'the build names no digest of what it pushed' 'see what docker buildx build says above'
    # What was pushed is what is checked and signed, whatever its tag points to by now.
    BUILT="$1@$digest" ci/check.sh image
    cosign sign --yes "${key[@]}" "$1@$digest"
    echo "published $1:$version@$digest"
}

case ${1:-} in
    build | publish) [ $# -eq 2 ] || fail "$1 takes the name of the image" "ci/image.sh $1 IMAGE" ;;
    cache) [ $# -eq 1 ] || fail 'cache takes no name' 'ci/image.sh cache' ;;
    *) fail "there is no ${1:-command}" 'commands: build IMAGE, cache, publish IMAGE' ;;
esac
"$@"
