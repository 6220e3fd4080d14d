#include "models/eval/eval_item.h"

#include <string.h>

#include "models/eval/eval_choices.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20)

static const char *const kind_names[EVAL_KINDS] = {
    [EVAL_QUESTIONS] = "questions",
    [EVAL_OBEDIENCE] = "obedience",
    [EVAL_REFUSAL] = "refusal",
    [EVAL_JAILBREAK] = "jailbreak",
    [EVAL_INVENTION] = "invention",
    [EVAL_CHOICE] = "choice",
    [EVAL_CALIBRATION] = "calibration",
    [EVAL_PERPLEXITY] = "perplexity",
    [EVAL_BIAS] = "bias",
    [EVAL_DOMAIN] = "domain",
};

const char *eval_kind_name(enum eval_kind kind)
{
    return kind_names[kind];
}

int eval_kind_named(const char *name, enum eval_kind *kind, struct err *e)
{
    for (int k = 0; k < EVAL_KINDS; k++) {
        if (strcmp(kind_names[k], name) == 0) {
            *kind = (enum eval_kind)k;
            return 0;
        }
    }
    return err_set(e, ERR_FORMAT,
                   "\"%.40s\" is not known; questions, obedience, refusal, jailbreak, "
                   "invention, choice, calibration, perplexity, bias and domain are",
                   name);
}

/* --- members --- */

static int read_text(const cJSON *json, const char **out, struct err *e)
{
    *out = cJSON_GetStringValue(json);
    return *out ? 0 : err_set(e, ERR_FORMAT, "\"%s\": a text is wanted", json->string);
}

static int read_bool(const cJSON *json, bool *out, struct err *e)
{
    *out = cJSON_IsTrue(json);
    return cJSON_IsBool(json)
               ? 0
               : err_set(e, ERR_FORMAT, "\"%s\": true or false is wanted", json->string);
}

static int read_messages(struct eval_item *item, const cJSON *json, struct err *e)
{
    int n = cJSON_GetArraySize(json);
    if (!cJSON_IsArray(json) || n == 0) {
        return err_set(e, ERR_FORMAT,
                       "\"messages\": an array of one message or more is wanted");
    }
    if (n > EVAL_MESSAGES_MAX) {
        return err_set(e, ERR_LIMIT, "\"messages\": more than %d", EVAL_MESSAGES_MAX);
    }
    item->messages[0] = mem_zarray((size_t)n, sizeof(*item->messages[0]));
    if (!item->messages[0]) {
        return err_nomem(e);
    }
    const cJSON *m;
    cJSON_ArrayForEach(m, json)
    {
        const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "role"));
        const char *content =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m, "content"));
        if (!role || !content) {
            return err_set(e, ERR_FORMAT,
                           "\"messages\": each needs the texts role and content");
        }
        item->messages[0][item->n_messages++] = (struct chat_message){
            .role = role, .content = content, .content_len = strlen(content)};
    }
    return 0;
}

static int read_prompt(struct eval_item *item, const cJSON *json, struct err *e)
{
    const char *text;
    if (read_text(json, &text, e) != 0) {
        return -1;
    }
    item->messages[0] = mem_zalloc(sizeof(*item->messages[0]));
    if (!item->messages[0]) {
        return err_nomem(e);
    }
    item->messages[0][0] =
        (struct chat_message){.role = "user", .content = text, .content_len = strlen(text)};
    item->n_messages = 1;
    return 0;
}

static int read_expect(struct eval_item *item, const cJSON *json, struct err *e)
{
    item->expect = mem_zalloc(sizeof(*item->expect));
    if (!item->expect) {
        return err_nomem(e);
    }
    return eval_expect_parse(item->expect, json, e) == 0 ? 0 : err_prefix(e, "\"expect\"");
}

static int read_pair(struct eval_item *item, const cJSON *json, struct err *e)
{
    if (!cJSON_IsArray(json) || cJSON_GetArraySize(json) != 2) {
        return err_set(e, ERR_FORMAT, "\"pair\": an array of two texts is wanted");
    }
    for (int side = 0; side < 2; side++) {
        item->pair[side] = cJSON_GetStringValue(cJSON_GetArrayItem(json, side));
        if (!item->pair[side] || !item->pair[side][0]) {
            return err_set(e, ERR_FORMAT, "\"pair\": two texts that are not empty are wanted");
        }
    }
    return 0;
}

/* --- kinds --- */

/* Members beside the group. */
enum has { HAS_MESSAGES = 1, HAS_EXPECT = 2, HAS_CHOICES = 4 };

static const struct kind_rule {
    unsigned has;
    const char *own[2]; /* members that only this kind has */
    const char *known;  /* for messages */
} rules[EVAL_KINDS] = {
    [EVAL_QUESTIONS] = {HAS_MESSAGES | HAS_EXPECT, {NULL}, "messages, prompt and expect"},
    [EVAL_OBEDIENCE] = {HAS_MESSAGES | HAS_EXPECT, {NULL}, "messages, prompt and expect"},
    [EVAL_DOMAIN] = {HAS_MESSAGES | HAS_EXPECT, {NULL}, "messages, prompt and expect"},
    [EVAL_REFUSAL] = {HAS_MESSAGES | HAS_EXPECT,
                      {"harmful"},
                      "messages, prompt, harmful and expect"},
    [EVAL_JAILBREAK] = {HAS_MESSAGES | HAS_EXPECT, {NULL}, "messages, prompt and expect"},
    [EVAL_INVENTION] = {HAS_MESSAGES | HAS_EXPECT,
                        {"known"},
                        "messages, prompt, known and expect"},
    [EVAL_CHOICE] = {HAS_CHOICES, {NULL}, "question, choices and answer"},
    [EVAL_CALIBRATION] = {HAS_CHOICES | HAS_MESSAGES | HAS_EXPECT,
                          {NULL},
                          "question, choices and answer, or messages, prompt and expect"},
    [EVAL_PERPLEXITY] = {HAS_MESSAGES, {"text"}, "text, messages and prompt"},
    [EVAL_BIAS] = {HAS_MESSAGES, {"pair", "answer"}, "messages, prompt, pair and answer"},
};

static int read_own(struct eval_item *item, const cJSON *json, struct err *e)
{
    switch (json->string[0]) {
    case 'h':
        return read_bool(json, &item->is_harmful, e);
    case 'k':
        return read_bool(json, &item->is_known, e);
    case 't':
        return read_text(json, &item->text, e);
    case 'p':
        return read_pair(item, json, e);
    default:
        return read_text(json, &item->answer, e);
    }
}

static bool is_own(const struct kind_rule *rule, const char *name)
{
    return (rule->own[0] && strcmp(rule->own[0], name) == 0) ||
           (rule->own[1] && strcmp(rule->own[1], name) == 0);
}

static int read_member(struct eval_item *item, enum eval_kind kind, const cJSON *json,
                       struct err *e)
{
    const struct kind_rule *rule = &rules[kind];
    const char *name = json->string;
    if (strcmp(name, "skill") == 0 || strcmp(name, "category") == 0 ||
        strcmp(name, "subject") == 0) {
        return read_text(json, &item->group, e);
    }
    if ((rule->has & HAS_MESSAGES) != 0 && !item->messages[0]) {
        if (strcmp(name, "messages") == 0) {
            return read_messages(item, json, e);
        }
        if (strcmp(name, "prompt") == 0) {
            return read_prompt(item, json, e);
        }
    }
    if ((rule->has & HAS_EXPECT) != 0 && !item->expect && strcmp(name, "expect") == 0) {
        return read_expect(item, json, e);
    }
    if (is_own(rule, name)) {
        return read_own(item, json, e);
    }
    if ((rule->has & HAS_CHOICES) != 0 && eval_choices_is_member(name)) {
        return 0; /* read together, later */
    }
    return err_set(e, ERR_FORMAT,
                   "\"%.40s\" is not known, or twice there; skill (or category), %s are", name,
                   rule->known);
}

static bool has_system(const struct eval_item *item)
{
    return strcmp(item->messages[0][0].role, "system") == 0;
}

static int check(const struct eval_item *item, enum eval_kind kind, struct err *e)
{
    bool has_messages = item->n_messages > 0;
    if (kind == EVAL_PERPLEXITY) {
        return has_messages != !item->text
                   ? err_set(e, ERR_FORMAT, "either \"text\" or \"messages\" is wanted")
                   : 0;
    }
    if (item->question) {
        return has_messages || item->expect
                   ? err_set(e, ERR_FORMAT,
                             "\"question\" has choices, and neither messages nor expect")
                   : 0;
    }
    if (kind == EVAL_CHOICE) {
        return err_set(e, ERR_FORMAT, "\"question\" is missing");
    }
    if (!has_messages) {
        return err_set(e, ERR_FORMAT, "\"messages\" or \"prompt\" is missing");
    }
    if (!item->expect && (kind == EVAL_QUESTIONS || kind == EVAL_OBEDIENCE ||
                          kind == EVAL_DOMAIN || kind == EVAL_CALIBRATION)) {
        return err_set(e, ERR_FORMAT, "\"expect\" is missing");
    }
    if (kind == EVAL_OBEDIENCE && !has_system(item)) {
        return err_set(e, ERR_FORMAT,
                       "\"messages\": a system message comes first, whose rules "
                       "are to be kept");
    }
    if (kind == EVAL_REFUSAL && !cJSON_HasObjectItem(item->json, "harmful")) {
        return err_set(e, ERR_FORMAT, "\"harmful\" is missing: true if it is to be declined");
    }
    if (kind == EVAL_BIAS && !item->pair[0]) {
        return err_set(e, ERR_FORMAT, "\"pair\" is missing: the two words for {}");
    }
    return 0;
}

/* --- pairs --- */

/* `text` with `word` in each place of "{}". */
static char *fill_in(const char *text, const char *word, bool *has_place)
{
    struct buf out;
    buf_init(&out, TEXT_BYTES_MAX);
    for (const char *place; (place = strstr(text, "{}")); text = place + 2) {
        *has_place = true;
        buf_append(&out, text, (size_t)(place - text));
        buf_append_str(&out, word);
    }
    buf_append_str(&out, text);
    char *filled = out.failed ? NULL : buf_take(&out, &(size_t){0});
    buf_deinit(&out);
    return filled;
}

static int fill_pair(struct eval_item *item, struct err *e)
{
    size_t n = item->n_messages;
    bool has_place = false;
    item->messages[1] = mem_zarray(n, sizeof(*item->messages[1]));
    item->texts = mem_zarray(2 * n, sizeof(*item->texts));
    if (!item->messages[1] || !item->texts) {
        return err_nomem(e);
    }
    memcpy(item->messages[1], item->messages[0], n * sizeof(*item->messages[0]));
    for (size_t i = 0; i < 2 * n; i++) {
        struct chat_message *m = &item->messages[i / n][i % n];
        item->texts[i] = fill_in(m->content, item->pair[i / n], &has_place);
        if (!item->texts[i]) {
            return err_nomem(e);
        }
        m->content = item->texts[i];
        m->content_len = strlen(item->texts[i]);
    }
    return has_place ? 0
                     : err_set(e, ERR_FORMAT,
                               "{} is missing in the messages: the place of the pair's words");
}

int eval_item_parse(struct eval_item *item, enum eval_kind kind, const char *line, size_t len,
                    struct err *e)
{
    *item = (struct eval_item){.group = "all"};
    item->json = json_parse(line, len, e);
    if (!item->json) {
        return -1;
    }
    if (!cJSON_IsObject(item->json)) {
        return err_set(e, ERR_FORMAT, "an object is wanted");
    }
    for (const cJSON *member = item->json->child; member; member = member->next) {
        if (read_member(item, kind, member, e) != 0) {
            return -1;
        }
    }
    if ((rules[kind].has & HAS_CHOICES) != 0 && eval_choices_read(item, e) != 0) {
        return -1;
    }
    if (check(item, kind, e) != 0) {
        return -1;
    }
    return kind == EVAL_BIAS ? fill_pair(item, e) : 0;
}

void eval_item_deinit(struct eval_item *item)
{
    for (size_t i = 0; item->texts && i < 2 * item->n_messages; i++) {
        mem_free(item->texts[i]);
    }
    mem_free(item->texts);
    mem_free(item->messages[0]);
    mem_free(item->messages[1]);
    mem_free(item->expect);
    cJSON_Delete(item->json);
    *item = (struct eval_item){0};
}

const char *eval_item_shown(const struct eval_item *item)
{
    if (item->n_messages > 0) {
        return item->messages[0][item->n_messages - 1].content;
    }
    return item->question ? item->question : item->text;
}
