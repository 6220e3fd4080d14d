#include "filters/wordlist.h"

#include <stdio.h>
#include <string.h>

#include "filters/word_search.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define MAX_REPLACEMENT 256

/* Labels of words from a file are its line numbers with this bit, others their index in the
 * list. */
#define FROM_FILE 0x80000000u

enum action { ACTION_STOP, ACTION_REPLACE, ACTION_MASK, ACTION_NOTE };
static const char *const action_names[] = {"stop", "replace", "mask", "note", NULL};

enum { KEY_WORDS, KEY_FILE, KEY_ACTION, KEY_REPLACEMENT, KEY_MASK, KEY_CASE, KEY_BOUNDARIES };
static const struct filter_key keys[] = {
    [KEY_WORDS] = {.name = "words",
                   .kind = FILTER_KEY_LIST,
                   .help = "words and phrases to look for"},
    [KEY_FILE] = {.name = "file",
                  .kind = FILTER_KEY_FILE,
                  .help = "a file with more of them, one a line"},
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "stop",
                    .choices = action_names,
                    .help = "what happens where one is found"},
    [KEY_REPLACEMENT] = {.name = "replacement",
                         .kind = FILTER_KEY_STRING,
                         .fallback = "***",
                         .help = "action replace: what stands in its place"},
    [KEY_MASK] = {.name = "mask",
                  .kind = FILTER_KEY_STRING,
                  .fallback = "*",
                  .help = "action mask: the character in place of each of its characters"},
    [KEY_CASE] = {.name = "case_sensitive",
                  .kind = FILTER_KEY_BOOL,
                  .fallback = "false",
                  .help = "upper and lower case are different letters"},
    [KEY_BOUNDARIES] = {.name = "word_boundaries",
                        .kind = FILTER_KEY_BOOL,
                        .fallback = "true",
                        .help = "only whole words, not parts of longer ones"},
    {.name = NULL},
};

/* The config. */
struct wordlist {
    struct word_set set;
    enum action action;
    char replacement[MAX_REPLACEMENT + 1];
    size_t replacement_len;
    char mask[5];
    size_t mask_len;
};

/* The state. */
struct wordlist_text {
    const struct wordlist *list;
    struct word_search search;
    uint64_t done; /* end of what has been replaced */
};

/* ---- configuration ---- */

static int refuse(struct filter_error *error, const char *key, const char *message)
{
    snprintf(error->key, sizeof(error->key), "%.*s", (int)FILTER_MAX_KEY, key);
    snprintf(error->message, sizeof(error->message), "%.*s", (int)FILTER_MAX_ERROR, message);
    return -1;
}

static int add_words(struct wordlist *list, const struct filter_value *words,
                     struct filter_error *error)
{
    for (size_t i = 0; i < words->count; i++) {
        struct err e;
        if (word_set_add(&list->set, words->strings[i].data, words->strings[i].len, (uint32_t)i,
                         &e) != 0) {
            char key[32];
            snprintf(key, sizeof(key), "words[%zu]", i);
            return refuse(error, key, e.message);
        }
    }
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One word a line; blanks around it and empty lines do not count. */
static int add_file(struct wordlist *list, const struct filter_string *file,
                    struct filter_error *error)
{
    const char *at = file->data;
    const char *end = file->data + file->len;
    if (file->len >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) {
        at += 3; /* the byte order mark that some editors put first */
    }
    for (uint32_t line = 1; at < end; line++) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        const char *next = line_end ? line_end + 1 : end;
        const char *last = line_end ? line_end : end;
        while (at < last && is_blank(*at)) {
            at++;
        }
        while (last > at && is_blank(last[-1])) {
            last--;
        }
        struct err e;
        if (last > at &&
            word_set_add(&list->set, at, (size_t)(last - at), line | FROM_FILE, &e) != 0) {
            char message[FILTER_MAX_ERROR + 1];
            snprintf(message, sizeof(message), "the word on line %u %.200s", line, e.message);
            return refuse(error, "file", message);
        }
        at = next;
    }
    return 0;
}

static int check_use(const struct filter_value *values, uint32_t key, enum action action,
                     struct filter_error *error)
{
    if (!values[key].is_set || values[KEY_ACTION].choice == action) {
        return 0;
    }
    char message[96];
    snprintf(message, sizeof(message), "is of no use unless \"action\" is \"%s\"",
             action_names[action]);
    return refuse(error, keys[key].name, message);
}

static int read_replacements(struct wordlist *list, const struct filter_value *values,
                             struct filter_error *error)
{
    if (check_use(values, KEY_REPLACEMENT, ACTION_REPLACE, error) != 0 ||
        check_use(values, KEY_MASK, ACTION_MASK, error) != 0) {
        return -1;
    }
    const struct filter_string *replacement = values[KEY_REPLACEMENT].strings;
    if (replacement->len > MAX_REPLACEMENT) {
        return refuse(error, "replacement", "must be at most 256 bytes");
    }
    memcpy(list->replacement, replacement->data, replacement->len);
    list->replacement_len = replacement->len;

    const struct filter_string *mask = values[KEY_MASK].strings;
    uint32_t code_point;
    int n = utf8_decode(mask->data, mask->len, &code_point);
    if (n <= 0 || (size_t)n != mask->len) {
        return refuse(error, "mask", "must be one character");
    }
    memcpy(list->mask, mask->data, mask->len);
    list->mask_len = mask->len;
    return 0;
}

static int read_words(struct wordlist *list, const struct filter_value *values,
                      struct filter_error *error)
{
    if (add_words(list, &values[KEY_WORDS], error) != 0 ||
        (values[KEY_FILE].count > 0 &&
         add_file(list, &values[KEY_FILE].strings[0], error) != 0)) {
        return -1;
    }
    if (list->set.entry_count == 0) {
        return refuse(error, "", "there are no words: give \"words\", or \"file\", or both");
    }
    struct err e;
    return word_set_build(&list->set, &e) == 0 ? 0 : refuse(error, "", e.message);
}

static void wordlist_release(void *config)
{
    struct wordlist *list = config;
    if (list) {
        word_set_deinit(&list->set);
        mem_free(list);
    }
}

static int wordlist_configure(void **config, const struct filter_value *values,
                              struct filter_error *error)
{
    struct wordlist *list = mem_zalloc(sizeof(*list));
    if (!list) {
        return refuse(error, "", "out of memory");
    }
    list->action = (enum action)values[KEY_ACTION].choice;
    word_set_init(&list->set, !values[KEY_CASE].choice, values[KEY_BOUNDARIES].choice);
    if (read_replacements(list, values, error) != 0 || read_words(list, values, error) != 0) {
        wordlist_release(list);
        return -1;
    }
    *config = list;
    return 0;
}

/* ---- one text ---- */

static int wordlist_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    const struct wordlist *list = config;
    struct wordlist_text *t = mem_zalloc(sizeof(*t));
    if (!t || word_search_init(&t->search, &list->set) != 0) {
        mem_free(t);
        return -1;
    }
    t->list = list;
    *state = t;
    return 0;
}

static void wordlist_close(void *state)
{
    struct wordlist_text *t = state;
    word_search_deinit(&t->search);
    mem_free(t);
}

/* One mask for each character from the cursor to the end of the hit. */
static int mask_hit(const struct wordlist_text *t, uint64_t from, uint64_t to,
                    const struct filter_span *span, struct filter_host *host,
                    const struct filter_reason *why)
{
    const struct wordlist *list = t->list;
    const char *text = span->text + (from - span->start);
    while (from < to) {
        uint32_t code_point;
        int n = utf8_decode(text, (size_t)(to - from), &code_point);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        from += (uint64_t)n;
        text += n;
        if (host->replace(host, from, list->mask, list->mask_len, why) != 0) {
            return -1;
        }
        why = NULL;
    }
    return 0;
}

/* Acts on a hit that is certain, or on what it has grown by since it was acted on. */
static int act_on_hit(struct wordlist_text *t, struct word_hit *hit,
                      const struct filter_span *span, struct filter_host *host)
{
    char message[32];
    bool is_from_file = hit->label & FROM_FILE;
    snprintf(message, sizeof(message), is_from_file ? "line %u of file" : "words[%u]",
             hit->label & ~FROM_FILE);
    struct filter_reason reason = {.size = sizeof(reason),
                                   .code = "wordlist",
                                   .message = message,
                                   .from = hit->from,
                                   .to = hit->to};
    const struct filter_reason *why = hit->is_known ? NULL : &reason;
    hit->is_known = true;
    if (t->list->action == ACTION_STOP) {
        return host->stop(host, hit->from, why);
    }
    if (t->list->action == ACTION_NOTE) {
        return why ? host->note(host, t->search.at, why) : 0;
    }
    uint64_t from = hit->from > t->done ? hit->from : t->done;
    if (from >= hit->to) {
        return 0;
    }
    t->done = hit->to;
    if (host->pass(host, from) != 0) {
        return -1;
    }
    if (t->list->action == ACTION_MASK) {
        return mask_hit(t, from, hit->to, span, host, why);
    }
    return host->replace(host, hit->to, t->list->replacement,
                         why ? t->list->replacement_len : 0, why);
}

/* Acts on all hits that are certain by now. When masking, characters that are covered are
 * certain to be masked even if it is open yet which hit they will belong to; so a hit that
 * adjoins one that reaches beyond the hold is acted on too. A replacement can not be: the
 * two may become one. */
static int act(struct wordlist_text *t, const struct filter_span *span,
               struct filter_host *host)
{
    uint64_t hold = word_search_hold(&t->search);
    uint64_t certain = hold;
    for (size_t i = 0; i < t->search.hit_count; i++) {
        struct word_hit *hit = word_search_hit(&t->search, i);
        if (hit->from > certain) {
            break;
        }
        if (act_on_hit(t, hit, span, host) != 0) {
            return -1;
        }
        if (t->list->action == ACTION_STOP) {
            return 1;
        }
        if (t->list->action == ACTION_MASK && hit->to > certain) {
            certain = hit->to;
        }
    }
    while (t->search.hit_count > 0 && word_search_hit(&t->search, 0)->to <= hold) {
        word_search_drop_first(&t->search);
    }
    return 0;
}

/* Everything before it is decided. A filter that changes nothing has nothing to hold. */
static uint64_t decided(const struct wordlist_text *t)
{
    if (t->list->action == ACTION_NOTE) {
        return t->search.at;
    }
    uint64_t hold = word_search_hold(&t->search);
    return hold > t->done ? hold : t->done;
}

static int wordlist_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct wordlist_text *t = state;
    for (size_t at = span->fresh; at < span->len;) {
        uint32_t code_point;
        int n = utf8_decode(span->text + at, span->len - at, &code_point);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        word_search_feed(&t->search, code_point, (size_t)n);
        at += (size_t)n;
        int rc = t->search.hit_count > 0 ? act(t, span, host) : 0;
        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
    }
    return host->pass(host, decided(t));
}

static int wordlist_finish(void *state, const struct filter_span *span,
                           struct filter_host *host)
{
    struct wordlist_text *t = state;
    word_search_end(&t->search);
    return t->search.hit_count > 0 && act(t, span, host) < 0 ? -1 : 0;
}

const struct filter_type filter_wordlist = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "wordlist",
    .summary = "finds listed words and stops, replaces, masks or notes them",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT,
    .keys = keys,
    .configure = wordlist_configure,
    .release = wordlist_release,
    .open = wordlist_open,
    .feed = wordlist_feed,
    .finish = wordlist_finish,
    .close = wordlist_close,
};
