#!/usr/bin/env bash
# Makes templates/hotpath/files/Cargo.lock.tmpl again, after a change to a Cargo.toml of the set: a tree with the layer in
# it is rendered and locked with the same versions; what a service without it has not becomes a condition. Also renews the
# rule of template.yaml that refuses the names of locked crates as names of services.
#
#   templates/lock.sh            keeps every version that still fits
#   templates/lock.sh --update   takes the newest compatible versions
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
lock=templates/hotpath/files/Cargo.lock.tmpl
go build -o "$work/rustgen" ./cmd/rustgen

"$work/rustgen" new lockname --yes --vcs none --template templates/hotpath --dir "$work/tree" >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; exit 1; }
if [ "${1:-}" = --update ]; then rm -f "$work/tree/Cargo.lock"; fi
(cd "$work/tree" && cargo update --workspace --quiet)

awk '
  BEGIN { RS = ""; print "<%- define \"packages\" -%>" }
  !/^\[\[package/ { header = $0; next }
  {
    sub(/name = "lockname"/, "name = \"<% .name %>\"")
    gsub(/\n "lockname",/, "\n \"<% .name %>\",")
    # The crates of the layer, and their mention in the lists of what depends on them.
    layer = /\nname = "hotpath[a-z-]*"/
    if (!layer) gsub(/\n "hotpath[a-z-]*",/, "\n<%- if eq .layer \"vendored\" %>&\n<%- end %>")
    # What the tests of a service that speaks TLS need besides.
    if (/\nname = "<% .name %>"/) sub(/\n "prost",/, "\n<%- if and (eq .layer \"vendored\") (ne .tls \"none\") %>\n \"hotpath-certificates\",\n<%- end %>&")
    if (layer) print "<% if eq .layer \"vendored\" -%>\n" $0 "\n\n<% end -%>"; else print $0 "\n"
  }
  END { print "<%- end -%>\n" header "\n\n<% include \"packages\" . | sortCargoLock -%>" }
' "$work/tree/Cargo.lock" >"$work/lock"
cp "$work/lock" "$lock"

names=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$work/tree/Cargo.lock" | grep -vx lockname | sort -u | paste -sd'|')
awk -v names="$names" '
  /# locked crates: templates\/lock.sh/ { print; getline; print "  - refuse: '"'"'has .name (splitList \"|\" \"" names "\")'"'"'"; next }
  { print }
' templates/hotpath/template.yaml >"$work/template.yaml"
cp "$work/template.yaml" templates/hotpath/template.yaml

# Proof: what is rendered is what cargo would write, whatever the service is called.
go build -o "$work/rustgen" ./cmd/rustgen
for answers in 'aa --tls none' 'zz --tls mutual'; do
  read -r name tls <<<"$answers"
  # shellcheck disable=SC2086 # A flag and its value.
  "$work/rustgen" new "$name" $tls --yes --vcs none --template templates/hotpath --dir "$work/again-$name" >/dev/null 2>&1
  (cd "$work/again-$name" && cargo update --workspace --locked --quiet)
done
echo "locked $(grep -c '^\[\[package' "$work/tree/Cargo.lock") packages"
