#include "models/template/chat_template.h"

#include <string.h>

#include "models/template/jinja_parser.h"
#include "models/template/jinja_run.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"

#define SOURCE_BYTES_MAX  ((size_t)1 << 20)
#define COMPILE_BYTES_MAX ((size_t)16 << 20)
#define RENDER_BYTES_MAX  ((size_t)64 << 20)
#define RENDER_STEPS_MAX  5000000u
#define STRING_BYTES_MAX  ((size_t)16 << 20)

struct chat_template {
    struct jinja_arena arena; /* of the tree */
    char *source;             /* text in the tree points into it */
    struct jinja_stmt *body;
};

struct chat_template *chat_template_compile(const char *source, size_t len, struct err *e)
{
    if (len > SOURCE_BYTES_MAX) {
        err_set(e, ERR_LIMIT, "the chat template has %zu bytes, at most %zu are allowed", len,
                SOURCE_BYTES_MAX);
        return NULL;
    }
    struct chat_template *t = mem_zalloc(sizeof(*t));
    if (!t) {
        err_nomem(e);
        return NULL;
    }
    jinja_arena_init(&t->arena, COMPILE_BYTES_MAX);
    t->source = mem_strndup(source, len);
    if (!t->source) {
        err_nomem(e);
    } else if (jinja_parse(t->source, len, &t->arena, &t->body, e) == 0) {
        return t;
    }
    chat_template_destroy(t);
    return NULL;
}

void chat_template_destroy(struct chat_template *t)
{
    if (t) {
        jinja_arena_deinit(&t->arena);
        mem_free(t->source);
        mem_free(t);
    }
}

static int put_text(struct jinja_run *run, struct jinja_dict *dict, const char *key,
                    const char *text, size_t len)
{
    struct jinja_value name;
    struct jinja_value value;
    struct jinja_string key_string = {key, NULL, strlen(key), false};
    struct jinja_string value_string = {text, NULL, len, false};
    if (jinja_string_value(run, key_string, &name) != 0 ||
        jinja_string_value(run, value_string, &value) != 0) {
        return -1;
    }
    return jinja_dict_put(run, dict, name, value);
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

/* A constant of the model: its bytes may be control tokens. */
static int set_token_name(struct jinja_run *run, const char *variable, const char *token)
{
    struct jinja_value value;
    struct jinja_string name = {token, NULL, strlen(token), true};
    return jinja_string_value(run, name, &value) != 0 ? -1 : set_variable(run, variable, value);
}

static int set_messages(struct jinja_run *run, const struct chat_render *in)
{
    struct jinja_value list;
    if (jinja_list_new(run, JINJA_LIST, in->n_messages, &list) != 0) {
        return -1;
    }
    for (size_t i = 0; i < in->n_messages; i++) {
        const struct chat_message *m = &in->messages[i];
        struct jinja_value item;
        if (jinja_dict_new(run, JINJA_DICT, &item) != 0 ||
            put_text(run, item.dict, "role", m->role, strlen(m->role)) != 0 ||
            put_text(run, item.dict, "content", m->content, m->content_len) != 0 ||
            jinja_list_push(run, list.list, item) != 0) {
            return -1;
        }
    }
    return set_variable(run, "messages", list);
}

static int render(const struct chat_template *t, const struct chat_render *in,
                  struct jinja_run *run)
{
    run->scope = jinja_scope_new(run, NULL);
    if (!run->scope || set_messages(run, in) != 0 ||
        set_variable(run, "add_generation_prompt", jinja_bool(in->add_generation_prompt)) !=
            0 ||
        set_token_name(run, "bos_token", in->bos_token) != 0 ||
        set_token_name(run, "eos_token", in->eos_token) != 0 ||
        set_variable(run, "tools", jinja_none()) != 0) {
        return -1;
    }
    return jinja_exec(run, t->body);
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
    for (size_t i = 0; i < s->len; i++) {
        out->trusted[i] = jinja_string_trusted_at(s, i);
    }
    return 0;
}

int chat_template_render(const struct chat_template *t, const struct chat_render *in,
                         struct chat_text *out, struct err *e)
{
    *out = (struct chat_text){0};
    struct jinja_arena arena;
    struct jinja_builder text;
    jinja_arena_init(&arena, RENDER_BYTES_MAX);
    struct jinja_run run = {
        .arena = &arena,
        .err = e,
        .out = &text,
        .loop = jinja_name_of("loop"),
        .unix_time = clock_unix_s(),
        .steps = RENDER_STEPS_MAX,
        .max_string = STRING_BYTES_MAX,
        .line = 1,
    };
    jinja_builder_init(&text, &run);
    int rc = render(t, in, &run);
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
