#include "filters/wordlist.h"

#include <stdio.h>
#include <string.h>

#include "filters/setting_checks.h"
#include "filters/word_action.h"
#include "filters/word_search.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* Labels of words from a file are its line numbers with this bit, others their index in the
 * list. */
#define FROM_FILE 0x80000000u

static const char *const action_names[] = {[WORD_STOP] = "stop",
                                           [WORD_REPLACE] = "replace",
                                           [WORD_MASK] = "mask",
                                           [WORD_NOTE] = "note",
                                           NULL};

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
    struct word_action action;
};

/* The state. */
struct wordlist_text {
    const struct wordlist *list;
    struct word_search search;
    uint64_t done; /* end of what has been replaced */
};

/* ---- configuration ---- */

static int add_words(struct wordlist *list, const struct filter_value *words,
                     struct filter_error *error)
{
    for (size_t i = 0; i < words->count; i++) {
        struct err e;
        if (word_set_add(&list->set, words->strings[i].data, words->strings[i].len, (uint32_t)i,
                         &e) != 0) {
            char key[32];
            snprintf(key, sizeof(key), "words[%zu]", i);
            return setting_refuse(error, key, e.message);
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
            return setting_refuse(error, "file", message);
        }
        at = next;
    }
    return 0;
}

static int check_use(const struct filter_value *values, uint32_t key,
                     enum word_action_kind action, struct filter_error *error)
{
    if (!values[key].is_set || values[KEY_ACTION].choice == action) {
        return 0;
    }
    char message[96];
    snprintf(message, sizeof(message), "is of no use unless \"action\" is \"%s\"",
             action_names[action]);
    return setting_refuse(error, keys[key].name, message);
}

static int read_replacements(struct wordlist *list, const struct filter_value *values,
                             struct filter_error *error)
{
    if (check_use(values, KEY_REPLACEMENT, WORD_REPLACE, error) != 0 ||
        check_use(values, KEY_MASK, WORD_MASK, error) != 0) {
        return -1;
    }
    const struct filter_string *replacement = values[KEY_REPLACEMENT].strings;
    if (word_action_set_replacement(&list->action, replacement->data, replacement->len) != 0) {
        return setting_refuse(error, "replacement", "must be at most 256 bytes");
    }
    const struct filter_string *mask = values[KEY_MASK].strings;
    if (word_action_set_mask(&list->action, mask->data, mask->len) != 0) {
        return setting_refuse(error, "mask", "must be one character");
    }
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
        return setting_refuse(error, "",
                              "there are no words: give \"words\", or \"file\", or both");
    }
    struct err e;
    return word_set_build(&list->set, &e) == 0 ? 0 : setting_refuse(error, "", e.message);
}

static void describe_word(uint32_t label, char *message, size_t room)
{
    snprintf(message, room, label & FROM_FILE ? "line %u of file" : "words[%u]",
             label & ~FROM_FILE);
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
        return setting_refuse(error, "", "out of memory");
    }
    list->action = (struct word_action){
        .kind = (enum word_action_kind)values[KEY_ACTION].choice,
        .code = "wordlist",
        .describe = describe_word,
    };
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

static int wordlist_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct wordlist_text *t = state;
    for (size_t at = span->fresh; at < span->len;) {
        at += word_search_skip(&t->search, span->text + at, span->len - at);
        if (at == span->len) {
            break;
        }
        uint32_t code_point;
        int n = utf8_decode(span->text + at, span->len - at, &code_point);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        word_search_feed(&t->search, code_point, (size_t)n);
        at += (size_t)n;
        int rc = t->search.hit_count > 0
                     ? word_action_take(&t->list->action, &t->search, &t->done, span, host)
                     : 0;
        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
    }
    return host->pass(host, word_action_decided(&t->list->action, &t->search, t->done));
}

static int wordlist_finish(void *state, const struct filter_span *span,
                           struct filter_host *host)
{
    struct wordlist_text *t = state;
    word_search_end(&t->search);
    return t->search.hit_count > 0 &&
                   word_action_take(&t->list->action, &t->search, &t->done, span, host) < 0
               ? -1
               : 0;
}

const struct filter_type filter_wordlist = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "wordlist",
    .summary = "finds listed words and stops, replaces, masks or notes them",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT | FILTER_TEXT_SETTINGS | FILTER_DECODED,
    .keys = keys,
    .configure = wordlist_configure,
    .release = wordlist_release,
    .open = wordlist_open,
    .feed = wordlist_feed,
    .finish = wordlist_finish,
    .close = wordlist_close,
};
