#include "models/lineage/lineage_tree.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/lineage/lineage.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define SHORT_HASH   12
#define DETAILS_MAX  120 /* bytes of options that a line shows */
#define INDENT_BYTES 5   /* of one level: a bar and two spaces */

static const char *const state_names[] = {
    [LINEAGE_HOLDS] = "holds",       [LINEAGE_SOURCE] = "source",
    [LINEAGE_RECORDED] = "recorded", [LINEAGE_MISSING] = "missing",
    [LINEAGE_CHANGED] = "CHANGED",   [LINEAGE_BROKEN] = "BROKEN",
};

const char *lineage_state_name(enum lineage_state state)
{
    return state_names[state];
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* --- text --- */

int lineage_digits(double value)
{
    return fabs(value) < 1e15 && value == floor(value) ? 15 : 6;
}

/* "train sft: steps 300, lr 0.0003" */
static void print_details(const cJSON *record, struct buf *out)
{
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(record, "options"), *o;
    const char *tool = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(record, "tool"));
    size_t from = out->len;
    buf_printf(out, "  %s", tool ? tool : "");
    cJSON_ArrayForEach(o, options)
    {
        const char *before = o == options->child ? ": " : ", ";
        if (out->len - from > DETAILS_MAX) {
            buf_append_str(out, ", ...");
            return;
        }
        if (cJSON_IsNumber(o)) {
            buf_printf(out, "%s%.40s %.*g", before, o->string, lineage_digits(o->valuedouble),
                       o->valuedouble);
        } else if (cJSON_IsString(o)) {
            buf_printf(out, "%s%.40s %.60s", before, o->string, o->valuestring);
        }
    }
}

/* Names come from files that others wrote: they do not get to control the terminal. */
static void mask_controls(struct buf *out, size_t from)
{
    for (size_t i = from; i < out->len; i++) {
        unsigned char c = (unsigned char)out->data[i];
        if (c < ' ' || c == 0x7f) {
            out->data[i] = '?';
        }
    }
}

static void print_node(const struct lineage_node *n, struct buf *out)
{
    size_t from = out->len;
    if (strcmp(n->role, "artefact") != 0) {
        buf_printf(out, "%s ", n->role);
    }
    buf_printf(out, "%s  %.*s  %s", n->path, SHORT_HASH, n->sha256,
               lineage_state_name(n->state));
    if (n->state == LINEAGE_CHANGED) {
        buf_printf(out, ": the file is now %.*s", SHORT_HASH, n->found);
    } else if (n->problem) {
        buf_printf(out, ": %s", n->problem);
    }
    if (n->is_repeated) {
        buf_append_str(out, "  (see above)");
    } else if (n->record) {
        print_details(n->record, out);
    }
    mask_controls(out, from);
    buf_append_char(out, '\n');
}

/* `indent` is what stands before the lines of this level. */
static void print_below(const struct lineage_node *n, struct buf *indent, struct buf *out)
{
    for (size_t i = 0; i < n->n_parents && !out->failed; i++) {
        bool is_last = i + 1 == n->n_parents;
        size_t outer = indent->len;
        buf_append(out, indent->data, outer);
        buf_append_str(out, is_last ? "└─ " : "├─ ");
        print_node(n->parents[i], out);
        buf_append_str(indent, is_last ? "   " : "│  ");
        print_below(n->parents[i], indent, out);
        indent->len = outer;
    }
}

int lineage_tree_print(const struct lineage_tree *t, struct buf *out)
{
    const char *before = "";
    struct buf indent;
    buf_init(&indent, (size_t)(LINEAGE_DEPTH_MAX + 2) * INDENT_BYTES);
    print_node(t->root, out);
    print_below(t->root, &indent, out);
    buf_deinit(&indent);
    for (size_t i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++) {
        if (t->counts[i] > 0) {
            buf_printf(out, "%s%zu %s", before, t->counts[i], state_names[i]);
            before = ", ";
        }
    }
    buf_append_char(out, '\n');
    return out->failed ? -1 : 0;
}

/* --- JSON --- */

static cJSON *node_json(const struct lineage_node *n)
{
    static const char *const copied[] = {"tool", "weir", "made_at", "options", "metrics"};
    cJSON *json = cJSON_CreateObject();
    bool is_whole = cJSON_AddStringToObject(json, "role", n->role) &&
                    cJSON_AddStringToObject(json, "file", n->path) &&
                    cJSON_AddStringToObject(json, "sha256", n->sha256) &&
                    cJSON_AddStringToObject(json, "state", lineage_state_name(n->state));
    if (n->found[0]) {
        is_whole = is_whole && cJSON_AddStringToObject(json, "found", n->found);
    }
    if (n->problem) {
        is_whole = is_whole && cJSON_AddStringToObject(json, "problem", n->problem);
    }
    if (n->is_repeated) {
        is_whole = is_whole && cJSON_AddTrueToObject(json, "repeated");
    }
    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(n->record, copied[i]);
        if (item) {
            is_whole =
                is_whole && cJSON_AddItemToObject(json, copied[i], cJSON_Duplicate(item, true));
        }
    }
    cJSON *parents = is_whole ? cJSON_AddArrayToObject(json, "parents") : NULL;
    for (size_t i = 0; parents && i < n->n_parents; i++) {
        if (!cJSON_AddItemToArray(parents, node_json(n->parents[i]))) {
            parents = NULL;
        }
    }
    if (!parents) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

cJSON *lineage_tree_json(const struct lineage_tree *t)
{
    cJSON *json = node_json(t->root);
    if (json && !cJSON_AddBoolToObject(json, "holds", lineage_tree_holds(t))) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

/* --- lineage.json --- */

static bool replace_text(cJSON *object, const char *name, const char *text)
{
    cJSON *value = cJSON_CreateString(text);
    if (!value || !cJSON_ReplaceItemInObjectCaseSensitive(object, name, value)) {
        cJSON_Delete(value);
        return false;
    }
    return true;
}

/* Files lie elsewhere, or nowhere, when this is read: names are all that is kept of paths. */
static cJSON *portable_record(const struct lineage_node *n, const char *artefact)
{
    cJSON *record = cJSON_Duplicate(n->record, true), *p;
    bool is_whole = record && replace_text(record, "artefact", artefact);
    cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(record, "parents"))
    {
        const char *file = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(p, "file"));
        char *name = mem_strdup(base_name(file)); /* replacing frees what it points into */
        is_whole = is_whole && name && replace_text(p, "file", name);
        mem_free(name);
    }
    if (!is_whole) {
        cJSON_Delete(record);
        return NULL;
    }
    return record;
}

static bool add_records(cJSON *records, const struct lineage_node *n, const char *artefact)
{
    if (!n->record || n->is_repeated) {
        return true;
    }
    bool is_whole = cJSON_AddItemToArray(records, portable_record(n, artefact));
    for (size_t i = 0; i < n->n_parents && is_whole; i++) {
        is_whole = add_records(records, n->parents[i], base_name(n->parents[i]->path));
    }
    return is_whole;
}

int lineage_tree_write(const struct lineage_tree *t, const char *artefact, const char *path,
                       struct err *e)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *records = NULL;
    char *text = NULL;
    if (cJSON_AddNumberToObject(root, "lineage", 1) &&
        cJSON_AddStringToObject(root, "artefact", artefact) &&
        cJSON_AddStringToObject(root, "sha256", t->root->sha256)) {
        records = cJSON_AddArrayToObject(root, "records");
    }
    if (records && add_records(records, t->root, artefact)) {
        text = cJSON_Print(root);
    }
    int rc = text ? file_write_atomic(path, text, strlen(text), e) : err_nomem(e);
    cJSON_free(text);
    cJSON_Delete(root);
    return rc;
}
