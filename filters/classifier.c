#include "filters/classifier.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "filters/guard_builtin.h"
#include "filters/guard_model.h"
#include "filters/sentences.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define REPLACEMENT_MAX 256u
#define OFF             1.0f /* a threshold that is never reached */

enum action { ACTION_STOP, ACTION_REPLACE, ACTION_NOTE };
static const char *const action_names[] = {"stop", "replace", "note", NULL};

/* Another name when the embedded one changes: a chain's hash covers settings. */
static const char *const model_names[] = {"weir-guard-1", NULL};

/* The thresholds come first, in the order of enum guard_category. */
enum { KEY_ACTION = GUARD_CATEGORIES, KEY_REPLACEMENT, KEY_MODEL, KEY_FILE };
#define THRESHOLD(category, key_name)                                                  \
    [category] = {.name = (key_name),                                                  \
                  .kind = FILTER_KEY_NUMBER,                                           \
                  .help = "score from which a sentence counts; 1: never; the model's " \
                          "own unless given"}
static const struct filter_key keys[] = {
    THRESHOLD(GUARD_HARASSMENT, "harassment"),
    THRESHOLD(GUARD_VIOLENCE, "violence"),
    THRESHOLD(GUARD_SELF_HARM, "self_harm"),
    THRESHOLD(GUARD_SEXUAL, "sexual"),
    THRESHOLD(GUARD_ILLICIT, "illicit"),
    THRESHOLD(GUARD_INJECTION, "injection"),
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "stop",
                    .choices = action_names,
                    .help = "what happens with a sentence that counts"},
    [KEY_REPLACEMENT] = {.name = "replacement",
                         .kind = FILTER_KEY_STRING,
                         .fallback = "[removed]",
                         .help = "action replace: what stands in place of the sentence"},
    [KEY_MODEL] = {.name = "model",
                   .kind = FILTER_KEY_CHOICE,
                   .fallback = "weir-guard-1",
                   .choices = model_names,
                   .help = "the model that comes with Weir"},
    [KEY_FILE] = {.name = "file",
                  .kind = FILTER_KEY_FILE,
                  .help = "a model of your own, in place of it"},
    {.name = NULL},
};

/* The config. */
struct classifier {
    struct guard_model *model;
    float thresholds[GUARD_CATEGORIES];
    enum action action;
    char replacement[REPLACEMENT_MAX];
    size_t replacement_len;
};

/* The state. */
struct classifier_text {
    const struct classifier *classifier;
    struct sentence sentence;
    uint64_t from;  /* offset of the part that is not judged yet */
    size_t context; /* bytes of `window` before it */
    size_t len;     /* bytes of `window` */
    char window[CLASSIFIER_CONTEXT + SENTENCE_MAX + 4];
};

/* ---- configuration ---- */

static int read_threshold(struct classifier *c, int category, const struct filter_value *value,
                          struct filter_error *error)
{
    c->thresholds[category] = c->model->thresholds[category];
    if (!value->is_set) {
        return 0;
    }
    if (!(value->number > 0 && value->number <= 1)) {
        return setting_refuse(error, keys[category].name, "must be above 0 and at most 1");
    }
    c->thresholds[category] = (float)value->number;
    return 0;
}

static int read_thresholds(struct classifier *c, const struct filter_value *values,
                           struct filter_error *error)
{
    bool is_any = false;
    for (int i = 0; i < GUARD_CATEGORIES; i++) {
        if (read_threshold(c, i, &values[i], error) != 0) {
            return -1;
        }
        is_any = is_any || c->thresholds[i] < OFF;
    }
    return is_any ? 0
                  : setting_refuse(error, "",
                                   "every category is switched off by a threshold "
                                   "of 1");
}

static int read_replacement(struct classifier *c, const struct filter_value *value,
                            struct filter_error *error)
{
    if (value->is_set && c->action != ACTION_REPLACE) {
        return setting_refuse(error, "replacement",
                              "is of no use unless \"action\" is \"replace\"");
    }
    if (value->strings->len > REPLACEMENT_MAX) {
        return setting_refuse(error, "replacement", "must be at most 256 bytes");
    }
    c->replacement_len = value->strings->len;
    memcpy(c->replacement, value->strings->data, c->replacement_len);
    return 0;
}

static int read_model(struct classifier *c, const struct filter_value *values,
                      struct filter_error *error)
{
    const struct filter_value *file = &values[KEY_FILE];
    if (file->count > 0 && values[KEY_MODEL].is_set) {
        return setting_refuse(error, "model", "give \"model\" or \"file\", not both");
    }
    struct err e = {0};
    c->model = file->count > 0 ? guard_model_read(file->strings->data, file->strings->len, &e)
                               : guard_model_read(guard_builtin, guard_builtin_len, &e);
    return c->model ? 0 : setting_refuse(error, file->count > 0 ? "file" : "", e.message);
}

static void classifier_release(void *config)
{
    struct classifier *c = config;
    if (c) {
        guard_model_destroy(c->model);
        mem_free(c);
    }
}

static int classifier_configure(void **config, const struct filter_value *values,
                                struct filter_error *error)
{
    struct classifier *c = mem_zalloc(sizeof(*c));
    if (!c) {
        return setting_refuse(error, "", "out of memory");
    }
    c->action = (enum action)values[KEY_ACTION].choice;
    if (read_model(c, values, error) != 0 || read_thresholds(c, values, error) != 0 ||
        read_replacement(c, &values[KEY_REPLACEMENT], error) != 0) {
        classifier_release(c);
        return -1;
    }
    *config = c;
    return 0;
}

/* ---- one text ---- */

static int classifier_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    struct classifier_text *t = mem_zalloc(sizeof(*t));
    if (!t) {
        return -1;
    }
    t->classifier = config;
    *state = t;
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One category that was found in [from, to), on its way to the chain. */
struct finding {
    struct filter_reason why;
    char message[FILTER_MAX_MESSAGE + 1];
};

static void describe(struct finding *f, int category, float score, uint64_t from, uint64_t to)
{
    snprintf(f->message, sizeof(f->message), "%s %.2f", guard_category_names[category],
             (double)score);
    f->why = (struct filter_reason){.size = sizeof(f->why),
                                    .code = guard_category_names[category],
                                    .message = f->message,
                                    .from = from,
                                    .to = to};
}

/* Tells all scores; returns the category that is farthest above its threshold, or -1. Those
 * others that reach theirs become notes at `at`. */
static int tell_scores(const struct classifier *c, const float *scores, uint64_t from,
                       uint64_t to, uint64_t at, struct filter_host *host)
{
    int first = -1;
    float most = -1;
    for (int i = 0; i < GUARD_CATEGORIES; i++) {
        host->score(host, guard_category_names[i], (double)scores[i]);
        float above = (scores[i] - c->thresholds[i]) / (1 - c->thresholds[i] + 1e-6f);
        if (c->thresholds[i] < OFF && above >= 0 && above > most) {
            first = i;
            most = above;
        }
    }
    for (int i = 0; i < GUARD_CATEGORIES; i++) {
        if (i != first && c->thresholds[i] < OFF && scores[i] >= c->thresholds[i]) {
            struct finding f;
            describe(&f, i, scores[i], from, to);
            host->note(host, at, &f.why);
        }
    }
    return first;
}

/* The part that is not judged yet ends before offset `end`. 1 after a stop, -1 when the chain
 * refused. */
static int judge(struct classifier_text *t, uint64_t end, struct filter_host *host)
{
    const struct classifier *c = t->classifier;
    size_t first = t->context, last = t->len;
    while (first < last && is_blank(t->window[first])) {
        first++;
    }
    while (last > first && is_blank(t->window[last - 1])) {
        last--;
    }
    uint64_t from = t->from + (first - t->context), to = t->from + (last - t->context);
    float scores[GUARD_CATEGORIES];
    if (first == last) {
        return 0;
    }
    guard_model_score(c->model, t->window, t->len, scores);
    int category =
        tell_scores(c, scores, from, to, c->action == ACTION_NOTE ? end : from, host);
    if (category < 0) {
        return 0;
    }
    struct finding f;
    describe(&f, category, scores[category], from, to);
    switch (c->action) {
    case ACTION_STOP:
        return host->stop(host, from, &f.why) == 0 ? 1 : -1;
    case ACTION_NOTE:
        return host->note(host, end, &f.why);
    case ACTION_REPLACE:
        break;
    }
    return host->pass(host, from) != 0
               ? -1
               : host->replace(host, to, c->replacement, c->replacement_len, &f.why);
}

/* Words before a cut stay, so that what stands on both sides of it is seen together. */
static void keep_context(struct classifier_text *t)
{
    size_t at = t->len > CLASSIFIER_CONTEXT ? t->len - CLASSIFIER_CONTEXT : 0;
    while (at < t->len && ((unsigned char)t->window[at] & 0xC0u) == 0x80u) {
        at++;
    }
    t->context = t->len - at;
    memmove(t->window, t->window + at, t->context);
    t->len = t->context;
}

static int classifier_feed(void *state, const struct filter_span *span,
                           struct filter_host *host)
{
    struct classifier_text *t = state;
    for (size_t at = span->fresh; at < span->len;) {
        uint32_t character;
        int n = utf8_decode(span->text + at, span->len - at, &character);
        if (n <= 0) {
            return host->fail(host, "the text is not UTF-8");
        }
        enum sentence_step step = sentence_next(&t->sentence, character, (size_t)n);
        if (step != SENTENCE_GOES_ON) {
            int rc = judge(t, span->start + at, host);
            if (rc != 0) {
                return rc < 0 ? -1 : 0;
            }
            if (step == SENTENCE_CUT) {
                keep_context(t);
            } else {
                t->context = t->len = 0;
            }
            t->from = span->start + at;
        }
        memcpy(t->window + t->len, span->text + at, (size_t)n);
        t->len += (size_t)n;
        at += (size_t)n;
    }
    bool holds = t->classifier->action != ACTION_NOTE;
    return host->pass(host, holds ? t->from : span->start + span->len);
}

static int classifier_finish(void *state, const struct filter_span *span,
                             struct filter_host *host)
{
    struct classifier_text *t = state;
    return judge(t, span->start + span->len, host) < 0 ? -1 : 0;
}

const struct filter_type filter_classifier = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "classifier",
    .summary = "judges sentences with a small model: harassment, violence, self-harm, sexual, "
               "illicit, injection",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT | FILTER_DECODED,
    .keys = keys,
    .configure = classifier_configure,
    .release = classifier_release,
    .open = classifier_open,
    .feed = classifier_feed,
    .finish = classifier_finish,
    .close = mem_free,
};
