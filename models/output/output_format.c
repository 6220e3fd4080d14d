#include "models/output/output_format.h"

#include <string.h>

#include "models/output/json_scan.h"
#include "models/output/output_marker.h"
#include "runtime/base/buf.h"

#define PROBE_BYTES_MAX ((size_t)4 << 20)

/* Texts that no template has of its own. */
#define NAME      "probe_tool"
#define NAME2     "probe_other"
#define KEY       "probe_key"
#define VALUE     "probe_value"
#define USER      "Probe question"
#define RESULT    "Probe result"
#define SYSTEM    "Probe instructions"
#define ID_SHORT  "probe1234"
#define ID_LONG   "call_0123456789abcdef01234567"
#define ARGUMENTS "{\"" KEY "\":\"" VALUE "\"}"
#define AS_TEXT   "\"{\\\"" KEY "\\\": \\\"" VALUE "\\\"}\""

#define CALL(id, name, arguments)                                             \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name \
    "\",\"arguments\":" arguments "}}"

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"" NAME "\",\"description\":\"Probe.\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"" KEY
    "\":{\"type\":\"string\"}},\"required\":[\"" KEY "\"]}}}]";

struct probe {
    const struct chat_template *t;
    cJSON *tools;
    struct buf text; /* the last rendering */
};

static struct chat_message message(const char *role, const char *content)
{
    return (struct chat_message){
        .role = role, .content = content, .content_len = content ? strlen(content) : 0};
}

/* Renders to p->text. 1, or 0 when the template refuses, or -1 when memory ran out. */
static int render(struct probe *p, const struct chat_message *messages, size_t n,
                  const cJSON *tools, const cJSON *kwargs, struct err *e)
{
    const struct chat_render in = {.messages = messages,
                                   .n_messages = n,
                                   .add_generation_prompt = true,
                                   .bos_token = "",
                                   .eos_token = "",
                                   .tools = tools,
                                   .kwargs = kwargs};
    struct chat_text text;
    struct err refused = {0};

    buf_clear(&p->text);
    if (chat_template_render(p->t, &in, &text, &refused) != 0) {
        return refused.kind == ERR_NOMEM ? err_nomem(e) : 0;
    }
    const int rc = buf_append(&p->text, text.data, text.len);
    chat_text_deinit(&text);
    return rc == 0 ? 1 : err_nomem(e);
}

/* The part of a rendered conversation in which the call stands: from the question to the
 * result, that is behind all that describes the tools. NULL when the call is not in it. */
static const char *call_text(const struct probe *p, size_t *len)
{
    const char *begin = strstr(p->text.data, USER);
    const char *end = begin ? strstr(begin, RESULT) : NULL;
    const char *name = end ? strstr(begin, NAME) : NULL;
    /* The arguments, not as a JSON string of JSON text. */
    const char *key = name ? strstr(name, "\"" KEY "\"") : NULL;

    if (!key || key > end) {
        return NULL;
    }
    *len = (size_t)(end - begin);
    return begin;
}

/* Renders a conversation with a call. */
static int render_call(struct probe *p, const char *content, const char *calls, const char *id,
                       struct err *e)
{
    struct chat_message m[] = {message("user", USER), message("assistant", content),
                               message("tool", RESULT)};
    m[1].tool_calls = calls;
    m[2].tool_call_id = id;
    return render(p, m, 3, p->tools, NULL, e);
}

/* --- what the template wants --- */

/* Finds a way of giving the template a call that it writes as it should. 1 when there is one;
 * then the rendering is in p->text. */
static int find_call(struct probe *p, struct output_format *f, struct err *e)
{
    static const char *const calls[] = {"[" CALL(ID_SHORT, NAME, ARGUMENTS) "]",
                                        "[" CALL(ID_SHORT, NAME, AS_TEXT) "]"};

    for (int i = 0; i < 4; i++) {
        f->arguments_text = i >= 2;
        f->empty_content = i % 2 == 1;
        const int rc = render_call(p, f->empty_content ? "" : NULL,
                                   calls[f->arguments_text ? 1 : 0], ID_SHORT, e);
        size_t len;
        if (rc < 0 || (rc == 1 && call_text(p, &len))) {
            return rc;
        }
    }
    return 0;
}

static int ask_ids(struct probe *p, struct output_format *f, struct err *e)
{
    const int rc = render_call(p, f->empty_content ? "" : NULL,
                               f->arguments_text ? "[" CALL(ID_LONG, NAME, AS_TEXT) "]"
                                                 : "[" CALL(ID_LONG, NAME, ARGUMENTS) "]",
                               ID_LONG, e);
    f->short_ids = rc == 0;
    return rc < 0 ? -1 : 0;
}

static int ask_several(struct probe *p, struct output_format *f, struct err *e)
{
    static const char objects[] =
        "[" CALL(ID_SHORT, NAME, ARGUMENTS) "," CALL(ID_SHORT, NAME2, ARGUMENTS) "]";
    static const char texts[] =
        "[" CALL(ID_SHORT, NAME, AS_TEXT) "," CALL(ID_SHORT, NAME2, AS_TEXT) "]";
    const int rc = render_call(p, f->empty_content ? "" : NULL,
                               f->arguments_text ? texts : objects, ID_SHORT, e);

    f->one_call = rc == 0 || (rc == 1 && !strstr(p->text.data, NAME2));
    return rc < 0 ? -1 : 0;
}

static int ask_system(struct probe *p, struct output_format *f, struct err *e)
{
    const struct chat_message m[] = {message("system", SYSTEM), message("user", USER)};
    const int rc = render(p, m, 2, NULL, NULL, e);

    f->no_system = rc == 0 || (rc == 1 && !strstr(p->text.data, SYSTEM));
    return rc < 0 ? -1 : 0;
}

/* --- how the model writes --- */

/* What stands behind `word` and white space in text, or NULL. */
static const char *behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);

    if (at) {
        at += strlen(word);
        at += strspn(at, " \t\r\n");
    }
    return at;
}

/* Reads the family from the call in p->text, which is cut behind it. OUTPUT_CALLS_JSON: it is
 * none of the others. */
static enum output_calls family_of(struct probe *p, bool *call_ids)
{
    size_t len;
    const char *part = call_text(p, &len);

    if (!part) {
        return OUTPUT_CALLS_JSON;
    }
    p->text.data[(size_t)(part - p->text.data) + len] = '\0';
    const char *tagged = behind(part, MARKER_TOOL_CALL);
    const char *listed = behind(part, MARKER_TOOL_CALLS);
    if (tagged && *tagged == '{') {
        return OUTPUT_CALLS_TAGGED;
    }
    if (listed && *listed == '[') {
        return OUTPUT_CALLS_LIST;
    }
    if (listed && strncmp(listed, NAME "[", strlen(NAME) + 1) == 0) {
        *call_ids = strstr(listed, MARKER_CALL_ID) != NULL;
        return OUTPUT_CALLS_NAMED;
    }
    return strstr(part, "{\"name\": \"" NAME "\", \"parameters\": {") ? OUTPUT_CALLS_BARE
                                                                      : OUTPUT_CALLS_JSON;
}

static int ask_calls(struct probe *p, struct output_format *f, struct err *e)
{
    const struct chat_message user = message("user", USER);
    int rc = render(p, &user, 1, p->tools, NULL, e);

    if (rc <= 0 || !strstr(p->text.data, NAME)) {
        return rc < 0 ? -1 : 0; /* the template does not show tools */
    }
    rc = find_call(p, f, e);
    f->calls = rc == 1 ? family_of(p, &f->call_ids) : OUTPUT_CALLS_JSON;
    if (f->calls == OUTPUT_CALLS_JSON) {
        f->arguments_text = f->empty_content = false;
        return rc < 0 ? -1 : 0;
    }
    return ask_ids(p, f, e) == 0 ? ask_several(p, f, e) : -1;
}

static const struct {
    const char *open, *close;
} thoughts[] = {{"<think>", "</think>"}, {"[THINK]", "[/THINK]"}};

#define N_THOUGHTS (sizeof(thoughts) / sizeof(thoughts[0]))

static void find_thoughts(const struct probe *p, struct output_format *f)
{
    for (size_t i = 0; i < N_THOUGHTS && !f->think_open; i++) {
        if (strstr(p->text.data, thoughts[i].open)) {
            f->think_open = thoughts[i].open;
            f->think_close = thoughts[i].close;
        }
    }
}

/* A template of a model that reasons opens it in the prompt, or with thinking switched off
 * opens and closes it there. */
static int ask_thoughts(struct probe *p, struct output_format *f, struct err *e)
{
    const struct chat_message user = message("user", USER);
    cJSON *kwargs = cJSON_CreateObject();
    int rc = kwargs && cJSON_AddFalseToObject(kwargs, "enable_thinking") ? 0 : err_nomem(e);

    for (int i = 0; rc == 0 && i < 2; i++) {
        const int rendered = render(p, &user, 1, NULL, i == 0 ? NULL : kwargs, e);
        if (rendered == 1) {
            find_thoughts(p, f);
        }
        rc = rendered < 0 ? -1 : 0;
    }
    cJSON_Delete(kwargs);
    return rc;
}

/* --- tokens --- */

static void show(struct output_format *f, const struct tokenizer *tokenizer, const char *name)
{
    const int32_t id = name ? tokenizer_find_special(tokenizer, name) : TOKEN_NONE;

    if (id != TOKEN_NONE && tokenizer_is_control(tokenizer, id) &&
        f->n_visible < OUTPUT_VISIBLE_MAX) {
        f->visible[f->n_visible++] = id;
    }
}

static void find_visible(struct output_format *f, const struct tokenizer *tokenizer)
{
    show(f, tokenizer, f->think_open);
    show(f, tokenizer, f->think_close);
    if (f->calls == OUTPUT_CALLS_TAGGED) {
        show(f, tokenizer, MARKER_TOOL_CALL);
        show(f, tokenizer, MARKER_TOOL_CALL_END);
    } else if (f->calls == OUTPUT_CALLS_BARE) {
        show(f, tokenizer, MARKER_PYTHON_TAG);
    } else if (f->calls == OUTPUT_CALLS_LIST || f->calls == OUTPUT_CALLS_NAMED) {
        show(f, tokenizer, MARKER_TOOL_CALLS);
        show(f, tokenizer, MARKER_CALL_ID);
        show(f, tokenizer, MARKER_ARGS);
    }
}

const char *output_format_token_text(const struct output_format *f,
                                     const struct tokenizer *tokenizer, int32_t id)
{
    for (size_t i = 0; i < f->n_visible; i++) {
        if (f->visible[i] == id) {
            return tokenizer_token_name(tokenizer, id);
        }
    }
    return NULL;
}

int output_format_detect(struct output_format *f, const struct chat_template *t,
                         const struct tokenizer *tokenizer, struct err *e)
{
    struct probe p = {.t = t, .tools = json_parse(tools_text, strlen(tools_text), e)};

    *f = (struct output_format){0};
    buf_init(&p.text, PROBE_BYTES_MAX);
    int rc = p.tools ? 0 : -1;
    if (rc == 0 && (buf_append_str(&p.text, "") != 0 || ask_calls(&p, f, e) != 0 ||
                    ask_system(&p, f, e) != 0 || ask_thoughts(&p, f, e) != 0)) {
        rc = -1;
    }
    if (rc == 0 && tokenizer) {
        find_visible(f, tokenizer);
    }
    buf_deinit(&p.text);
    cJSON_Delete(p.tools);
    return rc;
}

bool output_format_template_has_tools(const struct output_format *f)
{
    return f->calls != OUTPUT_CALLS_JSON;
}

bool output_format_prompt_open(const struct output_format *f, const char *prompt, size_t len)
{
    if (!f->think_open) {
        return false;
    }
    while (len > 0 && json_is_space(prompt[len - 1])) {
        len--;
    }
    const size_t n = strlen(f->think_open);
    return len >= n && memcmp(prompt + len - n, f->think_open, n) == 0;
}
