#include "models/output/tool_messages.h"

#include <stdio.h>
#include <string.h>

#include "models/output/tool_text.h"
#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"

#define SHORT_ID_LEN 9

/* A conversation that is being made fit. */
struct adaption {
    struct tool_messages *m;
    const struct output_format *f;
    const struct chat_message *in; /* (n) */
    size_t n;
    size_t cap; /* of m->messages */
    struct err *e;
};

void tool_messages_short_id(const char *id, char out[SHORT_ID_LEN + 1])
{
    static const char digits[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const size_t len = strlen(id);
    uint64_t hash = fnv64(FNV64_BASIS, id, len);

    if (len == SHORT_ID_LEN && strspn(id, digits) == len) {
        memcpy(out, id, SHORT_ID_LEN + 1);
        return;
    }
    for (int i = 0; i < SHORT_ID_LEN; i++) {
        out[i] = digits[hash % 62];
        hash /= 62;
    }
    out[SHORT_ID_LEN] = '\0';
}

/* --- ownership --- */

/* Takes text, which may be NULL for a lack of memory. Returns it. */
static char *own(struct adaption *a, char *text)
{
    struct tool_messages *m = a->m;

    if (text && m->n_owned == m->cap_owned) {
        const size_t cap = m->cap_owned ? m->cap_owned * 2 : 16;
        char **moved = mem_realloc_array(m->owned, cap, sizeof(*moved));
        if (!moved) {
            mem_free(text);
            text = NULL;
        } else {
            m->owned = moved;
            m->cap_owned = cap;
        }
    }
    if (!text) {
        err_nomem(a->e);
        return NULL;
    }
    return m->owned[m->n_owned++] = text;
}

static char *own_buf(struct adaption *a, struct buf *text)
{
    char *taken = own(a, buf_take(text, NULL));

    buf_deinit(text);
    return taken;
}

static char *own_json(struct adaption *a, const cJSON *json)
{
    char *printed = cJSON_PrintUnformatted(json);
    char *copy = printed ? mem_strdup(printed) : NULL;

    cJSON_free(printed);
    return own(a, copy);
}

static struct chat_message *push(struct adaption *a, const struct chat_message *message)
{
    struct tool_messages *m = a->m;

    if (m->n_messages == a->cap) {
        const size_t cap = a->cap ? a->cap * 2 : a->n + 1;
        struct chat_message *moved = mem_realloc_array(m->messages, cap, sizeof(*moved));
        if (!moved) {
            err_nomem(a->e);
            return NULL;
        }
        m->messages = moved;
        a->cap = cap;
    }
    m->messages[m->n_messages] = *message;
    return &m->messages[m->n_messages++];
}

static void set_content(struct chat_message *m, const char *text)
{
    m->content = text;
    m->content_len = strlen(text);
}

/* --- calls --- */

/* The calls of message i: NULL in *calls when it has none. */
static int parse_calls(const struct adaption *a, size_t i, cJSON **calls)
{
    const char *text = a->in[i].tool_calls;

    *calls = text ? json_parse(text, strlen(text), a->e) : NULL;
    if (text && !*calls) {
        return err_prefix(a->e, "messages[%zu].tool_calls", i);
    }
    if (*calls && (!cJSON_IsArray(*calls) || tool_text_check_calls(*calls) != 0)) {
        cJSON_Delete(*calls);
        *calls = NULL;
        return err_set_param(a->e, ERR_INVALID, "messages",
                             "messages[%zu].tool_calls: each needs an id and a function with "
                             "a name and arguments",
                             i);
    }
    if (*calls && !(*calls)->child) {
        cJSON_Delete(*calls);
        *calls = NULL;
    }
    return 0;
}

/* Puts the arguments into an object, where they are one and the template wants it so. */
static int adapt_arguments(const struct adaption *a, cJSON *function)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(function, "arguments");
    cJSON *object =
        a->f->arguments_text || !cJSON_IsString(text) ? NULL : tool_text_arguments(text);

    if (object && !cJSON_ReplaceItemInObjectCaseSensitive(function, "arguments", object)) {
        cJSON_Delete(object);
        return err_nomem(a->e);
    }
    return 0;
}

static int adapt_call(const struct adaption *a, cJSON *call)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(call, "id");
    char short_id[SHORT_ID_LEN + 1];

    if (a->f->short_ids) {
        tool_messages_short_id(id->valuestring, short_id);
        cJSON *item = cJSON_CreateString(short_id);
        if (!item || !cJSON_ReplaceItemInObjectCaseSensitive(call, "id", item)) {
            cJSON_Delete(item);
            return err_nomem(a->e);
        }
    }
    return adapt_arguments(a, cJSON_GetObjectItemCaseSensitive(call, "function"));
}

/* --- for templates that know tools --- */

static int push_result(struct adaption *a, size_t i)
{
    struct chat_message *m = push(a, &a->in[i]);
    char short_id[SHORT_ID_LEN + 1];

    if (!m) {
        return -1;
    }
    if (a->f->short_ids && m->tool_call_id) {
        tool_messages_short_id(m->tool_call_id, short_id);
        m->tool_call_id = own(a, mem_strdup(short_id));
    }
    return a->f->short_ids && a->in[i].tool_call_id && !m->tool_call_id ? -1 : 0;
}

/* A message of the assistant's with the calls in `list`. */
static int push_calls(struct adaption *a, size_t i, const cJSON *list, bool with_content)
{
    struct chat_message message = a->in[i];

    if (!with_content) {
        message.content = message.reasoning = NULL;
        message.content_len = 0;
    }
    if (!message.content && a->f->empty_content) {
        set_content(&message, "");
    }
    message.tool_calls = own_json(a, list);
    return message.tool_calls && push(a, &message) ? 0 : -1;
}

/* Results follow message i up to *end. The one of this call goes behind it. */
static int push_result_of(struct adaption *a, size_t i, size_t end, const char *id, bool *used)
{
    for (size_t k = i + 1; k < end; k++) {
        if (!used[k - i - 1] && a->in[k].tool_call_id &&
            strcmp(a->in[k].tool_call_id, id) == 0) {
            used[k - i - 1] = true;
            return push_result(a, k);
        }
    }
    return 0;
}

/* One message a call, each with its result behind it. */
static int push_split(struct adaption *a, size_t i, size_t end, cJSON *calls)
{
    bool *used = mem_zarray(end - i, sizeof(*used));
    int rc = used ? 0 : err_nomem(a->e);
    bool first = true;

    while (rc == 0 && calls->child) {
        cJSON *call = cJSON_DetachItemFromArray(calls, 0);
        const char *id = cJSON_GetObjectItemCaseSensitive(call, "id")->valuestring;
        cJSON *list = cJSON_CreateArray();
        if (list && cJSON_AddItemReferenceToArray(list, call)) {
            rc = push_calls(a, i, list, first) == 0 ? push_result_of(a, i, end, id, used) : -1;
        } else {
            rc = err_nomem(a->e);
        }
        first = false;
        cJSON_Delete(list);
        cJSON_Delete(call);
    }
    for (size_t k = i + 1; rc == 0 && k < end; k++) {
        rc = used[k - i - 1] ? 0 : push_result(a, k);
    }
    mem_free(used);
    return rc;
}

/* The first message from i on that is no result. */
static size_t results_end(const struct adaption *a, size_t i)
{
    while (i < a->n && strcmp(a->in[i].role, "tool") == 0) {
        i++;
    }
    return i;
}

/* Message *i, and those that were taken with it; *i moves behind them. */
static int adapt_message(struct adaption *a, size_t *i)
{
    const size_t at = (*i)++;
    cJSON *calls;

    if (strcmp(a->in[at].role, "tool") == 0) {
        return push_result(a, at);
    }
    if (parse_calls(a, at, &calls) != 0) {
        return -1;
    }
    if (!calls) {
        struct chat_message plain = a->in[at];
        plain.tool_calls = NULL;
        return push(a, &plain) ? 0 : -1;
    }
    int rc = 0;
    cJSON *call;
    cJSON_ArrayForEach(call, calls)
    {
        rc = rc == 0 ? adapt_call(a, call) : rc;
    }
    if (rc == 0 && a->f->one_call && calls->child->next) {
        *i = results_end(a, at + 1);
        rc = push_split(a, at, *i, calls);
    } else if (rc == 0) {
        rc = push_calls(a, at, calls, true);
    }
    cJSON_Delete(calls);
    return rc;
}

/* --- for templates that do not --- */

/* The name of the tool whose result message i is, or "the function". */
static const char *called_name(const cJSON *calls, const char *id)
{
    const cJSON *call;

    cJSON_ArrayForEach(call, calls)
    {
        if (id && strcmp(cJSON_GetObjectItemCaseSensitive(call, "id")->valuestring, id) == 0) {
            const cJSON *function = cJSON_GetObjectItemCaseSensitive(call, "function");
            return cJSON_GetObjectItemCaseSensitive(function, "name")->valuestring;
        }
    }
    return "the function";
}

/* Results and what the user says right behind them, as one message of the user's. */
static int push_results_text(struct adaption *a, size_t *i, const cJSON *calls)
{
    const struct chat_message *in = a->in;
    struct chat_message message = {.role = "user"};
    struct buf text;
    const size_t end = results_end(a, *i);

    buf_init(&text, SIZE_MAX / 2);
    for (size_t k = *i; k < end; k++) {
        buf_printf(&text, "%sResult of %s:\n", k > *i ? "\n\n" : "",
                   called_name(calls, in[k].tool_call_id));
        buf_append(&text, in[k].content, in[k].content_len);
    }
    *i = end;
    if (end < a->n && strcmp(in[end].role, "user") == 0 && in[end].content) {
        buf_append_str(&text, "\n\n");
        buf_append(&text, in[end].content, in[end].content_len);
        *i = end + 1;
    }
    const size_t len = text.len;
    message.content = own_buf(a, &text);
    message.content_len = len;
    return message.content && push(a, &message) ? 0 : -1;
}

static int push_calls_text(struct adaption *a, size_t i, const cJSON *calls)
{
    struct chat_message message = a->in[i];
    struct buf text;

    buf_init(&text, SIZE_MAX / 2);
    if (message.content_len > 0) {
        buf_append(&text, message.content, message.content_len);
        buf_append_char(&text, '\n');
    }
    tool_text_put_calls(calls, &text);
    message.content_len = text.len;
    message.content = own_buf(a, &text);
    message.tool_calls = NULL;
    return message.content && push(a, &message) ? 0 : -1;
}

/* Puts the description of the tools before or behind the text of a message. */
static int describe_in(struct adaption *a, struct chat_message *m, const char *described,
                       bool before)
{
    struct buf text;

    buf_init(&text, SIZE_MAX / 2);
    buf_append_str(&text, before ? described : "");
    buf_append_str(&text, before && m->content_len > 0 ? "\n\n" : "");
    buf_append(&text, m->content, m->content_len);
    buf_append_str(&text, !before && m->content_len > 0 ? "\n\n" : "");
    buf_append_str(&text, before ? "" : described);
    m->content_len = text.len;
    m->content = own_buf(a, &text);
    return m->content ? 0 : -1;
}

/* Behind the system message; where there is none it makes one, or takes the first of the
 * user's. */
static int describe_tools(struct adaption *a, const cJSON *tools)
{
    struct tool_messages *m = a->m;
    struct buf text;

    buf_init(&text, SIZE_MAX / 2);
    tool_text_put_description(tools, &text);
    const char *described = own_buf(a, &text);
    if (!described) {
        return -1;
    }
    if (m->n_messages > 0 && strcmp(m->messages[0].role, "system") == 0) {
        return describe_in(a, &m->messages[0], described, false);
    }
    if (a->f->no_system) {
        size_t i = 0;
        while (i < m->n_messages && strcmp(m->messages[i].role, "user") != 0) {
            i++;
        }
        return i < m->n_messages ? describe_in(a, &m->messages[i], described, true) : 0;
    }
    struct chat_message system = {.role = "system"};
    set_content(&system, described);
    if (!push(a, &system)) {
        return -1;
    }
    memmove(m->messages + 1, m->messages, (m->n_messages - 1) * sizeof(*m->messages));
    m->messages[0] = system;
    return 0;
}

static int adapt_to_text(struct adaption *a)
{
    cJSON *calls = NULL; /* the last ones: results belong to them */
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < a->n;) {
        cJSON *own_calls = NULL;
        if (strcmp(a->in[i].role, "tool") == 0) {
            rc = push_results_text(a, &i, calls);
            continue;
        }
        rc = parse_calls(a, i, &own_calls);
        if (rc == 0 && own_calls) {
            cJSON_Delete(calls);
            calls = own_calls;
            rc = push_calls_text(a, i, calls);
        } else if (rc == 0) {
            struct chat_message plain = a->in[i];
            plain.tool_calls = NULL;
            rc = push(a, &plain) ? 0 : -1;
        }
        i++;
    }
    cJSON_Delete(calls);
    return rc;
}

/* --- the whole --- */

int tool_messages_init(struct tool_messages *m, const struct output_format *f,
                       const struct chat_message *in, size_t n, const cJSON *tools,
                       struct err *e)
{
    struct adaption a = {.m = m, .f = f, .in = in, .n = n, .e = e};
    const bool any = tools && tools->child;
    int rc = 0;

    *m = (struct tool_messages){0};
    if (output_format_template_has_tools(f)) {
        m->tools = any ? tools : NULL;
        for (size_t i = 0; rc == 0 && i < n;) {
            rc = adapt_message(&a, &i);
        }
    } else {
        rc = adapt_to_text(&a);
        rc = rc == 0 && any ? describe_tools(&a, tools) : rc;
    }
    if (rc != 0) {
        tool_messages_deinit(m);
    }
    return rc;
}

void tool_messages_deinit(struct tool_messages *m)
{
    for (size_t i = 0; i < m->n_owned; i++) {
        mem_free(m->owned[i]);
    }
    mem_free(m->owned);
    mem_free(m->messages);
    *m = (struct tool_messages){0};
}
