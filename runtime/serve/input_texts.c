#include "runtime/serve/input_texts.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"

enum input_kind {
    INPUT_CONTENT, /* of message `index`; so the next */
    INPUT_REASONING,
    INPUT_PROMPT,  /* prompt `index` */
    INPUT_CALL_ID, /* that message `index` answers */
    INPUT_STRING,  /* the value of `item` */
    INPUT_NUMBER,  /* the same, as `owned` */
    INPUT_NAME,    /* its name */
    INPUT_JOINED,  /* the `count` texts behind this one */
};

struct input_text {
    enum input_kind kind;
    size_t index; /* of the message or prompt */
    bool is_call; /* in the calls of message `index` */
    cJSON *item;
    size_t count;
    char *owned; /* (owned_len): JOINED, NUMBER */
    size_t owned_len;
    bool is_seen; /* joined with others, and none was changed */
    char param[64];
};

void input_texts_deinit(struct input_texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        mem_free(t->items[i].owned);
    }
    for (size_t i = 0; t->calls && i < t->request->n_messages; i++) {
        cJSON_Delete(t->calls[i].json);
    }
    mem_free(t->calls);
    mem_free(t->items);
    *t = (struct input_texts){0};
}

/* ---- collecting ---- */

static int add(struct input_texts *t, const struct input_text *text, struct err *e)
{
    /* The body's values are bounded, but arguments are JSON of their own. */
    if (t->n == JSON_VALUES_MAX) {
        return err_set_param(e, ERR_LIMIT, text->param,
                             "the request has more than %d texts together", JSON_VALUES_MAX);
    }
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        struct input_text *moved = mem_realloc_array(t->items, cap, sizeof(*moved));
        if (!moved) {
            return err_nomem(e);
        }
        t->items = moved;
        t->cap = cap;
    }
    t->items[t->n++] = *text;
    return 0;
}

static int add_json(struct input_texts *t, enum input_kind kind, cJSON *item, const char *param,
                    struct err *e)
{
    struct input_text text = {.kind = kind, .item = item};
    snprintf(text.param, sizeof(text.param), "%s", param);
    return add(t, &text, e);
}

/* As JSON has it, which is how it was written unless it is longer than a double is exact. */
static int add_number(struct input_texts *t, cJSON *item, const char *param, struct err *e)
{
    char *json = cJSON_PrintUnformatted(item);
    char *text = json ? mem_strdup(json) : NULL;
    cJSON_free(json);
    if (!text) {
        return err_nomem(e);
    }
    if (add_json(t, INPUT_NUMBER, item, param, e) != 0) {
        mem_free(text);
        return -1;
    }
    t->items[t->n - 1].owned = text;
    t->items[t->n - 1].owned_len = strlen(text);
    return 0;
}

static bool is_among(const char *word, const char *const *words)
{
    while (*words && strcmp(*words, word) != 0) {
        words++;
    }
    return *words != NULL;
}

/* The words that calls, tools and JSON Schema themselves consist of say nothing of the
 * client's, and a word list may well have one of them. */
static bool is_form(const cJSON *item)
{
    /* clang-format off */
    static const char *const names[] = {
        "additionalProperties", "allOf", "anyOf", "arguments", "const", "default", "$defs",
        "definitions", "description", "enum", "examples", "exclusiveMaximum",
        "exclusiveMinimum", "format", "function", "id", "index", "items", "maxItems",
        "maxLength", "maximum", "minItems", "minLength", "minimum", "multipleOf", "name",
        "not", "oneOf", "parameters", "pattern", "prefixItems", "properties", "$ref",
        "required", "$schema", "strict", "title", "type", "uniqueItems", NULL};
    /* clang-format on */
    return is_among(item->string, names);
}

/* So do the names of types. */
static bool is_formal_value(const cJSON *item)
{
    static const char *const types[] = {"array",  "boolean", "function", "integer",     "null",
                                        "number", "object",  "string",   "json_schema", NULL};
    return item->valuestring[0] == '\0' || is_among(item->valuestring, types);
}

/* One part of an id: one of the words with which ids begin, or letters and digits, not without
 * a digit. */
static bool is_made_part(const char *part, size_t len)
{
    static const char *const words[] = {"call", "chatcmpl", "fc",    "functions",
                                        "msg",  "tool",     "toolu", NULL};
    bool has_digit = false;
    for (size_t i = 0; i < len; i++) {
        char c = part[i];
        bool is_digit = c >= '0' && c <= '9';
        has_digit = has_digit || is_digit;
        if (!is_digit && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')) {
            return false;
        }
    }
    for (size_t i = 0; words[i] && !has_digit; i++) {
        has_digit = strlen(words[i]) == len && memcmp(words[i], part, len) == 0;
    }
    return has_digit || len == 0;
}

/* Whether the id of a call was made by a program and says nothing. Others are text as any. */
static bool is_made_id(const char *id)
{
    if (strlen(id) > 64) {
        return false;
    }
    for (size_t len; *id; id += len + (id[len] != '\0')) {
        len = strcspn(id, "-_");
        if (!is_made_part(id, len)) {
            return false;
        }
    }
    return true;
}

/* A tree's strings and names, and numbers if they are wanted; json_parse has bounded its depth.
 */
static int walk(struct input_texts *t, cJSON *item, bool numbers, const char *param,
                struct err *e)
{
    if (item->string && item->string[0] && !is_form(item) &&
        add_json(t, INPUT_NAME, item, param, e) != 0) {
        return -1;
    }
    if (cJSON_IsString(item)) {
        return is_formal_value(item) ? 0 : add_json(t, INPUT_STRING, item, param, e);
    }
    if (cJSON_IsNumber(item)) {
        return numbers ? add_number(t, item, param, e) : 0;
    }
    cJSON *child;
    cJSON_ArrayForEach(child, item)
    {
        if (walk(t, child, numbers, param, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Calls of an assistant: what no program made is read by the model as any text. */
static int walk_calls(struct input_texts *t, cJSON *calls, const char *param, struct err *e)
{
    cJSON *call, *member;
    cJSON_ArrayForEach(call, calls)
    {
        cJSON_ArrayForEach(member, call)
        {
            bool is_id = cJSON_IsString(member) && strcmp(member->string, "id") == 0;
            if (!(is_id && is_made_id(member->valuestring)) &&
                walk(t, member, true, param, e) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static const char *text_of(const struct input_texts *t, const struct input_text *text,
                           size_t *len)
{
    const char *s = NULL;
    switch (text->kind) {
    case INPUT_CONTENT:
        *len = t->request->messages[text->index].content_len;
        return t->request->messages[text->index].content;
    case INPUT_PROMPT:
        *len = t->request->prompts[text->index].text_len;
        return t->request->prompts[text->index].text;
    case INPUT_JOINED:
    case INPUT_NUMBER:
        *len = text->owned_len;
        return text->owned;
    case INPUT_CALL_ID:
        s = t->request->messages[text->index].tool_call_id;
        break;
    case INPUT_REASONING:
        s = t->request->messages[text->index].reasoning;
        break;
    case INPUT_STRING:
        s = text->item->valuestring;
        break;
    case INPUT_NAME:
        s = text->item->string;
        break;
    }
    *len = strlen(s);
    return s;
}

/* Before the strings of one tree: where they begin. */
static int begin_tree(struct input_texts *t, const char *param, size_t *first, struct err *e)
{
    if (t->joins && add_json(t, INPUT_JOINED, NULL, param, e) != 0) {
        return -1;
    }
    *first = t->n;
    return 0;
}

/* Puts the texts from `first` on, each on its own line, into the one before them. */
static int end_tree(struct input_texts *t, size_t first, struct err *e)
{
    struct buf out;
    if (!t->joins) {
        return 0;
    }
    buf_init(&out, SIZE_MAX / 2);
    for (size_t i = first; i < t->n; i++) {
        size_t len;
        const char *text = text_of(t, &t->items[i], &len);
        buf_append(&out, text, len);
        buf_append_char(&out, '\n');
    }
    struct input_text *joined = &t->items[first - 1];
    joined->count = t->n - first;
    joined->owned = buf_take(&out, &joined->owned_len);
    buf_deinit(&out);
    return joined->owned ? 0 : err_nomem(e);
}

static int add_tree(struct input_texts *t, cJSON *tree, const char *param, struct err *e)
{
    size_t first;
    return begin_tree(t, param, &first, e) == 0 && walk(t, tree, false, param, e) == 0
               ? end_tree(t, first, e)
               : -1;
}

/* Arguments are JSON in a string as a rule: they become the object that they mean, so that
 * escapes in them hide nothing. */
static void open_arguments(cJSON *calls)
{
    cJSON *call;
    cJSON_ArrayForEach(call, calls)
    {
        cJSON *function = cJSON_GetObjectItemCaseSensitive(call, "function");
        const cJSON *arguments = cJSON_GetObjectItemCaseSensitive(function, "arguments");
        const char *text = cJSON_GetStringValue(arguments);
        struct err ignored;
        cJSON *tree = text ? json_parse(text, strlen(text), &ignored) : NULL;
        if (cJSON_IsObject(tree) &&
            cJSON_ReplaceItemInObjectCaseSensitive(function, "arguments", tree)) {
            continue;
        }
        cJSON_Delete(tree);
    }
}

static int add_calls(struct input_texts *t, size_t i, struct err *e)
{
    const char *text = t->request->messages[i].tool_calls;
    char param[48];
    snprintf(param, sizeof(param), "messages[%zu].tool_calls", i);
    if (!t->calls && !(t->calls = mem_zarray(t->request->n_messages, sizeof(*t->calls)))) {
        return err_nomem(e);
    }
    cJSON *json = t->calls[i].json = json_parse(text, strlen(text), e);
    if (!json) {
        return err_prefix(e, "%s", param);
    }
    open_arguments(json);
    size_t first;
    if (begin_tree(t, param, &first, e) != 0 || walk_calls(t, json, param, e) != 0) {
        return -1;
    }
    for (size_t k = first; k < t->n; k++) {
        t->items[k].is_call = true;
        t->items[k].index = i;
    }
    return end_tree(t, first, e);
}

static int add_message(struct input_texts *t, size_t i, struct err *e)
{
    const struct chat_message *m = &t->request->messages[i];
    struct input_text text = {.kind = INPUT_CONTENT, .index = i};
    snprintf(text.param, sizeof(text.param), "messages[%zu].content", i);
    if (m->content && add(t, &text, e) != 0) {
        return -1;
    }
    text.kind = INPUT_REASONING;
    snprintf(text.param, sizeof(text.param), "messages[%zu].reasoning_content", i);
    if (m->reasoning && add(t, &text, e) != 0) {
        return -1;
    }
    text.kind = INPUT_CALL_ID;
    snprintf(text.param, sizeof(text.param), "messages[%zu].tool_call_id", i);
    if (m->tool_call_id && !is_made_id(m->tool_call_id) && add(t, &text, e) != 0) {
        return -1;
    }
    return m->tool_calls ? add_calls(t, i, e) : 0;
}

/* They stand inside the owner's prompt. Their names are the owner's. */
static int add_variables(struct input_texts *t, struct err *e)
{
    cJSON *variable;
    cJSON_ArrayForEach(variable, t->request->prompt_variables)
    {
        char param[64];
        snprintf(param, sizeof(param), "prompt_variables.%.40s", variable->string);
        if (add_json(t, INPUT_STRING, variable, param, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int add_tools(struct input_texts *t, struct err *e)
{
    size_t i = 0;
    cJSON *tool;
    cJSON_ArrayForEach(tool, t->request->tools.json)
    {
        char param[32];
        snprintf(param, sizeof(param), "tools[%zu]", i++);
        if (add_tree(t, tool, param, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int add_prompts(struct input_texts *t, struct err *e)
{
    for (size_t i = 0; i < t->request->n_prompts; i++) {
        const struct input_text text = {.kind = INPUT_PROMPT, .index = i, .param = "prompt"};
        if (!t->request->prompts[i].text) {
            return err_set_param(e, ERR_UNSUPPORTED, "prompt",
                                 "\"prompt\": filters read text, send text and not tokens");
        }
        if (add(t, &text, e) != 0) {
            return -1;
        }
    }
    return 0;
}

int input_texts_collect(struct input_texts *t, struct answer_request *request, bool joins,
                        struct err *e)
{
    *t = (struct input_texts){.request = request, .joins = joins};
    for (size_t i = 0; i < request->n_messages; i++) {
        if (add_message(t, i, e) != 0) {
            return -1;
        }
    }
    cJSON *arguments = request->template_arguments;
    return add_variables(t, e) == 0 && add_tools(t, e) == 0 &&
                   (!arguments || add_tree(t, arguments, "chat_template_kwargs", e) == 0)
               ? add_prompts(t, e)
               : -1;
}

/* ---- the filters ---- */

int input_texts_get(const struct input_texts *t, size_t index, struct filter_run_text *text)
{
    const struct input_text *item = &t->items[index];
    text->text = text_of(t, item, &text->len);
    snprintf(text->param, sizeof(text->param), "%s", item->param);
    return !item->is_seen && text->len > 0;
}

/* What filters made another text of is a string from then on. */
static int change_number(const struct input_text *item, const char *text, struct err *e)
{
    cJSON *string = cJSON_CreateString(text);
    if (!string) {
        return err_nomem(e);
    }
    item->item->type = (item->item->type & ~0xFF) | cJSON_String;
    item->item->valuestring = string->valuestring;
    string->valuestring = NULL;
    cJSON_Delete(string);
    return 0;
}

static int take_name(const struct input_text *item, const char *text, struct err *e)
{
    return strcmp(item->item->string, text) == 0
               ? 0
               : err_set_param(e, ERR_FILTERED, item->param,
                               "a filter refused \"%s\": it found something in a name there, "
                               "and names can not be changed",
                               item->param);
}

static void take_joined(struct input_texts *t, size_t index, const char *text, size_t len)
{
    const struct input_text *joined = &t->items[index];
    bool is_same = len == joined->owned_len && memcmp(text, joined->owned, len) == 0;
    for (size_t i = 1; i <= joined->count; i++) {
        t->items[index + i].is_seen = is_same;
    }
}

/* The name of a tool is known to others by its place in memory. */
static bool is_tool_name(const struct input_texts *t, const cJSON *item)
{
    const struct tool_list *tools = &t->request->tools;
    for (size_t i = 0; i < tools->n; i++) {
        if (item->valuestring == tools->tools[i].name) {
            return true;
        }
    }
    return false;
}

static int take_value(struct input_texts *t, const struct input_text *item, const char *text,
                      struct err *e)
{
    bool is_number = item->kind == INPUT_NUMBER;
    if (strcmp(is_number ? item->owned : item->item->valuestring, text) == 0) {
        return 0;
    }
    if (item->is_call) {
        t->calls[item->index].is_changed = true;
    }
    if (is_number) {
        return change_number(item, text, e);
    }
    if (is_tool_name(t, item->item)) {
        return err_set_param(e, ERR_FILTERED, item->param,
                             "a filter refused \"%s\": it found something in the name of the "
                             "tool, which can not be changed",
                             item->param);
    }
    return cJSON_SetValuestring(item->item, text) ? 0 : err_nomem(e);
}

int input_texts_take(struct input_texts *t, size_t index, char *text, size_t len, struct err *e)
{
    const struct input_text *item = &t->items[index];
    int rc = 0;
    switch (item->kind) {
    case INPUT_JOINED:
        take_joined(t, index, text, len);
        break;
    case INPUT_NAME:
        rc = take_name(item, text, e);
        break;
    case INPUT_NUMBER:
    case INPUT_STRING:
        rc = take_value(t, item, text, e);
        break;
    case INPUT_CONTENT:
    case INPUT_REASONING:
    case INPUT_CALL_ID:
    case INPUT_PROMPT:
        if (answer_request_own(t->request, text, e) != 0) {
            return -1;
        }
        if (item->kind == INPUT_PROMPT) {
            t->request->prompts[item->index].text = text;
            t->request->prompts[item->index].text_len = len;
        } else if (item->kind == INPUT_CONTENT) {
            t->request->messages[item->index].content = text;
            t->request->messages[item->index].content_len = len;
        } else if (item->kind == INPUT_CALL_ID) {
            t->request->messages[item->index].tool_call_id = text;
        } else {
            t->request->messages[item->index].reasoning = text;
        }
        return 0;
    }
    mem_free(text);
    return rc;
}

/* ---- the end ---- */

/* Arguments become text again, as they came. */
static int close_arguments(cJSON *calls, struct err *e)
{
    cJSON *call;
    cJSON_ArrayForEach(call, calls)
    {
        cJSON *function = cJSON_GetObjectItemCaseSensitive(call, "function");
        cJSON *arguments = cJSON_GetObjectItemCaseSensitive(function, "arguments");
        char *text = cJSON_IsObject(arguments) ? cJSON_PrintUnformatted(arguments) : NULL;
        cJSON *string = text ? cJSON_CreateString(text) : NULL;
        cJSON_free(text);
        if (!cJSON_IsObject(arguments)) {
            continue;
        }
        if (!string || !cJSON_ReplaceItemInObjectCaseSensitive(function, "arguments", string)) {
            cJSON_Delete(string);
            return err_nomem(e);
        }
    }
    return 0;
}

int input_texts_finish(struct input_texts *t, struct err *e)
{
    for (size_t i = 0; t->calls && i < t->request->n_messages; i++) {
        cJSON *calls = t->calls[i].json;
        if (!t->calls[i].is_changed) {
            continue;
        }
        if (close_arguments(calls, e) != 0) {
            return -1;
        }
        char *text = cJSON_PrintUnformatted(calls);
        char *copy = text ? mem_strdup(text) : NULL;
        cJSON_free(text);
        if (answer_request_own(t->request, copy, e) != 0) {
            return -1;
        }
        t->request->messages[i].tool_calls = copy;
    }
    return 0;
}
