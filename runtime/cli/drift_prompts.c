#include "runtime/cli/drift_prompts.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

static int check_messages(const cJSON *messages, struct err *e)
{
    if (!cJSON_IsArray(messages) || !messages->child) {
        return err_set(e, ERR_FORMAT,
                       "\"messages\": an array of one message or more is wanted");
    }
    const cJSON *m;
    cJSON_ArrayForEach(m, messages)
    {
        if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(m, "role")) ||
            !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(m, "content"))) {
            return err_set(e, ERR_FORMAT,
                           "\"messages\": each needs the texts role and content");
        }
    }
    return 0;
}

static int read_string(const cJSON *item, const char **out, struct err *e)
{
    *out = cJSON_GetStringValue(item);
    return *out ? 0 : err_set(e, ERR_FORMAT, "\"%s\": a text is wanted", item->string);
}

static int read_member(struct drift_prompt *p, const cJSON *item, struct err *e)
{
    const char *name = item->string;
    if (strcmp(name, "messages") == 0) {
        p->messages = item;
        return check_messages(item, e);
    }
    if (strcmp(name, "prompt") == 0) {
        return read_string(item, &p->prompt, e);
    }
    if (strcmp(name, "category") == 0 || strcmp(name, "skill") == 0) {
        return read_string(item, &p->category, e);
    }
    if (strcmp(name, "expect") == 0) {
        p->has_expect = true;
        return eval_expect_parse(&p->expect, item, e) == 0 ? 0 : err_prefix(e, "\"expect\"");
    }
    return err_set(e, ERR_FORMAT,
                   "\"%.40s\" is not known; messages, prompt, category, skill and expect are",
                   name);
}

static int read_object(struct drift_prompt *p, const char *line, size_t len, struct err *e)
{
    p->json = json_parse(line, len, e);
    if (!p->json) {
        return -1;
    }
    for (const cJSON *item = p->json->child; item; item = item->next) {
        if (read_member(p, item, e) != 0) {
            return -1;
        }
    }
    return !p->prompt == !p->messages
               ? err_set(e, ERR_FORMAT, "either \"messages\" or \"prompt\" is wanted")
               : 0;
}

/* The line is what a user says. */
static int read_plain(struct drift_prompt *p, const char *line, size_t len, struct err *e)
{
    if (!utf8_is_valid(line, len) || memchr(line, '\0', len)) {
        return err_set(e, ERR_FORMAT, "it is no UTF-8 text");
    }
    char *text = mem_strndup(line, len);
    p->json = cJSON_CreateObject();
    cJSON *messages = cJSON_AddArrayToObject(p->json, "messages");
    cJSON *message = cJSON_CreateObject();
    bool is_made = text && cJSON_AddStringToObject(message, "role", "user") &&
                   cJSON_AddStringToObject(message, "content", text);
    mem_free(text);
    if (!is_made || !messages || !cJSON_AddItemToArray(messages, message)) {
        cJSON_Delete(message);
        return err_nomem(e);
    }
    p->messages = messages;
    return 0;
}

static int add(struct drift_prompts *p, const char *line, size_t len, struct err *e)
{
    if (p->n == DRIFT_PROMPTS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d prompts", DRIFT_PROMPTS_MAX);
    }
    if ((p->n & (p->n - 1)) == 0) { /* room grows by doubling */
        struct drift_prompt *more =
            mem_realloc_array(p->items, p->n ? 2 * p->n : 1, sizeof(*p->items));
        if (!more) {
            return err_nomem(e);
        }
        p->items = more;
    }
    struct drift_prompt *prompt = &p->items[p->n++];
    *prompt = (struct drift_prompt){0};
    return line[0] == '{' ? read_object(prompt, line, len, e)
                          : read_plain(prompt, line, len, e);
}

int drift_prompts_parse(struct drift_prompts *p, const char *text, size_t len, size_t limit,
                        struct err *e)
{
    size_t number = 1;
    *p = (struct drift_prompts){0};
    for (const char *line = text, *end = text + len; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop ? stop : end) - line);
        size_t bare = n - (n > 0 && line[n - 1] == '\r');
        if (bare > 0 && (limit == 0 || p->n < limit) && add(p, line, bare, e) != 0) {
            return err_prefix(e, "line %zu", number);
        }
        line += n + (stop != NULL);
    }
    return p->n > 0 ? 0 : err_set(e, ERR_INVALID, "no prompt is in it");
}

void drift_prompts_deinit(struct drift_prompts *p)
{
    for (size_t i = 0; i < p->n; i++) {
        cJSON_Delete(p->items[i].json);
    }
    mem_free(p->items);
    *p = (struct drift_prompts){0};
}

const char *drift_prompt_shown(const struct drift_prompt *p)
{
    if (p->prompt) {
        return p->prompt;
    }
    const cJSON *last = cJSON_GetArrayItem(p->messages, cJSON_GetArraySize(p->messages) - 1);
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(last, "content"));
}
