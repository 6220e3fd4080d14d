#include "runtime/serve/answer_form.h"

#include <stdio.h>
#include <string.h>

#include "models/output/output_grammar.h"
#include "runtime/base/mem.h"
#include "runtime/grammar/json_schema.h"

#define CONTENT_RULE "content"

static bool has_calls(const struct answer_form *f)
{
    return f->format && f->request->tools.choice != OUTPUT_CHOICE_NONE;
}

static bool is_json(const struct constraint *c)
{
    return c->kind == CONSTRAINT_JSON_OBJECT || c->kind == CONSTRAINT_JSON_SCHEMA;
}

bool answer_form_is_free(const struct answer_form *f)
{
    return f->request->constraint.kind == CONSTRAINT_NONE && !has_calls(f);
}

/* A grammar, an expression or a choice is for the whole answer. */
bool answer_form_may_reason(const struct answer_form *f)
{
    const struct constraint *c = &f->request->constraint;
    return f->format && (c->kind == CONSTRAINT_NONE || is_json(c));
}

/* --- rules --- */

/* Names the field at fault, unless the error does so already. */
static int name_field(const char *field, struct err *e)
{
    snprintf(e->param, sizeof(e->param), "%s", field);
    return err_prefix(e, "\"%s\"", field);
}

static int put_content(const struct constraint *c, struct buf *rules, struct err *e)
{
    int rc = c->kind == CONSTRAINT_JSON_OBJECT
                 ? json_value_to_gbnf(CONTENT_RULE, true, rules, e)
                 : json_schema_to_gbnf(c->value, CONTENT_RULE, rules, e);
    return rc == 0 ? 0 : name_field(c->field, e);
}

/* A schema that cannot be enforced is an error if the client asked for strictness; otherwise
 * arguments are some JSON object. */
static int put_arguments(const struct tool *tool, size_t index, const char *rule,
                         struct buf *rules, struct err *e)
{
    size_t before = rules->len;
    if (json_schema_to_gbnf(tool->parameters, rule, rules, e) == 0) {
        return 0;
    }
    if (tool->strict || e->kind == ERR_NOMEM) {
        char field[64];
        snprintf(field, sizeof(field), "tools[%zu].function.parameters", index);
        return name_field(field, e);
    }
    rules->len = before;
    if (rules->data) {
        rules->data[before] = '\0';
    }
    return json_value_to_gbnf(rule, true, rules, e);
}

static int put_tools(const struct tool_list *list, struct output_grammar_tool *tools,
                     char (*names)[32], size_t *n, struct buf *rules, struct err *e)
{
    for (size_t i = 0; i < list->n; i++) {
        if (!list->tools[i].allowed) {
            continue;
        }
        snprintf(names[*n], sizeof(names[*n]), "tool-%zu", i);
        if (put_arguments(&list->tools[i], i, names[*n], rules, e) != 0) {
            return -1;
        }
        tools[*n] =
            (struct output_grammar_tool){.name = list->tools[i].name, .arguments = names[*n]};
        (*n)++;
    }
    return 0;
}

/* Rules of calls, content and what stands around them. */
static int put_rules(const struct answer_form *f, struct buf *rules, struct err *e)
{
    const struct tool_list *list = &f->request->tools;
    const struct constraint *c = &f->request->constraint;
    bool calls = has_calls(f);
    struct output_grammar_tool tools[TOOLS_MAX];
    char names[TOOLS_MAX][32];
    size_t n = 0;
    if ((is_json(c) && put_content(c, rules, e) != 0) ||
        (calls && put_tools(list, tools, names, &n, rules, e) != 0)) {
        return -1;
    }
    if (!f->format) {
        return buf_append_str(rules, "root ::= " CONTENT_RULE "\n") == 0 ? 0 : err_nomem(e);
    }
    const struct output_grammar g = {.format = f->format,
                                     .tools = tools,
                                     .n_tools = n,
                                     .choice = calls ? list->choice : OUTPUT_CHOICE_NONE,
                                     .parallel = list->parallel,
                                     .reasoning_open = f->reasoning_open,
                                     .content = is_json(c) ? CONTENT_RULE : NULL};
    return output_grammar_write(&g, rules, e);
}

static struct grammar *compile_rules(const struct answer_form *f, struct err *e)
{
    struct buf rules;
    buf_init(&rules, GRAMMAR_TEXT_MAX);
    struct grammar *g = NULL;
    if (put_rules(f, &rules, e) == 0) {
        g = rules.failed ? NULL : grammar_from_gbnf(rules.data, rules.len, e);
        if (!g) {
            const char *field =
                is_json(&f->request->constraint) ? f->request->constraint.field : "tools";
            if (rules.failed) {
                err_set(e, ERR_LIMIT, "too large");
            }
            name_field(field, e);
        }
    }
    buf_deinit(&rules);
    return g;
}

/* --- forms that are no JSON --- */

static struct grammar *compile_choice(const cJSON *list, struct err *e)
{
    size_t n = (size_t)cJSON_GetArraySize(list), i = 0;
    const char **choices = mem_zarray(n, sizeof(*choices));
    if (!choices) {
        err_nomem(e);
        return NULL;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        choices[i++] = item->valuestring;
    }
    struct grammar *g = grammar_from_choice(choices, n, e);
    mem_free(choices);
    return g;
}

static struct grammar *compile_text(const struct constraint *c, struct err *e)
{
    struct grammar *g = NULL;
    if (c->kind == CONSTRAINT_CHOICE) {
        g = compile_choice(c->value, e);
    } else {
        const char *text = c->value->valuestring;
        g = c->kind == CONSTRAINT_REGEX ? grammar_from_regex(text, strlen(text), e)
                                        : grammar_from_gbnf(text, strlen(text), e);
    }
    if (!g) {
        name_field(c->field, e);
    }
    return g;
}

struct grammar *answer_form_compile(const struct answer_form *f, struct err *e)
{
    const struct constraint *c = &f->request->constraint;
    if (c->kind == CONSTRAINT_NONE || is_json(c)) {
        return compile_rules(f, e);
    }
    if (has_calls(f)) {
        err_set_param(e, ERR_UNSUPPORTED, c->field,
                      "\"%s\" cannot be combined with tools; a JSON schema can, or leave the "
                      "tools out",
                      c->field);
        return NULL;
    }
    return compile_text(c, e);
}

/* --- those that were compiled before --- */

void form_cache_deinit(struct form_cache *c)
{
    for (size_t i = 0; i < FORM_CACHE_SIZE; i++) {
        grammar_release(c->items[i].grammar);
    }
    *c = (struct form_cache){0};
}

static int append_json(struct buf *out, const cJSON *json)
{
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;
    int rc = buf_append_str(out, text ? text : "-");
    cJSON_free(text);
    return rc == 0 && (!json || text) ? 0 : -1;
}

int answer_form_key(const struct answer_form *f, char key[HASH_HEX_LEN + 1], struct err *e)
{
    const struct tool_list *list = &f->request->tools;
    const struct constraint *c = &f->request->constraint;
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    buf_printf(&text, "%d %d %d %d %d ", (int)c->kind, f->format != NULL, f->reasoning_open,
               (int)list->choice, list->parallel);
    for (size_t i = 0; i < list->n; i++) {
        buf_append_char(&text, list->tools[i].allowed ? 'a' : '-');
        buf_append_char(&text, list->tools[i].strict ? 's' : '-');
    }
    int rc = append_json(&text, c->value);
    rc = rc == 0 ? append_json(&text, list->json) : rc;
    rc = rc == 0 && !text.failed ? hash_sha256_hex(text.data, text.len, key) : -1;
    buf_deinit(&text);
    return rc == 0 ? 0 : err_nomem(e);
}

struct grammar *form_cache_find(struct form_cache *c, const char *key)
{
    for (size_t i = 0; i < FORM_CACHE_SIZE; i++) {
        if (c->items[i].grammar && strcmp(c->items[i].key, key) == 0) {
            c->items[i].used = ++c->uses;
            return grammar_retain(c->items[i].grammar);
        }
    }
    return NULL;
}

struct grammar *form_cache_add(struct form_cache *c, const char *key, struct grammar *g)
{
    struct grammar *known = form_cache_find(c, key);
    if (known) {
        grammar_release(g);
        return known;
    }
    size_t oldest = 0;
    for (size_t i = 1; i < FORM_CACHE_SIZE; i++) {
        oldest = c->items[i].used < c->items[oldest].used ? i : oldest;
    }
    grammar_release(c->items[oldest].grammar);
    c->items[oldest].grammar = grammar_retain(g);
    c->items[oldest].used = ++c->uses;
    snprintf(c->items[oldest].key, sizeof(c->items[oldest].key), "%s", key);
    return g;
}

/* --- off the loop --- */

static void compile_on_worker(uv_work_t *work)
{
    struct form_job *job = work->data;
    job->grammar = answer_form_compile(&job->form, &job->e);
}

static void after_compile(uv_work_t *work, int status)
{
    struct form_job *job = work->data;
    if (status != 0 && !job->grammar) {
        err_set(&job->e, ERR_CANCELED, "the form of an answer was not compiled");
    }
    job->done(job->user, job->grammar, &job->e);
}

int form_job_start(struct form_job *job, uv_loop_t *loop, struct err *e)
{
    job->work.data = job;
    job->grammar = NULL;
    job->e = (struct err){0};
    int rc = uv_queue_work(loop, &job->work, compile_on_worker, after_compile);
    return rc == 0 ? 0 : err_set(e, ERR_IO, "cannot start work: %s", uv_strerror(rc));
}
