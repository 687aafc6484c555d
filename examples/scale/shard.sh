#!/bin/bash
# One shard of a run: serve the model on this machine (where SERVE names one), then answer, revise and label the prompts
# of part $1 of $2. The same command again goes on where it stopped.
#
#   RECIPE=recipe.yaml OUT=runs/big SERVE=owner/model bash shard.sh 3 16 [key=value ...]
set -euo pipefail
number=$1 of=$2
shift 2
: "${RECIPE:?name the recipe}" "${OUT:?name the folder of the whole run}"

mkdir -p "$(dirname "$OUT")"
if [[ -n "${SERVE:-}" ]]; then
    port=$((20000 + RANDOM % 20000))
    vllm serve "$SERVE" --port "$port" --enable-prefix-caching >"$OUT-server-$number.log" 2>&1 &
    server=$!
    trap 'kill $server' EXIT
    until curl --silent --fail "http://127.0.0.1:$port/health" >/dev/null; do
        kill -0 $server || { echo "the server has ended: see $OUT-server-$number.log" >&2; exit 1; }
        sleep 5
    done
    # Where a model is served does not make the recipe another one, so that each shard may have its own server.
    set -- "$@" "models.assistant.base_url=http://127.0.0.1:$port/v1"
fi

charter run "$RECIPE" --out "$OUT" --shard "$number/$of" "$@"
