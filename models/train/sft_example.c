#include "models/train/sft_example.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

#define MESSAGES_MAX 4096

/* A field; NULL where it is missing or null. */
static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(field) ? NULL : field;
}

/* Takes text, which may be NULL for a lack of memory. Returns it. */
static char *own(struct sft_example *x, char *text, struct err *e)
{
    char **grown = NULL;
    if (text) {
        grown = mem_realloc_array(x->owned, x->n_owned + 1, sizeof(*grown));
    }
    if (!grown) {
        mem_free(text);
        err_nomem(e);
        return NULL;
    }
    x->owned = grown;
    return x->owned[x->n_owned++] = text;
}

/* --- one message --- */

/* Where a message stands, for what is said about it. */
struct place {
    const char *list; /* "messages" */
    size_t index;
};

static int wrong(const struct place *at, const char *field, const char *what, struct err *e)
{
    return err_set(e, ERR_FORMAT, "%s[%zu].%s %s", at->list, at->index, field, what);
}

static const char *parse_role(const cJSON *item, const struct place *at, struct err *e)
{
    static const char *const known[] = {"system", "user", "assistant", "tool"};
    const char *role = cJSON_GetStringValue(get(item, "role"));
    if (role && strcmp(role, "developer") == 0) {
        return "system"; /* as the server reads it */
    }
    for (size_t i = 0; role && i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(role, known[i]) == 0) {
            return known[i];
        }
    }
    err_set(e, ERR_FORMAT,
            "%s[%zu].role %s%.40s%s: it must be system, developer, user, "
            "assistant or tool",
            at->list, at->index, role ? "is \"" : "is missing or no string", role ? role : "",
            role ? "\"" : "");
    return NULL;
}

/* Parts of type text, one behind the other. */
static const char *join_parts(struct sft_example *x, const cJSON *parts, const struct place *at,
                              struct err *e)
{
    struct buf text;
    const cJSON *part;
    buf_init(&text, SIZE_MAX / 2);
    buf_append_str(&text, "");
    cJSON_ArrayForEach(part, parts)
    {
        const char *type = cJSON_GetStringValue(get(part, "type"));
        const char *key = type && strcmp(type, "refusal") == 0 ? "refusal" : "text";
        const char *words = cJSON_GetStringValue(get(part, key));
        if (!type || strcmp(type, key) != 0 || !words) {
            wrong(at, "content",
                  "has a part that is no text; images and sound cannot be learnt", e);
            buf_deinit(&text);
            return NULL;
        }
        buf_append_str(&text, words);
    }
    char *joined = own(x, buf_take(&text, NULL), e);
    buf_deinit(&text);
    return joined;
}

static int parse_content(struct sft_example *x, const cJSON *item, struct chat_message *m,
                         const struct place *at, struct err *e)
{
    const cJSON *content = get(item, "content");
    if (!content) {
        content = get(item, "refusal");
    }
    if (cJSON_IsString(content)) {
        m->content = content->valuestring;
    } else if (cJSON_IsArray(content)) {
        m->content = join_parts(x, content, at, e);
        if (!m->content) {
            return -1;
        }
    } else if (content || !m->tool_calls) {
        return wrong(at, "content",
                     content ? "must be a string or an array of text parts" : "is missing", e);
    }
    m->content_len = m->content ? strlen(m->content) : 0;
    return 0;
}

static int parse_string(const cJSON *item, const char *key, const char **out,
                        const struct place *at, struct err *e)
{
    const cJSON *field = get(item, key);
    if (field && !cJSON_IsString(field)) {
        return wrong(at, key, "must be a string", e);
    }
    *out = cJSON_GetStringValue(field);
    return 0;
}

static int parse_assistant(struct sft_example *x, const cJSON *item, struct chat_message *m,
                           bool *learn, const struct place *at, struct err *e)
{
    const cJSON *calls = get(item, "tool_calls"), *weight = get(item, "weight");
    if (get(item, "function_call")) {
        return wrong(at, "function_call", "is the old form; write it as tool_calls", e);
    }
    if (calls && !cJSON_IsArray(calls)) {
        return wrong(at, "tool_calls", "must be an array", e);
    }
    if (weight && (!cJSON_IsNumber(weight) ||
                   (weight->valuedouble != 0.0 && weight->valuedouble != 1.0))) {
        return wrong(at, "weight", "must be 0 or 1", e);
    }
    *learn = !weight || weight->valuedouble != 0.0;
    if (calls && calls->child) {
        char *text = cJSON_PrintUnformatted(calls);
        m->tool_calls = own(x, text ? mem_strdup(text) : NULL, e);
        cJSON_free(text);
        if (!m->tool_calls) {
            return -1;
        }
    }
    return parse_string(item, "reasoning_content", &m->reasoning, at, e);
}

static int parse_message(struct sft_example *x, const cJSON *item, const struct place *at,
                         struct err *e)
{
    struct chat_message m = {0};
    bool learn = false;
    m.role = parse_role(item, at, e);
    if (!m.role) {
        return -1;
    }
    bool assistant = strcmp(m.role, "assistant") == 0, tool = strcmp(m.role, "tool") == 0;
    if (!assistant && get(item, "weight")) {
        return wrong(at, "weight", "may stand at the assistant's messages only", e);
    }
    if ((assistant && parse_assistant(x, item, &m, &learn, at, e)) ||
        (tool && parse_string(item, "tool_call_id", &m.tool_call_id, at, e)) ||
        parse_content(x, item, &m, at, e)) {
        return -1;
    }
    if (learn && !m.tool_calls && strspn(m.content, " \t\r\n") == m.content_len) {
        return wrong(at, "content", "is empty; nothing can be learnt from it", e);
    }
    if (tool && !m.tool_call_id) {
        return wrong(at, "tool_call_id", "is missing: which call does this answer?", e);
    }
    x->messages[x->n_messages] = m;
    x->learn[x->n_messages++] = learn;
    return 0;
}

/* --- lists of messages --- */

static int reserve(struct sft_example *x, size_t more, struct err *e)
{
    size_t n = x->n_messages + more;
    if (n > MESSAGES_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d messages", MESSAGES_MAX);
    }
    struct chat_message *messages = mem_realloc_array(x->messages, n, sizeof(*messages));
    if (messages) {
        x->messages = messages;
    }
    bool *learn = mem_realloc_array(x->learn, n, sizeof(*learn));
    if (learn) {
        x->learn = learn;
    }
    return messages && learn ? 0 : err_nomem(e);
}

static int parse_list(struct sft_example *x, const cJSON *list, const char *name, struct err *e)
{
    struct place at = {.list = name};
    const cJSON *item;
    if (!cJSON_IsArray(list) || !list->child) {
        return err_set(e, ERR_FORMAT, "\"%s\" must be an array of one message or more", name);
    }
    if (reserve(x, (size_t)cJSON_GetArraySize(list), e)) {
        return -1;
    }
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsObject(item)) {
            return err_set(e, ERR_FORMAT, "%s[%zu] must be an object", name, at.index);
        }
        if (parse_message(x, item, &at, e)) {
            return -1;
        }
        at.index++;
    }
    return 0;
}

/* A string is one message of that role. */
static int parse_side(struct sft_example *x, const char *key, const char *role, struct err *e)
{
    const cJSON *side = get(x->json, key);
    if (!cJSON_IsString(side)) {
        return cJSON_IsArray(side)
                   ? parse_list(x, side, key, e)
                   : err_set(e, ERR_FORMAT, "\"%s\" must be a string or an array of messages",
                             key);
    }
    if (strspn(side->valuestring, " \t\r\n") == strlen(side->valuestring)) {
        return err_set(e, ERR_FORMAT, "\"%s\" is empty", key);
    }
    if (reserve(x, 1, e)) {
        return -1;
    }
    x->learn[x->n_messages] = strcmp(role, "assistant") == 0;
    x->messages[x->n_messages++] = (struct chat_message){
        .role = role, .content = side->valuestring, .content_len = strlen(side->valuestring)};
    return 0;
}

static int parse_pair(struct sft_example *x, struct err *e)
{
    if (parse_side(x, "prompt", "user", e)) {
        return -1;
    }
    /* What was said before is the question, whoever said it. */
    memset(x->learn, 0, x->n_messages * sizeof(*x->learn));
    return parse_side(x, "completion", "assistant", e);
}

/* --- the whole --- */

static int parse_tools(struct sft_example *x, struct err *e)
{
    const cJSON *tool;
    size_t i = 0;
    if (get(x->json, "functions")) {
        return err_set(e, ERR_FORMAT, "\"functions\" is the old form; write them as \"tools\"");
    }
    x->tools = get(x->json, "tools");
    x->kwargs = get(x->json, "chat_template_kwargs");
    if (x->kwargs && !cJSON_IsObject(x->kwargs)) {
        return err_set(e, ERR_FORMAT, "\"chat_template_kwargs\" must be an object");
    }
    if (x->tools && !cJSON_IsArray(x->tools)) {
        return err_set(e, ERR_FORMAT, "\"tools\" must be an array");
    }
    cJSON_ArrayForEach(tool, x->tools)
    {
        if (!cJSON_IsString(get(get(tool, "function"), "name"))) {
            return err_set(e, ERR_FORMAT,
                           "tools[%zu].function.name is missing: a tool is {\"type\": "
                           "\"function\", \"function\": {\"name\", \"parameters\"}}",
                           i);
        }
        i++;
    }
    return 0;
}

static int check_answers(const struct sft_example *x, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n_messages; i++) {
        n += x->learn[i];
    }
    const char *last = x->messages[x->n_messages - 1].role;
    if (strcmp(last, "assistant") != 0) {
        return err_set(e, ERR_FORMAT,
                       "the last message is of role %s; an example ends with the assistant's "
                       "answer",
                       last);
    }
    return n > 0 ? 0 : err_set(e, ERR_FORMAT, "no answer is to be learnt: all have weight 0");
}

/* As the server does: system messages in front become one. */
static int join_system(struct sft_example *x, struct err *e)
{
    size_t n = 0;
    struct buf text;
    while (n < x->n_messages && strcmp(x->messages[n].role, "system") == 0) {
        n++;
    }
    if (n < 2) {
        return 0;
    }
    buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < n; i++) {
        if (text.len > 0) {
            buf_append_char(&text, '\n');
        }
        buf_append(&text, x->messages[i].content, x->messages[i].content_len);
    }
    x->messages[0].content_len = text.len;
    x->messages[0].content = own(x, buf_take(&text, NULL), e);
    buf_deinit(&text);
    size_t rest = x->n_messages - n;
    memmove(x->messages + 1, x->messages + n, rest * sizeof(*x->messages));
    memmove(x->learn + 1, x->learn + n, rest * sizeof(*x->learn));
    x->n_messages = rest + 1;
    return x->messages[0].content ? 0 : -1;
}

static int parse(struct sft_example *x, struct err *e)
{
    bool chat = get(x->json, "messages"), pair = get(x->json, "prompt");
    if (!cJSON_IsObject(x->json) || chat == pair) {
        return err_set(e, ERR_FORMAT,
                       "must be an object with \"messages\", or with \"prompt\" and "
                       "\"completion\"");
    }
    int rc = chat ? parse_list(x, get(x->json, "messages"), "messages", e) : parse_pair(x, e);
    return rc || parse_tools(x, e) || check_answers(x, e) || join_system(x, e) ? -1 : 0;
}

/* "at line 1, column 9": it is the file's line that counts, which the caller knows. */
static void drop_line_number(struct err *e)
{
    static const char words[] = "line 1, ";
    char *at = strstr(e->message, words);
    if (at) {
        memmove(at, at + sizeof(words) - 1, strlen(at + sizeof(words) - 1) + 1);
    }
}

int sft_example_parse(struct sft_example *x, const char *line, size_t len, struct err *e)
{
    *x = (struct sft_example){0};
    x->json = json_parse(line, len, e);
    if (!x->json) {
        drop_line_number(e);
        return -1;
    }
    if (parse(x, e)) {
        sft_example_deinit(x);
        return -1;
    }
    return 0;
}

void sft_example_deinit(struct sft_example *x)
{
    for (size_t i = 0; i < x->n_owned; i++) {
        mem_free(x->owned[i]);
    }
    mem_free(x->owned);
    mem_free(x->messages);
    mem_free(x->learn);
    cJSON_Delete(x->json);
    *x = (struct sft_example){0};
}
