#!/usr/bin/env bash
# Gives the Go module another path, which `go install PATH/cmd/rustgen@latest` needs once it is published: the path of
# the repository on its host. The path stands in go.mod, in the modules of the tests and in imports, and this is the one
# place that knows them all. release/module-path.sh github.com/acme/rustgen
set -euo pipefail
cd "$(dirname "$0")/.."
new=$1
[[ $new =~ ^[a-z0-9.-]+\.[a-z]+(/[A-Za-z0-9._~-]+)+$ ]] || { echo "$new is not a module path such as github.com/acme/rustgen" >&2; exit 2; }
old=$(go list -m -f '{{.Path}}')
quoted=${old//./\\.}
git ls-files -z -- '*.go' '*go.mod' | while IFS= read -r -d '' file; do
    case $file in templates/* | golden/*) [[ $file == templates/templates.go ]] || continue ;; esac
    sed -i -E \
        -e "s#\"$quoted(/(cmd|internal|templates|release|bench|golden|docs)[^\"]*)\"#\"$new\1\"#g" \
        -e "s#^(const module = )\"$quoted\"#\1\"$new\"#" \
        -e "s#^(module|replace) $quoted(/| |\$)#\1 $new\2#" \
        -e "s#^((require )?[[:space:]]*)$quoted(/[^ ]*)? (v|=>)#\1$new\3 \4#" \
        "$file"
done
gofmt -w cmd internal release bench docs golden/*.go templates/templates.go
