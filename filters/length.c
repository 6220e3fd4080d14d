#include "filters/length.h"

#include <stdbool.h>

#include "filters/setting_checks.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define MAX_LENGTH 1000000000u

enum action { ACTION_STOP, ACTION_CUT };
static const char *const action_names[] = {"stop", "cut", NULL};

enum { KEY_CHARACTERS, KEY_BYTES, KEY_ACTION };
static const struct filter_key keys[] = {
    [KEY_CHARACTERS] = {.name = "max_characters",
                        .kind = FILTER_KEY_NUMBER,
                        .help = "so many characters (code points) may pass"},
    [KEY_BYTES] = {.name = "max_bytes",
                   .kind = FILTER_KEY_NUMBER,
                   .help = "so many bytes may pass; a character that would be cut stays out"},
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "stop",
                    .choices = action_names,
                    .help = "`stop` ends the answer there, `cut` drops the rest of this text"},
    {.name = NULL},
};

/* The config. A limit that is not set is out of reach. */
struct length {
    uint64_t max_characters;
    uint64_t max_bytes;
    enum action action;
};

/* The state. */
struct length_text {
    const struct length *length;
    uint64_t characters; /* that passed */
    bool is_over;
};

static int read_limit(const struct filter_value *values, uint32_t key, uint64_t *limit,
                      struct filter_error *error)
{
    *limit = UINT64_MAX;
    if (!values[key].is_set) {
        return 0;
    }
    uint32_t number;
    if (setting_whole(&values[key], keys[key].name, 0, MAX_LENGTH, &number, error) != 0) {
        return -1;
    }
    *limit = number;
    return 0;
}

static int length_configure(void **config, const struct filter_value *values,
                            struct filter_error *error)
{
    struct length read = {.action = (enum action)values[KEY_ACTION].choice};
    if (read_limit(values, KEY_CHARACTERS, &read.max_characters, error) != 0 ||
        read_limit(values, KEY_BYTES, &read.max_bytes, error) != 0) {
        return -1;
    }
    if (!values[KEY_CHARACTERS].is_set && !values[KEY_BYTES].is_set) {
        return setting_refuse(error, "", "give \"max_characters\", or \"max_bytes\", or both");
    }
    struct length *length = mem_alloc(sizeof(*length));
    if (!length) {
        return setting_refuse(error, "", "out of memory");
    }
    *length = read;
    *config = length;
    return 0;
}

static int length_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    struct length_text *t = mem_zalloc(sizeof(*t));
    if (!t) {
        return -1;
    }
    t->length = config;
    *state = t;
    return 0;
}

/* The first character beyond the limit is at `from`; a cut goes on with those after it. */
static int end_text(struct length_text *t, uint64_t from, uint64_t to, struct filter_host *host)
{
    bool by_bytes = to > t->length->max_bytes;
    struct filter_reason why = {.size = sizeof(why),
                                .code = "length",
                                .message = by_bytes ? "max_bytes" : "max_characters",
                                .from = from,
                                .to = to};
    bool is_first = !t->is_over;
    t->is_over = true;
    if (t->length->action == ACTION_STOP) {
        return host->stop(host, from, &why);
    }
    if (host->pass(host, from) != 0) {
        return -1;
    }
    return host->replace(host, to, NULL, 0, is_first ? &why : NULL);
}

static uint64_t count_characters(const char *text, size_t len)
{
    uint64_t count = 0;
    for (size_t i = 0; i < len; i++) {
        count += ((unsigned char)text[i] & 0xC0u) != 0x80u;
    }
    return count;
}

static int length_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct length_text *t = state;
    size_t fresh = span->len - span->fresh;
    if (!t->is_over && fresh <= t->length->max_characters - t->characters &&
        span->start + span->len <= t->length->max_bytes) {
        t->characters += count_characters(span->text + span->fresh, fresh);
        return host->pass(host, span->start + span->len);
    }
    for (size_t at = span->fresh; at < span->len;) {
        uint32_t code_point;
        int n = utf8_decode(span->text + at, span->len - at, &code_point);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        uint64_t from = span->start + at;
        uint64_t to = from + (uint64_t)n;
        at += (size_t)n;
        if (t->is_over || t->characters >= t->length->max_characters ||
            to > t->length->max_bytes) {
            if (end_text(t, from, to, host) != 0) {
                return -1;
            }
            if (t->length->action == ACTION_STOP) {
                return 0;
            }
        } else {
            t->characters++;
        }
    }
    return host->pass(host, span->start + span->len);
}

const struct filter_type filter_length = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "length",
    .summary = "ends or cuts a text that grows too long",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT,
    .keys = keys,
    .configure = length_configure,
    .release = mem_free,
    .open = length_open,
    .feed = length_feed,
    .close = mem_free,
};
