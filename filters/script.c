#include "filters/script.h"

#include <string.h>

#include "filters/script_text.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"

enum { KEY_CODE, KEY_FILE, KEY_STEPS, KEY_MEMORY };
static const struct filter_key keys[] = {
    [KEY_CODE] = {.name = "code",
                  .kind = FILTER_KEY_STRING,
                  .help = "the script, which returns the filter function"},
    [KEY_FILE] = {.name = "file",
                  .kind = FILTER_KEY_FILE,
                  .help = "a file with the script, in place of `code`"},
    [KEY_STEPS] = {.name = "max_steps",
                   .kind = FILTER_KEY_NUMBER,
                   .fallback = "10000",
                   .help = "instructions that one call may take, 1,000 to 1,000,000"},
    [KEY_MEMORY] = {.name = "max_memory_kib",
                    .kind = FILTER_KEY_NUMBER,
                    .fallback = "1024",
                    .help = "memory that one text may take, 64 to 16,384 KiB"},
    {.name = NULL},
};

/* The config. */
struct script {
    struct script_limits limits;
    size_t len;
    char code[];
};

/* The only one of the two that is given, or NULL. */
static const struct filter_string *find_code(const struct filter_value *values,
                                             const char **key)
{
    bool in_file = values[KEY_FILE].count > 0;
    *key = in_file ? "file" : "code";
    if (in_file == (values[KEY_CODE].count > 0)) {
        return NULL;
    }
    return values[in_file ? KEY_FILE : KEY_CODE].strings;
}

/* A first run shows what is wrong before any text comes. */
static int try_script(const struct script *script, const char *key, struct filter_error *error)
{
    char message[FILTER_MAX_ERROR + 1];
    struct filter_text text = {.size = sizeof(text), .side = FILTER_OUTPUT};
    struct script_text *t = script_text_create(script->code, script->len, &script->limits,
                                               &text, message, sizeof(message));
    script_text_destroy(t);
    return t ? 0 : setting_refuse(error, key, message);
}

static int script_configure(void **config, const struct filter_value *values,
                            struct filter_error *error)
{
    const char *key;
    const struct filter_string *code = find_code(values, &key);
    uint32_t steps, kib;
    if (!code) {
        return setting_refuse(error, "", "give either \"code\" or \"file\"");
    }
    if (code->len > SCRIPT_MAX_CODE) {
        return setting_refuse(error, key, "may have at most 65,536 bytes");
    }
    if (setting_whole(&values[KEY_STEPS], "max_steps", 1000, 1000000, &steps, error) != 0 ||
        setting_whole(&values[KEY_MEMORY], "max_memory_kib", 64, 16384, &kib, error) != 0) {
        return -1;
    }
    struct script *script = mem_alloc(sizeof(*script) + code->len);
    if (!script) {
        return setting_refuse(error, "", "out of memory");
    }
    script->limits = (struct script_limits){.steps = steps, .memory = (size_t)kib << 10};
    script->len = code->len;
    memcpy(script->code, code->data, code->len);
    if (try_script(script, key, error) != 0) {
        mem_free(script);
        return -1;
    }
    *config = script;
    return 0;
}

static int script_open(void **state, const void *config, const struct filter_text *text)
{
    const struct script *script = config;
    char message[FILTER_MAX_MESSAGE + 1];
    *state = script_text_create(script->code, script->len, &script->limits, text, message,
                                sizeof(message));
    return *state ? 0 : -1;
}

static int script_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    return script_text_call(state, span, false, host);
}

static int script_finish(void *state, const struct filter_span *span, struct filter_host *host)
{
    return script_text_call(state, span, true, host);
}

static void script_close(void *state)
{
    script_text_destroy(state);
}

const struct filter_type filter_script = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "script",
    .summary = "runs a function in Lua, in a sandbox",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .keys = keys,
    .configure = script_configure,
    .release = mem_free,
    .open = script_open,
    .feed = script_feed,
    .finish = script_finish,
    .close = script_close,
};
