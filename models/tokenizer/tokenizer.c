#include "models/tokenizer/tokenizer.h"

#include <inttypes.h>
#include <string.h>

#include "models/tokenizer/spm.h"
#include "models/tokenizer/strip_around.h"
#include "models/tokenizer/text_form.h"
#include "models/tokenizer/unigram.h"
#include "models/tokenizer/vocab.h"
#include "models/tokenizer/word_bpe.h"
#include "models/tokenizer/word_cache.h"
#include "models/tokenizer/wordpiece.h"
#include "runtime/base/mem.h"

/* Control tokens that end a generation whatever the file names as eos. */
static const char *const end_names[] = {
    "<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>",
};

#define N_END_NAMES (sizeof(end_names) / sizeof(end_names[0]))

/* `tokenizer.ggml.model`. */
enum tokenizer_model {
    MODEL_BYTE_LEVEL,
    MODEL_CHARACTERS,
    MODEL_SPM,
    MODEL_WORDPIECE,
    MODEL_UNIGRAM
};

static const char *const model_names[] = {
    [MODEL_BYTE_LEVEL] = "gpt2", [MODEL_CHARACTERS] = "weir.characters",
    [MODEL_SPM] = "llama",       [MODEL_WORDPIECE] = "bert",
    [MODEL_UNIGRAM] = "t5",
};

#define N_MODELS (sizeof(model_names) / sizeof(model_names[0]))

/* Where a space is put in front of a text. */
enum space_scheme { SPACE_AS_MODEL, SPACE_FIRST, SPACE_ALWAYS };

struct tokenizer {
    struct vocab vocab;
    enum tokenizer_model model;
    struct spm spm;
    struct wordpiece wordpiece;
    struct unigram unigram;
    struct word_bpe word_bpe;
    /* Of every model: */
    struct text_form text_form;
    struct strip_around strip_around;
    unsigned char begins_special[256]; /* the stages at which some special token begins with
                                          this byte, a bit each */
    int32_t bos, eos, eot;
    int32_t ends[N_END_NAMES]; /* TOKEN_NONE where the vocabulary lacks one */
    bool add_bos, add_eos;
    enum space_scheme space_scheme;
};

/* What one encoding needs and releases at its end. */
struct encoding {
    const struct tokenizer *t;
    struct token_list *out;
    struct word_bpe_scratch scratch;
    struct word_cache cache;
    bool inner; /* the text stands behind other tokens */
    bool parse_special;
    struct err *e;
};

/* --- token lists --- */

int token_list_reserve(struct token_list *list, size_t more)
{
    size_t need;
    size_t cap = list->cap ? list->cap : 64;

    if (__builtin_add_overflow(list->count, more, &need) || need > SIZE_MAX / 16) {
        return -1;
    }
    if (need <= list->cap) {
        return 0;
    }
    while (cap < need) {
        cap *= 2;
    }
    int32_t *ids = mem_realloc_array(list->ids, cap, sizeof *ids);
    if (!ids) {
        return -1;
    }
    list->ids = ids;
    list->cap = cap;
    return 0;
}

int token_list_push(struct token_list *list, int32_t id)
{
    if (token_list_reserve(list, 1) != 0) {
        return -1;
    }
    list->ids[list->count++] = id;
    return 0;
}

int token_list_append(struct token_list *list, const int32_t *ids, size_t n)
{
    if (token_list_reserve(list, n) != 0) {
        return -1;
    }
    memcpy(list->ids + list->count, ids, n * sizeof(*ids));
    list->count += n;
    return 0;
}

void token_list_clear(struct token_list *list)
{
    list->count = 0;
}

void token_list_deinit(struct token_list *list)
{
    mem_free(list->ids);
    *list = (struct token_list){0};
}

/* --- loading --- */

static bool is_named(const struct gguf_str *s, const char *name)
{
    return s->len == strlen(name) && memcmp(s->data, name, s->len) == 0;
}

static bool is_word_bpe(const struct tokenizer *t)
{
    return t->model == MODEL_BYTE_LEVEL || t->model == MODEL_CHARACTERS;
}

static int read_model(struct tokenizer *t, const struct gguf *g, struct err *e)
{
    struct gguf_str model;

    if (gguf_get_str(g, "tokenizer.ggml.model", &model, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < N_MODELS; i++) {
        if (is_named(&model, model_names[i])) {
            t->model = (enum tokenizer_model)i;
            return 0;
        }
    }
    return err_set(e, ERR_UNSUPPORTED,
                   "%s: metadata key \"tokenizer.ggml.model\": \"%.*s\" is not supported; "
                   "\"gpt2\" (byte-level BPE), \"llama\" (SentencePiece BPE), \"bert\" "
                   "(WordPiece), \"t5\" (unigram) and \"weir.characters\" are",
                   gguf_path(g), (int)(model.len < 64 ? model.len : 64), model.data);
}

/* An optional id; `fallback` stands when the key is absent. */
static int load_id(const struct tokenizer *t, const struct gguf *g, const char *key,
                   int32_t fallback, int32_t *out, struct err *e)
{
    uint32_t id;

    *out = fallback;
    if (!gguf_has(g, key)) {
        return 0;
    }
    if (gguf_get_u32(g, key, &id, e) != 0) {
        return -1;
    }
    if (id >= (uint32_t)t->vocab.n_tokens) {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"%s\": token %" PRIu32
                       " is outside the vocabulary of %" PRId32,
                       gguf_path(g), key, id, t->vocab.n_tokens);
    }
    *out = (int32_t)id;
    return 0;
}

static int load_flag(const struct gguf *g, const char *key, bool *out, struct err *e)
{
    return gguf_has(g, key) ? gguf_get_bool(g, key, out, e) : 0;
}

/* BERT's files may name [CLS] and [SEP] ("seperator" in the GGUF specification) in the stead of
 * bos and eos. */
static int load_ends(struct tokenizer *t, const struct gguf *g, struct err *e)
{
    const bool is_bert = t->model == MODEL_WORDPIECE;
    int32_t cls = TOKEN_NONE, sep = TOKEN_NONE;

    if (is_bert &&
        (load_id(t, g, "tokenizer.ggml.cls_token_id", TOKEN_NONE, &cls, e) != 0 ||
         load_id(t, g, "tokenizer.ggml.seperator_token_id", TOKEN_NONE, &sep, e) != 0)) {
        return -1;
    }
    if (load_id(t, g, "tokenizer.ggml.bos_token_id", cls, &t->bos, e) != 0 ||
        load_id(t, g, "tokenizer.ggml.eos_token_id", sep, &t->eos, e) != 0) {
        return -1;
    }
    t->add_bos = is_word_bpe(t) ? t->word_bpe.rule->add_bos : t->model != MODEL_UNIGRAM;
    t->add_eos = is_bert || t->model == MODEL_UNIGRAM;
    if (load_flag(g, "tokenizer.ggml.add_bos_token", &t->add_bos, e) != 0 ||
        (is_bert && load_flag(g, "tokenizer.ggml.add_sep_token", &t->add_eos, e) != 0) ||
        load_flag(g, "tokenizer.ggml.add_eos_token", &t->add_eos, e) != 0) {
        return -1;
    }
    t->add_bos = t->add_bos && t->bos != TOKEN_NONE;
    t->add_eos = t->add_eos && t->eos != TOKEN_NONE;
    return 0;
}

static int load_ids(struct tokenizer *t, const struct gguf *g, struct err *e)
{
    int32_t eot = tokenizer_find_special(t, "<|eot_id|>");

    if (eot == TOKEN_NONE) {
        eot = tokenizer_find_special(t, "<|im_end|>");
    }
    for (size_t i = 0; i < N_END_NAMES; i++) {
        t->ends[i] = tokenizer_find_special(t, end_names[i]);
    }
    return load_ends(t, g, e) == 0
               ? load_id(t, g, "tokenizer.ggml.eot_token_id", eot, &t->eot, e)
               : -1;
}

/* The token for what the vocabulary can not spell; `name` where the file does not say. */
static int load_unknown(const struct tokenizer *t, const struct gguf *g, const char *name,
                        int32_t *unknown, struct err *e)
{
    static const char key[] = "tokenizer.ggml.unknown_token_id";
    int32_t named = TOKEN_NONE;

    for (int32_t id = 0; id < t->vocab.n_tokens && named == TOKEN_NONE; id++) {
        const struct vocab_token *token = &t->vocab.tokens[id];
        const bool may_be = token->kind == TOKEN_UNKNOWN || token->kind == TOKEN_CONTROL;
        named = may_be && strcmp(token->name, name) == 0 ? id : TOKEN_NONE;
    }
    if (load_id(t, g, key, named, unknown, e) != 0) {
        return -1;
    }
    if (*unknown == TOKEN_NONE) {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"%s\": it is absent, and the vocabulary has no "
                       "token \"%s\"",
                       gguf_path(g), key, name);
    }
    return 0;
}

static int load_wordpiece(struct tokenizer *t, const struct gguf *g, struct err *e)
{
    int32_t unknown;

    if (load_unknown(t, g, "[UNK]", &unknown, e) != 0) {
        return -1;
    }
    return wordpiece_init(&t->wordpiece, &t->vocab, unknown, g, e);
}

static int load_unigram(struct tokenizer *t, const struct gguf *g, struct err *e)
{
    int32_t unknown;

    if (load_unknown(t, g, "<unk>", &unknown, e) != 0) {
        return -1;
    }
    return unigram_init(&t->unigram, &t->vocab, unknown, g, e);
}

/* What one model has and the others do not. */
static int load_model(struct tokenizer *t, const struct gguf *g, struct err *e)
{
    switch (t->model) {
    case MODEL_SPM:
        return spm_init(&t->spm, &t->vocab, g, e);
    case MODEL_WORDPIECE:
        return load_wordpiece(t, g, e);
    case MODEL_UNIGRAM:
        return load_unigram(t, g, e);
    case MODEL_BYTE_LEVEL:
    case MODEL_CHARACTERS:
        break;
    }
    return word_bpe_init(&t->word_bpe, &t->vocab,
                         t->model == MODEL_CHARACTERS ? WORD_BPE_CHARACTERS : WORD_BPE_BYTES, g,
                         e);
}

static int load_space_scheme(struct tokenizer *t, const struct gguf *g, struct err *e)
{
    static const char key[] = TOKENIZER_KEY_SPACE_SCHEME;
    struct gguf_str name;

    if (!gguf_has(g, key)) {
        return 0;
    }
    if (gguf_get_str(g, key, &name, e) != 0) {
        return -1;
    }
    const bool first = is_named(&name, "first");
    const bool bpe = t->model == MODEL_SPM || is_word_bpe(t);
    if (!bpe || (!first && !is_named(&name, "always"))) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: metadata key \"%s\" must be \"first\" or \"always\", and the "
                       "tokenizer one of BPE",
                       gguf_path(g), key);
    }
    t->space_scheme = first ? SPACE_FIRST : SPACE_ALWAYS;
    t->spm.space_before = false;
    return 0;
}

static void index_first_bytes(struct tokenizer *t)
{
    for (size_t i = 0; i < t->vocab.n_specials; i++) {
        const struct vocab_token *token = &t->vocab.tokens[t->vocab.specials[i]];

        t->begins_special[(unsigned char)token->name[0]] |=
            (unsigned char)(1U << (token->normalized ? VOCAB_NORMALIZED : VOCAB_AS_WRITTEN));
    }
}

static enum vocab_notation notation_of(enum tokenizer_model model)
{
    return model == MODEL_BYTE_LEVEL   ? VOCAB_BYTE_LEVEL
           : model == MODEL_CHARACTERS ? VOCAB_CHARACTERS
                                       : VOCAB_SENTENCE_PIECE;
}

struct tokenizer *tokenizer_from_gguf(const struct gguf *g, struct err *e)
{
    struct tokenizer *t = mem_zalloc(sizeof *t);

    if (!t) {
        err_nomem(e);
        return NULL;
    }
    if (read_model(t, g, e) != 0 || vocab_init(&t->vocab, g, notation_of(t->model), e) != 0 ||
        load_model(t, g, e) != 0 || load_ids(t, g, e) != 0 || load_space_scheme(t, g, e) != 0 ||
        text_form_init(&t->text_form, &t->vocab, g, e) != 0 ||
        strip_around_init(&t->strip_around, &t->vocab, t->model == MODEL_SPM, g, e) != 0) {
        tokenizer_destroy(t);
        return NULL;
    }
    index_first_bytes(t);
    return t;
}

void tokenizer_destroy(struct tokenizer *t)
{
    if (!t) {
        return;
    }
    vocab_deinit(&t->vocab);
    spm_deinit(&t->spm);
    unigram_deinit(&t->unigram);
    text_form_deinit(&t->text_form);
    strip_around_deinit(&t->strip_around);
    word_bpe_deinit(&t->word_bpe);
    mem_free(t);
}

/* --- encoding --- */

static int encode_text(struct encoding *c, const char *text, size_t len)
{
    switch (c->t->model) {
    case MODEL_SPM:
        return spm_encode(&c->t->spm, text, len, &c->cache, &c->scratch.merging, c->out, c->e);
    case MODEL_WORDPIECE:
        return wordpiece_encode(&c->t->wordpiece, text, len, &c->cache, c->out, c->e);
    case MODEL_UNIGRAM:
        return unigram_encode(&c->t->unigram, text, len, &c->cache, c->out, c->e);
    case MODEL_BYTE_LEVEL:
    case MODEL_CHARACTERS:
        break;
    }
    return word_bpe_encode(&c->t->word_bpe, text, len, &c->cache, &c->scratch, c->out, c->e);
}

static bool begins_with_space(const struct tokenizer *t, const char *text, size_t len)
{
    return is_word_bpe(t) ? word_bpe_begins_with_space(&t->word_bpe, text, len)
                          : text[0] == ' ';
}

/* A text between special tokens, in its form; len > 0. */
static int encode_plain(struct encoding *c, const char *text, size_t len, bool first)
{
    const enum space_scheme scheme = c->t->space_scheme;

    if (scheme == SPACE_AS_MODEL || (scheme == SPACE_FIRST && !first) ||
        begins_with_space(c->t, text, len)) {
        return encode_text(c, text, len);
    }
    char *spaced = mem_alloc(len + 1);
    if (!spaced) {
        return err_nomem(c->e);
    }
    spaced[0] = ' ';
    memcpy(spaced + 1, text, len);
    const int rc = encode_text(c, spaced, len + 1);
    mem_free(spaced);
    return rc;
}

/* The next special token of a stage at or after pos; its place in *at. -1 when there is none.
 */
static int32_t next_special(const struct encoding *c, const char *text, size_t len, size_t pos,
                            enum vocab_stage stage, size_t *at)
{
    const struct tokenizer *t = c->t;

    for (; pos < len; pos++) {
        if (!(t->begins_special[(unsigned char)text[pos]] >> stage & 1)) {
            continue;
        }
        const int32_t id =
            vocab_match_special(&t->vocab, text + pos, len - pos, c->parse_special, stage);
        if (id >= 0) {
            *at = pos;
            return id;
        }
    }
    *at = len;
    return -1;
}

static int encode_stage(struct encoding *c, const char *text, size_t len,
                        enum vocab_stage stage, bool first);

/* A text in which no special token of this stage stands. */
static int encode_between(struct encoding *c, const char *text, size_t len,
                          enum vocab_stage stage, bool first)
{
    struct formed_text formed;

    if (len == 0) {
        return 0;
    }
    if (stage == VOCAB_NORMALIZED || c->t->text_form.n_steps == 0) {
        return encode_plain(c, text, len, first);
    }
    int rc = text_form_apply(&c->t->text_form, text, len, &formed, c->e);
    if (rc == 0) {
        rc = c->t->text_form.has_tokens
                 ? encode_stage(c, formed.data, formed.len, VOCAB_NORMALIZED, first)
                 : encode_plain(c, formed.data, formed.len, first);
    }
    formed_text_deinit(&formed);
    return rc;
}

/* first: no other token stands before the text. */
static int encode_stage(struct encoding *c, const char *text, size_t len,
                        enum vocab_stage stage, bool first)
{
    size_t pos = 0;

    while (pos < len) {
        size_t at;
        const int32_t id = next_special(c, text, len, pos, stage, &at);

        const size_t len_between =
            at - pos - (id < 0 ? 0 : tokenizer_space_in_front(c->t, id, text + pos, at - pos));

        if (encode_between(c, text + pos, len_between, stage, first && pos == 0) != 0) {
            return -1;
        }
        if (id < 0) {
            break;
        }
        if (token_list_push(c->out, id) != 0) {
            return err_nomem(c->e);
        }
        pos = at + c->t->vocab.tokens[id].name_len;
        pos += tokenizer_space_after(c->t, id, text + pos, len - pos);
    }
    return 0;
}

static int encode_and_release(struct encoding *c, const char *text, size_t len)
{
    const size_t count = c->out->count;
    const int rc = word_cache_init(&c->cache, len) == 0
                       ? encode_stage(c, text, len, VOCAB_AS_WRITTEN, !c->inner)
                       : err_nomem(c->e);

    if (rc != 0) {
        c->out->count = count;
    }
    word_cache_deinit(&c->cache);
    word_bpe_scratch_deinit(&c->scratch);
    return rc;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len,
                     bool parse_special, struct token_list *out, struct err *e)
{
    struct encoding c = {.t = t, .out = out, .parse_special = parse_special, .e = e};
    return encode_and_release(&c, text, len);
}

int tokenizer_encode_inner(const struct tokenizer *t, const char *text, size_t len,
                           struct token_list *out, struct err *e)
{
    struct encoding c = {.t = t, .out = out, .inner = true, .e = e};
    return encode_and_release(&c, text, len);
}

/* --- tokens --- */

static const struct vocab_token *token_at(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab.n_tokens ? &t->vocab.tokens[id] : NULL;
}

const char *tokenizer_token_bytes(const struct tokenizer *t, int32_t id, size_t *len)
{
    const struct vocab_token *token = token_at(t, id);

    *len = token ? token->n_bytes : 0;
    return token ? token->bytes : "";
}

const char *tokenizer_token_name(const struct tokenizer *t, int32_t id)
{
    const struct vocab_token *token = token_at(t, id);

    return token ? token->name : NULL;
}

int32_t tokenizer_vocab_size(const struct tokenizer *t)
{
    return t->vocab.n_tokens;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}

int32_t tokenizer_eot(const struct tokenizer *t)
{
    return t->eot;
}

bool tokenizer_add_bos(const struct tokenizer *t)
{
    return t->add_bos;
}

bool tokenizer_add_eos(const struct tokenizer *t)
{
    return t->add_eos;
}

bool tokenizer_space_before(const struct tokenizer *t)
{
    return t->model == MODEL_WORDPIECE || t->space_scheme != SPACE_AS_MODEL ||
           (t->model == MODEL_SPM && t->spm.space_before) ||
           (t->model == MODEL_UNIGRAM && t->unigram.normalizer.space_before);
}

int32_t tokenizer_match_special(const struct tokenizer *t, const char *text, size_t len,
                                size_t *special_len)
{
    if (len == 0 || !t->begins_special[(unsigned char)text[0]]) {
        return TOKEN_NONE;
    }
    const int32_t id = vocab_match_special(&t->vocab, text, len, true, VOCAB_ANY_STAGE);
    if (id >= 0) {
        *special_len = t->vocab.tokens[id].name_len;
    }
    return id;
}

int32_t tokenizer_find_special(const struct tokenizer *t, const char *text)
{
    const int32_t id = vocab_find_special(&t->vocab, text, strlen(text));

    return id >= 0 && t->vocab.tokens[id].kind == TOKEN_CONTROL ? id : TOKEN_NONE;
}

size_t tokenizer_space_after(const struct tokenizer *t, int32_t special, const char *text,
                             size_t len)
{
    return strip_around_behind(&t->strip_around, special, text, len);
}

size_t tokenizer_space_in_front(const struct tokenizer *t, int32_t special, const char *text,
                                size_t len)
{
    return strip_around_in_front(&t->strip_around, special, text, len);
}

bool tokenizer_is_control(const struct tokenizer *t, int32_t id)
{
    const struct vocab_token *token = token_at(t, id);

    return token && token->kind == TOKEN_CONTROL;
}

bool tokenizer_is_eog(const struct tokenizer *t, int32_t id)
{
    if (!token_at(t, id)) {
        return false;
    }
    if (id == t->eos || id == t->eot) {
        return true;
    }
    for (size_t i = 0; i < N_END_NAMES; i++) {
        if (t->ends[i] == id) {
            return true;
        }
    }
    return false;
}
