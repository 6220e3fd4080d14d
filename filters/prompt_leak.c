#include "filters/prompt_leak.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "filters/letters.h"
#include "filters/setting_checks.h"
#include "filters/word_action.h"
#include "filters/word_search.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define MAX_WORDS  100u
#define MAX_PROMPT ((size_t)4 << 20)  /* bytes, in the form that is compared */
#define ACTIVE_MAX ((size_t)32 << 10) /* bytes of an active prompt that are looked at */

/* Active prompts whose patterns are kept: those of one server at a time, trials and the one
 * before a swap included. */
#define GUARDS_KEPT 8

static const char *const action_names[] = {"stop", "mask", "note", NULL};
static const enum word_action_kind action_kinds[] = {WORD_STOP, WORD_MASK, WORD_NOTE};

enum { KEY_TEXT, KEY_ACTIVE, KEY_WORDS, KEY_ACTION, KEY_MASK };
static const struct filter_key keys[] = {
    [KEY_TEXT] = {.name = "text",
                  .kind = FILTER_KEY_LIST,
                  .help = "the prompts that must not be repeated"},
    [KEY_ACTIVE] = {.name = "active",
                    .kind = FILTER_KEY_BOOL,
                    .fallback = "false",
                    .help = "in place of text: the prompt that the answer was made with"},
    [KEY_WORDS] = {.name = "words",
                   .kind = FILTER_KEY_NUMBER,
                   .fallback = "12",
                   .help = "so many words in a row may be repeated, 1 to 100"},
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "stop",
                    .choices = action_names,
                    .help = "what happens where there are more"},
    [KEY_MASK] = {.name = "mask",
                  .kind = FILTER_KEY_STRING,
                  .fallback = "*",
                  .help = "action mask: the character in place of each of their characters"},
    {.name = NULL},
};

/* What must not be repeated, for the texts that are checked against it. */
struct guard {
    atomic_uint refs;
    struct word_set set; /* without an automaton: nothing is too long */
    char *prompt;        /* of an active one */
    size_t prompt_len;
};

/* Of the prompts that were active last, the latest first. */
struct guards {
    pthread_mutex_t lock;
    struct guard *kept[GUARDS_KEPT];
};

/* The config. */
struct prompt_leak {
    uint32_t words;
    struct guard *listed;  /* of `text`, or NULL */
    struct guards *active; /* or NULL */
    struct word_action action;
};

static struct guard *guard_create(void)
{
    struct guard *g = mem_zalloc(sizeof(*g));
    if (g) {
        atomic_init(&g->refs, 1);
        word_set_init(&g->set, true, true);
    }
    return g;
}

static struct guard *guard_ref(struct guard *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

static void guard_unref(struct guard *g)
{
    if (g && atomic_fetch_sub(&g->refs, 1) == 1) {
        word_set_deinit(&g->set);
        mem_free(g->prompt);
        mem_free(g);
    }
}

/* ---- words ---- */

/* What a character is in the row of words. */
enum part { PART_GAP, PART_WORD, PART_SINGLE };

/* Beyond the alphabets, but for punctuation, arrows and drawing (U+2000 to U+2E7F), a
 * character that no word goes on with (letters.h) is one itself. */
static enum part part_of(uint32_t c)
{
    if (letter_is_in_word(letter_fold(c))) {
        return PART_WORD;
    }
    return c >= 0x0E00 && (c < 0x2000 || c >= 0x2E80) && c != 0x3000 ? PART_SINGLE : PART_GAP;
}

/* Between these two a new word begins although no gap stands there. */
static bool is_seam(enum part before, enum part now)
{
    return before != PART_GAP && now != PART_GAP &&
           (before == PART_SINGLE || now == PART_SINGLE);
}

/* ---- configuration ---- */

/* A prompt as it is compared: words with one space between them. */
struct prompt {
    struct buf text;
    struct buf starts; /* size_t for each word, and one for the end */
};

static void add_start(struct prompt *prompt)
{
    size_t start = prompt->text.len;
    buf_append(&prompt->starts, (const char *)&start, sizeof(start));
}

static int read_prompt(struct prompt *prompt, const struct filter_string *string)
{
    enum part before = PART_GAP;
    for (size_t at = 0; at < string->len;) {
        uint32_t c;
        int n = utf8_decode(string->data + at, string->len - at, &c);
        if (n <= 0) {
            return -1;
        }
        enum part now = part_of(c);
        if (now != PART_GAP && (before == PART_GAP || is_seam(before, now))) {
            if (prompt->text.len > 0) {
                buf_append_char(&prompt->text, ' ');
            }
            add_start(prompt);
        }
        if (now != PART_GAP) {
            buf_append(&prompt->text, string->data + at, (size_t)n);
        }
        before = now;
        at += (size_t)n;
    }
    buf_append_char(&prompt->text, ' '); /* so that all words end in the same way */
    add_start(prompt);
    return prompt->text.failed || prompt->starts.failed ? -1 : 0;
}

/* Every run of `run` words, or of as many as make a pattern that is not too long. */
static int add_runs(struct guard *g, const struct prompt *prompt, uint32_t run, uint32_t label,
                    struct err *e)
{
    const size_t *starts = (const size_t *)(const void *)prompt->starts.data;
    size_t count = prompt->starts.len / sizeof(*starts) - 1;
    for (size_t i = 0; i + run <= count; i++) {
        size_t end = i + run;
        while (end > i && starts[end] - 1 - starts[i] > WORD_SET_MAX_WORD) {
            end--;
        }
        if (end > i && word_set_add(&g->set, prompt->text.data + starts[i],
                                    starts[end] - 1 - starts[i], label, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int add_prompt(struct guard *g, const char *text, size_t len, uint32_t run,
                      uint32_t label, struct err *e)
{
    const struct filter_string string = {.data = text, .len = len};
    struct prompt prompt;
    buf_init(&prompt.text, MAX_PROMPT);
    buf_init(&prompt.starts, MAX_PROMPT * sizeof(size_t));
    int rc = read_prompt(&prompt, &string) == 0
                 ? add_runs(g, &prompt, run, label, e)
                 : err_set(e, ERR_INVALID, "is too long, or not UTF-8");
    buf_deinit(&prompt.text);
    buf_deinit(&prompt.starts);
    return rc;
}

static int read_prompts(struct prompt_leak *leak, const struct filter_value *prompts,
                        struct filter_error *error)
{
    struct err e;
    struct guard *g = leak->listed = guard_create();
    if (!g) {
        return setting_refuse(error, "", "out of memory");
    }
    for (size_t i = 0; i < prompts->count; i++) {
        const struct filter_string *text = &prompts->strings[i];
        size_t before = g->set.entry_count;
        int rc = add_prompt(g, text->data, text->len, leak->words + 1, (uint32_t)i, &e);
        if (rc == 0 && g->set.entry_count == before) {
            rc = err_set(&e, ERR_INVALID, "has no more than %u words, which may be repeated",
                         leak->words);
        }
        if (rc != 0) {
            char key[32];
            snprintf(key, sizeof(key), "text[%zu]", i);
            return setting_refuse(error, key, e.message);
        }
    }
    if (g->set.entry_count == 0) {
        return setting_refuse(error, "text", "there are no prompts");
    }
    return word_set_build(&g->set, &e) == 0 ? 0 : setting_refuse(error, "text", e.message);
}

static int read_source(struct prompt_leak *leak, const struct filter_value *values,
                       struct filter_error *error)
{
    bool is_active = values[KEY_ACTIVE].choice != 0;
    if (setting_whole(&values[KEY_WORDS], "words", 1, MAX_WORDS, &leak->words, error) != 0) {
        return -1;
    }
    if (is_active == (values[KEY_TEXT].is_set != 0)) {
        return setting_refuse(error, "text",
                              "either \"text\" or \"active\": true is needed, not both");
    }
    if (!is_active) {
        return read_prompts(leak, &values[KEY_TEXT], error);
    }
    leak->active = mem_zalloc(sizeof(*leak->active));
    if (!leak->active) {
        return setting_refuse(error, "", "out of memory");
    }
    pthread_mutex_init(&leak->active->lock, NULL);
    return 0;
}

/* ---- active prompts ---- */

/* Makes the patterns of as much of the prompt's beginning as the automaton has room for. */
static int guard_beginning(struct guard *g, uint32_t words, struct err *e)
{
    size_t len = g->prompt_len < ACTIVE_MAX ? g->prompt_len : ACTIVE_MAX;
    for (;; len /= 2) {
        len -= utf8_incomplete_tail(g->prompt, len);
        int rc = add_prompt(g, g->prompt, len, words + 1, 0, e);
        if (rc == 0 && g->set.entry_count > 0) {
            rc = word_set_build(&g->set, e);
        }
        if (rc == 0 || e->kind != ERR_LIMIT) {
            return rc;
        }
        word_set_deinit(&g->set);
        word_set_init(&g->set, true, true);
    }
}

/* NULL: out of memory. */
static struct guard *make_guard(const char *prompt, size_t len, uint32_t words)
{
    struct err e = {0};
    struct guard *g = guard_create();
    if (!g) {
        return NULL;
    }
    g->prompt = mem_alloc(len + 1);
    if (g->prompt) {
        memcpy(g->prompt, prompt, len);
        g->prompt_len = len;
    }
    if (!g->prompt || guard_beginning(g, words, &e) != 0) {
        guard_unref(g);
        return NULL;
    }
    return g;
}

static bool is_of(const struct guard *g, const char *prompt, size_t len)
{
    return g && g->prompt_len == len && memcmp(g->prompt, prompt, len) == 0;
}

/* With a reference; NULL: out of memory. */
static struct guard *guard_of_active(struct guards *all, const char *prompt, size_t len,
                                     uint32_t words)
{
    pthread_mutex_lock(&all->lock);
    size_t i = 0;
    while (i < GUARDS_KEPT - 1 && !is_of(all->kept[i], prompt, len)) {
        i++;
    }
    struct guard *g = all->kept[i];
    if (!is_of(g, prompt, len)) {
        g = make_guard(prompt, len, words);
        guard_unref(g ? all->kept[i] : NULL);
    }
    if (g) {
        memmove(all->kept + 1, all->kept, i * sizeof(*all->kept));
        all->kept[0] = g;
        guard_ref(g);
    }
    pthread_mutex_unlock(&all->lock);
    return g;
}

static void describe_active(uint32_t label, char *message, size_t room)
{
    (void)label;
    snprintf(message, room, "active");
}

static void describe_prompt(uint32_t label, char *message, size_t room)
{
    snprintf(message, room, "text[%u]", label);
}

static int read_action(struct prompt_leak *leak, const struct filter_value *values,
                       struct filter_error *error)
{
    leak->action =
        (struct word_action){.kind = action_kinds[values[KEY_ACTION].choice],
                             .code = "prompt_leak",
                             .describe = leak->active ? describe_active : describe_prompt};
    if (values[KEY_MASK].is_set && leak->action.kind != WORD_MASK) {
        return setting_refuse(error, "mask", "is of no use unless \"action\" is \"mask\"");
    }
    const struct filter_string *mask = values[KEY_MASK].strings;
    if (word_action_set_mask(&leak->action, mask->data, mask->len) != 0) {
        return setting_refuse(error, "mask", "must be one character");
    }
    return 0;
}

static void prompt_leak_release(void *config)
{
    struct prompt_leak *leak = config;
    guard_unref(leak->listed);
    if (leak->active) {
        for (size_t i = 0; i < GUARDS_KEPT; i++) {
            guard_unref(leak->active->kept[i]);
        }
        pthread_mutex_destroy(&leak->active->lock);
        mem_free(leak->active);
    }
    mem_free(leak);
}

static int prompt_leak_configure(void **config, const struct filter_value *values,
                                 struct filter_error *error)
{
    struct prompt_leak *leak = mem_zalloc(sizeof(*leak));
    if (!leak) {
        return setting_refuse(error, "", "out of memory");
    }
    if (read_source(leak, values, error) != 0 || read_action(leak, values, error) != 0) {
        prompt_leak_release(leak);
        return -1;
    }
    *config = leak;
    return 0;
}

/* ---- one text ---- */

/* The state. */
struct prompt_leak_text {
    const struct prompt_leak *leak;
    struct guard *guard;
    struct word_search search; /* unless there is nothing to find */
    uint64_t done;             /* see word_action_take */
    enum part before;          /* the character before */
};

static bool has_search(const struct prompt_leak_text *t)
{
    return t->guard->set.ac != NULL;
}

static void prompt_leak_close(void *state)
{
    struct prompt_leak_text *t = state;
    if (has_search(t)) {
        word_search_deinit(&t->search);
    }
    guard_unref(t->guard);
    mem_free(t);
}

static int prompt_leak_open(void **state, const void *config, const struct filter_text *text)
{
    const struct prompt_leak *leak = config;
    struct guard *guard = leak->listed ? guard_ref(leak->listed)
                                       : guard_of_active(leak->active, text->prompt,
                                                         text->prompt_len, leak->words);
    struct prompt_leak_text *t = mem_zalloc(sizeof(*t));
    if (!t || !guard || (guard->set.ac && word_search_init(&t->search, &guard->set) != 0)) {
        guard_unref(guard);
        mem_free(t);
        return -1;
    }
    t->leak = leak;
    t->guard = guard;
    t->before = PART_GAP;
    *state = t;
    return 0;
}

/* The search sees one space for each gap, however long, and one of no length at a seam. */
static void feed_character(struct prompt_leak_text *t, uint32_t c, size_t len)
{
    enum part now = part_of(c);
    if (now == PART_GAP && t->before == PART_GAP) {
        t->search.at += len;
    } else {
        if (is_seam(t->before, now)) {
            word_search_feed(&t->search, ' ', 0);
        }
        word_search_feed(&t->search, now == PART_GAP ? ' ' : c, len);
    }
    t->before = now;
}

/* Goes on to where a row of words may begin. Returns how many bytes that takes. */
static size_t skip_words(struct prompt_leak_text *t, const char *text, size_t len)
{
    size_t n = word_search_skip(&t->search, text, len);
    if (n > 0) {
        t->before = part_of((unsigned char)text[n - 1]);
    }
    return n;
}

static int take(struct prompt_leak_text *t, const struct filter_span *span,
                struct filter_host *host)
{
    return t->search.hit_count > 0
               ? word_action_take(&t->leak->action, &t->search, &t->done, span, host)
               : 0;
}

static int prompt_leak_feed(void *state, const struct filter_span *span,
                            struct filter_host *host)
{
    struct prompt_leak_text *t = state;
    if (!has_search(t)) {
        return host->pass(host, span->start + span->len);
    }
    for (size_t at = span->fresh; at < span->len;) {
        at += skip_words(t, span->text + at, span->len - at);
        if (at == span->len) {
            break;
        }
        uint32_t c;
        int n = utf8_decode(span->text + at, span->len - at, &c);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        feed_character(t, c, (size_t)n);
        at += (size_t)n;
        int rc = take(t, span, host);
        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
    }
    return host->pass(host, word_action_decided(&t->leak->action, &t->search, t->done));
}

static int prompt_leak_finish(void *state, const struct filter_span *span,
                              struct filter_host *host)
{
    struct prompt_leak_text *t = state;
    if (!has_search(t)) {
        return 0;
    }
    word_search_end(&t->search);
    return take(t, span, host) < 0 ? -1 : 0;
}

const struct filter_type filter_prompt_leak = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "prompt_leak",
    .summary = "finds text that repeats a prompt",
    .sides = FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT | FILTER_DECODED,
    .keys = keys,
    .configure = prompt_leak_configure,
    .release = prompt_leak_release,
    .open = prompt_leak_open,
    .feed = prompt_leak_feed,
    .finish = prompt_leak_finish,
    .close = prompt_leak_close,
};
