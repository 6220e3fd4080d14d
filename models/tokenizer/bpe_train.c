#include "models/tokenizer/bpe_train.h"

#include <inttypes.h>
#include <string.h>

#include "models/format/gguf_write.h"
#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/pair_count.h"
#include "models/tokenizer/split.h"
#include "models/tokenizer/vocab.h"
#include "models/tokenizer/word_count.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define SPLIT_RULE     "qwen2"
#define MAX_JSONL      ((size_t)8 << 30)
#define MIN_PAIR_COUNT 2

const char bpe_chat_template[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + "
    "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\\n' }}{% endif %}";

const char *const bpe_special_tokens[BPE_N_SPECIAL] = {
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
};

struct trained_token {
    size_t start, len;   /* in bpe_trainer.bytes */
    int32_t left, right; /* what it was merged from; -1 for single bytes */
};

struct bpe_trainer {
    struct splitter *splitter;
    struct split_words split;
    struct word_count words;
    struct trained_token *tokens; /* (n_tokens), id - BPE_N_SPECIAL */
    size_t n_tokens;
    struct buf bytes;
};

/* The distinct words as ids, which merging shortens in place. */
struct corpus {
    int32_t *ids; /* all words, one after the other */
    size_t *lens; /* (n words): ids left in each; word i begins where its bytes do */
    struct pair_count pairs;
};

struct bpe_trainer *bpe_trainer_create(struct err *e)
{
    struct bpe_trainer *t = mem_zalloc(sizeof *t);

    if (!t) {
        err_nomem(e);
        return NULL;
    }
    word_count_init(&t->words);
    buf_init(&t->bytes, SIZE_MAX / 2);
    t->splitter = splitter_create(split_rule_find(SPLIT_RULE, strlen(SPLIT_RULE)), e);
    if (!t->splitter) {
        bpe_trainer_destroy(t);
        return NULL;
    }
    return t;
}

void bpe_trainer_destroy(struct bpe_trainer *t)
{
    if (!t) {
        return;
    }
    splitter_destroy(t->splitter);
    split_words_deinit(&t->split);
    word_count_deinit(&t->words);
    mem_free(t->tokens);
    buf_deinit(&t->bytes);
    mem_free(t);
}

/* --- feeding --- */

int bpe_trainer_feed(struct bpe_trainer *t, const char *text, size_t len, struct err *e)
{
    size_t start = 0;

    if (splitter_split(t->splitter, text, len, &t->split, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < t->split.count; i++) {
        if (word_count_add(&t->words, text + start, t->split.ends[i] - start) != 0) {
            return err_nomem(e);
        }
        start = t->split.ends[i];
    }
    return 0;
}

static int feed_string(struct bpe_trainer *t, const cJSON *value, const char *field,
                       struct err *e)
{
    if (!cJSON_IsString(value)) {
        return err_set(e, ERR_FORMAT, "\"%s\" must be a string", field);
    }
    return bpe_trainer_feed(t, value->valuestring, strlen(value->valuestring), e);
}

static int feed_record(struct bpe_trainer *t, const cJSON *record, struct err *e)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(record, "text");
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(record, "messages");
    const cJSON *message;

    if (text) {
        return feed_string(t, text, "text", e);
    }
    if (!cJSON_IsArray(messages)) {
        return err_set(e, ERR_FORMAT, "neither \"text\" nor a list of \"messages\"");
    }
    cJSON_ArrayForEach(message, messages)
    {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(message, "role");
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");

        if ((role && feed_string(t, role, "role", e) != 0) ||
            feed_string(t, content, "content", e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int feed_line(struct bpe_trainer *t, const char *line, size_t len, struct err *e)
{
    if (len == 0 || (len == 1 && line[0] == '\r')) {
        return 0;
    }
    cJSON *record = json_parse(line, len, e);
    if (!record) {
        return -1;
    }
    const int rc = feed_record(t, record, e);
    cJSON_Delete(record);
    return rc;
}

int bpe_trainer_feed_jsonl(struct bpe_trainer *t, const char *path, struct err *e)
{
    size_t len;
    size_t line = 1;
    char *data = file_read(path, MAX_JSONL, &len, e);
    int rc = 0;

    if (!data) {
        return -1;
    }
    for (size_t pos = 0; pos < len && rc == 0; line++) {
        const char *newline = memchr(data + pos, '\n', len - pos);
        const size_t end = newline ? (size_t)(newline - data) : len;

        rc = feed_line(t, data + pos, end - pos, e);
        if (rc != 0) {
            err_prefix(e, "%s: line %zu", path, line);
        }
        pos = end + 1;
    }
    mem_free(data);
    return rc;
}

/* --- merging --- */

static int add_token(struct bpe_trainer *t, struct trained_token token, struct err *e)
{
    struct trained_token *tokens =
        mem_realloc_array(t->tokens, t->n_tokens + 1, sizeof *tokens);

    if (!tokens || t->bytes.failed) {
        return err_nomem(e);
    }
    t->tokens = tokens;
    tokens[t->n_tokens++] = token;
    return 0;
}

static int add_byte_tokens(struct bpe_trainer *t, struct err *e)
{
    for (int i = 0; i < 256; i++) {
        const struct trained_token token = {t->bytes.len, 1, -1, -1};

        if (buf_append_char(&t->bytes, (char)i) != 0 || add_token(t, token, e) != 0) {
            return err_nomem(e);
        }
    }
    return 0;
}

static int add_merged_token(struct bpe_trainer *t, int32_t left, int32_t right, struct err *e)
{
    const struct trained_token a = t->tokens[left - BPE_N_SPECIAL];
    const struct trained_token b = t->tokens[right - BPE_N_SPECIAL];
    const struct trained_token token = {t->bytes.len, a.len + b.len, left, right};
    char *copy = mem_alloc(token.len); /* an append may move what it reads */

    if (!copy) {
        return err_nomem(e);
    }
    memcpy(copy, t->bytes.data + a.start, a.len);
    memcpy(copy + a.len, t->bytes.data + b.start, b.len);
    const int rc = buf_append(&t->bytes, copy, token.len);
    mem_free(copy);
    return rc == 0 ? add_token(t, token, e) : err_nomem(e);
}

static int corpus_init(struct corpus *c, const struct word_count *words, struct err *e)
{
    *c = (struct corpus){
        .ids = mem_array(words->bytes.len + 1, sizeof *c->ids),
        .lens = mem_array(words->n + 1, sizeof *c->lens),
    };
    pair_count_init(&c->pairs);
    if (!c->ids || !c->lens) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < words->bytes.len; i++) {
        c->ids[i] = BPE_N_SPECIAL + (unsigned char)words->bytes.data[i];
    }
    for (size_t i = 0; i < words->n; i++) {
        const struct word_entry *word = &words->entries[i];
        const int32_t *ids = c->ids + word->start;

        c->lens[i] = word->len;
        for (size_t j = 0; j + 1 < word->len; j++) {
            if (pair_count_add(&c->pairs, ids[j], ids[j + 1], (int64_t)word->count,
                               (uint32_t)i) != 0) {
                return err_nomem(e);
            }
        }
    }
    return 0;
}

static void corpus_deinit(struct corpus *c)
{
    mem_free(c->ids);
    mem_free(c->lens);
    pair_count_deinit(&c->pairs);
}

/* Replaces left right by merged in word i and moves the counts of the pairs around it. */
static int merge_in_word(struct corpus *c, const struct word_count *words, uint32_t i,
                         int32_t left, int32_t right, int32_t merged)
{
    const int64_t count = (int64_t)words->entries[i].count;
    int32_t *ids = c->ids + words->entries[i].start;
    const size_t len = c->lens[i];
    size_t out = 0;
    int rc = 0;

    for (size_t j = 0; j < len && rc == 0; out++) {
        if (j + 1 == len || ids[j] != left || ids[j + 1] != right) {
            ids[out] = ids[j++];
            continue;
        }
        if (out > 0) {
            rc = pair_count_add(&c->pairs, ids[out - 1], left, -count, i) |
                 pair_count_add(&c->pairs, ids[out - 1], merged, count, i);
        }
        if (j + 2 < len) {
            rc |= pair_count_add(&c->pairs, right, ids[j + 2], -count, i) |
                  pair_count_add(&c->pairs, merged, ids[j + 2], count, i);
        }
        ids[out] = merged;
        j += 2;
    }
    c->lens[i] = out;
    return rc;
}

/* Merges the most frequent pair everywhere. 1 when there is none left. */
static int merge_best(struct bpe_trainer *t, struct corpus *c, struct err *e)
{
    if (pair_count_commit(&c->pairs) != 0) {
        return err_nomem(e);
    }
    const size_t best = pair_count_pop(&c->pairs, MIN_PAIR_COUNT);
    if (best == SIZE_MAX) {
        return 1;
    }
    struct pair_entry pair = c->pairs.pairs[best]; /* the array may move */
    const int32_t merged = (int32_t)(t->n_tokens + BPE_N_SPECIAL);
    if (add_merged_token(t, pair.left, pair.right, e) != 0) {
        return -1;
    }
    c->pairs.pairs[best].words = NULL;
    c->pairs.pairs[best].n_words = c->pairs.pairs[best].cap_words = 0;
    int rc = 0;
    for (size_t i = 0; i < pair.n_words && rc == 0; i++) {
        rc = merge_in_word(c, &t->words, pair.words[i], pair.left, pair.right, merged);
    }
    mem_free(pair.words);
    c->pairs.pairs[best].count = 0;
    return rc == 0 ? 0 : err_nomem(e);
}

int bpe_trainer_run(struct bpe_trainer *t, size_t vocab_size, struct err *e)
{
    struct corpus corpus;

    if (vocab_size < BPE_MIN_VOCAB || vocab_size > BPE_MAX_VOCAB) {
        return err_set_param(e, ERR_INVALID, "size",
                             "a vocabulary of %zu tokens; must be %d to %d", vocab_size,
                             BPE_MIN_VOCAB, BPE_MAX_VOCAB);
    }
    if (t->n_tokens > 0) {
        return err_set(e, ERR_INVALID, "the vocabulary is trained already");
    }
    int rc = add_byte_tokens(t, e);
    if (rc != 0) {
        return -1;
    }
    rc = corpus_init(&corpus, &t->words, e);
    while (rc == 0 && bpe_trainer_vocab_size(t) < vocab_size) {
        rc = merge_best(t, &corpus, e);
    }
    corpus_deinit(&corpus);
    return rc < 0 ? -1 : 0;
}

size_t bpe_trainer_word_count(const struct bpe_trainer *t)
{
    return t->words.n;
}

size_t bpe_trainer_vocab_size(const struct bpe_trainer *t)
{
    return t->n_tokens + BPE_N_SPECIAL;
}

/* --- writing --- */

/* The texts that go into the file; strings point into `text`. */
struct vocab_texts {
    char *text;
    struct gguf_str *names;  /* (vocabulary) */
    struct gguf_str *merges; /* (n_merges) */
    int32_t *kinds;          /* (vocabulary) */
    size_t n_merges;
};

static void vocab_texts_deinit(struct vocab_texts *v)
{
    mem_free(v->text);
    mem_free(v->names);
    mem_free(v->merges);
    mem_free(v->kinds);
}

static void append_text(char **next, const struct gguf_str *s)
{
    memcpy(*next, s->data, s->len);
    *next += s->len;
}

static int vocab_texts_init(struct vocab_texts *v, const struct bpe_trainer *t, struct err *e)
{
    const size_t n = bpe_trainer_vocab_size(t);

    /* Each token's text once as a name and once, with a space, as a merge. */
    *v = (struct vocab_texts){
        .text = mem_array(2 * t->bytes.len + n, BYTE_ALPHABET_MAX),
        .names = mem_array(n, sizeof *v->names),
        .merges = mem_array(n, sizeof *v->merges),
        .kinds = mem_array(n, sizeof *v->kinds),
    };
    if (!v->text || !v->names || !v->merges || !v->kinds) {
        return err_nomem(e);
    }
    char *next = v->text;
    for (size_t id = 0; id < BPE_N_SPECIAL; id++) {
        v->names[id] =
            (struct gguf_str){bpe_special_tokens[id], strlen(bpe_special_tokens[id])};
        v->kinds[id] = TOKEN_CONTROL;
    }
    for (size_t i = 0; i < t->n_tokens; i++) {
        const struct trained_token *token = &t->tokens[i];
        const size_t len = byte_alphabet_encode(t->bytes.data + token->start, token->len, next);

        v->names[BPE_N_SPECIAL + i] = (struct gguf_str){next, len};
        v->kinds[BPE_N_SPECIAL + i] = TOKEN_NORMAL;
        next += len;
        if (token->left < 0) {
            continue;
        }
        const char *start = next;
        append_text(&next, &v->names[token->left]);
        *next++ = ' ';
        append_text(&next, &v->names[token->right]);
        v->merges[v->n_merges++] = (struct gguf_str){start, (size_t)(next - start)};
    }
    return 0;
}

static void put_vocabulary(struct gguf_writer *w, const struct vocab_texts *v, size_t n)
{
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_str(w, "tokenizer.ggml.model", "gpt2");
    gguf_put_str(w, "tokenizer.ggml.pre", SPLIT_RULE);
    gguf_put_strs(w, "tokenizer.ggml.tokens", v->names, n);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, v->kinds, n);
    gguf_put_strs(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
    gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 0);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    gguf_put_u32(w, "tokenizer.ggml.padding_token_id", 0);
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
    gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", false);
    gguf_put_str(w, "tokenizer.chat_template", bpe_chat_template);
}

int bpe_trainer_write(const struct bpe_trainer *t, const char *path, struct err *e)
{
    struct vocab_texts texts;
    struct gguf_writer *w = NULL;
    int rc = -1;

    if (vocab_texts_init(&texts, t, e) != 0) {
        goto cleanup;
    }
    w = gguf_writer_create(e);
    if (!w) {
        goto cleanup;
    }
    put_vocabulary(w, &texts, bpe_trainer_vocab_size(t));
    rc = gguf_writer_write(w, path, e);
cleanup:
    gguf_writer_destroy(w);
    vocab_texts_deinit(&texts);
    return rc;
}
