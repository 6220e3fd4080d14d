#include "runtime/registry/model_manifest.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/registry/version_name.h"

#define FIELD_MAX 96
#define NOTE_MAX  2048

typedef int read_member(struct model_manifest *m, const cJSON *item, const char *field,
                        struct err *e);

struct member {
    const char *name;
    read_member *read;
};

static int wrong(const char *field, const char *wanted, struct err *e)
{
    return err_set_param(e, ERR_INVALID, field, "\"%s\" must be %s", field, wanted);
}

/* --- values --- */

static int read_text(const cJSON *item, const char *field, const char **out, struct err *e)
{
    if (!cJSON_IsString(item)) {
        return wrong(field, "a string", e);
    }
    *out = item->valuestring;
    return 0;
}

/* A file of the version's own folder. What is half-written goes by other names. */
static int read_file_name(const cJSON *item, const char *field, const char **out, struct err *e)
{
    if (read_text(item, field, out, e) != 0) {
        return -1;
    }
    bool fits = **out != '\0' && **out != '.' && !strchr(*out, '/') && strlen(*out) < NAME_MAX;
    return fits ? 0
                : wrong(field, "the name of a file in the version's folder, without a path", e);
}

static int read_number(const cJSON *item, const char *field, double min, double max,
                       double *out, struct err *e)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= min && item->valuedouble <= max)) {
        return err_set_param(e, ERR_INVALID, field, "\"%s\" must be a number from %g to %g",
                             field, min, max);
    }
    *out = item->valuedouble;
    return 0;
}

static int read_count(const cJSON *item, const char *field, int min, int max, int *out,
                      struct err *e)
{
    double value = 0;
    if (!cJSON_IsNumber(item) || floor(item->valuedouble) != item->valuedouble ||
        read_number(item, field, min, max, &value, e) != 0) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be a whole number from %d to %d", field, min, max);
    }
    *out = (int)value;
    return 0;
}

/* --- objects --- */

__attribute__((format(printf, 2, 3))) static void name_field(char out[FIELD_MAX],
                                                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, FIELD_MAX, format, args);
    va_end(args);
}

static const struct member *find_member(const struct member *members, const char *name)
{
    for (; members->name; members++) {
        if (strcmp(members->name, name) == 0) {
            return members;
        }
    }
    return NULL;
}

static int check_unique(const cJSON *item, const char *field, struct err *e)
{
    for (const cJSON *other = item->next; other; other = other->next) {
        if (strcmp(other->string, item->string) == 0) {
            return err_set_param(e, ERR_INVALID, field, "\"%s\" is there twice", field);
        }
    }
    return 0;
}

/* Each member by its reader; `prefix` ("gate.", "") stands before names. */
static int read_object(struct model_manifest *m, const cJSON *object, const char *prefix,
                       const struct member *members, struct err *e)
{
    char field[FIELD_MAX];
    for (const cJSON *item = object->child; item; item = item->next) {
        const struct member *member = find_member(members, item->string);
        name_field(field, "%s%.40s", prefix, item->string);
        if (!member) {
            return err_set_param(e, ERR_INVALID, field, "\"%s\" is not known", field);
        }
        if (check_unique(item, field, e) != 0 || member->read(m, item, field, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The same for the value of `field`, which must be an object. */
static int read_inner(struct model_manifest *m, const cJSON *item, const char *field,
                      const struct member *members, struct err *e)
{
    char prefix[FIELD_MAX];
    if (!cJSON_IsObject(item)) {
        return wrong(field, "an object", e);
    }
    name_field(prefix, "%s.", field);
    return read_object(m, item, prefix, members, e);
}

/* --- defaults and limits --- */

static const struct {
    const char *name;
    double min, max;
    bool is_whole;
} defaults[MODEL_DEFAULT_COUNT] = {
    [MODEL_DEFAULT_TEMPERATURE] = {"temperature", 0.0, 2.0, false},
    [MODEL_DEFAULT_TOP_P] = {"top_p", 0.0, 1.0, false},
    [MODEL_DEFAULT_MIN_P] = {"min_p", 0.0, 1.0, false},
    [MODEL_DEFAULT_REPETITION_PENALTY] = {"repetition_penalty", 0.01, 10.0, false},
    [MODEL_DEFAULT_PRESENCE_PENALTY] = {"presence_penalty", -2.0, 2.0, false},
    [MODEL_DEFAULT_FREQUENCY_PENALTY] = {"frequency_penalty", -2.0, 2.0, false},
    [MODEL_DEFAULT_TOP_K] = {"top_k", 0, INT_MAX, true},
    [MODEL_DEFAULT_MAX_TOKENS] = {"max_tokens", 1, INT_MAX, true},
};

static int read_default(struct model_manifest *m, const cJSON *item, const char *field,
                        struct err *e)
{
    for (int i = 0; i < MODEL_DEFAULT_COUNT; i++) {
        if (strcmp(defaults[i].name, item->string) == 0) {
            int count = 0;
            int rc = defaults[i].is_whole
                         ? read_count(item, field, (int)defaults[i].min, (int)defaults[i].max,
                                      &count, e)
                         : read_number(item, field, defaults[i].min, defaults[i].max,
                                       &m->defaults.values[i], e);
            if (defaults[i].is_whole) {
                m->defaults.values[i] = count;
            }
            m->defaults.set |= 1u << i;
            return rc;
        }
    }
    return err_set_param(e, ERR_INVALID, field, "\"%s\" is not known", field);
}

static int read_defaults(struct model_manifest *m, const cJSON *item, const char *field,
                         struct err *e)
{
    struct member members[MODEL_DEFAULT_COUNT + 1] = {{0}};
    for (int i = 0; i < MODEL_DEFAULT_COUNT; i++) {
        members[i] = (struct member){defaults[i].name, read_default};
    }
    return read_inner(m, item, field, members, e);
}

static int read_max_context(struct model_manifest *m, const cJSON *item, const char *field,
                            struct err *e)
{
    return read_count(item, field, 16, 1 << 20, &m->max_context, e);
}

static int read_max_tokens(struct model_manifest *m, const cJSON *item, const char *field,
                           struct err *e)
{
    return read_count(item, field, 1, INT_MAX, &m->max_tokens, e);
}

static int read_limits(struct model_manifest *m, const cJSON *item, const char *field,
                       struct err *e)
{
    static const struct member members[] = {
        {"context", read_max_context}, {"max_tokens", read_max_tokens}, {0}};
    return read_inner(m, item, field, members, e);
}

/* --- golden prompts --- */

static int read_turn(struct model_turn *turn, const cJSON *item, const char *field,
                     struct err *e)
{
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(item, "role");
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (!cJSON_IsString(role) || !cJSON_IsString(content) || cJSON_GetArraySize(item) != 2) {
        return wrong(field, "an object with the strings \"role\" and \"content\" alone", e);
    }
    *turn = (struct model_turn){role->valuestring, content->valuestring};
    return 0;
}

static int read_turns(struct model_golden *g, const cJSON *list, const char *field,
                      struct err *e)
{
    char inner[FIELD_MAX];
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count < 1 || count > MODEL_GOLDEN_TURNS_MAX) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be an array of 1 to %d messages", field,
                             MODEL_GOLDEN_TURNS_MAX);
    }
    g->turns = mem_zarray((size_t)count, sizeof(*g->turns));
    if (!g->turns) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        name_field(inner, "%s[%zu]", field, g->n_turns);
        if (read_turn(&g->turns[g->n_turns++], item, inner, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_tokens(struct model_golden *g, const cJSON *list, const char *field,
                       struct err *e)
{
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : MODEL_GOLDEN_TOKENS_MAX + 1;
    if (count > MODEL_GOLDEN_TOKENS_MAX) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be an array of at most %d ids of tokens", field,
                             MODEL_GOLDEN_TOKENS_MAX);
    }
    g->has_tokens = true;
    g->tokens = mem_zarray((size_t)count + 1, sizeof(*g->tokens));
    if (!g->tokens) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        int id;
        if (read_count(item, field, 0, INT32_MAX, &id, e) != 0) {
            return wrong(field, "an array of ids of tokens", e);
        }
        g->tokens[g->n_tokens++] = id;
    }
    return 0;
}

static int read_golden_member(struct model_golden *g, const cJSON *item, const char *field,
                              struct err *e)
{
    if (strcmp(item->string, "messages") == 0) {
        return read_turns(g, item, field, e);
    }
    if (strcmp(item->string, "prompt") == 0) {
        return read_text(item, field, &g->prompt, e);
    }
    if (strcmp(item->string, "max_tokens") == 0) {
        return read_count(item, field, 1, MODEL_GOLDEN_TOKENS_MAX, &g->max_tokens, e);
    }
    if (strcmp(item->string, "text") == 0) {
        return read_text(item, field, &g->text, e);
    }
    return strcmp(item->string, "tokens") == 0
               ? read_tokens(g, item, field, e)
               : err_set_param(e, ERR_INVALID, field, "\"%s\" is not known", field);
}

static int read_golden_one(struct model_golden *g, const cJSON *object, const char *field,
                           struct err *e)
{
    char inner[FIELD_MAX];
    if (!cJSON_IsObject(object)) {
        return wrong(field, "an object", e);
    }
    g->max_tokens = 64;
    for (const cJSON *item = object->child; item; item = item->next) {
        name_field(inner, "%s.%.40s", field, item->string);
        if (check_unique(item, inner, e) != 0 || read_golden_member(g, item, inner, e) != 0) {
            return -1;
        }
    }
    if (!g->prompt == (g->n_turns == 0)) {
        return wrong(field, "a question: either \"messages\" or \"prompt\"", e);
    }
    return g->text || g->has_tokens
               ? 0
               : wrong(field, "a question with its answer: \"text\", \"tokens\" or both", e);
}

static int read_golden(struct model_manifest *m, const cJSON *list, const char *field,
                       struct err *e)
{
    char inner[FIELD_MAX];
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count < 1 || count > MODEL_GOLDEN_MAX) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be an array of 1 to %d prompts", field,
                             MODEL_GOLDEN_MAX);
    }
    m->golden = mem_zarray((size_t)count, sizeof(*m->golden));
    if (!m->golden) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        name_field(inner, "%s[%zu]", field, m->n_golden);
        if (read_golden_one(&m->golden[m->n_golden++], item, inner, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the rest of the gate --- */

static int read_loss_file(struct model_manifest *m, const cJSON *item, const char *field,
                          struct err *e)
{
    return read_file_name(item, field, &m->loss_file, e);
}

static int read_loss_bound(struct model_manifest *m, const cJSON *item, const char *field,
                           struct err *e)
{
    return read_number(item, field, 0.0, 100.0, &m->loss_max_increase, e);
}

static int read_loss(struct model_manifest *m, const cJSON *item, const char *field,
                     struct err *e)
{
    static const struct member members[] = {
        {"file", read_loss_file}, {"max_increase", read_loss_bound}, {0}};
    if (read_inner(m, item, field, members, e) != 0) {
        return -1;
    }
    return cJSON_GetArraySize(item) == 2
               ? 0
               : wrong(field, "an object with \"file\" and \"max_increase\"", e);
}

static int read_speed_ratio(struct model_manifest *m, const cJSON *item, const char *field,
                            struct err *e)
{
    return read_number(item, field, 0.01, 10.0, &m->speed_min_ratio, e);
}

static int read_speed(struct model_manifest *m, const cJSON *item, const char *field,
                      struct err *e)
{
    static const struct member members[] = {{"min_ratio", read_speed_ratio}, {0}};
    if (read_inner(m, item, field, members, e) != 0) {
        return -1;
    }
    return m->speed_min_ratio > 0 ? 0 : wrong(field, "an object with \"min_ratio\"", e);
}

static int read_gate(struct model_manifest *m, const cJSON *item, const char *field,
                     struct err *e)
{
    static const struct member members[] = {
        {"golden", read_golden}, {"loss", read_loss}, {"speed", read_speed}, {0}};
    return read_inner(m, item, field, members, e);
}

static int read_canary(struct model_manifest *m, const cJSON *item, const char *field,
                       struct err *e)
{
    if (!cJSON_IsObject(item)) {
        return wrong(field, "an object", e);
    }
    m->has_canary = true;
    m->canary = canary_plan_default();
    return canary_plan_read(&m->canary, item, "canary.", NULL, e);
}

/* --- members of the document --- */

static int read_model_file(struct model_manifest *m, const cJSON *item, const char *field,
                           struct err *e)
{
    return read_file_name(item, field, &m->file, e);
}

static int read_sha256(struct model_manifest *m, const cJSON *item, const char *field,
                       struct err *e)
{
    if (read_text(item, field, &m->sha256, e) != 0) {
        return -1;
    }
    bool fits = strlen(m->sha256) == HASH_HEX_LEN &&
                strspn(m->sha256, "0123456789abcdef") == HASH_HEX_LEN;
    return fits ? 0 : wrong(field, "64 hex digits, lower case", e);
}

static int read_template(struct model_manifest *m, const cJSON *item, const char *field,
                         struct err *e)
{
    return read_file_name(item, field, &m->template_file, e);
}

static int read_labels(struct model_manifest *m, const cJSON *list, const char *field,
                       struct err *e)
{
    char inner[FIELD_MAX];
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > MODEL_LABELS_MAX) {
        return err_set_param(e, ERR_INVALID, field, "\"%s\" must be an array of at most %d",
                             field, MODEL_LABELS_MAX);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        name_field(inner, "%s[%zu]", field, m->n_labels);
        if (read_text(item, inner, &m->labels[m->n_labels], e) != 0 ||
            version_name_check(m->labels[m->n_labels++], inner, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static bool is_date(const char *text)
{
    int year, month, day, end = 0;
    return sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &end) == 3 && end == 10 &&
           text[10] == '\0' && strspn(text, "0123456789-") == 10 && month >= 1 && month <= 12 &&
           day >= 1 && day <= 31;
}

static int read_deprecated(struct model_manifest *m, const cJSON *item, const char *field,
                           struct err *e)
{
    if (read_text(item, field, &m->deprecated, e) != 0) {
        return -1;
    }
    return is_date(m->deprecated) ? 0 : wrong(field, "a date, YYYY-MM-DD", e);
}

static int read_note(struct model_manifest *m, const cJSON *item, const char *field,
                     struct err *e)
{
    if (read_text(item, field, &m->note, e) != 0) {
        return -1;
    }
    return strlen(m->note) <= NOTE_MAX
               ? 0
               : err_set_param(e, ERR_LIMIT, field, "\"%s\" has more than %d bytes", field,
                               NOTE_MAX);
}

static int read_document(struct model_manifest *m, struct err *e)
{
    static const struct member members[] = {{"file", read_model_file},
                                            {"sha256", read_sha256},
                                            {"template", read_template},
                                            {"defaults", read_defaults},
                                            {"limits", read_limits},
                                            {"labels", read_labels},
                                            {"deprecated", read_deprecated},
                                            {"note", read_note},
                                            {"gate", read_gate},
                                            {"canary", read_canary},
                                            {0}};
    if (!cJSON_IsObject(m->json)) {
        return err_set(e, ERR_FORMAT, "an object is wanted");
    }
    return read_object(m, m->json, "", members, e);
}

struct model_manifest *model_manifest_parse(const char *text, size_t len, struct err *e)
{
    struct model_manifest *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(e);
        return NULL;
    }
    m->json = json_parse(text, len, e);
    if (!m->json || read_document(m, e) != 0) {
        model_manifest_free(m);
        return NULL;
    }
    return m;
}

void model_manifest_free(struct model_manifest *m)
{
    if (!m) {
        return;
    }
    for (size_t i = 0; i < m->n_golden; i++) {
        mem_free(m->golden[i].turns);
        mem_free(m->golden[i].tokens);
    }
    mem_free(m->golden);
    cJSON_Delete(m->json);
    mem_free(m);
}

bool model_manifest_has_label(const struct model_manifest *m, const char *label)
{
    for (size_t i = 0; i < m->n_labels; i++) {
        if (strcmp(m->labels[i], label) == 0) {
            return true;
        }
    }
    return false;
}
