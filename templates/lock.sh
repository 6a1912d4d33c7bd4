#!/usr/bin/env bash
# Makes templates/hotpath/files/Cargo.lock.tmpl again, after a change to a Cargo.toml of the set: for each choice of
# traces a tree is rendered and locked with the same versions, and what differs becomes a condition. Also renews the
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

for traces in otlp none; do
  "$work/rustgen" new lockname --yes --vcs none --template templates/hotpath --traces "$traces" --dir "$work/$traces" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
done
if [ "${1:-}" = --update ]; then rm -f "$work/otlp/Cargo.lock"; fi
(cd "$work/otlp" && cargo update --workspace --quiet)
cp "$work/otlp/Cargo.lock" "$work/none/Cargo.lock"
(cd "$work/none" && cargo update --workspace --quiet)

awk -v none="$work/none/Cargo.lock" '
  function id(block) { match(block, /name = "[^"]*"\nversion = "[^"]*"/); return substr(block, RSTART, RLENGTH) }
  BEGIN {
    RS = ""
    while ((getline block < none) > 0) if (block ~ /^\[\[package/) without[id(block)] = block
    print "<%- define \"packages\" -%>"
  }
  !/^\[\[package/ { header = $0; next }
  {
    other = without[id($0)]
    sub(/name = "lockname"/, "name = \"<% .name %>\""); sub(/name = "lockname"/, "name = \"<% .name %>\"", other)
    gsub(/\n "lockname",/, "\n \"<% .name %>\","); gsub(/\n "lockname",/, "\n \"<% .name %>\",", other)
    if (other == $0) print $0 "\n"
    else if (other == "") print "<% if eq .traces \"otlp\" -%>\n" $0 "\n\n<% end -%>"
    else print "<% if eq .traces \"otlp\" -%>\n" $0 "\n<% else -%>\n" other "\n<% end %>"
  }
  END { print "<%- end -%>\n" header "\n\n<% include \"packages\" . | sortCargoLock -%>" }
' "$work/otlp/Cargo.lock" >"$work/lock"
cp "$work/lock" "$lock"

names=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$work/otlp/Cargo.lock" | grep -vx lockname | sort -u | paste -sd'|')
awk -v names="$names" '
  /# locked crates: templates\/lock.sh/ { print; getline; print "  - refuse: '"'"'has .name (splitList \"|\" \"" names "\")'"'"'"; next }
  { print }
' templates/hotpath/template.yaml >"$work/template.yaml"
cp "$work/template.yaml" templates/hotpath/template.yaml

# Proof: what is rendered is what cargo would write, whatever the service is called.
go build -o "$work/rustgen" ./cmd/rustgen
for traces in otlp none; do
  for name in aa zz; do
    "$work/rustgen" new "$name" --yes --vcs none --template templates/hotpath --traces "$traces" --dir "$work/again-$name-$traces" >/dev/null 2>&1
    (cd "$work/again-$name-$traces" && cargo update --workspace --locked --quiet)
  done
done
echo "locked $(grep -c '^\[\[package' "$work/otlp/Cargo.lock") packages"
