#include "runtime/cli/publish_card.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "models/format/gguf.h"
#include "models/lineage/lineage.h"
#include "models/template/document.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/publish_eval.h"
#include "runtime/cli/publish_suite.h"

#define LINE_MAX_BYTES ((size_t)64 << 10)

/* Adds are not checked one by one: a card without memory has no `limits`, which come last. */
static void add_text(cJSON *to, const char *name, const char *text)
{
    cJSON_AddStringToObject(to, name, text ? text : "");
}

__attribute__((format(printf, 3, 4))) static void add_formatted(cJSON *to, const char *name,
                                                                const char *format, ...)
{
    char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cJSON_AddStringToObject(to, name, text);
}

static void add_list(cJSON *to, const char *name, const struct option_strings *texts)
{
    cJSON *list = cJSON_AddArrayToObject(to, name);
    for (size_t i = 0; i < texts->count; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateString(texts->items[i]));
    }
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* --- the file --- */

/* "5,475,584" */
static void add_count(cJSON *to, const char *name, uint64_t n)
{
    char digits[32], text[48];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    size_t at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
    cJSON_AddStringToObject(to, name, text);
}

/* "q8_0, f32": of matrices, in the order in which they first occur. */
static void add_types(cJSON *to, const struct gguf *g)
{
    char text[128] = "";
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        const struct tensor_type_info *info = tensor_type_info(t->type);
        size_t len = strlen(text);
        if (t->n_dims > 1 && info && !strstr(text, info->name)) {
            snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? ", " : "", info->name);
        }
    }
    cJSON_AddStringToObject(to, "types", text[0] ? text : "packed int8");
}

static int add_file(cJSON *to, const char *path, struct err *e)
{
    struct gguf *g = gguf_open(path, e);
    if (!g) {
        return -1;
    }
    struct gguf_str arch = {"unknown", 7};
    struct err unused;
    char key[128];
    uint32_t context = 0;
    uint64_t parameters = 0;
    gguf_get_str(g, "general.architecture", &arch, &unused);
    snprintf(key, sizeof(key), "%.*s.context_length", (int)(arch.len < 64 ? arch.len : 64),
             arch.data);
    gguf_get_u32(g, key, &context, &unused);
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        parameters += gguf_tensor_at(g, i)->n_elements;
    }
    add_formatted(to, "architecture", "%.*s", (int)(arch.len < 64 ? arch.len : 64), arch.data);
    add_formatted(to, "context", "%u", context);
    add_formatted(to, "megabytes", "%.1f", (double)gguf_file_size(g) / 1e6);
    add_count(to, "parameters", parameters);
    add_types(to, g);
    gguf_close(g);
    return 0;
}

/* --- the recipe --- */

/* "steps 300, lr 0.0003"; what would end a table's cell is masked. */
static void add_pairs(cJSON *to, const char *name, const cJSON *object)
{
    struct buf text;
    const cJSON *item;
    buf_init(&text, LINE_MAX_BYTES);
    cJSON_ArrayForEach(item, object)
    {
        const char *before = item == object->child ? "" : ", ";
        if (cJSON_IsNumber(item)) {
            buf_printf(&text, "%s%s %.*g", before, item->string,
                       lineage_digits(item->valuedouble), item->valuedouble);
        } else if (cJSON_IsString(item)) {
            buf_printf(&text, "%s%s %s", before, item->string, item->valuestring);
        }
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '|' || text.data[i] == '\n') {
            text.data[i] = ' ';
        }
    }
    cJSON_AddStringToObject(to, name, text.data ? text.data : "");
    buf_deinit(&text);
}

/* Sources to `data`, the steps that made the rest to `steps`, first things first. */
static void add_chain(const struct lineage_node *n, cJSON *data, cJSON *steps)
{
    if (n->is_repeated) {
        return;
    }
    for (size_t i = 0; i < n->n_parents; i++) {
        add_chain(n->parents[i], data, steps);
    }
    cJSON *o = cJSON_CreateObject();
    add_text(o, "role", n->role);
    add_text(o, "file", base_name(n->path));
    add_text(o, "sha256", n->sha256);
    if (n->record) {
        add_text(o, "tool", text_of(n->record, "tool"));
        add_pairs(o, "options", cJSON_GetObjectItemCaseSensitive(n->record, "options"));
        add_pairs(o, "metrics", cJSON_GetObjectItemCaseSensitive(n->record, "metrics"));
    }
    cJSON_AddItemToArray(n->record ? steps : data, o);
}

/* --- figures --- */

static void add_row(cJSON *rows, const char *skill, const cJSON *counts, const cJSON *before)
{
    const struct publish_share s = publish_share_of(counts);
    cJSON *o = cJSON_CreateObject();
    add_text(o, "skill", skill);
    add_formatted(o, "right", "%.0f", s.right);
    add_formatted(o, "of", "%.0f", s.of);
    add_formatted(o, "percent", "%.1f", s.percent);
    add_formatted(o, "low", "%.1f", s.low);
    add_formatted(o, "high", "%.1f", s.high);
    if (before) {
        const struct publish_share loss = publish_loss(before, counts);
        add_formatted(o, "change", "%+.1f (%+.1f to %+.1f)", 0 - loss.percent, 0 - loss.high,
                      0 - loss.low);
    } else {
        add_text(o, "change", "");
    }
    cJSON_AddItemToArray(rows, o);
}

static void add_sets(cJSON *to, const cJSON *results, const cJSON *baseline)
{
    const cJSON *set, *skill;
    cJSON *list = cJSON_AddArrayToObject(to, "sets");
    cJSON_ArrayForEach(set, cJSON_GetObjectItemCaseSensitive(results, "sets"))
    {
        cJSON *o = cJSON_CreateObject();
        const cJSON *before = publish_eval_find(baseline, text_of(set, "sha256"));
        const cJSON *skills = cJSON_GetObjectItemCaseSensitive(before, "skills");
        add_text(o, "set", text_of(set, "set"));
        add_text(o, "sha256", text_of(set, "sha256"));
        cJSON *rows = cJSON_AddArrayToObject(o, "rows");
        cJSON_ArrayForEach(skill, cJSON_GetObjectItemCaseSensitive(set, "skills"))
        {
            add_row(rows, skill->string, skill,
                    cJSON_GetObjectItemCaseSensitive(skills, skill->string));
        }
        add_row(rows, "total", set, before);
        cJSON_AddItemToArray(list, o);
    }
}

/* --- all of it --- */

static void add_published(cJSON *to)
{
    time_t now = (time_t)clock_unix_s();
    struct tm utc;
    char date[16] = "";
    if (gmtime_r(&now, &utc)) {
        strftime(date, sizeof(date), "%Y-%m-%d", &utc);
    }
    add_text(to, "published", date);
    add_text(to, "weir", WEIR_VERSION);
}

static cJSON *variables_of(const struct publish_card *c, struct err *e)
{
    cJSON *v = cJSON_CreateObject();
    add_text(v, "name", c->name);
    add_text(v, "version", c->version);
    add_text(v, "file", c->file);
    add_text(v, "sha256", c->sha256);
    add_text(v, "description", c->description);
    add_text(v, "licence", c->licence);
    add_text(v, "cutoff", c->cutoff);
    add_text(v, "notes", c->notes);
    add_text(v, "report", c->report);
    add_text(v, "baseline", c->baseline);
    add_published(v);
    if (add_file(v, c->path, e) != 0) {
        cJSON_Delete(v);
        return NULL;
    }
    cJSON *data = cJSON_AddArrayToObject(v, "data");
    cJSON *steps = cJSON_AddArrayToObject(v, "steps");
    if (c->lineage) {
        add_chain(c->lineage->root, data, steps);
    }
    add_sets(v, c->results, c->baseline_results);
    add_text(v, "suite", text_of(c->suite, "suite"));
    cJSON_AddItemToObject(v, "suite_rows", publish_suite_rows(c->suite));
    add_list(v, "biases", c->biases);
    add_list(v, "limits", c->limits);
    return v;
}

int publish_card_write(const struct publish_card *c, struct buf *out, struct err *e)
{
    size_t len = model_card_template_len;
    char *own = c->template_path
                    ? file_read(c->template_path, DOCUMENT_TEMPLATE_BYTES_MAX, &len, e)
                    : NULL;
    if (c->template_path && !own) {
        return -1;
    }
    cJSON *variables = variables_of(c, e);
    int rc = variables ? document_render(own ? own : (const char *)model_card_template, len,
                                         variables, out, e)
                       : -1;
    if (variables && rc != 0) {
        err_prefix(e, "%s", c->template_path ? c->template_path : "the card's template");
    }
    cJSON_Delete(variables);
    mem_free(own);
    return rc;
}
