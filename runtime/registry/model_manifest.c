#include "runtime/registry/model_manifest.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/registry/manifest_fields.h"
#include "runtime/registry/manifest_gate.h"
#include "runtime/registry/version_name.h"

#define NOTE_MAX 2048

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
                         ? manifest_read_count(item, field, (int)defaults[i].min,
                                               (int)defaults[i].max, &count, e)
                         : manifest_read_number(item, field, defaults[i].min, defaults[i].max,
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
    struct manifest_member members[MODEL_DEFAULT_COUNT + 1] = {{0}};
    for (int i = 0; i < MODEL_DEFAULT_COUNT; i++) {
        members[i] = (struct manifest_member){defaults[i].name, read_default};
    }
    return manifest_read_inner(m, item, field, members, e);
}

static int read_max_context(struct model_manifest *m, const cJSON *item, const char *field,
                            struct err *e)
{
    return manifest_read_count(item, field, 16, 1 << 20, &m->max_context, e);
}

static int read_max_tokens(struct model_manifest *m, const cJSON *item, const char *field,
                           struct err *e)
{
    return manifest_read_count(item, field, 1, INT_MAX, &m->max_tokens, e);
}

static int read_limits(struct model_manifest *m, const cJSON *item, const char *field,
                       struct err *e)
{
    static const struct manifest_member members[] = {
        {"context", read_max_context}, {"max_tokens", read_max_tokens}, {0}};
    return manifest_read_inner(m, item, field, members, e);
}

static int read_canary(struct model_manifest *m, const cJSON *item, const char *field,
                       struct err *e)
{
    if (!cJSON_IsObject(item)) {
        return manifest_wrong(field, "an object", e);
    }
    m->has_canary = true;
    m->canary = canary_plan_default();
    return canary_plan_read(&m->canary, item, "canary.", NULL, e);
}

/* --- members of the document --- */

static int read_model_file(struct model_manifest *m, const cJSON *item, const char *field,
                           struct err *e)
{
    return manifest_read_file_name(item, field, &m->file, e);
}

static int read_sha256(struct model_manifest *m, const cJSON *item, const char *field,
                       struct err *e)
{
    if (manifest_read_text(item, field, &m->sha256, e) != 0) {
        return -1;
    }
    bool fits = strlen(m->sha256) == HASH_HEX_LEN &&
                strspn(m->sha256, "0123456789abcdef") == HASH_HEX_LEN;
    return fits ? 0 : manifest_wrong(field, "64 hex digits, lower case", e);
}

static int read_template(struct model_manifest *m, const cJSON *item, const char *field,
                         struct err *e)
{
    return manifest_read_file_name(item, field, &m->template_file, e);
}

static int read_labels(struct model_manifest *m, const cJSON *list, const char *field,
                       struct err *e)
{
    char inner[MANIFEST_FIELD_MAX];
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > MODEL_LABELS_MAX) {
        return err_set_param(e, ERR_INVALID, field, "\"%s\" must be an array of at most %d",
                             field, MODEL_LABELS_MAX);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        manifest_name_field(inner, "%s[%zu]", field, m->n_labels);
        if (manifest_read_text(item, inner, &m->labels[m->n_labels], e) != 0 ||
            version_name_check(m->labels[m->n_labels++], inner, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_adapters(struct model_manifest *m, const cJSON *object, const char *field,
                         struct err *e)
{
    char inner[MANIFEST_FIELD_MAX];
    if (!cJSON_IsObject(object) || cJSON_GetArraySize(object) > MODEL_ADAPTERS_MAX) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be an object of at most %d names and files", field,
                             MODEL_ADAPTERS_MAX);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        struct model_adapter_file *to = &m->adapters[m->n_adapters];
        manifest_name_field(inner, "%s.%s", field, item->string);
        size_t len = strlen(item->string);
        if (len > MODEL_ADAPTER_NAME_MAX) {
            return err_set_param(e, ERR_LIMIT, inner, "\"%s\": a name of more than %d bytes",
                                 inner, MODEL_ADAPTER_NAME_MAX);
        }
        if (manifest_check_unique(item, inner, e) != 0 ||
            version_name_check(item->string, inner, e) != 0 ||
            manifest_read_file_name(item, inner, &to->file, e) != 0) {
            return -1;
        }
        to->name = item->string;
        m->n_adapters++;
    }
    return 0;
}

static int read_any_base(struct model_manifest *m, const cJSON *item, const char *field,
                         struct err *e)
{
    m->any_base = cJSON_IsTrue(item);
    return cJSON_IsBool(item) ? 0 : manifest_wrong(field, "true or false", e);
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
    if (manifest_read_text(item, field, &m->deprecated, e) != 0) {
        return -1;
    }
    return is_date(m->deprecated) ? 0 : manifest_wrong(field, "a date, YYYY-MM-DD", e);
}

/* A date that may end with its year or month. */
static int read_cutoff(struct model_manifest *m, const cJSON *item, const char *field,
                       struct err *e)
{
    if (manifest_read_text(item, field, &m->cutoff, e) != 0) {
        return -1;
    }
    char whole[11] = "0000-01-01";
    size_t len = strlen(m->cutoff);
    bool fits = len == 4 || len == 7 || len == 10;
    if (fits) {
        memcpy(whole, m->cutoff, len);
    }
    return fits && is_date(whole)
               ? 0
               : manifest_wrong(field, "a date, YYYY, YYYY-MM or YYYY-MM-DD", e);
}

static int read_card(struct model_manifest *m, const cJSON *item, const char *field,
                     struct err *e)
{
    return manifest_read_file_name(item, field, &m->card_file, e);
}

static int read_note(struct model_manifest *m, const cJSON *item, const char *field,
                     struct err *e)
{
    if (manifest_read_text(item, field, &m->note, e) != 0) {
        return -1;
    }
    return strlen(m->note) <= NOTE_MAX
               ? 0
               : err_set_param(e, ERR_LIMIT, field, "\"%s\" has more than %d bytes", field,
                               NOTE_MAX);
}

static int read_document(struct model_manifest *m, struct err *e)
{
    static const struct manifest_member members[] = {{"file", read_model_file},
                                                     {"sha256", read_sha256},
                                                     {"template", read_template},
                                                     {"adapters", read_adapters},
                                                     {"defaults", read_defaults},
                                                     {"limits", read_limits},
                                                     {"labels", read_labels},
                                                     {"deprecated", read_deprecated},
                                                     {"note", read_note},
                                                     {"cutoff", read_cutoff},
                                                     {"card", read_card},
                                                     {"gate", manifest_read_gate},
                                                     {"canary", read_canary},
                                                     {"any_base", read_any_base},
                                                     {0}};
    if (!cJSON_IsObject(m->json)) {
        return err_set(e, ERR_FORMAT, "an object is wanted");
    }
    return manifest_read_object(m, m->json, "", members, e);
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
    manifest_gate_free(m);
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
