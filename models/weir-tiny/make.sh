#!/usr/bin/env bash
# Makes weir-tiny from nothing: models/weir-tiny/make.sh [--resume] [WORK_FOLDER]
#
# Builds Weir, writes and curates the training text, learns the vocabulary, trains, fine-tunes, aligns, exports
# and grades.
# With --resume, training goes on from the checkpoints that an interrupted run left in the work folder.
# On two cores with AVX2 it takes three hours or more, and about 2 GB of disk. The text depends
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

# Its end goes on with the same text.
END_SEED=13 END_STEPS=1500 END_LR=6e-4 END_MIN_LR=0 END_WARMUP=20

# Share of the last stage in the mean with its end: the end knows some things better and others worse.
MEAN=0.5

# Alignment, on questions of the training split: the model is asked so many of each kind, and what it answered
# wrongly is learnt, with others beside it that keep the rest as it is.
ASK_SEED=17 ASK_KINDS=name=200,tone=200,fact=600,refusal=1400,false_refusal=700,sum=200,difference=700
ASK_KINDS+=,combined=1000,harmful=600,harmless=800,unknown=400
KEEP_SEED=19 KEEP_KINDS=name=120,tone=80,fact=80,false_refusal=350,sum=40,difference=150
KEEP_KINDS+=,combined=100,harmful=450,harmless=150,unknown=350
# In three parts: the second, shorter, keeps half of the others. The third begins at a mean of both and is about
# what was refused wrongly; of it a little is mixed in, as it refuses less of what it should.
ALIGN1_SEED=17 ALIGN1_ROUNDS=250 ALIGN1_BETA=0.03 ALIGN1_ASKED=(--questions 16 --max-tokens 48)
ALIGN2_SEED=23 ALIGN2_ROUNDS=80 ALIGN2_BETA=0.03 ALIGN2_ASKED=(--questions 16 --max-tokens 48)
ALIGN3_SEED=43 ALIGN3_ROUNDS=220 ALIGN3_BETA=0.02 ALIGN3_ASKED=(--questions 24 --max-tokens 40)
ALIGN_LR=1e-4
ALIGN2_MEAN=0.7 ALIGN3_MEAN=0.2
ASK2_SEED=29 ASK2_KINDS=false_refusal=4000,refusal=1500,difference=800,combined=500
KEEP3_SEED=41 KEEP3_KINDS=refusal=700,false_refusal=500

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
$resume || rm -f "$work"/{pre,tune,last,end,mean,aligned-1,aligned-2,aligned-12,aligned-3,aligned}.ckpt

say "text"
"$corpus" --split heldout --seed $HELDOUT_SEED --conversations $HELDOUT_ITEMS \
    --out "$work/heldout.jsonl"
"$corpus" --split train --seed $PRE_SEED --conversations $PRE_CONVERSATIONS \
    --documents $PRE_DOCUMENTS --out "$work/pre.jsonl"
"$corpus" --split train --seed $TUNE_SEED --conversations $TUNE_CONVERSATIONS \
    --arithmetic $TUNE_ARITHMETIC --wordings wide --out "$work/tune.jsonl"
"$corpus" --split train --seed $LAST_SEED --conversations $LAST_CONVERSATIONS \
    --arithmetic $LAST_ARITHMETIC --wordings named --out "$work/last.jsonl"
"$corpus" --split train --questions --seed $ASK_SEED --kinds $ASK_KINDS --wordings named --out "$work/asked.jsonl"
"$corpus" --split train --questions --seed $KEEP_SEED --kinds $KEEP_KINDS --wordings named --out "$work/kept.jsonl"
"$corpus" --split train --questions --seed $ASK2_SEED --kinds $ASK2_KINDS --wordings named --out "$work/asked-2.jsonl"
"$corpus" --split train --questions --seed $KEEP3_SEED --kinds $KEEP3_KINDS --wordings named --out "$work/kept-3.jsonl"

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

# train STAGE PREFIX TEXT [OPTION...]: a stage on the text of one, with the settings PREFIX_STEPS, PREFIX_LR and so on.
train() {
    local stage=$1 text=$3 steps=$2_STEPS lr=$2_LR min_lr=$2_MIN_LR warmup=$2_WARMUP seed=$2_SEED
    shift 3
    local begin=(--row $ROW --seed "${!seed}" "$@")
    if $resume && [[ -f $work/$stage.ckpt ]]; then
        begin=(--resume)
    fi
    "$weir" train pretrain --data "$work/$text/train-00000.tok" --out "$work/$stage.ckpt" "${begin[@]}" \
        --batch-tokens $BATCH_TOKENS --shards $SHARDS --steps "${!steps}" --lr "${!lr}" \
        --min-lr "${!min_lr}" --warmup "${!warmup}" --log "$work/$stage.log" --plot "$work/$stage.svg"
}

say "pretraining"
train pre PRE pre --shape $SHAPE

say "fine-tuning"
train tune TUNE tune --init "$work/pre.ckpt"

say "fine-tuning, the last stage"
train last LAST last --init "$work/tune.ckpt"

say "fine-tuning, its end"
train end END last --init "$work/last.ckpt"

say "the mean of the end and the stage before it"
"$weir" train average "$work/end.ckpt" "$work/last.ckpt" "$work/mean.ckpt" --weight $MEAN

# export_model CKPT TYPE OUT: a model of a checkpoint.
export_model() {
    "$weir" train export "$work/$1.ckpt" --vocab "$work/vocab.gguf" --type "$2" --name weir-tiny "$work/$3.gguf"
}

say "alignment"
export_model pre q8_0 base
export_model mean f32 fine-tuned
export_model mean q8_0 asked
# ask MODEL QUESTIONS OUT SEED: what it answers wrongly.
ask() {
    "$weir" align pairs -m "$work/$1.gguf" --set "$work/$2.jsonl" --out "$work/$3.jsonl" --samples 2 \
        --max-tokens 48 --seed "$4"
}

# every_other FILE: its first line, third, and so on.
every_other() {
    awk 'NR % 2 == 1' "$1"
}

# align PART [OPTION...]: with the settings ALIGNPART_ROUNDS and so on.
align() {
    local part=$1 rounds=ALIGN$1_ROUNDS seed=ALIGN$1_SEED beta=ALIGN$1_BETA
    local -n asked=ALIGN$1_ASKED
    shift
    local begin=("$@")
    if $resume && [[ -f $work/aligned-$part.ckpt ]]; then
        begin+=(--resume)
    fi
    "$weir" align grpo -m "$work/fine-tuned.gguf" --set "$work/align-$part.jsonl" \
        --out "$work/aligned-$part.ckpt" "${begin[@]}" "${asked[@]}" --group 8 --sampler int8 \
        --rounds "${!rounds}" --lr $ALIGN_LR --beta "${!beta}" --shards $SHARDS --seed "${!seed}" \
        --log "$work/aligned-$part.log"
}

ask asked asked wrong $ASK_SEED
cat "$work/wrong.jsonl" "$work/kept.jsonl" >"$work/align-1.jsonl"
align 1
{
    cat "$work/wrong.jsonl"
    every_other "$work/kept.jsonl"
} >"$work/align-2.jsonl"
align 2 --init "$work/aligned-1.ckpt"
"$weir" train average "$work/aligned-1.ckpt" "$work/aligned-2.ckpt" "$work/aligned-12.ckpt" --weight $ALIGN2_MEAN

export_model aligned-12 q8_0 asked-2
ask asked-2 asked-2 wrong-2 $ASK2_SEED
{
    cat "$work/wrong.jsonl" "$work/wrong-2.jsonl" "$work/kept-3.jsonl"
    every_other "$work/kept.jsonl"
} >"$work/align-3.jsonl"
align 3 --init "$work/aligned-12.ckpt"
"$weir" train average "$work/aligned-12.ckpt" "$work/aligned-3.ckpt" "$work/aligned.ckpt" --weight $ALIGN3_MEAN
export_model aligned f32 aligned
export_model aligned q8_0 weir-tiny

say "what each stage gave"
put "$work/heldout.jsonl" heldout.jsonl
"$weir" eval -m "$work/base.gguf" -m "$work/fine-tuned.gguf" -m "$work/aligned.gguf" -m "$work/weir-tiny.gguf" \
    --weights int8,f32,f32,int8 --kv-type f16,f32,f32,f16 --suite $out/suite --out "$work/report"
"$weir" eval -m "$work/weir-tiny.gguf" --set "$work/heldout.jsonl"

"$weir" lineage "$work/weir-tiny.gguf" --out "$work/lineage.json"
put "$work/lineage.json" lineage.json
put "$work/weir-tiny.gguf" weir-tiny.gguf
sha256sum "$out/weir-tiny.gguf" "$out/heldout.jsonl"
