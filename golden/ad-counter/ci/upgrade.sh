#!/usr/bin/env bash
# Merges the newest template on the branch rustgen/upgrade and proposes it as a merge request. Run by the schedule.
set -euo pipefail
cd "$(dirname "$0")/.."

branch=rustgen/upgrade
title='Upgrade to the newest service template'
body=$(mktemp)
trap 'rm -f "$body"' EXIT

# The branch is made anew each time, but not over the work of a person who resolves conflicts on it.
before=$(git ls-remote origin "refs/heads/$branch" | cut -f 1)
if [ -n "$before" ]; then
    # Without its history, all commits up to where the branch began would pass for the branch's own.
    deepen=()
    if [ "$(git rev-parse --is-shallow-repository)" = true ]; then deepen=(--unshallow); fi
    git fetch --quiet "${deepen[@]}" origin "refs/heads/$branch"
    before=$(git rev-parse FETCH_HEAD)
    others=$(git log --format='%ae %ce' "HEAD..$before" | grep -cvx 'rustgen@localhost rustgen@localhost' || true)
    if [ "$others" -ne 0 ]; then
        echo "somebody works on $branch: merge it or delete it, and the next run proposes the newest template again"
        exit 0
    fi
fi

git switch --quiet --force-create "$branch"
status=0
rustgen upgrade --format markdown >"$body" || status=$?
# 3: merged, with conflicts left for a person.
if [ "$status" -ne 0 ] && [ "$status" -ne 3 ]; then
    cat "$body" >&2
    exit "$status"
fi
git add --all .
if git diff --cached --quiet; then
    if [ "$status" -ne 0 ]; then
        exit "$status"
    fi
    echo 'the service is on the newest template'
    exit 0
fi
# The first line names the versions. The changelog stays out of the message: words such as "skip ci" are commands there.
git -c user.name=rustgen -c user.email=rustgen@localhost commit --quiet --message "$title" --message "$(head -n 1 "$body")"
if [ "$status" -eq 3 ]; then title="Draft: $title"; fi
# Git asks for the token, so that it stands in no list of processes.
export GIT_CONFIG_COUNT=2
export GIT_CONFIG_KEY_0=credential.helper GIT_CONFIG_VALUE_0=
export GIT_CONFIG_KEY_1=credential.helper
# shellcheck disable=SC2016 # The shell that git starts expands it.
export GIT_CONFIG_VALUE_1='!answer() { if [ "$1" = get ]; then printf "password=%s\n" "$RUSTGEN_PUSH_TOKEN"; fi; }; answer'
url=${CI_SERVER_URL/:\/\//:\/\/oauth2@}
# A push option is one line, and the report has paragraphs and tables: it is given to the API afterwards.
git push --quiet --force-with-lease="refs/heads/$branch:$before" \
    -o merge_request.create -o merge_request.title="$title" -o merge_request.description="$(head -n 1 "$body")" \
    "$url/$CI_PROJECT_PATH.git" "$branch"
api() { # PATH OPTION...
    curl --silent --show-error --fail --header @- "${@:2}" "$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests$1" \
        <<<"PRIVATE-TOKEN: $RUSTGEN_PUSH_TOKEN"
}
number=$(api "?state=opened&source_branch=${branch/\//%2F}" | grep -o '"iid":[0-9]*' | head -n 1) || number=
if [ -z "$number" ] || ! api "/${number#*:}" --request PUT --data-urlencode "description@$body" --output /dev/null; then
    echo 'the merge request holds the first line of the report only: RUSTGEN_PUSH_TOKEN needs the scope api' >&2
    exit 1
fi
