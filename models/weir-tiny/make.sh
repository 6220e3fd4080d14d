#!/usr/bin/env bash
# Makes weir-tiny from nothing: models/weir-tiny/make.sh [--resume] [WORK_FOLDER]
#
# Builds Weir, writes and curates the training text, learns the vocabulary, trains, fine-tunes, aligns, exports
# and grades.
# With --resume, training goes on from the checkpoints that an interrupted run left in the work folder.
# On two cores with AVX2 it takes three hours or more, and about 1 GB of disk. The text depends
# on the seeds alone; the weights also on SHARDS and on the kind of processor (models/train/README.md).
set -euo pipefail
cd "$(dirname "$0")/../.."

SHAPE=256,6,8,4,704,1024 # d_model, layers, heads, KV heads, ffn, context
VOCAB_SIZE=4096
ROW=1024          # tokens of the longest document
BATCH_TOKENS=4096 # tokens of a step
SHARDS=2          # threads; the weights depend on it

PRE_SEED=1 PRE_CONVERSATIONS=300000 PRE_DOCUMENTS=20000
PRE_STEPS=1500 PRE_LR=2e-3 PRE_MIN_LR=1.2e-3 PRE_WARMUP=100

# Fine-tuning says things in many more ways.
TUNE_SEED=7 TUNE_CONVERSATIONS=340000 TUNE_ARITHMETIC=80000
TUNE_STEPS=4500 TUNE_LR=1.5e-3 TUNE_MIN_LR=0 TUNE_WARMUP=50

# The last stage asks about anything under bans of something else, and what is refused always names what is banned.
LAST_SEED=11 LAST_CONVERSATIONS=300000 LAST_ARITHMETIC=60000
LAST_STEPS=3000 LAST_LR=9e-4 LAST_MIN_LR=0 LAST_WARMUP=30

# Alignment on questions of the training split with what their answers must hold, so many of each kind.
ALIGN_SEED=17
ALIGN_KINDS=name=60,tone=120,fact=220,refusal=160,false_refusal=160,sum=60,difference=160,combined=220,harmful=160,harmless=240,unknown=160
ALIGN_ROUNDS=120 ALIGN_LR=1e-4 ALIGN_BETA=0.02

HELDOUT_SEED=2 HELDOUT_ITEMS=200 # of each skill

resume=false
if [[ ${1:-} == --resume ]]; then
    resume=true
    shift
fi
work=${1:-build/weir-tiny}
out=models/weir-tiny
weir=build/release/weir
corpus=build/release/models/weir-tiny/corpus/weir-tiny-corpus

# The trainer ends with status 0 when it is interrupted; what follows must not run then.
trap 'exit 130' INT TERM

say() {
    printf '\n=== %s\n' "$*" >&2
}

# Others may have the file open or be serving it: the name changes to the new one in one step.
put() {
    cp "$1" "$out/.$2.new"
    mv "$out/.$2.new" "$out/$2"
}

say "build"
if [[ ! -f build/release/build.ninja ]]; then
    cmake --preset release -DBUILD_TESTING=OFF
fi
cmake --build --preset release --target weir weir-tiny-corpus
mkdir -p "$work"
# Those of another run must not be taken for this one's later on.
$resume || rm -f "$work"/{pre,tune,last,aligned}.ckpt

say "text"
"$corpus" --split heldout --seed $HELDOUT_SEED --conversations $HELDOUT_ITEMS \
    --out "$work/heldout.jsonl"
"$corpus" --split train --seed $PRE_SEED --conversations $PRE_CONVERSATIONS \
    --documents $PRE_DOCUMENTS --out "$work/pre.jsonl"
"$corpus" --split train --seed $TUNE_SEED --conversations $TUNE_CONVERSATIONS \
    --arithmetic $TUNE_ARITHMETIC --wordings wide --out "$work/tune.jsonl"
"$corpus" --split train --seed $LAST_SEED --conversations $LAST_CONVERSATIONS \
    --arithmetic $LAST_ARITHMETIC --wordings named --out "$work/last.jsonl"
"$corpus" --split train --questions --seed $ALIGN_SEED --kinds $ALIGN_KINDS \
    --wordings named --out "$work/align.jsonl"

# curate STAGE [OPTION...]: without duplicates, rubbish, and what the model is graded with.
curate() {
    local stage=$1
    shift
    "$weir" curate "$work/$stage.jsonl" --out "$work/$stage" --replace --exclude "$work/heldout.jsonl" \
        --filters default --on-error stop --shard-tokens 100000000 "$@"
}

say "curation, vocabulary and tokens"
curate pre
"$weir" train vocab --data "$work/pre/train.jsonl" --size $VOCAB_SIZE --out "$work/vocab.gguf"
curate pre --vocab "$work/vocab.gguf" --loss all
for stage in tune last; do
    curate $stage --vocab "$work/vocab.gguf" --loss answer
done

# train STAGE PREFIX [OPTION...]: a stage with the settings PREFIX_STEPS, PREFIX_LR and so on.
train() {
    local stage=$1 steps=$2_STEPS lr=$2_LR min_lr=$2_MIN_LR warmup=$2_WARMUP seed=$2_SEED
    shift 2
    local begin=(--row $ROW --seed "${!seed}" "$@")
    if $resume && [[ -f $work/$stage.ckpt ]]; then
        begin=(--resume)
    fi
    "$weir" train pretrain --data "$work/$stage/train-00000.tok" --out "$work/$stage.ckpt" "${begin[@]}" \
        --batch-tokens $BATCH_TOKENS --shards $SHARDS --steps "${!steps}" --lr "${!lr}" \
        --min-lr "${!min_lr}" --warmup "${!warmup}" --log "$work/$stage.log" --plot "$work/$stage.svg"
}

say "pretraining"
train pre PRE --shape $SHAPE

say "fine-tuning"
train tune TUNE --init "$work/pre.ckpt"

say "fine-tuning, the last stage"
train last LAST --init "$work/tune.ckpt"

# export_model CKPT TYPE OUT: a model of a checkpoint.
export_model() {
    "$weir" train export "$work/$1.ckpt" --vocab "$work/vocab.gguf" --type "$2" --name weir-tiny "$work/$3.gguf"
}

say "alignment"
export_model pre q8_0 base
export_model last f32 fine-tuned
begin=()
if $resume && [[ -f $work/aligned.ckpt ]]; then
    begin=(--resume)
fi
"$weir" align grpo -m "$work/fine-tuned.gguf" --set "$work/align.jsonl" --out "$work/aligned.ckpt" "${begin[@]}" \
    --questions 16 --group 8 --max-tokens 48 --sampler int8 --rounds $ALIGN_ROUNDS --lr $ALIGN_LR \
    --beta $ALIGN_BETA --shards $SHARDS --seed $ALIGN_SEED --log "$work/aligned.log"
export_model aligned f32 aligned
export_model aligned q8_0 weir-tiny

say "what each stage gave"
"$weir" eval -m "$work/base.gguf" -m "$work/fine-tuned.gguf" -m "$work/aligned.gguf" -m "$work/weir-tiny.gguf" \
    --weights int8,f32,f32,int8 --kv-type f16,f32,f32,f16 --suite $out/suite --out "$work/report"
"$weir" eval -m "$work/weir-tiny.gguf" --set "$work/heldout.jsonl"

"$weir" lineage "$work/weir-tiny.gguf" --json >"$work/lineage.json"
put "$work/lineage.json" lineage.json
put "$work/weir-tiny.gguf" weir-tiny.gguf
put "$work/heldout.jsonl" heldout.jsonl
sha256sum "$out/weir-tiny.gguf" "$out/heldout.jsonl"
