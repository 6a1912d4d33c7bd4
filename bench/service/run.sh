#!/bin/sh
# Builds every server and measures all of them; writes docs/benchmarks.md unless arguments are given.
set -eu
cd "$(dirname "$0")"
if [ $# -eq 0 ]; then
	set -- -page ../../docs/benchmarks.md
fi
exec go run . "$@"
