/* hf_tokenizer.h: tokenizer.json and tokenizer_config.json to GGUF's tokenizer.* keys. Private
 * to models/convert.
 *
 * Byte-level BPE (GPT-2, Llama 3, Qwen) keeps its merges; how it splits words is recognised by
 * the expression in the file. BPE with byte fallback (Llama 2, Mistral, Gemma) is
 * SentencePiece's: a token's score is the rank of the merge that makes it. WordPiece (BERT) is
 * marked the other way round in GGUF. Unigram (T5, XLM-RoBERTa) has its scores in the file. */
#pragma once

#include "models/format/gguf_write.h"
#include "runtime/base/json.h"

struct hf_tokenizer {
    const cJSON *tokenizer; /* tokenizer.json */
    const cJSON *config;    /* tokenizer_config.json, or NULL */
    const cJSON *model;     /* config.json */
    int vocab;              /* rows of the embedding: tokens beyond the file's are made up */
};

int hf_tokenizer_put(const struct hf_tokenizer *t, struct gguf_writer *out, struct err *e);
