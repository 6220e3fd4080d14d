#include "filters/json.h"

#include <stdio.h>
#include <string.h>

#include "filters/json_reader.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define MAX_REPLACEMENT 256u /* bytes */
#define ESCAPED_MAX     6u   /* bytes of one in a string: \u001f */
#define MAX_QUOTED      512u /* bytes of a word that is put into quotation marks */

enum action { ACTION_REPLACE, ACTION_MASK, ACTION_STOP, ACTION_NOTE };
static const char *const action_names[] = {"replace", "mask", "stop", "note", NULL};
enum invalid { INVALID_PASS, INVALID_QUOTE, INVALID_STOP };
static const char *const invalid_names[] = {"pass", "quote", "stop", NULL};

enum { KEY_PATHS, KEY_ACTION, KEY_REPLACEMENT, KEY_MASK, KEY_CASE, KEY_INVALID };
static const struct filter_key keys[] = {
    [KEY_PATHS] = {.name = "paths",
                   .kind = FILTER_KEY_LIST,
                   .help = "names of values, or paths to them"},
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "replace",
                    .choices = action_names,
                    .help = "what happens to such a value"},
    [KEY_REPLACEMENT] = {.name = "replacement",
                         .kind = FILTER_KEY_STRING,
                         .fallback = "***",
                         .help = "action replace: what a string becomes"},
    [KEY_MASK] = {.name = "mask",
                  .kind = FILTER_KEY_STRING,
                  .fallback = "*",
                  .help = "action mask: the character in place of each of a string's"},
    [KEY_CASE] = {.name = "case_sensitive",
                  .kind = FILTER_KEY_BOOL,
                  .fallback = "false",
                  .help = "upper and lower case are different letters in names"},
    [KEY_INVALID] = {.name = "invalid",
                     .kind = FILTER_KEY_CHOICE,
                     .fallback = "pass",
                     .choices = invalid_names,
                     .help = "what happens to text that is not JSON"},
    {.name = NULL},
};

/* The config. What is put in is JSON already. */
struct json {
    struct json_paths paths;
    enum action action;
    enum invalid invalid;
    char string[ESCAPED_MAX * MAX_REPLACEMENT + 2]; /* with quotation marks */
    size_t string_len;
    char mask[ESCAPED_MAX];
    size_t mask_len;
};

/* The state. */
struct json_text {
    const struct json *json;
    struct json_reader reader;
    bool is_changing; /* the value that is being read */
    bool is_held;     /* a number or word, from held_from on */
    uint64_t held_from;
};

/* ---- configuration ---- */

/* As a part of a string of JSON. Returns the length of what is written, at most ESCAPED_MAX for
 * each byte. */
static size_t escape(const char *text, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20) {
            n += (size_t)snprintf(out + n, ESCAPED_MAX + 1, "\\u%04x", c);
            continue;
        }
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
        }
        out[n++] = (char)c;
    }
    return n;
}

static int refuse_unused(const struct filter_value *values, uint32_t key, const char *needs,
                         struct filter_error *error)
{
    if (!values[key].is_set) {
        return 0;
    }
    char message[96];
    snprintf(message, sizeof(message), "is of no use unless %s", needs);
    return setting_refuse(error, keys[key].name, message);
}

static int read_replacements(struct json *json, const struct filter_value *values,
                             struct filter_error *error)
{
    if ((json->action != ACTION_REPLACE &&
         refuse_unused(values, KEY_REPLACEMENT, "\"action\" is \"replace\"", error) != 0) ||
        (json->action != ACTION_MASK &&
         refuse_unused(values, KEY_MASK, "\"action\" is \"mask\"", error) != 0)) {
        return -1;
    }
    const struct filter_string *mask = values[KEY_MASK].strings;
    uint32_t code_point;
    int n = utf8_decode(mask->data, mask->len, &code_point);
    if (n <= 0 || (size_t)n != mask->len) {
        return setting_refuse(error, "mask", "must be one character");
    }
    char escaped[ESCAPED_MAX * 4 + 1];
    json->mask_len = escape(mask->data, mask->len, escaped);
    memcpy(json->mask, escaped, json->mask_len);
    const struct filter_string *text = values[KEY_REPLACEMENT].strings;
    if (text->len > MAX_REPLACEMENT) {
        return setting_refuse(error, "replacement", "must be at most 256 bytes");
    }
    const struct filter_string *inside = json->action == ACTION_MASK ? mask : text;
    json->string[0] = '"';
    json->string_len = 1 + escape(inside->data, inside->len, json->string + 1);
    json->string[json->string_len++] = '"';
    return 0;
}

static int read_paths(struct json *json, const struct filter_value *values,
                      struct filter_error *error)
{
    const struct filter_value *paths = &values[KEY_PATHS];
    for (size_t i = 0; i < paths->count; i++) {
        struct err e;
        if (json_paths_add(&json->paths, paths->strings[i].data, paths->strings[i].len, &e) !=
            0) {
            char key[32];
            snprintf(key, sizeof(key), "paths[%zu]", i);
            return setting_refuse(error, key, e.message);
        }
    }
    if (paths->count > 0) {
        return 0;
    }
    if (json->invalid == INVALID_PASS) {
        return setting_refuse(error, "paths", "must name at least one");
    }
    return refuse_unused(values, KEY_ACTION, "there are paths", error);
}

static void json_release(void *config)
{
    struct json *json = config;
    if (json) {
        json_paths_deinit(&json->paths);
        mem_free(json);
    }
}

static int json_configure(void **config, const struct filter_value *values,
                          struct filter_error *error)
{
    struct json *json = mem_zalloc(sizeof(*json));
    if (!json) {
        return setting_refuse(error, "", "out of memory");
    }
    json->action = (enum action)values[KEY_ACTION].choice;
    json->invalid = (enum invalid)values[KEY_INVALID].choice;
    json_paths_init(&json->paths, !values[KEY_CASE].choice);
    if (read_replacements(json, values, error) != 0 || read_paths(json, values, error) != 0) {
        json_release(json);
        return -1;
    }
    *config = json;
    return 0;
}

/* ---- verdicts ---- */

/* A value that is meant begins. What is put in for it comes at once; the rest of it, if it is
 * changed, is left out as it is read. */
static int begin_change(struct json_text *t, const struct json_step *step, uint64_t from,
                        uint64_t to, struct filter_host *host)
{
    const struct json *json = t->json;
    char message[32];
    snprintf(message, sizeof(message), "paths[%u]", step->path);
    struct filter_reason why = {
        .size = sizeof(why), .code = "json", .message = message, .from = from, .to = to};
    if (json->action == ACTION_STOP) {
        return host->stop(host, from, &why);
    }
    if (json->action == ACTION_NOTE) {
        return host->note(host, from, &why);
    }
    t->is_changing = true;
    const char *text = json->string;
    size_t len = json->string_len;
    switch (step->kind) {
    case JSON_STRING: /* its end passes */
        len = json->action == ACTION_MASK ? 1 : len - 1;
        break;
    case JSON_NUMBER:
        text = "0";
        len = 1;
        break;
    case JSON_BOOL:
        text = "false";
        len = 5;
        break;
    case JSON_NULL:
        text = "null";
        len = 4;
        break;
    case JSON_WORD:
    case JSON_OTHER:
        break;
    }
    return host->pass(host, from) != 0 ? -1 : host->replace(host, to, text, len, &why);
}

static int go_on_changing(const struct json_text *t, const struct json_step *step, uint64_t to,
                          struct filter_host *host)
{
    bool is_mask =
        t->json->action == ACTION_MASK && step->kind == JSON_STRING && step->completes;
    return host->replace(host, to, t->json->mask, is_mask ? t->json->mask_len : 0, NULL);
}

/* The number or word that was held ends at `to`. */
static int settle_held(struct json_text *t, bool is_json, uint64_t to,
                       const struct filter_span *span, struct filter_host *host)
{
    t->is_held = false;
    if (is_json) {
        return 0;
    }
    char quoted[ESCAPED_MAX * MAX_QUOTED + 3] = "\"";
    size_t len = 1 + escape(span->text + (t->held_from - span->start),
                            (size_t)(to - t->held_from), quoted + 1);
    quoted[len++] = '"';
    struct filter_reason why = {.size = sizeof(why),
                                .code = "json",
                                .message = "quoted",
                                .from = t->held_from,
                                .to = to};
    return host->pass(host, t->held_from) != 0 ? -1
                                               : host->replace(host, to, quoted, len, &why);
}

static bool is_token(enum json_kind kind)
{
    return kind != JSON_OTHER && kind != JSON_STRING;
}

static int stop_wrong(uint64_t from, uint64_t to, struct filter_host *host)
{
    struct filter_reason why = {.size = sizeof(why),
                                .code = "json",
                                .message = "the text is not JSON",
                                .from = from,
                                .to = to};
    return host->stop(host, from, &why);
}

/* Returns 1 when the answer was stopped, 0 when it goes on, -1 when the chain refused. */
static int act(struct json_text *t, const struct json_step *step, uint64_t from, uint64_t to,
               const struct filter_span *span, struct filter_host *host)
{
    const struct json *json = t->json;
    if (step->token_ended && t->is_held &&
        settle_held(t, step->token_is_json, from, span, host) != 0) {
        return -1;
    }
    if (step->is_wrong && json->invalid == INVALID_STOP) {
        return stop_wrong(from, to, host) == 0 ? 1 : -1;
    }
    if (step->begins) {
        t->is_changing = false;
        if (step->is_meant) {
            int rc = begin_change(t, step, from, to, host);
            return rc == 0 && json->action == ACTION_STOP ? 1 : rc;
        }
        /* Where there is other text, what looks like a document may be none ("[see below]"). */
        t->is_held =
            json->invalid == INVALID_QUOTE && is_token(step->kind) && !t->reader.saw_other_text;
        t->held_from = from;
    } else if (step->kind == JSON_OTHER || step->closes) {
        t->is_changing = false;
    } else if (t->is_changing) {
        return go_on_changing(t, step, to, host);
    } else if (t->is_held && to - t->held_from > MAX_QUOTED) {
        t->is_held = false;
    }
    return 0;
}

/* ---- one text ---- */

static int json_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    const struct json *json = config;
    struct json_text *t = mem_zalloc(sizeof(*t));
    if (!t || json_reader_init(&t->reader, &json->paths, json->invalid == INVALID_STOP) != 0) {
        mem_free(t);
        return -1;
    }
    t->json = json;
    *state = t;
    return 0;
}

static void json_close(void *state)
{
    struct json_text *t = state;
    json_reader_deinit(&t->reader);
    mem_free(t);
}

static int json_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct json_text *t = state;
    for (size_t at = span->fresh; at < span->len;) {
        at +=
            t->is_changing ? 0 : json_reader_skip(&t->reader, span->text + at, span->len - at);
        if (at == span->len) {
            break;
        }
        uint32_t c;
        int n = utf8_decode(span->text + at, span->len - at, &c);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        struct json_step step;
        if (json_reader_read(&t->reader, c, &step) != 0) {
            return host->fail(host, "objects and lists are nested too deep");
        }
        uint64_t from = span->start + at;
        at += (size_t)n;
        int rc = act(t, &step, from, span->start + at, span, host);
        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
    }
    return host->pass(host, t->is_held ? t->held_from : span->start + span->len);
}

static int json_finish(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct json_text *t = state;
    struct json_step step;
    json_reader_end(&t->reader, &step);
    return t->is_held && step.token_ended
               ? settle_held(t, step.token_is_json, span->start + span->len, span, host)
               : 0;
}

const struct filter_type filter_json = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "json",
    .summary = "hides values of JSON documents by name and keeps them JSON",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT,
    .keys = keys,
    .configure = json_configure,
    .release = json_release,
    .open = json_open,
    .feed = json_feed,
    .finish = json_finish,
    .close = json_close,
};
