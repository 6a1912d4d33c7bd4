#!/usr/bin/env bash
# Merges the newest template on the branch rustgen/upgrade and proposes it as a pull request. Run by the schedule.
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
git push --quiet --force-with-lease="refs/heads/$branch:$before" origin "$branch"
draft=()
if [ "$status" -eq 3 ]; then draft=(--draft); fi
# A fork may have a branch of the same name; its pull request is not ours to edit.
own='map(select(.isCrossRepository | not))[0].number // empty'
number=$(gh pr list --head "$branch" --state open --json number,isCrossRepository --jq "$own")
if [ -n "$number" ]; then
    gh pr edit "$number" --title "$title" --body-file "$body"
else
    gh pr create --head "$branch" --title "$title" --body-file "$body" "${draft[@]}"
fi
