#!/bin/sh
# Writes official/ anew: what the generators that the template set pins make of apis/.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/clients/go/internal"
cp -r apis/proto "$work"
cp -r ../../../golden/ride-hail/clients/go/internal/generate "$work/clients/go/internal"
sed -i 's|^\tmodule = .*|\tmodule = "acme.example/status"|' "$work/clients/go/internal/generate/main.go"
(cd "$work/clients/go/internal/generate" && go run .)
rm -rf official
(cd "$work/clients/go" && find . -name '*.pb.go') | while read -r file; do
    mkdir -p "official/$(dirname "$file")"
    cp "$work/clients/go/$file" "official/$file.txt"
done
