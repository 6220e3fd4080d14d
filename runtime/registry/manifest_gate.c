#include "runtime/registry/manifest_gate.h"

#include <limits.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/registry/version_name.h"

#define MAX_TOKENS 64 /* of an answer, unless the owner says otherwise */

static const char *const verdict_names[] = {"pass", "note", "replace", "stop"};

/* --- questions --- */

static int read_turn(struct model_turn *turn, const cJSON *item, const char *field,
                     struct err *e)
{
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(item, "role");
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (!cJSON_IsString(role) || !cJSON_IsString(content) || cJSON_GetArraySize(item) != 2) {
        return manifest_wrong(field,
                              "an object with the strings \"role\" and \"content\" alone", e);
    }
    *turn = (struct model_turn){role->valuestring, content->valuestring};
    return 0;
}

static int read_turns(struct model_question *q, const cJSON *list, const char *field,
                      struct err *e)
{
    char inner[MANIFEST_FIELD_MAX];
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count < 1 || count > MODEL_GOLDEN_TURNS_MAX) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be an array of 1 to %d messages", field,
                             MODEL_GOLDEN_TURNS_MAX);
    }
    q->turns = mem_zarray((size_t)count, sizeof(*q->turns));
    if (!q->turns) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        manifest_name_field(inner, "%s[%zu]", field, q->n_turns);
        if (read_turn(&q->turns[q->n_turns++], item, inner, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* *is_known: whether it is a member of questions. */
static int read_question_member(struct model_question *q, const cJSON *item, const char *field,
                                bool *is_known, struct err *e)
{
    *is_known = true;
    if (strcmp(item->string, "messages") == 0) {
        return read_turns(q, item, field, e);
    }
    if (strcmp(item->string, "prompt") == 0) {
        return manifest_read_text(item, field, &q->prompt, e);
    }
    if (strcmp(item->string, "max_tokens") == 0) {
        return manifest_read_count(item, field, 1, MODEL_GOLDEN_TOKENS_MAX, &q->max_tokens, e);
    }
    *is_known = false;
    return 0;
}

/* That it asks something, once all of it is read. */
static int check_question(const struct model_question *q, const char *field, struct err *e)
{
    return !q->prompt == (q->n_turns == 0)
               ? manifest_wrong(field, "a question: either \"messages\" or \"prompt\"", e)
               : 0;
}

/* How many there are, or -1. */
static int count_questions(const cJSON *list, const char *field, struct err *e)
{
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    return count >= 1 && count <= MODEL_GOLDEN_MAX
               ? count
               : err_set_param(e, ERR_INVALID, field,
                               "\"%s\" must be an array of 1 to %d prompts", field,
                               MODEL_GOLDEN_MAX);
}

/* --- golden prompts --- */

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
        if (manifest_read_count(item, field, 0, INT32_MAX, &id, e) != 0) {
            return manifest_wrong(field, "an array of ids of tokens", e);
        }
        g->tokens[g->n_tokens++] = id;
    }
    return 0;
}

static int read_golden_member(struct model_golden *g, const cJSON *item, const char *field,
                              struct err *e)
{
    bool is_known;
    int rc = read_question_member(&g->question, item, field, &is_known, e);
    if (is_known) {
        return rc;
    }
    if (strcmp(item->string, "text") == 0) {
        return manifest_read_text(item, field, &g->text, e);
    }
    return strcmp(item->string, "tokens") == 0
               ? read_tokens(g, item, field, e)
               : err_set_param(e, ERR_INVALID, field, "\"%s\" is not known", field);
}

static int read_golden_one(struct model_golden *g, const cJSON *object, const char *field,
                           struct err *e)
{
    char inner[MANIFEST_FIELD_MAX];
    if (!cJSON_IsObject(object)) {
        return manifest_wrong(field, "an object", e);
    }
    g->question.max_tokens = MAX_TOKENS;
    for (const cJSON *item = object->child; item; item = item->next) {
        manifest_name_field(inner, "%s.%.40s", field, item->string);
        if (manifest_check_unique(item, inner, e) != 0 ||
            read_golden_member(g, item, inner, e) != 0) {
            return -1;
        }
    }
    if (check_question(&g->question, field, e) != 0) {
        return -1;
    }
    return g->text || g->has_tokens
               ? 0
               : manifest_wrong(field,
                                "a question with its answer: \"text\", \"tokens\" or both", e);
}

static int read_golden(struct model_manifest *m, const cJSON *list, const char *field,
                       struct err *e)
{
    char inner[MANIFEST_FIELD_MAX];
    int count = count_questions(list, field, e);
    if (count < 0) {
        return -1;
    }
    m->golden = mem_zarray((size_t)count, sizeof(*m->golden));
    if (!m->golden) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        manifest_name_field(inner, "%s[%zu]", field, m->n_golden);
        if (read_golden_one(&m->golden[m->n_golden++], item, inner, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- prompts whose answers filters are to read --- */

const char *model_verdict_name(enum model_verdict verdict)
{
    return verdict_names[verdict];
}

static int read_verdict(const cJSON *item, const char *field, enum model_verdict *out,
                        struct err *e)
{
    const char *name = cJSON_IsString(item) ? item->valuestring : "";
    for (int i = MODEL_VERDICT_PASS; i <= MODEL_VERDICT_STOP; i++) {
        if (strcmp(verdict_names[i], name) == 0) {
            *out = (enum model_verdict)i;
            return 0;
        }
    }
    return manifest_wrong(field, "\"pass\", \"note\", \"replace\" or \"stop\"", e);
}

static int read_watched_member(struct model_filtered_prompt *w, const cJSON *item,
                               const char *field, struct err *e)
{
    bool is_known;
    int rc = read_question_member(&w->question, item, field, &is_known, e);
    if (is_known) {
        return rc;
    }
    if (strcmp(item->string, "verdict") == 0) {
        w->has_verdict = true;
        return read_verdict(item, field, &w->verdict, e);
    }
    if (strcmp(item->string, "temperature") == 0) {
        return manifest_read_number(item, field, 0.0, 2.0, &w->temperature, e);
    }
    return strcmp(item->string, "seed") == 0
               ? manifest_read_count(item, field, 0, INT_MAX, &w->seed, e)
               : err_set_param(e, ERR_INVALID, field, "\"%s\" is not known", field);
}

static int read_watched_one(struct model_filtered_prompt *w, const cJSON *object,
                            const char *field, struct err *e)
{
    char inner[MANIFEST_FIELD_MAX];
    if (!cJSON_IsObject(object)) {
        return manifest_wrong(field, "an object", e);
    }
    w->question.max_tokens = MAX_TOKENS;
    for (const cJSON *item = object->child; item; item = item->next) {
        manifest_name_field(inner, "%s.%.40s", field, item->string);
        if (manifest_check_unique(item, inner, e) != 0 ||
            read_watched_member(w, item, inner, e) != 0) {
            return -1;
        }
    }
    return check_question(&w->question, field, e);
}

static int read_watched(struct model_manifest *m, const cJSON *list, const char *field,
                        struct err *e)
{
    struct model_filter_gate *gate = &m->filters;
    char inner[MANIFEST_FIELD_MAX];
    int count = count_questions(list, field, e);
    if (count < 0) {
        return -1;
    }
    gate->prompts = mem_zarray((size_t)count, sizeof(*gate->prompts));
    if (!gate->prompts) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        manifest_name_field(inner, "%s[%zu]", field, gate->n_prompts);
        if (read_watched_one(&gate->prompts[gate->n_prompts++], item, inner, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_chain(struct model_manifest *m, const cJSON *item, const char *field,
                      struct err *e)
{
    return manifest_read_text(item, field, &m->filters.chain, e) == 0
               ? version_name_check(m->filters.chain, field, e)
               : -1;
}

static int read_flagged_from(struct model_manifest *m, const cJSON *item, const char *field,
                             struct err *e)
{
    if (read_verdict(item, field, &m->filters.flagged_from, e) != 0) {
        return -1;
    }
    return m->filters.flagged_from > MODEL_VERDICT_PASS
               ? 0
               : manifest_wrong(field, "\"note\", \"replace\" or \"stop\"", e);
}

static int read_max_flagged(struct model_manifest *m, const cJSON *item, const char *field,
                            struct err *e)
{
    return manifest_read_count(item, field, 0, MODEL_GOLDEN_MAX, &m->filters.max_flagged, e);
}

static int read_max_more(struct model_manifest *m, const cJSON *item, const char *field,
                         struct err *e)
{
    return manifest_read_count(item, field, 0, MODEL_GOLDEN_MAX, &m->filters.max_more, e);
}

/* A set of which nothing is expected would be no gate. */
static bool expects_something(const struct model_filter_gate *gate)
{
    bool is_expected = gate->max_flagged >= 0 || gate->max_more >= 0;
    for (size_t i = 0; i < gate->n_prompts; i++) {
        is_expected = is_expected || gate->prompts[i].has_verdict;
    }
    return is_expected;
}

static int read_filters(struct model_manifest *m, const cJSON *item, const char *field,
                        struct err *e)
{
    static const struct manifest_member members[] = {
        {"prompts", read_watched},           {"chain", read_chain},
        {"flagged_from", read_flagged_from}, {"max_flagged", read_max_flagged},
        {"max_more", read_max_more},         {0}};
    m->filters.flagged_from = MODEL_VERDICT_NOTE;
    m->filters.max_flagged = m->filters.max_more = -1;
    if (manifest_read_inner(m, item, field, members, e) != 0) {
        return -1;
    }
    if (m->filters.n_prompts == 0) {
        return manifest_wrong(field, "an object with \"prompts\"", e);
    }
    return expects_something(&m->filters)
               ? 0
               : manifest_wrong(field,
                                "an object that expects something: \"max_flagged\", "
                                "\"max_more\", or a \"verdict\" of one of its prompts",
                                e);
}

/* --- the rest of the gate --- */

static int read_loss_file(struct model_manifest *m, const cJSON *item, const char *field,
                          struct err *e)
{
    return manifest_read_file_name(item, field, &m->loss_file, e);
}

static int read_loss_bound(struct model_manifest *m, const cJSON *item, const char *field,
                           struct err *e)
{
    return manifest_read_number(item, field, 0.0, 100.0, &m->loss_max_increase, e);
}

static int read_loss(struct model_manifest *m, const cJSON *item, const char *field,
                     struct err *e)
{
    static const struct manifest_member members[] = {
        {"file", read_loss_file}, {"max_increase", read_loss_bound}, {0}};
    if (manifest_read_inner(m, item, field, members, e) != 0) {
        return -1;
    }
    return cJSON_GetArraySize(item) == 2
               ? 0
               : manifest_wrong(field, "an object with \"file\" and \"max_increase\"", e);
}

static int read_speed_ratio(struct model_manifest *m, const cJSON *item, const char *field,
                            struct err *e)
{
    return manifest_read_number(item, field, 0.01, 10.0, &m->speed_min_ratio, e);
}

static int read_speed(struct model_manifest *m, const cJSON *item, const char *field,
                      struct err *e)
{
    static const struct manifest_member members[] = {{"min_ratio", read_speed_ratio}, {0}};
    if (manifest_read_inner(m, item, field, members, e) != 0) {
        return -1;
    }
    return m->speed_min_ratio > 0 ? 0
                                  : manifest_wrong(field, "an object with \"min_ratio\"", e);
}

int manifest_read_gate(struct model_manifest *m, const cJSON *item, const char *field,
                       struct err *e)
{
    static const struct manifest_member members[] = {{"golden", read_golden},
                                                     {"filters", read_filters},
                                                     {"loss", read_loss},
                                                     {"speed", read_speed},
                                                     {0}};
    return manifest_read_inner(m, item, field, members, e);
}

void manifest_gate_free(struct model_manifest *m)
{
    for (size_t i = 0; i < m->n_golden; i++) {
        mem_free(m->golden[i].question.turns);
        mem_free(m->golden[i].tokens);
    }
    for (size_t i = 0; i < m->filters.n_prompts; i++) {
        mem_free(m->filters.prompts[i].question.turns);
    }
    mem_free(m->golden);
    mem_free(m->filters.prompts);
}
