#include "models/template/chat_template.h"

#include <string.h>

#include "models/format/gguf.h"
#include "models/template/jinja_builtin.h"
#include "models/template/jinja_parser.h"
#include "models/template/jinja_run.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"

#define COMPILE_BYTES_MAX ((size_t)16 << 20)
/* What a conversation may take as values, its texts not counted: they are borrowed. */
#define INPUT_BYTES_MAX ((size_t)64 << 20)
/* A rendering's own budget: so much whatever it renders, and so much for each byte of it. */
#define RENDER_BYTES_MIN       ((size_t)4 << 20)
#define RENDER_BYTES_PER_BYTE  24
#define STRING_BYTES_MIN       ((size_t)1 << 20)
#define STRING_BYTES_PER_BYTE  4
#define RENDER_STEPS_MIN       200000u
#define RENDER_STEPS_A_MESSAGE 4000u

struct chat_template {
    struct jinja_arena arena; /* of the tree */
    struct jinja_stmt *body;
};

struct chat_template *chat_template_compile(const char *source, size_t len, struct err *e)
{
    if (len > CHAT_TEMPLATE_BYTES_MAX) {
        err_set(e, ERR_LIMIT, "the chat template has %zu bytes, at most %zu are allowed", len,
                CHAT_TEMPLATE_BYTES_MAX);
        return NULL;
    }
    struct chat_template *t = mem_zalloc(sizeof(*t));
    if (!t) {
        err_nomem(e);
        return NULL;
    }
    jinja_arena_init(&t->arena, COMPILE_BYTES_MAX);
    if (jinja_parse(source, len, &t->arena, &t->body, e) != 0) {
        chat_template_destroy(t);
        return NULL;
    }
    return t;
}

struct chat_template *chat_template_from_gguf(const struct gguf *g, struct err *e)
{
    static const char key[] = "tokenizer.chat_template";
    struct gguf_str source;
    if (!gguf_has(g, key)) {
        err_set(e, ERR_UNSUPPORTED,
                "%s: the model has no chat template, so it is not known how conversations are "
                "written for it",
                gguf_path(g));
        return NULL;
    }
    if (gguf_get_str(g, key, &source, e) != 0) {
        return NULL;
    }
    struct chat_template *t = chat_template_compile(source.data, source.len, e);
    if (!t) {
        err_prefix(e, "%s: %s", gguf_path(g), key);
    }
    return t;
}

void chat_template_destroy(struct chat_template *t)
{
    if (t) {
        jinja_arena_deinit(&t->arena);
        mem_free(t);
    }
}

/* --- what the template finds --- */

static struct jinja_string text_of(const char *text, bool trusted)
{
    return (struct jinja_string){.data = text, .len = strlen(text), .trusted = trusted};
}

static int put(struct jinja_run *run, struct jinja_dict *dict, const char *key,
               struct jinja_value value)
{
    struct jinja_value name;
    if (jinja_string_value(run, text_of(key, false), &name) != 0) {
        return -1;
    }
    return jinja_dict_put(run, dict, name, value);
}

static int put_text(struct jinja_run *run, struct jinja_dict *dict, const char *key,
                    struct jinja_string text)
{
    struct jinja_value value;
    return jinja_string_value(run, text, &value) == 0 ? put(run, dict, key, value) : -1;
}

static int set_variable(struct jinja_run *run, const char *text, struct jinja_value value)
{
    struct jinja_name *name = jinja_alloc(run, 1, sizeof(*name));
    if (!name) {
        return -1;
    }
    *name = jinja_name_of(text);
    return jinja_scope_set(run, name, value);
}

/* Templates make control tokens out of roles ('<|' + message.role + '|>'), so the usual ones
 * are constants, trusted like the template. Any other is text. */
static struct jinja_string role_text(const char *role)
{
    static const char *const usual[] = {"system", "user", "assistant", "tool", "developer"};
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (strcmp(role, usual[i]) == 0) {
            return text_of(usual[i], true);
        }
    }
    return text_of(role, false);
}

static int put_tool_calls(struct jinja_run *run, struct jinja_dict *dict, const char *text)
{
    cJSON *json = json_parse(text, strlen(text), run->err);
    if (!json) {
        return err_prefix(run->err, "tool_calls");
    }
    struct jinja_value value;
    int rc = jinja_from_cjson(run, json, &value);
    cJSON_Delete(json);
    return rc == 0 ? put(run, dict, "tool_calls", value) : -1;
}

static int message_value(struct jinja_run *run, const struct chat_message *m,
                         struct jinja_value *out)
{
    struct jinja_string content = {.data = m->content, .len = m->content_len};
    if (jinja_dict_new(run, JINJA_DICT, out) != 0 ||
        put_text(run, out->dict, "role", role_text(m->role)) != 0) {
        return -1;
    }
    if (m->content ? put_text(run, out->dict, "content", content) != 0
                   : put(run, out->dict, "content", jinja_none()) != 0) {
        return -1;
    }
    if (m->reasoning &&
        (put_text(run, out->dict, "reasoning_content", text_of(m->reasoning, false)) != 0 ||
         put_text(run, out->dict, "thinking", text_of(m->reasoning, false)) != 0)) {
        return -1;
    }
    if (m->tool_calls && put_tool_calls(run, out->dict, m->tool_calls) != 0) {
        return -1;
    }
    return m->tool_call_id
               ? put_text(run, out->dict, "tool_call_id", text_of(m->tool_call_id, false))
               : 0;
}

static int set_messages(struct jinja_run *run, const struct chat_render *in)
{
    struct jinja_value list;
    if (jinja_list_new(run, JINJA_LIST, in->n_messages, &list) != 0) {
        return -1;
    }
    for (size_t i = 0; i < in->n_messages; i++) {
        struct jinja_value item;
        if (message_value(run, &in->messages[i], &item) != 0) {
            return err_prefix(run->err, "messages[%zu]", i);
        }
        list.list->items[list.list->count++] = item;
    }
    return set_variable(run, "messages", list);
}

/* A client may set these and no other variable of the template. */
static int set_kwargs(struct jinja_run *run, const cJSON *kwargs)
{
    static const struct {
        const char *name;
        int type;
        const char *type_name;
    } allowed[] = {
        {"enable_thinking", cJSON_True | cJSON_False, "true or false"},
        {"reasoning_effort", cJSON_String, "a string"},
    };
    for (const cJSON *item = kwargs ? kwargs->child : NULL; item; item = item->next) {
        size_t i = 0;
        while (i < 2 && strcmp(allowed[i].name, item->string) != 0) {
            i++;
        }
        if (i == 2) {
            return err_set_param(run->err, ERR_INVALID, "chat_template_kwargs",
                                 "chat_template_kwargs: \"%s\" is not allowed; "
                                 "enable_thinking and reasoning_effort are",
                                 item->string);
        }
        struct jinja_value value;
        if (!(item->type & allowed[i].type)) {
            return err_set_param(run->err, ERR_INVALID, "chat_template_kwargs",
                                 "chat_template_kwargs: \"%s\" is to be %s", allowed[i].name,
                                 allowed[i].type_name);
        }
        if (jinja_from_cjson(run, item, &value) != 0 ||
            set_variable(run, allowed[i].name, value) != 0) {
            return -1;
        }
    }
    return 0;
}

static int set_inputs(struct jinja_run *run, const struct chat_render *in)
{
    struct jinja_value bos, eos;
    struct jinja_value tools = jinja_none();
    if (jinja_string_value(run, text_of(in->bos_token, true), &bos) != 0 ||
        jinja_string_value(run, text_of(in->eos_token, true), &eos) != 0 ||
        (in->tools && jinja_from_cjson(run, in->tools, &tools) != 0) ||
        set_variable(run, "bos_token", bos) != 0 || set_variable(run, "eos_token", eos) != 0 ||
        set_variable(run, "tools", tools) != 0 ||
        set_variable(run, "documents", jinja_none()) != 0 ||
        set_variable(run, "add_generation_prompt", jinja_bool(in->add_generation_prompt)) !=
            0) {
        return -1;
    }
    return set_messages(run, in) == 0 ? set_kwargs(run, in->kwargs) : -1;
}

/* --- rendering --- */

/* The budget, now that the size of what is to be rendered is known. */
static void set_limits(struct jinja_run *run, const struct chat_render *in)
{
    size_t work = run->arena->used;
    for (size_t i = 0; i < in->n_messages; i++) {
        work += in->messages[i].content ? in->messages[i].content_len : 0;
        work += in->messages[i].reasoning ? strlen(in->messages[i].reasoning) : 0;
    }
    run->arena->max = run->arena->used + RENDER_BYTES_MIN + work * RENDER_BYTES_PER_BYTE;
    run->max_string = STRING_BYTES_MIN + work * STRING_BYTES_PER_BYTE;
    run->steps = RENDER_STEPS_MIN + (uint64_t)in->n_messages * RENDER_STEPS_A_MESSAGE + work;
}

static int copy_out(const struct jinja_string *s, struct chat_text *out, struct err *e)
{
    out->data = mem_alloc(s->len);
    out->trusted = mem_alloc(s->len);
    if (!out->data || !out->trusted) {
        chat_text_deinit(out);
        return err_nomem(e);
    }
    out->len = s->len;
    memcpy(out->data, s->data, s->len);
    if (s->trust) {
        memcpy(out->trusted, s->trust, s->len);
    } else {
        memset(out->trusted, s->trusted, s->len);
    }
    return 0;
}

int chat_template_render(const struct chat_template *t, const struct chat_render *in,
                         struct chat_text *out, struct err *e)
{
    *out = (struct chat_text){0};
    struct jinja_arena arena;
    struct jinja_builder text;
    jinja_arena_init(&arena, INPUT_BYTES_MAX);
    struct jinja_run run = {
        .arena = &arena,
        .err = e,
        .out = &text,
        .loop = jinja_name_of("loop"),
        .unix_time = in->unix_time ? in->unix_time : clock_unix_s(),
        .steps = UINT64_MAX,
        .max_string = INPUT_BYTES_MAX,
        .line = 1,
    };
    jinja_builder_init(&text, &run);
    run.scope = jinja_scope_new(&run, NULL);
    int rc = run.scope ? set_inputs(&run, in) : -1;
    if (rc == 0) {
        set_limits(&run, in);
        rc = jinja_exec(&run, t->body);
    }
    if (rc == 0) {
        struct jinja_string whole = jinja_builder_string(&text);
        rc = copy_out(&whole, out, e);
    }
    jinja_arena_deinit(&arena);
    return rc;
}

void chat_text_deinit(struct chat_text *text)
{
    mem_free(text->data);
    mem_free(text->trusted);
    *text = (struct chat_text){0};
}
