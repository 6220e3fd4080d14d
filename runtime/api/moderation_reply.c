#include "runtime/api/moderation_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/json_text.h"
#include "runtime/base/mem.h"

static struct moderation_category *find(struct moderation_result *r, const char *name)
{
    for (size_t i = 0; i < r->n_categories; i++) {
        if (strcmp(r->categories[i].name, name) == 0) {
            return &r->categories[i];
        }
    }
    return NULL;
}

static struct moderation_category *add(struct moderation_result *r, const char *name)
{
    if (r->n_categories == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 8;
        struct moderation_category *moved =
            mem_realloc_array(r->categories, cap, sizeof(*moved));
        if (!moved) {
            return NULL;
        }
        r->categories = moved;
        r->cap = cap;
    }
    struct moderation_category *c = &r->categories[r->n_categories++];
    *c = (struct moderation_category){0};
    snprintf(c->name, sizeof(c->name), "%s", name);
    return c;
}

int moderation_result_set(struct moderation_result *r, const char *category, bool flagged)
{
    struct moderation_category *c = find(r, category);
    c = c ? c : add(r, category);
    if (!c) {
        return -1;
    }
    c->flagged = c->flagged || flagged;
    return 0;
}

int moderation_result_weigh(struct moderation_result *r, const char *category, double score)
{
    if (moderation_result_set(r, category, false) != 0) {
        return -1;
    }
    struct moderation_category *c = find(r, category);
    c->is_weighed = true;
    c->score = score > c->score ? score : c->score;
    return 0;
}

int moderation_result_add_span(struct moderation_result *r, const struct moderation_span *span)
{
    if (r->n_spans == r->span_cap) {
        size_t cap = r->span_cap ? 2 * r->span_cap : 8;
        struct moderation_span *moved = mem_realloc_array(r->spans, cap, sizeof(*moved));
        if (!moved) {
            return -1;
        }
        r->spans = moved;
        r->span_cap = cap;
    }
    r->spans[r->n_spans++] = *span;
    return 0;
}

void moderation_result_deinit(struct moderation_result *r)
{
    mem_free(r->categories);
    mem_free(r->spans);
    *r = (struct moderation_result){0};
}

/* "NAME":{"CATEGORY":VALUE,...}; value[1] where it is flagged. */
static void append_object(struct buf *out, const char *name, const struct moderation_result *r,
                          const char *const value[2])
{
    buf_printf(out, ",\"%s\":{", name);
    for (size_t i = 0; i < r->n_categories; i++) {
        const struct moderation_category *c = &r->categories[i];
        buf_append_str(out, i > 0 ? "," : "");
        json_append_string(out, c->name, strlen(c->name));
        buf_printf(out, ":%s", value[c->flagged]);
    }
    buf_append_char(out, '}');
}

bool moderation_result_flagged(const struct moderation_result *r)
{
    for (size_t i = 0; i < r->n_categories; i++) {
        if (r->categories[i].flagged) {
            return true;
        }
    }
    return false;
}

static void append_scores(struct buf *out, const struct moderation_result *r)
{
    buf_append_str(out, ",\"category_scores\":{");
    for (size_t i = 0; i < r->n_categories; i++) {
        const struct moderation_category *c = &r->categories[i];
        buf_append_str(out, i > 0 ? "," : "");
        json_append_string(out, c->name, strlen(c->name));
        buf_printf(out, ":%.6g", c->is_weighed ? c->score : c->flagged ? 1.0 : 0.0);
    }
    buf_append_char(out, '}');
}

/* The members of a result, without the braces. */
static void append_members(struct buf *out, const struct moderation_result *r)
{
    static const char *const flags[] = {"false", "true"};
    static const char *const types[] = {"[\"text\"]", "[\"text\"]"};
    buf_printf(out, "\"flagged\":%s", flags[moderation_result_flagged(r)]);
    append_object(out, "categories", r, flags);
    append_scores(out, r);
    append_object(out, "category_applied_input_types", r, types);
}

static void append_spans(struct buf *out, const struct moderation_result *r)
{
    buf_append_str(out, ",\"spans\":[");
    for (size_t i = 0; i < r->n_spans; i++) {
        const struct moderation_span *s = &r->spans[i];
        buf_printf(out, "%s{\"choice\":%zu,\"at\":%" PRIu64 ",\"bytes\":%" PRIu64,
                   i > 0 ? "," : "", s->choice, s->at, s->bytes);
        buf_printf(out, ",\"verdict\":\"%s\",\"name\":", s->verdict);
        json_append_string(out, s->name, strlen(s->name));
        buf_append_str(out, ",\"code\":");
        json_append_string(out, s->code, strlen(s->code));
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

void moderation_append_side(struct buf *out, const char *model,
                            const struct moderation_result *r)
{
    buf_append_str(out, "{\"type\":\"moderation_results\",\"model\":");
    json_append_string(out, model, strlen(model));
    buf_append_str(out, ",\"results\":[{\"type\":\"moderation_result\",\"model\":");
    json_append_string(out, model, strlen(model));
    buf_append_char(out, ',');
    append_members(out, r);
    if (r->n_spans > 0) {
        append_spans(out, r);
    }
    buf_append_str(out, "}]}");
}

char *moderation_reply_text(const char *id, const char *model,
                            const struct moderation_result *results, size_t n_results,
                            size_t *len)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    buf_append_str(&out, "{\"id\":");
    json_append_string(&out, id, strlen(id));
    buf_append_str(&out, ",\"model\":");
    json_append_string(&out, model, strlen(model));
    buf_append_str(&out, ",\"results\":[");
    for (size_t i = 0; i < n_results; i++) {
        buf_append_str(&out, i > 0 ? "," : "");
        buf_append_char(&out, '{');
        append_members(&out, &results[i]);
        buf_append_char(&out, '}');
    }
    buf_append_str(&out, "]}");
    char *text = buf_take(&out, len);
    buf_deinit(&out);
    return text;
}
