#include "tests/unit/filters/chain_oracle.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT ((size_t)1 << 20)

/* ---- letters ---- */

/* Those beyond ASCII that the test uses. */
static const struct {
    const char *as_written, *folded;
    bool in_word;
} letters[] = {
    {"\xC3\xA9", "\xC3\xA9", true},                 /* e with an accent */
    {"\xC3\x89", "\xC3\xA9", true},                 /* the same, upper case */
    {"\xE2\x84\xAA", "k", true},                    /* Kelvin sign */
    {"\xC5\xBF", "s", true},                        /* long s */
    {"\xC3\x9F", "\xC3\x9F", true},                 /* sharp s */
    {"\xE1\xBA\x9E", "\xC3\x9F", true},             /* the same, upper case */
    {"\xC4\xB0", "i", true},                        /* dotted I */
    {"\xC4\xB1", "i", true},                        /* dotless i */
    {"\xCC\x81", "\xCC\x81", true},                 /* an accent by itself */
    {"\xE2\x80\x99", "\xE2\x80\x99", false},        /* apostrophe */
    {"\xE5\xAD\x97", "\xE5\xAD\x97", false},        /* Han: each a word of its own */
    {"\xF0\x9F\x99\x82", "\xF0\x9F\x99\x82", false} /* a face */
};

struct letter {
    size_t from, to; /* bytes */
    char folded[5];
    bool in_word;
};

static size_t letter_len(const char *s)
{
    unsigned char c = (unsigned char)*s;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

static void read_letter(const char *text, size_t at, bool case_sensitive, struct letter *letter)
{
    size_t len = letter_len(text + at);
    *letter = (struct letter){.from = at, .to = at + len};
    memcpy(letter->folded, text + at, len);
    if (len == 1) {
        char c = text[at];
        bool is_upper = c >= 'A' && c <= 'Z';
        letter->in_word =
            is_upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (is_upper && !case_sensitive) {
            letter->folded[0] = (char)(c - 'A' + 'a');
        }
        return;
    }
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (strncmp(letters[i].as_written, text + at, len) == 0) {
            letter->in_word = letters[i].in_word;
            if (!case_sensitive) {
                strcpy(letter->folded, letters[i].folded);
            }
            return;
        }
    }
    abort();
}

static struct letter *read_letters(const char *text, size_t len, bool case_sensitive,
                                   size_t *count)
{
    struct letter *read = calloc(len + 1, sizeof(*read));
    if (!read) {
        abort();
    }
    *count = 0;
    for (size_t at = 0; at < len; at = read[(*count)++].to) {
        read_letter(text, at, case_sensitive, &read[*count]);
    }
    return read;
}

/* ---- occurrences ---- */

struct occurrence {
    size_t from, to, label;
};

static void add_occurrence(struct buf *all, size_t from, size_t to, size_t label)
{
    struct occurrence o = {from, to, label};
    if (buf_append(all, &o, sizeof(o)) != 0) {
        abort();
    }
}

static bool is_word_at(const struct letter *word, size_t word_len, const struct letter *text,
                       size_t len, size_t at, bool whole)
{
    if (word_len > len - at) {
        return false;
    }
    for (size_t i = 0; i < word_len; i++) {
        if (strcmp(word[i].folded, text[at + i].folded) != 0) {
            return false;
        }
    }
    size_t end = at + word_len;
    bool goes_on_left = word[0].in_word && at > 0 && text[at - 1].in_word;
    bool goes_on_right = word[word_len - 1].in_word && end < len && text[end].in_word;
    return !whole || (!goes_on_left && !goes_on_right);
}

static void find_words(const struct oracle_filter *filter, const char *text, size_t len,
                       struct buf *all)
{
    size_t n;
    struct letter *read = read_letters(text, len, filter->case_sensitive, &n);
    for (size_t w = 0; w < filter->count; w++) {
        size_t word_len;
        struct letter *word = read_letters(filter->items[w], strlen(filter->items[w]),
                                           filter->case_sensitive, &word_len);
        for (size_t at = 0; at < n; at++) {
            if (is_word_at(word, word_len, read, n, at, filter->whole_words)) {
                add_occurrence(all, read[at].from, read[at + word_len - 1].to, w);
            }
        }
        free(word);
    }
    free(read);
}

static bool find_patterns(const struct oracle_filter *filter, const char *text, size_t len,
                          struct buf *all)
{
    bool told = true;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    const size_t *range = pcre2_get_ovector_pointer(data);
    for (size_t i = 0; i < filter->count && told; i++) {
        int rc = 0;
        for (size_t at = 0; rc >= 0;) {
            rc = pcre2_match(filter->codes[i], (PCRE2_SPTR)text, len, at,
                             PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, NULL);
            if (rc >= 0) {
                add_occurrence(all, range[0], range[1], i);
                at = range[1];
            }
        }
        told = rc == PCRE2_ERROR_NOMATCH;
    }
    pcre2_match_data_free(data);
    return told;
}

/* By beginning; words then by length; then by their order in the list. */
static int compare_words(const void *a, const void *b)
{
    const struct occurrence *x = a, *y = b;
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    if (x->to != y->to) {
        return x->to < y->to ? -1 : 1;
    }
    return (x->label > y->label) - (x->label < y->label);
}

static int compare_patterns(const void *a, const void *b)
{
    const struct occurrence *x = a, *y = b;
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return (x->label > y->label) - (x->label < y->label);
}

/* ---- one filter ---- */

static void add_event(struct oracle_result *result, enum chain_event_kind kind, size_t filter,
                      size_t from, size_t label)
{
    struct oracle_event event = {kind, filter, from, label};
    if (kind == CHAIN_STOP) {
        result->stopped = true;
        result->stop = event;
    } else if (buf_append(&result->events, &event, sizeof(event)) != 0) {
        abort();
    }
}

static void change(const struct oracle_filter *filter, const char *text,
                   const struct occurrence *hit, struct buf *out)
{
    if (filter->action == ORACLE_REPLACE) {
        buf_append_str(out, filter->replacement);
        return;
    }
    for (size_t at = hit->from; at < hit->to;) {
        size_t len = letter_len(text + at);
        if (filter->action == ORACLE_MASK) {
            buf_append_str(out, filter->replacement);
        } else {
            buf_append(out, text + at, len);
        }
        at += len;
    }
}

/* Occurrences that share a byte are one hit, known by the first. */
static bool run_finder(const struct oracle_filter *filter, size_t index, const char *text,
                       size_t len, struct buf *out, struct oracle_result *result)
{
    struct buf all;
    buf_init(&all, MAX_TEXT * sizeof(struct occurrence));
    bool told = true;
    if (filter->kind == ORACLE_WORDS) {
        find_words(filter, text, len, &all);
    } else {
        told = find_patterns(filter, text, len, &all);
    }
    struct occurrence *found = (struct occurrence *)(void *)all.data;
    size_t count = all.len / sizeof(*found);
    if (count > 0) {
        qsort(found, count, sizeof(*found),
              filter->kind == ORACLE_WORDS ? compare_words : compare_patterns);
    }
    size_t at = 0;
    bool stopped = false;
    for (size_t i = 0; i < count && !stopped;) {
        struct occurrence hit = found[i++];
        while (i < count && found[i].from < hit.to) {
            hit.to = found[i].to > hit.to ? found[i].to : hit.to;
            i++;
        }
        buf_append(out, text + at, hit.from - at);
        at = hit.to;
        stopped = filter->action == ORACLE_STOP;
        add_event(result,
                  stopped                         ? CHAIN_STOP
                  : filter->action == ORACLE_NOTE ? CHAIN_NOTE
                                                  : CHAIN_REPLACE,
                  index, hit.from, hit.label);
        if (!stopped) {
            change(filter, text, &hit, out);
        }
    }
    if (!stopped) {
        buf_append(out, text + at, len - at);
    }
    buf_deinit(&all);
    return told;
}

static void run_length(const struct oracle_filter *filter, size_t index, const char *text,
                       size_t len, struct buf *out, struct oracle_result *result)
{
    size_t at = 0;
    for (size_t n = 0; n < filter->limit && at < len; n++) {
        at += letter_len(text + at);
    }
    buf_append(out, text, at);
    if (at < len) {
        add_event(result, filter->action == ORACLE_STOP ? CHAIN_STOP : CHAIN_REPLACE, index, at,
                  0);
    }
}

/* ---- the chain ---- */

int oracle_compile(struct oracle_filter *filter)
{
    /* The optimizations are left out: some of 10.42 make it miss matches. */
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_ALT_CIRCUMFLEX | PCRE2_NO_START_OPTIMIZE;
    options |= filter->case_sensitive ? 0 : PCRE2_CASELESS;
    for (size_t i = 0; i < filter->count; i++) {
        int error;
        size_t offset;
        filter->codes[i] = pcre2_compile((PCRE2_SPTR)filter->items[i], PCRE2_ZERO_TERMINATED,
                                         options, &error, &offset, NULL);
        if (!filter->codes[i]) {
            return -1;
        }
    }
    return 0;
}

void oracle_release(struct oracle_filter *filter)
{
    for (size_t i = 0; i < ORACLE_ITEMS; i++) {
        pcre2_code_free(filter->codes[i]);
        filter->codes[i] = NULL;
    }
}

void oracle_result_init(struct oracle_result *result)
{
    *result = (struct oracle_result){0};
    buf_init(&result->text, MAX_TEXT);
    buf_init(&result->events, MAX_TEXT);
}

void oracle_result_deinit(struct oracle_result *result)
{
    buf_deinit(&result->text);
    buf_deinit(&result->events);
}

/* A filter that stops ends the text for those after it; the last of them that does counts, as
 * it stands first in the text. */
bool oracle_run(const struct oracle_filter *filters, size_t count, const char *text, size_t len,
                struct oracle_result *result)
{
    bool told = true;
    buf_append(&result->text, text, len);
    for (size_t i = 0; i < count && told; i++) {
        struct buf out;
        buf_init(&out, MAX_TEXT);
        buf_append(&out, "", 0);
        if (filters[i].kind == ORACLE_LENGTH) {
            run_length(&filters[i], i, result->text.data, result->text.len, &out, result);
        } else {
            told =
                run_finder(&filters[i], i, result->text.data, result->text.len, &out, result);
        }
        buf_deinit(&result->text);
        result->text = out;
    }
    return told;
}
