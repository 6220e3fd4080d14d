#include "runtime/registry/chain_store.h"

#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/line_diff.h"

/* --- drafts --- */

/* Takes the field out of the body; its text, "" where there is none, is the caller's. */
static char *take_text(cJSON *body, const char *field, struct err *e)
{
    cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(body, field);
    const char *text = item ? cJSON_GetStringValue(item) : "";
    char *copy = NULL;
    if (!text) {
        err_set_param(e, ERR_INVALID, field, "\"%s\" must be a string", field);
    } else {
        copy = mem_strdup(text);
        if (!copy) {
            err_nomem(e);
        }
    }
    cJSON_Delete(item);
    return copy;
}

static int set_name(cJSON *body, const char *name, struct err *e)
{
    cJSON *item = cJSON_CreateString(name);
    bool is_set = item && (cJSON_GetObjectItemCaseSensitive(body, "name")
                               ? cJSON_ReplaceItemInObjectCaseSensitive(body, "name", item)
                               : cJSON_AddItemToObject(body, "name", item));
    if (!is_set) {
        cJSON_Delete(item);
        return err_nomem(e);
    }
    return 0;
}

static char *print(const cJSON *body, struct err *e)
{
    char *printed = cJSON_PrintUnformatted(body);
    char *copy = printed ? mem_strdup(printed) : NULL;
    cJSON_free(printed);
    if (!copy) {
        err_nomem(e);
    }
    return copy;
}

static int read_draft(struct chain_draft *d, cJSON *body, struct err *e)
{
    if (!cJSON_IsObject(body)) {
        return err_set(e, ERR_INVALID, "a filter chain must be a JSON object");
    }
    d->author = take_text(body, "author", e);
    d->note = d->author ? take_text(body, "note", e) : NULL;
    if (!d->note || version_origin_check(d->author, d->note, e) != 0) {
        return -1;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(body, "version");
    d->content = print(body, e);
    /* No folder: what is stored names no files of this machine. */
    d->chain = d->content ? chain_from_json(d->content, strlen(d->content), NULL, e) : NULL;
    if (!d->chain && e->kind == ERR_NOT_FOUND) {
        e->kind = ERR_INVALID; /* a type that the body names is missing, not the object */
    }
    return d->chain ? 0 : -1;
}

int chain_draft_parse(struct chain_draft *d, const char *name, const char *body, size_t len,
                      struct err *e)
{
    *d = (struct chain_draft){0};
    if (len > CHAIN_MAX_JSON) {
        return err_set(e, ERR_LIMIT, "a filter chain may be at most %zu bytes of JSON",
                       CHAIN_MAX_JSON);
    }
    cJSON *root = json_parse_large(body, len, e);
    if (!root) {
        return -1;
    }
    int rc = cJSON_IsObject(root) ? set_name(root, name, e) : 0;
    rc = rc == 0 ? read_draft(d, root, e) : -1;
    cJSON_Delete(root);
    if (rc != 0) {
        chain_draft_deinit(d);
    }
    return rc;
}

void chain_draft_deinit(struct chain_draft *d)
{
    chain_unref(d->chain);
    mem_free(d->content);
    mem_free(d->author);
    mem_free(d->note);
    *d = (struct chain_draft){0};
}

int chain_store_put(struct version_store *s, const char *name, struct chain_draft *draft,
                    uint64_t above, bool activates, const struct version_change *change,
                    struct version_state *after, struct err *e)
{
    const struct version_draft version = {.content = draft->content,
                                          .sha256 = chain_hash(draft->chain),
                                          .author = draft->author,
                                          .note = draft->note,
                                          .detail = (int)chain_filter_count(draft->chain),
                                          .size = strlen(draft->content),
                                          .above = above};
    struct version_stored stored;
    if (version_store_put(s, name, &version, activates, change, &stored, after, e) != 0) {
        return -1;
    }
    chain_set_version(draft->chain, (uint32_t)stored.number);
    return 0;
}

/* --- reading --- */

/* Its content is what was stored; that it does not compile is a matter of this build. */
static struct chain *compile(const struct version_text *t, struct err *e)
{
    const struct chain_options options = {.version = (uint32_t)t->number};
    struct chain *c = chain_from_json(t->content, strlen(t->content), &options, e);
    if (!c) {
        e->kind = e->kind == ERR_NOT_FOUND ? ERR_INVALID : e->kind;
        err_prefix(e, "filter chain %s@%llu", t->name, (unsigned long long)t->number);
    }
    return c;
}

struct chain *chain_store_compile(struct version_store *s, const char *name, const char *which,
                                  struct err *e)
{
    struct version_text text;
    if (version_store_get(s, name, which, &text, e) != 0) {
        return NULL;
    }
    struct chain *c = compile(&text, e);
    version_text_deinit(&text);
    return c;
}

int chain_store_load(struct version_store *s, const char *name, struct version_state *state,
                     struct chain **active, struct err *e)
{
    struct version_text text = {.number = 0};
    *active = NULL;
    if (version_store_load(s, name, state, &text, NULL, e) != 0) {
        return -1;
    }
    bool is_none = text.number == 0;
    *active = is_none ? NULL : compile(&text, e);
    version_text_deinit(&text);
    return is_none || *active ? 0 : -1;
}

struct walk {
    chain_active_fn *fn;
    void *ctx;
};

static int visit(void *ctx, const struct version_state *state,
                 const struct version_text *active, const struct version_text *split,
                 struct err *e)
{
    const struct walk *w = ctx;
    (void)split; /* there is none of chains */
    struct chain *c = compile(active, e);
    int rc = c ? w->fn(w->ctx, state, c, e) : -1;
    chain_unref(c);
    return rc;
}

int chain_store_load_active(struct version_store *s, chain_active_fn *fn, void *ctx,
                            struct err *e)
{
    struct walk w = {fn, ctx};
    return version_store_load_active(s, visit, &w, e);
}

/* --- for people --- */

static void indent(struct buf *out, int depth)
{
    buf_printf(out, "%*s", 2 * depth, "");
}

/* One value a line, so that a word that was added is one line. */
static void write_lines(const cJSON *value, int depth, struct buf *out)
{
    const cJSON *item;
    if (!value->child) {
        char *printed = cJSON_PrintUnformatted(value);
        buf_append_str(out, printed ? printed : "");
        out->failed = out->failed || !printed;
        cJSON_free(printed);
        return;
    }
    buf_append_str(out, cJSON_IsObject(value) ? "{\n" : "[\n");
    cJSON_ArrayForEach(item, value)
    {
        indent(out, depth + 1);
        if (item->string) {
            json_append_string(out, item->string, strlen(item->string));
            buf_append_str(out, ": ");
        }
        write_lines(item, depth + 1, out);
        buf_append_str(out, item->next ? ",\n" : "\n");
    }
    indent(out, depth);
    buf_append_char(out, cJSON_IsObject(value) ? '}' : ']');
}

static int text_of(const struct version_text *t, struct buf *out, struct err *e)
{
    cJSON *root = json_parse_large(t->content, strlen(t->content), e);
    if (!root) {
        return -1;
    }
    write_lines(root, 0, out);
    buf_append_char(out, '\n');
    cJSON_Delete(root);
    return out->failed ? err_nomem(e) : 0;
}

int chain_store_diff(const struct version_text *a, const struct version_text *b,
                     struct buf *out, struct err *e)
{
    const struct line_diff_name names[] = {{a->name, a->number}, {b->name, b->number}};
    struct buf old;
    struct buf new;
    buf_init(&old, SIZE_MAX / 2);
    buf_init(&new, SIZE_MAX / 2);
    int rc = text_of(a, &old, e) == 0 && text_of(b, &new, e) == 0
                 ? line_diff_versions(old.data, &names[0], new.data, &names[1], out, e)
                 : -1;
    buf_deinit(&old);
    buf_deinit(&new);
    return rc;
}
