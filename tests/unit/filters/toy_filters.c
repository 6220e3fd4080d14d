#include "tests/unit/filters/toy_filters.h"

#include <stdlib.h>
#include <string.h>

#include "filters/wordlist.h"

/* ---- swap ---- */

struct swap {
    char what;
    char stop_at;
    char *with;
};

static const struct filter_key swap_keys[] = {
    {.name = "what", .kind = FILTER_KEY_STRING, .is_required = 1},
    {.name = "with", .kind = FILTER_KEY_STRING, .fallback = ""},
    {.name = "stop_at", .kind = FILTER_KEY_STRING},
    {.name = NULL},
};

static int swap_configure(void **config, const struct filter_value *values,
                          struct filter_error *error)
{
    struct swap *swap = calloc(1, sizeof(*swap));
    if (!swap || values[0].strings[0].len != 1) {
        strcpy(error->key, "what");
        strcpy(error->message, "must be one byte");
        free(swap);
        return -1;
    }
    swap->what = values[0].strings[0].data[0];
    swap->with = strdup(values[1].strings[0].data);
    swap->stop_at = values[2].count ? values[2].strings[0].data[0] : '\0';
    *config = swap;
    return 0;
}

static void swap_release(void *config)
{
    struct swap *swap = config;
    free(swap->with);
    free(swap);
}

static int swap_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    *state = (void *)(uintptr_t)config;
    return 0;
}

static int swap_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    const struct swap *swap = state;
    for (size_t i = span->fresh; i < span->len; i++) {
        uint64_t at = span->start + i;
        struct filter_reason why = {
            .size = sizeof(why), .code = "met", .from = at, .to = at + 1};
        if (span->text[i] == swap->what) {
            host->pass(host, at);
            host->replace(host, at + 1, swap->with, strlen(swap->with), &why);
        } else if (swap->stop_at && span->text[i] == swap->stop_at) {
            return host->stop(host, at, &why);
        }
    }
    return host->pass(host, span->start + span->len);
}

const struct filter_type toy_swap = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "swap",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT,
    .keys = swap_keys,
    .configure = swap_configure,
    .release = swap_release,
    .open = swap_open,
    .feed = swap_feed,
};

/* ---- fail ---- */

#define HOW_MAP(X)            \
    X(CODE, "code")           \
    X(MESSAGE, "message")     \
    X(OPEN, "open")           \
    X(BACKWARDS, "backwards") \
    X(BEYOND, "beyond")       \
    X(CUT, "cut")             \
    X(HOLD, "hold")           \
    X(UTF8, "utf8")           \
    X(LONG, "long")           \
    X(REASON, "reason")       \
    X(FINISH, "finish")

enum how {
#define X(name, text) HOW_##name,
    HOW_MAP(X)
#undef X
};

static const char *const how_names[] = {
#define X(name, text) text,
    HOW_MAP(X)
#undef X
        NULL,
};

static const struct filter_key fail_keys[] = {
    {.name = "how", .kind = FILTER_KEY_CHOICE, .is_required = 1, .choices = how_names},
    {.name = NULL},
};

static int fail_configure(void **config, const struct filter_value *values,
                          struct filter_error *error)
{
    (void)error;
    static enum how hows[] = {
#define X(name, text) HOW_##name,
        HOW_MAP(X)
#undef X
    };
    *config = &hows[values[0].choice];
    return 0;
}

static int fail_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    *state = (void *)(uintptr_t)config;
    return *(const enum how *)config == HOW_OPEN ? -1 : 0;
}

static int fail_now(enum how how, const struct filter_span *span, struct filter_host *host)
{
    static const char zeros[FILTER_MAX_REPLACE + 1];
    uint64_t end = span->start + span->len;
    struct filter_reason unsized = {.code = "x"};
    switch (how) {
    case HOW_CODE:
        return 7;
    case HOW_MESSAGE:
        return host->fail(host, "it broke");
    case HOW_BACKWARDS:
        host->pass(host, span->start - 1);
        return 0;
    case HOW_BEYOND:
        host->pass(host, end + 1);
        return 0;
    case HOW_CUT:
        host->pass(host, end - 1);
        return 0;
    case HOW_UTF8:
        host->replace(host, end, "\xC3", 1, NULL);
        return 0;
    case HOW_LONG:
        host->replace(host, end, zeros, sizeof(zeros), NULL);
        return 0;
    case HOW_REASON:
        host->note(host, end, &unsized);
        return 0;
    case HOW_OPEN:
    case HOW_HOLD:
    case HOW_FINISH:
        break;
    }
    return 0;
}

static int fail_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    enum how how = *(enum how *)state;
    const char *fresh = span->text + span->fresh;
    /* "!" is met; HOW_CUT needs the character after it, which it then cuts. */
    if (how == HOW_HOLD || (span->text[0] == '!' && how == HOW_CUT && fresh[0] == '!')) {
        return 0;
    }
    if (span->text[0] == '!' && how != HOW_FINISH) {
        return fail_now(how, span, host);
    }
    return host->pass(host, span->start + span->len);
}

static int fail_finish(void *state, const struct filter_span *span, struct filter_host *host)
{
    (void)span;
    return *(enum how *)state == HOW_FINISH ? host->fail(host, "no end") : 0;
}

const struct filter_type toy_fail = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "fail",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .keys = fail_keys,
    .configure = fail_configure,
    .open = fail_open,
    .feed = fail_feed,
    .finish = fail_finish,
};

/* ---- chaos ---- */

static const struct filter_key chaos_keys[] = {
    {.name = "seed", .kind = FILTER_KEY_NUMBER, .fallback = "1"},
    {.name = NULL},
};

static int chaos_configure(void **config, const struct filter_value *values,
                           struct filter_error *error)
{
    (void)error;
    uint64_t *seed = malloc(sizeof(*seed));
    if (!seed) {
        return -1;
    }
    *seed = (uint64_t)values[0].number;
    *config = seed;
    return 0;
}

static int chaos_open(void **state, const void *config, const struct filter_text *text)
{
    uint64_t *hash = malloc(sizeof(*hash));
    if (!hash) {
        return -1;
    }
    *hash = *(const uint64_t *)config * 31 + text->channel * 7 + text->ordinal;
    *state = hash;
    return 0;
}

/* A number below n that follows from the hash, which moves on. */
static size_t chaos_draw(uint64_t *hash, size_t n)
{
    *hash = *hash * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*hash >> 33) % n;
}

/* Some character boundary from the cursor on. */
static uint64_t chaos_offset(uint64_t *hash, uint64_t from, const struct filter_span *span)
{
    size_t skipped = (size_t)(from - span->start);
    size_t at = skipped + chaos_draw(hash, span->len - skipped + 1);
    while (at < span->len && ((unsigned char)span->text[at] & 0xC0u) == 0x80u) {
        at++;
    }
    return span->start + at;
}

static int chaos_act(uint64_t *hash, const struct filter_span *span, struct filter_host *host)
{
    static const char *const texts[] = {"", "x", "ab", "é", "aaa"};
    uint64_t at = span->start;
    for (size_t verbs = chaos_draw(hash, 3); verbs > 0; verbs--) {
        at = chaos_offset(hash, at, span);
        struct filter_reason why = {.size = sizeof(why),
                                    .code = "chaos",
                                    .from = at / 2,
                                    .to = span->start + span->len};
        const char *text = texts[chaos_draw(hash, 5)];
        switch (chaos_draw(hash, 40)) {
        case 0:
            return host->stop(host, at, &why);
        case 1:
            return host->fail(host, "chaos");
        case 2:
            host->pass(host, span->start + span->len + 1);
            return 0;
        case 3:
        case 4:
        case 5:
            host->note(host, at, &why);
            break;
        case 6:
        case 7:
        case 8:
        case 9:
            host->replace(host, at, text, strlen(text), NULL);
            break;
        case 10:
        case 11:
        case 12:
            host->replace(host, at, text, strlen(text), &why);
            break;
        default:
            host->pass(host, at);
        }
    }
    return 0;
}

static int chaos_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    uint64_t *hash = state;
    for (size_t i = span->fresh; i < span->len; i++) {
        *hash = (*hash ^ (unsigned char)span->text[i]) * 1099511628211u;
    }
    return chaos_act(hash, span, host);
}

const struct filter_type toy_chaos = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "chaos",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .keys = chaos_keys,
    .configure = chaos_configure,
    .release = free,
    .open = chaos_open,
    .feed = chaos_feed,
    .finish = chaos_feed,
    .close = free,
};

/* ---- span, and types that are wrong ---- */

static int span_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    (void)state;
    size_t last = span->len - 1;
    while (last > 0 && ((unsigned char)span->text[last] & 0xC0u) == 0x80u) {
        last--;
    }
    host->pass(host, span->start + last);
    return host->replace(host, span->start + span->len, "|", 1, NULL);
}

const struct filter_type toy_span = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "span",
    .sides = FILTER_OUTPUT,
    .feed = span_feed,
};

const struct filter_type toy_other_abi = {
    .abi = FILTER_ABI + 1,
    .size = sizeof(struct filter_type),
    .name = "other_abi",
    .sides = FILTER_OUTPUT,
    .feed = span_feed,
};

const struct filter_type toy_input_only = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "input_only",
    .sides = FILTER_INPUT,
    .feed = span_feed,
};

const struct filter_type *const toy_types[] = {
    &toy_swap,      &toy_fail,       &toy_chaos,       &toy_span,
    &toy_other_abi, &toy_input_only, &filter_wordlist, NULL,
};
