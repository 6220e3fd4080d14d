#define PCRE2_CODE_UNIT_WIDTH 8

#include "models/tokenizer/split.h"

#include <pcre2.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define CONTRACTIONS_ANY_CASE "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define TAIL_OF_GPT4          "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* The expression of GPT-2's released code. Its last alternative, \s+, is left to the gaps. */
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"

/* The cased letters that tokenizer.json of deepseek-llm-7b-base lists, which are those of one
 * older Unicode version without the Georgian small letters. */
#define DEEPSEEK_LETTERS                                                                   \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}"         \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}" \
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}"          \
    "\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}"               \
    "\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}"         \
    "\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}"         \
    "\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}"         \
    "\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}" \
    "\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}"                   \
    "\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}"         \
    "\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}"  \
    "\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}"          \
    "\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}" \
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}"          \
    "\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}"         \
    "\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}"         \
    "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}" \
    "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"

#define DEEPSEEK_PUNCTUATION \
    "!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}"

#define LLAMA3 CONTRACTIONS_ANY_CASE "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" TAIL_OF_GPT4

/* Words of capitals and small letters: GPT-4o and Mistral's Tekken. `after` may follow a word.
 */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED_WORDS(after)                                 \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" after "|" \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" after
#define TAIL_OF_GPT4O "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* \w of the library that Hugging Face's is built on: it has marks and joiners too. */
#define WORD_LETTER "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}"

/* tokenizer.json of the models named, field "pre_tokenizer"; "default" is what llama.cpp does
 * for a file that names no rule. Names that stand together have one rule. */
static const struct split_rule rules[] = {
    {.names = "gpt-2 phi-2 mpt olmo jais trillion granite-docling jina-es jina-de jina-v1-en "
              "jina-v2-es "
              "jina-v2-de jina-v2-code roberta-bpe gigachat modern-bert exaone4",
     .patterns = {GPT2}},
    {.names = "default", .patterns = {"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {.names = "falcon", .patterns = {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {.names = "smollm starcoder refact command-r codeshell exaone minerva-7b",
     .patterns = {"\\p{N}", GPT2}},
    {.names = "qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan",
     .patterns = {CONTRACTIONS_ANY_CASE "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" TAIL_OF_GPT4}},
    {.names = "qwen35",
     .patterns =
         {CONTRACTIONS_ANY_CASE
          "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|"
          "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral lfm2",
     .patterns = {LLAMA3},
     .ignore_merges = true,
     .add_bos = true},
    {.names = "dbrx smaug-bpe glm4 chatglm-bpe", .patterns = {LLAMA3}},
    {.names = "gpt-4o llama4",
     .patterns = {CASED_WORDS(CONTRACTIONS_ANY_CASE "?") "|\\p{N}{1,3}" TAIL_OF_GPT4O}},
    {.names = "tekken",
     .patterns = {CASED_WORDS("") "|\\p{N}" TAIL_OF_GPT4O},
     .ignore_merges = true},
    {.names = "deepseek-v3 hunyuan-dense",
     .patterns = {"\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
                  "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
                  " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {.names = "deepseek-coder",
     .patterns = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+",
                  "[\\x{800}-\\x{9FA5}\\x{AC00}-\\x{D7FF}]+", "\\p{N}"}},
    /* The fourth is \s+$, held to the beginning of a run of spaces so that its time is linear.
     */
    {.names = "deepseek-llm",
     .patterns = {"[\\r\\n]", "\\s?[" DEEPSEEK_LETTERS "]+", "\\s?[" DEEPSEEK_PUNCTUATION "]+",
                  "(?<!\\s)\\s++$", "[\\x{800}-\\x{9FA5}\\x{AC00}-\\x{D7FF}]+", "\\p{N}+"}},
    /* Pre-tokenizers of tokenizer.json: Whitespace, WhitespaceSplit, and none at all. */
    {.names = "weir-whitespace",
     .patterns = {"[" WORD_LETTER "]+|[^" WORD_LETTER "\\p{White_Space}]+"},
     .drops_space = true},
    {.names = "weir-whitespace-split", .patterns = {"\\P{White_Space}+"}, .drops_space = true},
    {.names = "weir-whole-text"},
    /* And Metaspace: a word begins with each mark, or there is one word. */
    {.names = "weir-metaspace",
     .patterns = {"\\x{2581}[^\\x{2581}]*|[^\\x{2581}]+"},
     .marks_spaces = true},
    {.names = "weir-metaspace-whole", .marks_spaces = true},
};

struct splitter {
    pcre2_code *stages[SPLIT_MAX_STAGES];
    size_t n_stages;
};

/* Whether name[len] is one of the words of `names`. */
static bool names_have(const char *names, const char *name, size_t len)
{
    for (const char *word = names; *word != '\0';) {
        const size_t n = strcspn(word, " ");
        if (n == len && memcmp(word, name, len) == 0) {
            return true;
        }
        word += n + (word[n] == ' ');
    }
    return false;
}

const struct split_rule *split_rule_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (names_have(rules[i].names, name, len)) {
            return &rules[i];
        }
    }
    return NULL;
}

struct splitter *splitter_create(const struct split_rule *rule, struct err *e)
{
    struct splitter *s = mem_zalloc(sizeof *s);

    if (!s) {
        err_nomem(e);
        return NULL;
    }
    for (size_t i = 0; rule->patterns[i]; i++) {
        int code;
        size_t offset;

        s->stages[i] =
            pcre2_compile((PCRE2_SPTR)rule->patterns[i], PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code, &offset, NULL);
        if (!s->stages[i]) {
            err_set(e, ERR_NOMEM,
                    "split rule %s: expression %zu does not compile (PCRE2 error %d)",
                    rule->names, i, code);
            splitter_destroy(s);
            return NULL;
        }
        s->n_stages++;
        /* Without JIT the same expression is interpreted: slower, no different. */
        (void)pcre2_jit_compile(s->stages[i], PCRE2_JIT_COMPLETE);
    }
    return s;
}

void splitter_destroy(struct splitter *s)
{
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->n_stages; i++) {
        pcre2_code_free(s->stages[i]);
    }
    mem_free(s);
}

void split_words_deinit(struct split_words *w)
{
    mem_free(w->ends);
    mem_free(w->scratch);
    *w = (struct split_words){0};
}

static int push_end(struct split_words *w, size_t end, struct err *e)
{
    if (w->count == w->cap) {
        const size_t cap = w->cap ? w->cap * 2 : 64;
        size_t *ends = mem_realloc_array(w->ends, cap, sizeof *ends);

        if (!ends) {
            return err_nomem(e);
        }
        w->ends = ends;
        w->cap = cap;
    }
    w->ends[w->count++] = end;
    return 0;
}

/* Cuts text[start, end), which is valid UTF-8, into matches and gaps. */
static int cut_piece(const pcre2_code *code, pcre2_match_data *match, const char *text,
                     size_t start, size_t end, struct split_words *out, struct err *e)
{
    const PCRE2_SPTR piece = (PCRE2_SPTR)text + start;
    const size_t *span = pcre2_get_ovector_pointer(match);
    size_t pos = 0;

    while (start + pos < end) {
        const int rc = pcre2_match(code, piece, end - start, pos,
                                   PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match, NULL);

        if (rc == PCRE2_ERROR_NOMATCH) {
            return push_end(out, end, e);
        }
        if (rc < 0) {
            return err_set(e, ERR_LIMIT, "text can not be split into words (PCRE2 error %d)",
                           rc);
        }
        if (span[0] > pos && push_end(out, start + span[0], e) != 0) {
            return -1;
        }
        if (push_end(out, start + span[1], e) != 0) {
            return -1;
        }
        pos = span[1];
    }
    return 0;
}

/* Applies one expression to every word of *w. */
static int cut_words(const pcre2_code *code, pcre2_match_data *match, const char *text,
                     struct split_words *w, struct err *e)
{
    size_t *const before = w->ends;
    const size_t before_cap = w->cap;
    const size_t n_before = w->count;
    size_t start = 0;

    w->ends = w->scratch;
    w->cap = w->scratch_cap;
    w->count = 0;
    w->scratch = before;
    w->scratch_cap = before_cap;
    for (size_t i = 0; i < n_before; i++) {
        const size_t end = before[i];
        uint32_t c;
        const bool is_text = utf8_decode(text + start, end - start, &c) > 0;
        const int rc =
            is_text ? cut_piece(code, match, text, start, end, w, e) : push_end(w, end, e);

        if (rc != 0) {
            return -1;
        }
        start = end;
    }
    return 0;
}

/* Cuts the text into runs of valid UTF-8 and runs of other bytes. */
static int cut_invalid(const char *text, size_t len, struct split_words *w, struct err *e)
{
    size_t pos = 0;

    while (pos < len) {
        const size_t valid = utf8_valid_prefix(text + pos, len - pos);

        if (valid > 0 && push_end(w, pos + valid, e) != 0) {
            return -1;
        }
        pos += valid;
        const size_t bad = pos;
        uint32_t c;
        while (pos < len && utf8_decode(text + pos, len - pos, &c) <= 0) {
            pos++;
        }
        if (pos > bad && push_end(w, pos, e) != 0) {
            return -1;
        }
    }
    return 0;
}

int splitter_split(const struct splitter *s, const char *text, size_t len,
                   struct split_words *out, struct err *e)
{
    out->count = 0;
    if (len > SPLIT_MAX_TEXT) {
        return err_set(e, ERR_LIMIT, "text of %zu bytes; at most %zu can be tokenized at once",
                       len, SPLIT_MAX_TEXT);
    }
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match) {
        return err_nomem(e);
    }
    int rc = cut_invalid(text, len, out, e);
    for (size_t i = 0; rc == 0 && i < s->n_stages; i++) {
        rc = cut_words(s->stages[i], match, text, out, e);
    }
    pcre2_match_data_free(match);
    return rc;
}
