#include "models/convert/hf_tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/convert/hf_added.h"
#include "models/convert/hf_json.h"
#include "models/convert/hf_normalizer.h"
#include "models/convert/hf_words.h"
#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/vocab.h"
#include "runtime/base/mem.h"

#define NO_MERGE      (-1e9f) /* the score of what no merge makes */
#define FILLER_MAX    16      /* "[PAD151999]" */
#define NAME_PARTED   ' '
#define BYTE_NAME_MAX 2 /* of a byte in the byte alphabet */

/* The lists that GGUF wants, by id. */
struct lists {
    int n;
    struct gguf_str *names; /* (n) */
    int32_t *kinds;         /* (n) */
    float *scores;          /* (n) */
    char (*fillers)[FILLER_MAX];
    struct gguf_str *merges; /* (n_merges) "a b" */
    char *merge_text;        /* what pairs, or marks and names, were joined in */
    size_t n_merges;
};

static int wrong(struct err *e, const char *what)
{
    return err_set(e, ERR_FORMAT, "tokenizer.json: %s", what);
}

/* --- tokens --- */

static int set_token(struct lists *l, double v, const char *text, enum token_kind kind,
                     struct err *e)
{
    if (!text || !(v >= 0.0 && v < (double)l->n)) {
        return wrong(e, "a token has no text or an id outside of config.json's \"vocab_size\"");
    }
    l->names[(int)v] = (struct gguf_str){text, strlen(text)};
    l->kinds[(int)v] = (int32_t)kind;
    return 0;
}

static bool is_byte_name(const char *s)
{
    return strlen(s) == 6 && strncmp(s, "<0x", 3) == 0 && s[5] == '>';
}

static double id_of(const cJSON *item)
{
    return cJSON_IsNumber(item) ? item->valuedouble : -1.0;
}

/* [text, score] by id. */
static int read_scored(struct lists *l, const cJSON *model, struct err *e)
{
    const cJSON *token;
    const double unknown = id_of(hf_get(model, "unk_id"));
    const bool has_bytes = cJSON_IsTrue(hf_get(model, "byte_fallback"));
    double id = 0.0;
    cJSON_ArrayForEach(token, hf_get(model, "vocab"))
    {
        const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(token, 0));
        const cJSON *score = cJSON_GetArrayItem(token, 1);
        enum token_kind kind = id == unknown                             ? TOKEN_UNKNOWN
                               : has_bytes && text && is_byte_name(text) ? TOKEN_BYTE
                                                                         : TOKEN_NORMAL;
        if (!cJSON_IsNumber(score)) {
            return wrong(e, "a token of a Unigram model has no score");
        }
        if (set_token(l, id, text, kind, e) != 0) {
            return -1;
        }
        l->scores[(int)id] = (float)score->valuedouble;
        id += 1.0;
    }
    return 0;
}

static int read_named(struct lists *l, const cJSON *model, bool spm, struct err *e)
{
    const cJSON *token;
    const char *unknown = cJSON_GetStringValue(hf_get(model, "unk_token"));
    cJSON_ArrayForEach(token, hf_get(model, "vocab"))
    {
        enum token_kind kind = TOKEN_NORMAL;
        if (spm && is_byte_name(token->string)) {
            kind = TOKEN_BYTE;
        } else if (unknown && strcmp(token->string, unknown) == 0) {
            kind = TOKEN_UNKNOWN;
        }
        if (set_token(l, id_of(token), token->string, kind, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Whether a token is of the vocabulary and written with U+2581 for a space, as Gemma's runs of
 * spaces are: added once more it stays one that merges make, for no text holds that mark. */
static bool repeats_token(const struct lists *l, double id, const char *text)
{
    return text && strstr(text, HF_SPACE_MARK) && id >= 0.0 && id < (double)l->n &&
           l->names[(int)id].data && strcmp(l->names[(int)id].data, text) == 0;
}

/* Another token's id is no place for an added one: Hugging Face's library gives it one of its
 * own, which the file does not say. */
static int check_place(const struct lists *l, double id, const char *text, struct err *e)
{
    const char *there = id >= 0.0 && id < (double)l->n ? l->names[(int)id].data : NULL;
    if (!text || !there || strcmp(there, text) == 0) {
        return 0;
    }
    return err_set(
        e, ERR_FORMAT,
        "tokenizer.json: added token \"%.64s\" has the id %.0f, which is that of the "
        "token \"%.64s\"",
        text, id, there);
}

/* The vocabulary, and the tokens that were added to it and may stand in it too. */
static int read_tokens(struct lists *l, const struct hf_tokenizer *t, bool spm, struct err *e)
{
    const cJSON *token, *model = hf_get(t->tokenizer, "model");
    const char *unknown = cJSON_GetStringValue(hf_get(model, "unk_token"));
    if ((cJSON_IsArray(hf_get(model, "vocab")) ? read_scored(l, model, e)
                                               : read_named(l, model, spm, e)) != 0) {
        return -1;
    }
    cJSON_ArrayForEach(token, hf_get(t->tokenizer, "added_tokens"))
    {
        const char *text = cJSON_GetStringValue(hf_get(token, "content"));
        const double id = id_of(hf_get(token, "id"));
        bool special = cJSON_IsTrue(hf_get(token, "special"));
        enum token_kind kind = special ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
        if ((unknown && text && strcmp(text, unknown) == 0) ||
            id == id_of(hf_get(model, "unk_id"))) {
            kind = TOKEN_UNKNOWN;
        }
        if (spm && !special && repeats_token(l, id, text)) {
            continue;
        }
        if (check_place(l, id, text, e) != 0) {
            return -1;
        }
        if (cJSON_IsTrue(hf_get(token, "single_word"))) {
            return err_set(e, ERR_UNSUPPORTED,
                           "tokenizer.json: added token \"%.64s\": \"single_word\" is not "
                           "supported",
                           text ? text : "");
        }
        if (set_token(l, id, text, kind, e) != 0) {
            return -1;
        }
    }
    for (int i = 0; i < l->n; i++) {
        if (!l->names[i].data) {
            int len = snprintf(l->fillers[i], FILLER_MAX, "[PAD%d]", i);
            l->names[i] = (struct gguf_str){l->fillers[i], (size_t)len};
            l->kinds[i] = TOKEN_UNUSED;
        }
    }
    return 0;
}

/* --- WordPiece --- */

/* Where the file marks what goes on with a word, "##ing", GGUF marks what begins one. */
static int mark_beginnings(struct lists *l, const cJSON *model, struct err *e)
{
    const char *said = cJSON_GetStringValue(hf_get(model, "continuing_subword_prefix"));
    const char *mark = said ? said : "##";
    size_t bytes = 0, n = strlen(mark);
    for (int i = 0; i < l->n; i++) {
        bytes += l->names[i].len + sizeof(HF_SPACE_MARK);
    }
    l->merge_text = mem_alloc(bytes + 1);
    if (!l->merge_text) {
        return err_nomem(e);
    }
    char *to = l->merge_text;
    for (int i = 0; i < l->n; i++) {
        struct gguf_str *name = &l->names[i];
        if (l->kinds[i] != TOKEN_NORMAL) {
            continue;
        }
        if (name->len > n && strncmp(name->data, mark, n) == 0) {
            *name = (struct gguf_str){name->data + n, name->len - n};
            continue;
        }
        int made = snprintf(to, bytes, HF_SPACE_MARK "%s", name->data);
        *name = (struct gguf_str){to, (size_t)made};
        to += made + 1;
        bytes -= (size_t)made + 1;
    }
    return 0;
}

/* --- merges --- */

/* "a b", or in newer files ["a", "b"]. */
static const char *merge_halves(const cJSON *merge, const char **second, size_t *first_len)
{
    if (cJSON_IsString(merge)) {
        const char *space = strchr(merge->valuestring, NAME_PARTED);
        *second = space ? space + 1 : NULL;
        *first_len = space ? (size_t)(space - merge->valuestring) : 0;
        return space ? merge->valuestring : NULL;
    }
    const char *first = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 0));
    *second = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 1));
    *first_len = first ? strlen(first) : 0;
    return first && *second && cJSON_GetArraySize(merge) == 2 ? first : NULL;
}

static int read_merges(struct lists *l, const cJSON *merges, struct err *e)
{
    const cJSON *merge;
    size_t bytes = 0, n = 0, len;
    const char *second;
    cJSON_ArrayForEach(merge, merges)
    {
        if (!merge_halves(merge, &second, &len)) {
            return wrong(e, "a merge is not two texts");
        }
        bytes += len + strlen(second) + 2;
        n++;
    }
    l->merges = mem_array(n + 1, sizeof(*l->merges));
    l->merge_text = mem_alloc(bytes + 1);
    if (!l->merges || !l->merge_text) {
        return err_nomem(e);
    }
    char *to = l->merge_text;
    cJSON_ArrayForEach(merge, merges)
    {
        const char *first = merge_halves(merge, &second, &len);
        int made = snprintf(to, bytes, "%.*s %s", (int)len, first, second);
        l->merges[l->n_merges++] = (struct gguf_str){to, (size_t)made};
        to += made + 1;
        bytes -= (size_t)made + 1;
    }
    return 0;
}

/* --- SentencePiece --- */

static int compare_names(const void *a, const void *b, void *names)
{
    const struct gguf_str *x = (const struct gguf_str *)names + *(const int *)a;
    const struct gguf_str *y = (const struct gguf_str *)names + *(const int *)b;
    return strcmp(x->data, y->data);
}

/* The token that is called a + b, or -1; order: ids by name. */
static int find_joined(const struct lists *l, const int *order, const char *a, size_t a_len,
                       const char *b)
{
    int low = 0, high = l->n - 1;
    while (low <= high) {
        int mid = low + (high - low) / 2;
        const char *name = l->names[order[mid]].data;
        int c = strncmp(name, a, a_len);
        c = c != 0 ? c : strcmp(name + a_len, b);
        if (c == 0) {
            return order[mid];
        }
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid - 1;
        }
    }
    return -1;
}

/* Ids by name; to be freed. NULL: out of memory. */
static int *sort_names(const struct lists *l)
{
    int *order = mem_array((size_t)l->n, sizeof(*order));
    for (int i = 0; order && i < l->n; i++) {
        order[i] = i;
    }
    if (order) {
        qsort_r(order, (size_t)l->n, sizeof(*order), compare_names, l->names);
    }
    return order;
}

/* The first merge that makes a token gives it its score. */
static int score_tokens(struct lists *l, const cJSON *merges, struct err *e)
{
    const cJSON *merge;
    int *order = sort_names(l);
    float rank = 0.0f;
    if (!order) {
        return err_nomem(e);
    }
    for (int i = 0; i < l->n; i++) {
        l->scores[i] = NO_MERGE;
    }
    cJSON_ArrayForEach(merge, merges)
    {
        const char *second;
        size_t len;
        const char *first = merge_halves(merge, &second, &len);
        int id = first ? find_joined(l, order, first, len, second) : -1;
        if (id >= 0 && l->scores[id] <= NO_MERGE) {
            l->scores[id] = rank;
        }
        rank -= 1.0f;
    }
    mem_free(order);
    return 0;
}

/* --- BPE of characters --- */

/* The ids of a merge's tokens, and of what they make. */
static bool number_merge(const struct lists *l, const int *order, const cJSON *merge,
                         int32_t ids[3])
{
    const char *second;
    size_t len;
    const char *first = merge_halves(merge, &second, &len);
    if (!first) {
        return false;
    }
    ids[0] = find_joined(l, order, first, len, "");
    ids[1] = find_joined(l, order, second, 0, second);
    ids[2] = find_joined(l, order, first, len, second);
    return ids[0] >= 0 && ids[1] >= 0 && ids[2] >= 0;
}

static int put_numbered_merges(const struct lists *l, const cJSON *merges,
                               struct gguf_writer *out, struct err *e)
{
    const cJSON *merge;
    size_t n = 0;
    int *order = sort_names(l);
    int32_t *ids = mem_array(3 * (size_t)cJSON_GetArraySize(merges) + 1, sizeof(*ids));
    int rc = order && ids ? 0 : err_nomem(e);
    cJSON_ArrayForEach(merge, merges)
    {
        if (rc == 0 && !number_merge(l, order, merge, ids + n)) {
            rc = wrong(e, "a merge is not two tokens that make a third");
        }
        n += rc == 0 ? 3 : 0;
    }
    if (rc == 0) {
        gguf_put_array(out, TOKENIZER_KEY_MERGES, GGUF_I32, ids, n);
    }
    mem_free(order);
    mem_free(ids);
    return rc;
}

/* Whether each byte is a token. */
static bool has_all_bytes(const struct lists *l)
{
    bool seen[256] = {false};
    size_t count = 0, len;
    for (int i = 0; i < l->n; i++) {
        char byte[BYTE_NAME_MAX];
        if (l->names[i].len <= BYTE_NAME_MAX && l->kinds[i] == TOKEN_NORMAL &&
            byte_alphabet_decode(l->names[i].data, l->names[i].len, byte, &len) && len == 1) {
            count += !seen[(unsigned char)byte[0]];
            seen[(unsigned char)byte[0]] = true;
        }
    }
    return count == 256;
}

static int find_token(const struct lists *l, const char *text)
{
    for (int i = 0; text && i < l->n; i++) {
        if (strcmp(l->names[i].data, text) == 0) {
            return i;
        }
    }
    return -1;
}

/* What becomes of bytes or characters that are no token; GGUF's way is the unknown token for
 * each. */
static int put_unknown(const struct lists *l, const cJSON *model, struct gguf_writer *out,
                       struct err *e)
{
    const char *name = cJSON_GetStringValue(hf_get(model, "unk_token"));
    if (name && find_token(l, name) < 0) {
        return wrong(e, "\"unk_token\" is no token");
    }
    if (!name || cJSON_IsTrue(hf_get(model, "fuse_unk"))) {
        gguf_put_str(out, TOKENIZER_KEY_UNKNOWN, name ? "fuse" : "drop");
    }
    return 0;
}

/* --- special tokens --- */

/* A token as text, or an object with "content". */
static const char *token_text(const cJSON *item)
{
    const char *text = cJSON_GetStringValue(item);
    return text ? text : cJSON_GetStringValue(hf_get(item, "content"));
}

/* The token that a post-processor puts before a text, or behind it; NULL: none. */
static const char *added_token(const cJSON *post, bool behind)
{
    const cJSON *part, *single = hf_get(post, "single");
    const char *found = NULL;
    cJSON_ArrayForEach(part, hf_get(post, "processors"))
    {
        found = found ? found : added_token(part, behind);
    }
    if (found) {
        return found;
    }
    if (single) {
        const cJSON *end =
            cJSON_GetArrayItem(single, behind ? cJSON_GetArraySize(single) - 1 : 0);
        return cJSON_GetStringValue(hf_get(hf_get(end, "SpecialToken"), "id"));
    }
    /* RobertaProcessing and BertProcessing: ["</s>", 2] */
    return cJSON_GetStringValue(cJSON_GetArrayItem(hf_get(post, behind ? "sep" : "cls"), 0));
}

/* By name in tokenizer_config.json, or by id, the first of several, in config.json, or else the
 * token that is called `otherwise`. */
static void put_special(const struct hf_tokenizer *t, const struct lists *l, const char *name,
                        const char *gguf_name, const char *otherwise, struct gguf_writer *out)
{
    char key[64], id_key[64];
    snprintf(key, sizeof(key), "%s_token", name);
    snprintf(id_key, sizeof(id_key), "%s_token_id", name);
    int id = find_token(l, token_text(hf_get(t->config, key)));
    const cJSON *number = hf_get(t->model, id_key);
    number = cJSON_IsArray(number) ? cJSON_GetArrayItem(number, 0) : number;
    if (id < 0 && cJSON_IsNumber(number) && number->valueint >= 0 && number->valueint < l->n) {
        id = number->valueint;
    }
    id = id >= 0 ? id : find_token(l, otherwise);
    if (id >= 0) {
        snprintf(key, sizeof(key), "tokenizer.ggml.%s_token_id", gguf_name);
        gguf_put_u32(out, key, (uint32_t)id);
    }
}

/* Said outright, or by a post-processor that puts the token first. */
static bool adds_bos(const struct hf_tokenizer *t, bool spm)
{
    const cJSON *said = hf_get(t->config, "add_bos_token"),
                *post = hf_get(t->tokenizer, "post_processor");
    const char *bos = token_text(hf_get(t->config, "bos_token"));
    const char *first = added_token(post, false);
    if (cJSON_IsBool(said)) {
        return cJSON_IsTrue(said);
    }
    return first ? !bos || strcmp(bos, first) == 0 : spm && !post;
}

/* One template, or several with names, of which one is "default". */
static void put_template(const cJSON *config, struct gguf_writer *out)
{
    const cJSON *item = hf_get(config, "chat_template"), *one;
    const char *text = cJSON_GetStringValue(item);
    cJSON_ArrayForEach(one, item)
    {
        const char *name = cJSON_GetStringValue(hf_get(one, "name"));
        if (name && strcmp(name, "default") == 0) {
            text = cJSON_GetStringValue(hf_get(one, "template"));
        }
    }
    if (text) {
        gguf_put_str(out, "tokenizer.chat_template", text);
    }
}

/* --- all of it --- */

static int put_wordpiece(const struct hf_tokenizer *t, struct lists *l, struct gguf_writer *out,
                         struct err *e)
{
    const cJSON *model = hf_get(t->tokenizer, "model"),
                *post = hf_get(t->tokenizer, "post_processor");
    if (read_tokens(l, t, false, e) != 0) {
        return -1;
    }
    put_special(t, l, "cls", "cls", added_token(post, false), out);
    put_special(t, l, "sep", "seperator", added_token(post, true), out);
    put_special(t, l, "unk", "unknown", token_text(hf_get(model, "unk_token")), out);
    put_special(t, l, "pad", "padding", NULL, out);
    if (mark_beginnings(l, model, e) != 0) {
        return -1;
    }
    if (hf_words_put_wordpiece(t->tokenizer, out, e) != 0) {
        return -1;
    }
    gguf_put_str(out, "tokenizer.ggml.model", "bert");
    gguf_put_strs(out, "tokenizer.ggml.tokens", l->names, (size_t)l->n);
    gguf_put_array(out, "tokenizer.ggml.token_type", GGUF_I32, l->kinds, (size_t)l->n);
    return 0;
}

/* The ends of a text are those that the post-processor gives it. */
static void put_end(const struct hf_tokenizer *t, const struct lists *l, bool behind,
                    struct gguf_writer *out)
{
    const char *name = behind ? "eos" : "bos";
    const int id = find_token(l, added_token(hf_get(t->tokenizer, "post_processor"), behind));
    char key[64];
    snprintf(key, sizeof(key), "tokenizer.ggml.add_%s_token", name);
    gguf_put_bool(out, key, id >= 0);
    if (id >= 0) {
        snprintf(key, sizeof(key), "tokenizer.ggml.%s_token_id", name);
        gguf_put_u32(out, key, (uint32_t)id);
    } else {
        put_special(t, l, name, name, NULL, out);
    }
}

static int put_unigram(const struct hf_tokenizer *t, struct lists *l, struct gguf_writer *out,
                       struct err *e)
{
    const double unknown = id_of(hf_get(hf_get(t->tokenizer, "model"), "unk_id"));
    if (read_tokens(l, t, false, e) != 0) {
        return -1;
    }
    if (unknown < 0.0 || unknown >= (double)l->n) {
        return wrong(e, "a Unigram model needs an \"unk_id\" of its vocabulary");
    }
    gguf_put_str(out, "tokenizer.ggml.model", "t5");
    gguf_put_strs(out, "tokenizer.ggml.tokens", l->names, (size_t)l->n);
    gguf_put_array(out, "tokenizer.ggml.scores", GGUF_F32, l->scores, (size_t)l->n);
    gguf_put_array(out, "tokenizer.ggml.token_type", GGUF_I32, l->kinds, (size_t)l->n);
    gguf_put_u32(out, "tokenizer.ggml.unknown_token_id", (uint32_t)unknown);
    put_special(t, l, "pad", "padding", NULL, out);
    put_end(t, l, false, out);
    put_end(t, l, true, out);
    put_template(t->config, out);
    return hf_normalizer_put(t->tokenizer, out, e);
}

static int put_spm(const struct hf_tokenizer *t, struct lists *l, struct gguf_writer *out,
                   struct err *e)
{
    if (score_tokens(l, hf_get(hf_get(t->tokenizer, "model"), "merges"), e) != 0) {
        return -1;
    }
    gguf_put_array(out, "tokenizer.ggml.scores", GGUF_F32, l->scores, (size_t)l->n);
    return hf_words_put_spm(t->tokenizer, out, e);
}

static int put_byte_level(const struct hf_tokenizer *t, struct lists *l,
                          struct gguf_writer *out, struct err *e)
{
    const cJSON *model = hf_get(t->tokenizer, "model");
    if (hf_words_put_byte_level(t->tokenizer, out, e) != 0 ||
        read_merges(l, hf_get(model, "merges"), e) != 0) {
        return -1;
    }
    gguf_put_strs(out, "tokenizer.ggml.merges", l->merges, l->n_merges);
    return has_all_bytes(l) ? 0 : put_unknown(l, model, out, e);
}

static int put_characters(const struct hf_tokenizer *t, struct lists *l,
                          struct gguf_writer *out, struct err *e)
{
    const cJSON *model = hf_get(t->tokenizer, "model");
    return hf_words_put_characters(t->tokenizer, out, e) == 0 &&
                   put_numbered_merges(l, hf_get(model, "merges"), out, e) == 0
               ? put_unknown(l, model, out, e)
               : -1;
}

/* Of bytes, of characters that fall back to bytes, as SentencePiece's, or of characters alone.
 */
static int put_bpe(const struct hf_tokenizer *t, struct lists *l, struct gguf_writer *out,
                   struct err *e)
{
    const bool spm = cJSON_IsTrue(hf_get(hf_get(t->tokenizer, "model"), "byte_fallback"));
    const bool bytes = !spm && hf_words_are_bytes(t->tokenizer);
    if (read_tokens(l, t, spm, e) != 0 || (spm     ? put_spm(t, l, out, e)
                                           : bytes ? put_byte_level(t, l, out, e)
                                                   : put_characters(t, l, out, e)) != 0) {
        return -1;
    }
    gguf_put_str(out, "tokenizer.ggml.model",
                 spm     ? "llama"
                 : bytes ? "gpt2"
                         : "weir.characters");
    gguf_put_strs(out, "tokenizer.ggml.tokens", l->names, (size_t)l->n);
    gguf_put_array(out, "tokenizer.ggml.token_type", GGUF_I32, l->kinds, (size_t)l->n);
    put_special(t, l, "bos", "bos", added_token(hf_get(t->tokenizer, "post_processor"), false),
                out);
    put_special(t, l, "eos", "eos", NULL, out);
    gguf_put_bool(out, "tokenizer.ggml.add_bos_token", adds_bos(t, spm));
    put_template(t->config, out);
    return 0;
}

/* Older files do not name the model's type: each has something that the others have not. */
static const char *model_type(const cJSON *model)
{
    const char *type = cJSON_GetStringValue(hf_get(model, "type"));
    if (type || !hf_get(model, "vocab")) {
        return type ? type : "";
    }
    return cJSON_IsArray(hf_get(model, "vocab")) ? "Unigram"
           : hf_get(model, "merges")             ? "BPE"
                                                 : "WordPiece";
}

int hf_tokenizer_put(const struct hf_tokenizer *t, struct gguf_writer *out, struct err *e)
{
    const cJSON *model = hf_get(t->tokenizer, "model");
    const char *type = model_type(model);
    bool wordpiece = strcmp(type, "WordPiece") == 0;
    bool unigram = strcmp(type, "Unigram") == 0;
    const cJSON *vocab = hf_get(model, "vocab");
    if (!vocab || (!wordpiece && !unigram && strcmp(type, "BPE") != 0)) {
        return err_set(e, ERR_UNSUPPORTED,
                       "tokenizer.json: a model of type \"%.32s\" is not supported; BPE, "
                       "WordPiece and Unigram are",
                       type);
    }
    if (!(unigram ? cJSON_IsArray(vocab) : cJSON_IsObject(vocab))) {
        return wrong(e, unigram ? "the \"vocab\" of a Unigram model must be a list"
                                : "the \"vocab\" must be an object");
    }
    size_t n = (size_t)t->vocab;
    struct lists l = {.n = t->vocab};
    l.names = mem_zarray(n, sizeof(*l.names));
    l.kinds = mem_zarray(n, sizeof(*l.kinds));
    l.scores = mem_zarray(n, sizeof(*l.scores));
    l.fillers = mem_zarray(n, sizeof(*l.fillers));
    int rc = l.names && l.kinds && l.scores && l.fillers ? 0 : err_nomem(e);
    if (rc == 0) {
        rc = wordpiece ? put_wordpiece(t, &l, out, e)
             : unigram ? put_unigram(t, &l, out, e)
                       : put_bpe(t, &l, out, e);
    }
    if (rc == 0) {
        rc = hf_added_put(t->tokenizer, "rstrip", TOKENIZER_KEY_RSTRIP, out, e);
    }
    if (rc == 0) {
        rc = hf_added_put(t->tokenizer, "lstrip", TOKENIZER_KEY_LSTRIP, out, e);
    }
    mem_free(l.names);
    mem_free(l.kinds);
    mem_free(l.scores);
    mem_free(l.fillers);
    mem_free(l.merges);
    mem_free(l.merge_text);
    return rc;
}
