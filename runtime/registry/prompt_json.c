#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/prompt.h"
#include "runtime/registry/prompt_parts.h"

static const char *const example_members[2] = {"user", "assistant"};
static const char *const document_members[2] = {"title", "text"};

/* --- reading --- */

static int take_text(const cJSON *item, const char *field, char **out, struct err *e)
{
    if (!cJSON_IsString(item)) {
        return err_set_param(e, ERR_INVALID, field, "\"%s\" must be a string", field);
    }
    *out = mem_strdup(item->valuestring);
    return *out ? 0 : err_nomem(e);
}

static int read_mode(struct prompt *p, const cJSON *item, struct err *e)
{
    const char *name = cJSON_GetStringValue(item);
    for (int mode = PROMPT_PREPEND; name && mode <= PROMPT_OVERRIDE; mode++) {
        if (strcmp(name, prompt_mode_name((enum prompt_mode)mode)) == 0) {
            p->mode = (enum prompt_mode)mode;
            return 0;
        }
    }
    return err_set_param(e, ERR_INVALID, "mode",
                         "\"mode\" must be \"prepend\", \"default\" or \"override\"");
}

/* An object with exactly the two members, both strings: `LIST[i].NAME` otherwise. */
static int read_pair(const cJSON *object, const char *list, size_t i,
                     const char *const names[2], char **const out[2], struct err *e)
{
    char field[PROMPT_FIELD_MAX];
    if (!cJSON_IsObject(object)) {
        prompt_field(field, "%s[%zu]", list, i);
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be an object with \"%s\" and \"%s\"", field, names[0],
                             names[1]);
    }
    for (const cJSON *item = object->child; item; item = item->next) {
        int k = strcmp(item->string, names[0]) == 0   ? 0
                : strcmp(item->string, names[1]) == 0 ? 1
                                                      : -1;
        prompt_field(field, "%s[%zu].%s", list, i, item->string);
        if (k < 0 || *out[k]) {
            return err_set_param(e, ERR_INVALID, field, "\"%s\" %s", field,
                                 k < 0 ? "is not known" : "stands there twice");
        }
        if (take_text(item, field, out[k], e) != 0) {
            return -1;
        }
    }
    for (size_t k = 0; k < 2; k++) {
        if (!*out[k]) {
            prompt_field(field, "%s[%zu].%s", list, i, names[k]);
            return err_set_param(e, ERR_INVALID, field, "\"%s\" is missing", field);
        }
    }
    return 0;
}

/* Zeroed room for the items of an array; *n counts them. */
static void *make_list(const cJSON *list, const char *field, size_t max, size_t size, size_t *n,
                       struct err *e)
{
    size_t count = 0;
    for (const cJSON *item = list->child; item && count <= max; item = item->next) {
        count++;
    }
    if (count > max) {
        err_set_param(e, ERR_LIMIT, field, "\"%s\" has more than %zu items", field, max);
        return NULL;
    }
    void *made = mem_zarray(count, size);
    if (!made) {
        err_nomem(e);
        return NULL;
    }
    *n = count;
    return made;
}

static int read_examples(struct prompt *p, const cJSON *list, struct err *e)
{
    if (!cJSON_IsArray(list)) {
        return err_set_param(e, ERR_INVALID, "examples", "\"examples\" must be an array");
    }
    p->examples = make_list(list, "examples", PROMPT_EXAMPLES_MAX, sizeof(*p->examples),
                            &p->n_examples, e);
    const cJSON *item = list->child;
    for (size_t i = 0; i < p->n_examples; i++, item = item->next) {
        struct prompt_example *x = &p->examples[i];
        if (read_pair(item, "examples", i, example_members,
                      (char **const[2]){&x->user, &x->assistant}, e) != 0) {
            return -1;
        }
    }
    return p->examples ? 0 : -1;
}

static int read_documents(struct prompt *p, const cJSON *list, struct err *e)
{
    if (!cJSON_IsArray(list)) {
        return err_set_param(e, ERR_INVALID, "documents", "\"documents\" must be an array");
    }
    p->documents = make_list(list, "documents", PROMPT_DOCUMENTS_MAX, sizeof(*p->documents),
                             &p->n_documents, e);
    const cJSON *item = list->child;
    for (size_t i = 0; i < p->n_documents; i++, item = item->next) {
        struct prompt_document *d = &p->documents[i];
        if (read_pair(item, "documents", i, document_members,
                      (char **const[2]){&d->title, &d->text}, e) != 0) {
            return -1;
        }
    }
    return p->documents ? 0 : -1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct prompt_variable *)a)->name,
                  ((const struct prompt_variable *)b)->name);
}

static int read_variable(const cJSON *item, struct prompt_variable *out, struct err *e)
{
    char field[PROMPT_FIELD_MAX];
    prompt_field(field, "variables.%s", item->string);
    out->name = mem_strdup(item->string);
    if (!out->name) {
        return err_nomem(e);
    }
    if (!cJSON_IsString(item) && !cJSON_IsNull(item)) {
        return err_set_param(e, ERR_INVALID, field,
                             "\"%s\" must be a string, its default, or null if each request "
                             "must give a value",
                             field);
    }
    return cJSON_IsNull(item) ? 0 : take_text(item, field, &out->value, e);
}

static int read_variables(struct prompt *p, const cJSON *object, struct err *e)
{
    if (!cJSON_IsObject(object)) {
        return err_set_param(e, ERR_INVALID, "variables",
                             "\"variables\" must be an object of names and defaults");
    }
    p->variables = make_list(object, "variables", PROMPT_VARIABLES_MAX, sizeof(*p->variables),
                             &p->n_variables, e);
    const cJSON *item = object->child;
    for (size_t i = 0; i < p->n_variables; i++, item = item->next) {
        if (read_variable(item, &p->variables[i], e) != 0) {
            return -1;
        }
    }
    if (!p->variables) {
        return -1;
    }
    qsort(p->variables, p->n_variables, sizeof(*p->variables), by_name);
    return 0;
}

static int read_text(struct prompt *p, const cJSON *item, struct err *e)
{
    if (take_text(item, "text", &p->text, e) != 0) {
        return -1;
    }
    p->text_len = strlen(p->text);
    return 0;
}

static int read_author(struct prompt *p, const cJSON *item, struct err *e)
{
    return take_text(item, "author", &p->author, e);
}

static int read_note(struct prompt *p, const cJSON *item, struct err *e)
{
    return take_text(item, "note", &p->note, e);
}

static const struct {
    const char *name;
    int (*read)(struct prompt *p, const cJSON *item, struct err *e);
} members[] = {
    {"text", read_text},           {"mode", read_mode},           {"examples", read_examples},
    {"documents", read_documents}, {"variables", read_variables}, {"author", read_author},
    {"note", read_note},
};
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

/* Null is as if the member were absent. */
static int read_member(struct prompt *p, const cJSON *item, bool seen[N_MEMBERS], struct err *e)
{
    char field[PROMPT_FIELD_MAX];
    prompt_field(field, "%s", item->string);
    for (size_t i = 0; i < N_MEMBERS; i++) {
        if (strcmp(item->string, members[i].name) != 0) {
            continue;
        }
        if (seen[i]) {
            return err_set_param(e, ERR_INVALID, field, "\"%s\" stands there twice", field);
        }
        seen[i] = true;
        return cJSON_IsNull(item) ? 0 : members[i].read(p, item, e);
    }
    return err_set_param(e, ERR_INVALID, field,
                         "\"%s\" is not known: text, mode, examples, documents, variables, "
                         "author and note are",
                         field);
}

static int read_members(struct prompt *p, const cJSON *root, struct err *e)
{
    if (!cJSON_IsObject(root)) {
        return err_set(e, ERR_INVALID, "the body must be a JSON object");
    }
    bool seen[N_MEMBERS] = {false};
    for (const cJSON *item = root->child; item; item = item->next) {
        if (read_member(p, item, seen, e) != 0) {
            return -1;
        }
    }
    if (!p->text) {
        return err_set_param(e, ERR_INVALID, "text",
                             "\"text\" is missing: the new system prompt");
    }
    if ((!p->author && !(p->author = mem_strdup(""))) ||
        (!p->note && !(p->note = mem_strdup("")))) {
        return err_nomem(e);
    }
    return 0;
}

struct prompt *prompt_from_json(const char *body, size_t len, struct err *e)
{
    cJSON *root = json_parse(body, len, e);
    struct prompt *p = root ? prompt_alloc(e) : NULL;
    if (p && (read_members(p, root, e) != 0 || prompt_check(p, e) != 0 ||
              prompt_compute_hash(p, e) != 0)) {
        prompt_unref(p);
        p = NULL;
    }
    cJSON_Delete(root);
    return p;
}

/* --- writing ---
 *
 * Into a buffer, which tells when memory ran out, and not into a tree, which leaves members
 * out. */

static void write_string(struct buf *out, const char *text)
{
    json_append_string(out, text, strlen(text));
}

/* Two members, without braces. */
static void write_pair(struct buf *out, const char *const names[2], const char *const texts[2])
{
    for (size_t k = 0; k < 2; k++) {
        buf_printf(out, "%s\"%s\":", k ? "," : "", names[k]);
        write_string(out, texts[k]);
    }
}

static void write_examples(struct buf *out, const struct prompt *p)
{
    buf_append_str(out, ",\"examples\":[");
    for (size_t i = 0; i < p->n_examples; i++) {
        const struct prompt_example *x = &p->examples[i];
        buf_append_str(out, i ? ",{" : "{");
        write_pair(out, example_members, (const char *const[2]){x->user, x->assistant});
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void write_documents(struct buf *out, const struct prompt *p)
{
    buf_append_str(out, ",\"documents\":[");
    for (size_t i = 0; i < p->n_documents; i++) {
        const struct prompt_document *d = &p->documents[i];
        buf_append_str(out, i ? ",{" : "{");
        write_pair(out, document_members, (const char *const[2]){d->title, d->text});
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void write_variables(struct buf *out, const struct prompt *p)
{
    buf_append_str(out, ",\"variables\":{");
    for (size_t i = 0; i < p->n_variables; i++) {
        buf_append_str(out, i ? "," : "");
        write_string(out, p->variables[i].name);
        buf_append_char(out, ':');
        if (p->variables[i].value) {
            write_string(out, p->variables[i].value);
        } else {
            buf_append_str(out, "null");
        }
    }
    buf_append_char(out, '}');
}

static void write_content(struct buf *out, const struct prompt *p)
{
    static const char *const about[2] = {"author", "note"};
    static const char *const text[2] = {"text", "mode"};
    write_pair(out, text, (const char *const[2]){p->text, prompt_mode_name(p->mode)});
    write_examples(out, p);
    write_documents(out, p);
    write_variables(out, p);
    buf_append_char(out, ',');
    write_pair(out, about, (const char *const[2]){p->author, p->note});
}

static char *finish(struct buf *out, size_t *len)
{
    char *text = buf_take(out, len);
    buf_deinit(out);
    return text;
}

char *prompt_to_json(const struct prompt *p, size_t *len)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    buf_append_str(&out, "{\"name\":");
    write_string(&out, p->name);
    buf_printf(&out, ",\"version\":%llu,\"sha256\":\"%s\",\"created\":%lld,",
               (unsigned long long)p->version, p->sha256, (long long)p->created);
    write_content(&out, p);
    buf_append_char(&out, '}');
    return finish(&out, len);
}

char *prompt_content_json(const struct prompt *p, size_t *len)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    buf_append_char(&out, '{');
    write_content(&out, p);
    buf_append_char(&out, '}');
    return finish(&out, len);
}
