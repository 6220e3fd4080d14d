#!/usr/bin/env bash
# Weir beside other programs on one model file, in turn, as ratios: bare seconds of a busy machine say
# nothing.
#
#   tests/bench/compare.sh MODEL.gguf NAME=LLAMA_BENCH[,BATCHED_BENCH] ...
#
#   THREADS=2 ROUNDS=3 PROMPT=512 TOKENS=32 BATCH=16 tests/bench/compare.sh model.gguf \
#       llama.cpp=/path/to/llama-bench,/path/to/llama-batched-bench
#
# Builds nothing: LLAMA_BENCH and BATCHED_BENCH are llama.cpp's llama-bench and llama-batched-bench, or those
# of a program derived from it. Each round runs everything once, so that what slows the machine slows all;
# medians over the rounds are compared. Weights may be random (`weir synth`): they do not change the time.
set -euo pipefail
cd "$(dirname "$0")/../.."

[[ $# -ge 1 ]] || { sed -n '2,14p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2; }
model=$1
shift
weir=${WEIR:-build/release/weir}
threads=${THREADS:-$(nproc)} rounds=${ROUNDS:-3} prompt=${PROMPT:-512} tokens=${TOKENS:-32} batch=${BATCH:-16}
for program in "$weir" $(for peer in "$@"; do tr ',' ' ' <<<"${peer#*=}"; done); do
    [[ -x $program ]] || { echo "compare.sh: $program is no program that can be run" >&2; exit 2; }
done
[[ -r $model ]] || { echo "compare.sh: $model cannot be read; weir synth makes one" >&2; exit 2; }

results=$(mktemp)
trap 'rm -f "$results"' EXIT

note() { # NAME MEASURE TOKENS_PER_SECOND
    printf '%s %s %s\n' "$1" "$2" "$3" >>"$results"
}

run_weir() {
    local json
    json=$("$weir" bench -m "$model" -t "$threads" -p "$prompt" -n "$tokens" -b "$batch" --json)
    note weir prefill "$(grep -oP '"prefill_tps":\K[^,]+' <<<"$json")"
    note weir decode "$(grep -oP '"decode_tps":\K[^,]+' <<<"$json")"
    note weir batch "$(grep -oP '"batch_tps":\{"\d+":\K[^,}]+' <<<"$json")"
    note weir peak_share "$(grep -oP '"prefill_peak_fraction":\K[^,]+' <<<"$json")"
    note weir read_share "$(grep -oP '"decode_bandwidth_fraction":\K[^,]+' <<<"$json")"
}

# llama-bench prints a table with a row a test; llama-batched-bench one whose 8th column is the tokens per
# second of all sequences together.
run_peer() { # NAME LLAMA_BENCH [BATCHED_BENCH]
    local table
    table=$("$2" -m "$model" -t "$threads" -p "$prompt" -n "$tokens" -r 1 2>/dev/null)
    note "$1" prefill "$(grep -oP "pp$prompt *\| *\K[0-9.]+" <<<"$table")"
    note "$1" decode "$(grep -oP "tg$tokens *\| *\K[0-9.]+" <<<"$table")"
    [[ -n ${3:-} ]] || return 0
    # Some print the table on standard error.
    table=$("$3" -m "$model" -t "$threads" -c $((batch * (tokens + 8))) -npp 8 -ntg "$tokens" -npl "$batch" 2>&1)
    table=$(awk -F'|' -v b="$batch" 'NF > 9 && $4 + 0 == b { print $9 + 0 }' <<<"$table")
    [[ -z $table ]] || note "$1" batch "$table"
}

for ((round = 1; round <= rounds; round++)); do
    run_weir
    for peer in "$@"; do
        IFS=, read -r -a programs <<<"${peer#*=}"
        run_peer "${peer%%=*}" "${programs[@]}"
    done
done

printf '%s, %s threads, medians of %s rounds, tokens/s\n' "$(basename "$model")" "$threads" "$rounds"
awk -v prompt="$prompt" -v batch="$batch" '
function median(name, measure,    n, i, j, t, v) {
    n = count[name, measure]
    for (i = 1; i <= n; i++) v[i] = value[name, measure, i]
    for (i = 2; i <= n; i++) { t = v[i]; for (j = i - 1; j > 0 && v[j] > t; j--) v[j + 1] = v[j]; v[j + 1] = t }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
{ if (!($1 in seen)) { seen[$1] = 1; names[++n_names] = $1 }
  value[$1, $2, ++count[$1, $2]] = $3 }
END {
    printf "%-16s %14s %12s %14s\n", "", "prefill " prompt, "decode 1", "decode " batch " at once"
    for (i = 1; i <= n_names; i++)
        printf "%-16s %14.1f %12.1f %14s\n", names[i], median(names[i], "prefill"), median(names[i], "decode"),
            count[names[i], "batch"] ? sprintf("%.1f", median(names[i], "batch")) : "-"
    for (i = 2; i <= n_names; i++)
        printf "%-16s %13.2fx %11.2fx %14s\n", "weir / " names[i],
            median("weir", "prefill") / median(names[i], "prefill"),
            median("weir", "decode") / median(names[i], "decode"),
            count[names[i], "batch"] ? sprintf("%.2fx", median("weir", "batch") / median(names[i], "batch")) : "-"
    printf "weir reaches %.0f %% of the int8 peak in prefill and %.0f %% of the read rate in decode\n",
        100 * median("weir", "peak_share"), 100 * median("weir", "read_share")
}' "$results"
