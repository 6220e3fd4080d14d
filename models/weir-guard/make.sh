#!/usr/bin/env bash
# Makes weir-guard from nothing: models/weir-guard/make.sh [WORK_FOLDER]
#
# Builds Weir, writes the sentences, trains, and prints the figures of the held-out sentences. Two minutes on two
# cores. The sentences depend on the text in corpus/ and the seeds, the weights on the sentences and the options:
# every machine makes the same bytes.
#
# The program embeds the file that stands here, so a new one is used from the next build on. A new one also needs
# a new name in filters/classifier.c (model_names).
set -euo pipefail
cd "$(dirname "$0")/../.."

SHAPE="--dims 32 --bits 15 --hidden 32"
RECIPE="--epochs 6 --rate 0.2 --drop 0.2 --decay 1e-5 --precision 0.95 --seed 1"
HELDOUT=5000 # of the held-out sentences, kept here

work=${1:-build/weir-guard}
out=models/weir-guard
weir=build/release/weir
corpus=build/release/models/weir-guard/corpus/weir-guard-corpus

if [[ ! -f build/release/build.ninja ]]; then
    cmake --preset release -DBUILD_TESTING=OFF
fi
cmake --build --preset release --target weir weir-guard-corpus
mkdir -p "$work"

sentences() { # SPLIT COUNT SEED
    "$corpus" --text $out/corpus --split "$1" --sentences "$2" --seed "$3" --out "$work/$1.jsonl"
}
sentences train 500000 1
sentences dev 30000 2
sentences heldout 30000 3

# shellcheck disable=SC2086
"$weir" train classifier --data "$work/train.jsonl" --dev "$work/dev.jsonl" --out "$work/weir-guard.bin" $SHAPE $RECIPE
"$weir" train classifier -m "$work/weir-guard.bin" --test "$work/heldout.jsonl"

head -n $HELDOUT "$work/heldout.jsonl" >"$out/.heldout.new"
mv "$out/.heldout.new" "$out/heldout.jsonl"
cp "$work/weir-guard.bin" "$out/.weir-guard.new"
mv "$out/.weir-guard.new" "$out/weir-guard.bin"
sha256sum "$out/weir-guard.bin" "$out/heldout.jsonl"
