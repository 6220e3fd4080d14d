#include "models/template/document.h"

#include "models/template/jinja_builtin.h"
#include "models/template/jinja_parser.h"
#include "models/template/jinja_run.h"
#include "runtime/base/clock.h"

#define ARENA_BYTES_MAX  ((size_t)64 << 20)
#define STRING_BYTES_MAX ((size_t)16 << 20)
#define STEPS_MAX        10000000u

static int set_variables(struct jinja_run *run, const cJSON *variables)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, variables)
    {
        struct jinja_value value;
        struct jinja_name *name = jinja_alloc(run, 1, sizeof(*name));
        if (!name || jinja_from_cjson(run, item, &value) != 0) {
            return -1;
        }
        *name = jinja_name_of(item->string);
        if (jinja_scope_set(run, name, value) != 0) {
            return -1;
        }
    }
    return 0;
}

static int run_template(const struct jinja_stmt *body, struct jinja_arena *arena,
                        const cJSON *variables, struct buf *out, struct err *e)
{
    struct jinja_builder text;
    struct jinja_run run = {
        .arena = arena,
        .err = e,
        .out = &text,
        .loop = jinja_name_of("loop"),
        .unix_time = clock_unix_s(),
        .steps = STEPS_MAX,
        .max_string = STRING_BYTES_MAX,
        .line = 1,
    };
    jinja_builder_init(&text, &run);
    run.scope = jinja_scope_new(&run, NULL);
    if (!run.scope || set_variables(&run, variables) != 0 || jinja_exec(&run, body) != 0) {
        return -1;
    }
    struct jinja_string whole = jinja_builder_string(&text);
    return buf_append(out, whole.data, whole.len) == 0 ? 0 : err_nomem(e);
}

int document_render(const char *source, size_t len, const cJSON *variables, struct buf *out,
                    struct err *e)
{
    struct jinja_arena arena;
    struct jinja_stmt *body = NULL;
    if (len > DOCUMENT_TEMPLATE_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "the template has %zu bytes, at most %zu are allowed", len,
                       DOCUMENT_TEMPLATE_BYTES_MAX);
    }
    jinja_arena_init(&arena, ARENA_BYTES_MAX);
    int rc = jinja_parse(source, len, &arena, &body, e);
    if (rc == 0) {
        rc = run_template(body, &arena, variables, out, e);
    }
    jinja_arena_deinit(&arena);
    return rc;
}
