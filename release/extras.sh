#!/bin/sh
# Writes what lies beside the binary in a release, completions and manual pages, and the binary for this machine that has
# written them: release/extras.sh DIR
set -eu
dir=${1:?release/extras.sh DIR}
rm -rf "$dir"
mkdir -p "$dir/completions"
CGO_ENABLED=0 go build -trimpath -o "$dir/bin/" ./cmd/rustgen
for shell in bash zsh fish; do
    "$dir/bin/rustgen" completion "$shell" >"$dir/completions/rustgen.$shell"
done
"$dir/bin/rustgen" man --dir "$dir/man"
