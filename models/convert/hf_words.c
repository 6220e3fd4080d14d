#include "models/convert/hf_words.h"

#include <string.h>

#include "models/convert/hf_forms.h"
#include "models/convert/hf_json.h"
#include "models/tokenizer/tokenizer.h"

#define MAX_PARTS     8
#define MAX_LETTERS   100.0 /* of a word: wordpiece.h */
#define KEY_SPACE     "tokenizer.ggml.add_space_prefix"
#define KEY_LOWERCASE "tokenizer.ggml.normalizer.lowercase"
#define KEY_ACCENTS   "tokenizer.ggml.normalizer.strip_accents"

static int unsupported(struct err *e, const char *key, const char *what)
{
    return err_set(e, ERR_UNSUPPORTED,
                   "tokenizer.json: \"%s\": %.64s is not supported with this kind of model; a "
                   "GGUF file of the model may be",
                   key, what);
}

/* --- the parts of a "normalizer" or "pre_tokenizer" --- */

struct parts {
    const char *key; /* of tokenizer.json */
    const cJSON *items[MAX_PARTS];
    size_t n;
};

static int add_parts(struct parts *p, const cJSON *item, const char *list, struct err *e)
{
    const cJSON *child;
    if (!item) {
        return 0;
    }
    if (!hf_is(hf_get(item, "type"), "Sequence")) {
        if (p->n == MAX_PARTS) {
            return unsupported(e, p->key, "a long sequence");
        }
        p->items[p->n++] = item;
        return 0;
    }
    cJSON_ArrayForEach(child, hf_get(item, list))
    {
        if (add_parts(p, child, list, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_parts(const cJSON *tokenizer, const char *key, const char *list,
                      struct parts *p, struct err *e)
{
    *p = (struct parts){.key = key};
    return add_parts(p, hf_get(tokenizer, key), list, e);
}

static const char *type_of(const cJSON *part)
{
    const char *type = cJSON_GetStringValue(hf_get(part, "type"));
    return type ? type : "a part without a type";
}

/* What gives a model's tokens other names than those of its file. */
static int check_affixes(const cJSON *tokenizer, struct err *e)
{
    static const char *const keys[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *said = cJSON_GetStringValue(hf_get(hf_get(tokenizer, "model"), keys[i]));
        if (said && *said) {
            return err_set(e, ERR_UNSUPPORTED,
                           "tokenizer.json: \"%s\" is not supported with BPE", keys[i]);
        }
    }
    return 0;
}

/* --- byte-level BPE: how words are split --- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS      "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define TAIL         "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER        "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(after)                                       \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" after "|" \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" after "|"
#define CASED_TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define MAX_SPLITS 3

/* The expressions as the models' files have them, and the names of split.h's rules. */
static const struct {
    const char *expressions[MAX_SPLITS];
    const char *rule, *with_ignore_merges;
} rules[] = {
    {{CONTRACTIONS LETTERS "\\p{N}{1,3}" TAIL}, "dbrx", "llama-bpe"},
    {{CONTRACTIONS LETTERS "\\p{N}" TAIL}, "qwen2", NULL},
    {{CASED("") "\\p{N}" CASED_TAIL}, "tekken", "tekken"},
    {{CASED(CONTRACTIONS "?") "\\p{N}{1,3}" CASED_TAIL}, "gpt-4o", NULL},
    {{"\\p{N}{1,3}",
      "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
      "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|"
      "\\s*[\r\n]+|\\s+(?!\\S)|\\s+"},
     "deepseek-v3",
     NULL},
};

struct splitting {
    const char *expressions[MAX_SPLITS]; /* of parts of type Split, in their order */
    size_t n;
    bool digits; /* a part of type Digits, each alone */
    bool bytes;  /* ByteLevel */
    bool gpt2;   /* with its own expression */
    bool space;  /* and a space in front */
};

/* Whether a part is known; Isolated or, of what does not match, Removed come to the same, for
 * the expressions leave nothing over. */
static bool look_at(const cJSON *part, struct splitting *s)
{
    if (hf_is(hf_get(part, "type"), "Split")) {
        const char *regex = cJSON_GetStringValue(hf_get(hf_get(part, "pattern"), "Regex"));
        bool all = hf_is(hf_get(part, "behavior"), "Isolated") ||
                   (hf_is(hf_get(part, "behavior"), "Removed") &&
                    cJSON_IsTrue(hf_get(part, "invert")));
        bool known = regex && all && s->n < MAX_SPLITS && !s->bytes;
        if (known) {
            s->expressions[s->n++] = regex;
        }
        return known;
    }
    if (hf_is(hf_get(part, "type"), "ByteLevel")) {
        s->bytes = true;
        s->gpt2 = !cJSON_IsFalse(hf_get(part, "use_regex"));
        s->space = !cJSON_IsFalse(hf_get(part, "add_prefix_space"));
        return true;
    }
    s->digits = hf_is(hf_get(part, "type"), "Digits");
    return s->digits && cJSON_IsTrue(hf_get(part, "individual_digits"));
}

static bool same_expressions(const struct splitting *s, const char *const *expressions)
{
    size_t i = 0;
    while (i < s->n && expressions[i] && strcmp(s->expressions[i], expressions[i]) == 0) {
        i++;
    }
    return i == s->n && (i == MAX_SPLITS || !expressions[i]);
}

static const char *find_rule(const struct splitting *s, bool ignore_merges)
{
    if (s->n == 0 && !s->gpt2) {
        return s->digits || ignore_merges ? NULL : "weir-whole-text";
    }
    if (s->n == 0) {
        return s->digits ? "smollm" : "gpt-2";
    }
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && !s->gpt2 && !s->digits; i++) {
        if (same_expressions(s, rules[i].expressions)) {
            return ignore_merges && rules[i].with_ignore_merges ? rules[i].with_ignore_merges
                                                                : rules[i].rule;
        }
    }
    return NULL;
}

bool hf_words_are_bytes(const cJSON *tokenizer)
{
    const cJSON *part, *all = hf_get(tokenizer, "pre_tokenizer");
    bool found = hf_is(hf_get(all, "type"), "ByteLevel");
    cJSON_ArrayForEach(part, hf_get(all, "pretokenizers"))
    {
        found = found || hf_is(hf_get(part, "type"), "ByteLevel");
    }
    return found;
}

int hf_words_put_byte_level(const cJSON *tokenizer, struct gguf_writer *out, struct err *e)
{
    struct parts forms, words;
    struct splitting s = {0};
    struct hf_forms form = {.n = 0};
    if (check_affixes(tokenizer, e) != 0 ||
        read_parts(tokenizer, "normalizer", "normalizers", &forms, e) != 0 ||
        read_parts(tokenizer, "pre_tokenizer", "pretokenizers", &words, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < words.n; i++) {
        if (!look_at(words.items[i], &s)) {
            return unsupported(e, words.key, type_of(words.items[i]));
        }
    }
    for (size_t i = 0; i < forms.n; i++) {
        if (!hf_forms_add(&form, forms.items[i])) {
            return unsupported(e, forms.key, type_of(forms.items[i]));
        }
    }
    const char *rule =
        find_rule(&s, cJSON_IsTrue(hf_get(hf_get(tokenizer, "model"), "ignore_merges")));
    if (!rule) {
        return unsupported(e, words.key,
                           s.n > 0 ? s.expressions[0] : "ByteLevel as it is there");
    }
    gguf_put_str(out, "tokenizer.ggml.pre", rule);
    if (s.space) {
        gguf_put_str(out, TOKENIZER_KEY_SPACE_SCHEME, "always");
    }
    return hf_forms_put(&form, tokenizer, out, e);
}

/* --- BPE of characters --- */

/* Where Metaspace puts a space in front, "first" or "always"; NULL: nowhere, or no Metaspace.
 */
static const char *space_scheme(const cJSON *part)
{
    const cJSON *scheme = hf_get(part, "prepend_scheme");
    if (!hf_is(hf_get(part, "type"), "Metaspace") ||
        (scheme ? hf_is(scheme, "never") : cJSON_IsFalse(hf_get(part, "add_prefix_space")))) {
        return NULL;
    }
    return hf_is(scheme, "first") ? "first" : "always";
}

/* Pre-tokenizers that are a rule of split.h by themselves. */
static const char *character_rule(const struct parts *words)
{
    static const char *const known[][2] = {{"Whitespace", "weir-whitespace"},
                                           {"WhitespaceSplit", "weir-whitespace-split"}};
    if (words->n == 0) {
        return "weir-whole-text";
    }
    if (words->n == 1 && hf_is(hf_get(words->items[0], "type"), "Metaspace")) {
        return !hf_is(hf_get(words->items[0], "replacement"), HF_SPACE_MARK) ? NULL
               : cJSON_IsFalse(hf_get(words->items[0], "split")) ? "weir-metaspace-whole"
                                                                 : "weir-metaspace";
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (words->n == 1 && hf_is(hf_get(words->items[0], "type"), known[i][0])) {
            return known[i][1];
        }
    }
    return NULL;
}

/* How tokens become a text again: without a decoder there are spaces between them. */
static int put_decoder(const cJSON *tokenizer, struct gguf_writer *out, struct err *e)
{
    const cJSON *decoder = hf_get(tokenizer, "decoder");
    const bool marks = hf_is(hf_get(decoder, "type"), "Metaspace") &&
                       hf_is(hf_get(decoder, "replacement"), HF_SPACE_MARK);
    if (decoder && !marks && !hf_is(hf_get(decoder, "type"), "Fuse")) {
        return unsupported(e, "decoder", type_of(decoder));
    }
    if (!decoder || marks) {
        gguf_put_str(out, TOKENIZER_KEY_DECODER, marks ? "marks" : "spaces");
    }
    return 0;
}

int hf_words_put_characters(const cJSON *tokenizer, struct gguf_writer *out, struct err *e)
{
    struct parts forms, words;
    struct hf_forms form = {.n = 0};
    if (check_affixes(tokenizer, e) != 0 ||
        read_parts(tokenizer, "normalizer", "normalizers", &forms, e) != 0 ||
        read_parts(tokenizer, "pre_tokenizer", "pretokenizers", &words, e) != 0) {
        return -1;
    }
    const char *rule = character_rule(&words);
    if (!rule) {
        return unsupported(e, words.key, words.n > 1 ? "a sequence" : type_of(words.items[0]));
    }
    for (size_t i = 0; i < forms.n; i++) {
        if (!hf_forms_add(&form, forms.items[i])) {
            return unsupported(e, forms.key, type_of(forms.items[i]));
        }
    }
    if (cJSON_IsTrue(hf_get(hf_get(tokenizer, "model"), "ignore_merges"))) {
        return unsupported(e, "model", "\"ignore_merges\"");
    }
    gguf_put_str(out, "tokenizer.ggml.pre", rule);
    const char *scheme = words.n > 0 ? space_scheme(words.items[0]) : NULL;
    if (scheme) {
        gguf_put_str(out, TOKENIZER_KEY_SPACE_SCHEME, scheme);
    }
    return put_decoder(tokenizer, out, e) == 0 ? hf_forms_put(&form, tokenizer, out, e) : -1;
}

/* --- SentencePiece's BPE --- */

struct spacing {
    bool before;        /* of every text */
    const char *scheme; /* "first" or "always": where no space stands */
};

static bool is_mark_for_space(const cJSON *part)
{
    return hf_is(hf_get(hf_get(part, "pattern"), "String"), " ") &&
           hf_is(hf_get(part, "content"), HF_SPACE_MARK);
}

/* Whether a token has a mark behind its first letter, so that it matters where words end. */
static bool joins_words(const cJSON *vocab)
{
    const cJSON *token;
    cJSON_ArrayForEach(token, vocab)
    {
        if (token->string[0] && strstr(token->string + 1, HF_SPACE_MARK)) {
            return true;
        }
    }
    return false;
}

static bool look_at_metaspace(const cJSON *part, const cJSON *tokenizer, struct spacing *s)
{
    s->scheme = space_scheme(part);
    return hf_is(hf_get(part, "replacement"), HF_SPACE_MARK) &&
           (cJSON_IsFalse(hf_get(part, "split")) ||
            !joins_words(hf_get(hf_get(tokenizer, "model"), "vocab")));
}

/* Gemma's Split at spaces finds none: they are marks by then. */
static bool look_at_spacing(const cJSON *part, const cJSON *tokenizer, struct spacing *s)
{
    const char *type = type_of(part);
    if (strcmp(type, "Prepend") == 0) {
        s->before = true;
        return hf_is(hf_get(part, "prepend"), HF_SPACE_MARK);
    }
    if (strcmp(type, "Split") == 0) {
        return hf_is(hf_get(hf_get(part, "pattern"), "String"), " ");
    }
    return strcmp(type, "Replace") == 0
               ? is_mark_for_space(part)
               : strcmp(type, "Metaspace") == 0 && look_at_metaspace(part, tokenizer, s);
}

int hf_words_put_spm(const cJSON *tokenizer, struct gguf_writer *out, struct err *e)
{
    static const char *const keys[][2] = {{"normalizer", "normalizers"},
                                          {"pre_tokenizer", "pretokenizers"}};
    struct spacing s = {0};
    struct hf_forms form = {.n = 0};
    if (check_affixes(tokenizer, e) != 0) {
        return -1;
    }
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
        struct parts p;
        if (read_parts(tokenizer, keys[k][0], keys[k][1], &p, e) != 0) {
            return -1;
        }
        /* A form comes before all that is done to spaces. */
        size_t n = 0;
        while (k == 0 && n < p.n && !is_mark_for_space(p.items[n]) &&
               hf_forms_add(&form, p.items[n])) {
            n++;
        }
        for (size_t i = n; i < p.n; i++) {
            if (!look_at_spacing(p.items[i], tokenizer, &s)) {
                return unsupported(e, p.key, type_of(p.items[i]));
            }
        }
    }
    gguf_put_bool(out, KEY_SPACE, s.before || s.scheme);
    if (!s.before && s.scheme) {
        gguf_put_str(out, TOKENIZER_KEY_SPACE_SCHEME, s.scheme);
    }
    return hf_forms_put(&form, tokenizer, out, e);
}

/* --- WordPiece --- */

static int check_bert(const cJSON *tokenizer, const struct parts *words, struct err *e)
{
    const cJSON *most = hf_get(hf_get(tokenizer, "model"), "max_input_chars_per_word");
    for (size_t i = 0; i < words->n; i++) {
        if (!hf_is(hf_get(words->items[i], "type"), "BertPreTokenizer")) {
            return unsupported(e, words->key, type_of(words->items[i]));
        }
    }
    if (most && !(cJSON_IsNumber(most) && most->valuedouble >= MAX_LETTERS &&
                  most->valuedouble <= MAX_LETTERS)) {
        return err_set(e, ERR_UNSUPPORTED,
                       "tokenizer.json: \"max_input_chars_per_word\" must be %.0f",
                       MAX_LETTERS);
    }
    return 0;
}

int hf_words_put_wordpiece(const cJSON *tokenizer, struct gguf_writer *out, struct err *e)
{
    struct parts forms, words;
    if (read_parts(tokenizer, "normalizer", "normalizers", &forms, e) != 0 ||
        read_parts(tokenizer, "pre_tokenizer", "pretokenizers", &words, e) != 0 ||
        check_bert(tokenizer, &words, e) != 0) {
        return -1;
    }
    if (forms.n == 0) {
        return 0;
    }
    const cJSON *bert = forms.items[0];
    if (forms.n > 1 || !hf_is(hf_get(bert, "type"), "BertNormalizer")) {
        return unsupported(e, forms.key, forms.n > 1 ? "a sequence" : type_of(bert));
    }
    if (cJSON_IsFalse(hf_get(bert, "clean_text")) ||
        cJSON_IsFalse(hf_get(bert, "handle_chinese_chars"))) {
        return unsupported(e, forms.key,
                           "\"clean_text\" or \"handle_chinese_chars\" that is false");
    }
    const cJSON *accents = hf_get(bert, "strip_accents");
    bool lowercase = !cJSON_IsFalse(hf_get(bert, "lowercase"));
    gguf_put_bool(out, KEY_LOWERCASE, lowercase);
    gguf_put_bool(out, KEY_ACCENTS, accents ? cJSON_IsTrue(accents) : lowercase);
    return 0;
}
