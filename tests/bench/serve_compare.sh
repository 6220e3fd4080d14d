#!/usr/bin/env bash
# weir serve beside llama-server on one model file, in turn, under the same load (load.js): tokens per second, time to
# the first token, time between tokens, and the ratios.
#
#   tests/bench/serve_compare.sh MODEL.gguf LLAMA_SERVER [OPTIONS OF load.js]
#
#   THREADS=2 PARALLEL=16 CONTEXT=1024 ROUNDS=1 tests/bench/serve_compare.sh model.gguf \
#       /path/to/llama-server --requests 32 --answer-tokens 64
#
# Builds nothing. Each round starts one server, waits until it is ready, runs load.js (with --ignore-eos and the round
# as its --seed) and stops the server, then the other; medians over the rounds are compared. Both get THREADS threads,
# PARALLEL requests at once and CONTEXT tokens for each; all else is as it is by default, which for llama-server means
# prompt cache and continuous batching on. More options: WEIR_OPTIONS, LLAMA_OPTIONS.
#
# Weights may be random: they do not change the time. Both need a vocabulary and a chat template in the file, which
# `weir synth` puts there, and llama-server an answer that is valid UTF-8:
#
#   build/release/weir synth --shape tinyllama-1.1b tinyllama.gguf && node tests/bench/ascii_bytes.js tinyllama.gguf
#
# Exit status: 0, 1 when a server did not start or could not be driven, 2 wrong usage.
set -euo pipefail
cd "$(dirname "$0")/../.."

[[ $# -ge 2 ]] || { sed -n '2,21p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2; }
model=$1 llama=$2
shift 2
weir=${WEIR:-build/release/weir}
threads=${THREADS:-2} parallel=${PARALLEL:-16} context=${CONTEXT:-1024} rounds=${ROUNDS:-1}
read -r -a weir_options <<<"${WEIR_OPTIONS:-}"
read -r -a llama_options <<<"${LLAMA_OPTIONS:-}"
ready_seconds=120
for program in "$weir" "$llama"; do
    [[ -x $program ]] || { echo "serve_compare.sh: $program is no program that can be run" >&2; exit 2; }
done
[[ -r $model ]] || { echo "serve_compare.sh: $model cannot be read; weir synth makes one" >&2; exit 2; }

folder=$(mktemp -d)
server='' load='' # processes that run

stop_server() {
    [[ -n $server ]] || return 0
    kill "$server" 2>/dev/null || true
    for ((i = 0; i < 100; i++)); do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    # A server that does not stop when asked within 10 s.
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap '[[ -z $load ]] || kill "$load" 2>/dev/null || true; stop_server; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

free_port() {
    node -e "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => {
        console.log(s.address().port); s.close(); })"
}

is_ready() { # URL
    node -e "fetch(process.argv[1], {signal: AbortSignal.timeout(1000)})
        .then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))" "$1"
}

# measure NAME HEALTH_ROUTE LOAD_OPTIONS... -- COMMAND...: the server's command gets its port appended.
measure() {
    local name=$1 health=$2 port load_options=() status=0
    shift 2
    while [[ $1 != -- ]]; do load_options+=("$1"); shift; done
    shift
    port=$(free_port)
    "$@" --port "$port" >"$folder/$name.log" 2>&1 &
    server=$!
    for ((i = 0; ; i++)); do
        if ! kill -0 "$server" 2>/dev/null || ((i == ready_seconds)); then
            printf 'serve_compare.sh: %s did not start:\n' "$name" >&2
            tail -n 20 "$folder/$name.log" >&2
            exit 1
        fi
        ! is_ready "http://127.0.0.1:$port$health" || break
        sleep 1
    done
    # In the background, as bash handles signals only between commands and in wait.
    node tests/bench/load.js --url "http://127.0.0.1:$port" --streams "$parallel" "${load_options[@]}" --json \
        >>"$folder/$name.json" &
    load=$!
    wait "$load" || status=$?
    load=
    # 1: some requests failed, which the table says; the comparison goes on.
    [[ $status -le 1 ]] || exit 1
    stop_server
}

for ((round = 1; round <= rounds; round++)); do
    measure weir /healthz --ignore-eos --seed "$round" "$@" -- "$weir" serve --model "$model" --threads "$threads" \
        --parallel "$parallel" --context "$context" "${weir_options[@]}"
    measure llama-server /health --ignore-eos --seed "$round" "$@" -- "$llama" --model "$model" --threads "$threads" \
        --parallel "$parallel" --ctx-size $((parallel * context)) --jinja --host 127.0.0.1 "${llama_options[@]}"
done

printf '%s, %s threads, %s at once, medians of %s rounds\n' "$(basename "$model")" "$threads" "$parallel" "$rounds"
node tests/bench/ratios.js "$folder/weir.json" "$folder/llama-server.json"
