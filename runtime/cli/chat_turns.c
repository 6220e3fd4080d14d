#include "runtime/cli/chat_turns.h"

#include <string.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

int chat_turns_add(struct chat_turns *t, const char *role, const char *content, size_t len,
                   struct err *e)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 16;
        struct chat_message *moved = mem_realloc_array(t->messages, cap, sizeof(*moved));
        if (!moved) {
            return err_nomem(e);
        }
        t->messages = moved;
        t->cap = cap;
    }
    char *copy = mem_strndup(content, len);
    if (!copy) {
        return err_nomem(e);
    }
    t->messages[t->count++] =
        (struct chat_message){.role = role, .content = copy, .content_len = len};
    return 0;
}

void chat_turns_drop(struct chat_turns *t)
{
    if (t->count > 0) {
        mem_free((char *)(uintptr_t)t->messages[--t->count].content);
    }
}

struct chat_message chat_turns_take(struct chat_turns *t)
{
    return t->messages[--t->count];
}

void chat_turns_put_back(struct chat_turns *t, struct chat_message taken)
{
    t->messages[t->count++] = taken;
}

static bool is_of(const struct chat_turns *t, size_t from_end, const char *role)
{
    return t->count >= from_end && strcmp(t->messages[t->count - from_end].role, role) == 0;
}

bool chat_turns_ends_with(const struct chat_turns *t, const char *role)
{
    return is_of(t, 1, role);
}

bool chat_turns_has_question(const struct chat_turns *t)
{
    return is_of(t, 1, "user") || (is_of(t, 1, "assistant") && is_of(t, 2, "user"));
}

static bool has_system(const struct chat_turns *t)
{
    return t->count > 0 && strcmp(t->messages[0].role, "system") == 0;
}

const char *chat_turns_system(const struct chat_turns *t)
{
    return has_system(t) ? t->messages[0].content : NULL;
}

void chat_turns_clear(struct chat_turns *t)
{
    size_t keep = has_system(t) ? 1 : 0;
    while (t->count > keep) {
        chat_turns_drop(t);
    }
}

void chat_turns_deinit(struct chat_turns *t)
{
    while (t->count > 0) {
        chat_turns_drop(t);
    }
    mem_free(t->messages);
    *t = (struct chat_turns){0};
}

int chat_turns_set_system(struct chat_turns *t, const char *text, struct err *e)
{
    if (text && chat_turns_add(t, "system", text, strlen(text), e) != 0) {
        return -1;
    }
    struct chat_message added = text ? t->messages[--t->count] : (struct chat_message){0};
    if (has_system(t)) {
        mem_free((char *)(uintptr_t)t->messages[0].content);
        memmove(t->messages, t->messages + 1, --t->count * sizeof(*t->messages));
    }
    if (text) {
        memmove(t->messages + 1, t->messages, t->count++ * sizeof(*t->messages));
        t->messages[0] = added;
    }
    return 0;
}

/* --- files --- */

int chat_turns_save(const struct chat_turns *t, const char *path, struct err *e)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *messages = cJSON_AddArrayToObject(root, "messages");
    for (size_t i = 0; i < t->count; i++) {
        cJSON *message = cJSON_CreateObject();
        cJSON_AddStringToObject(message, "role", t->messages[i].role);
        cJSON_AddStringToObject(message, "content", t->messages[i].content);
        cJSON_AddItemToArray(messages, message);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) {
        return err_nomem(e);
    }
    mode_t before = umask(077);
    int rc = file_write_atomic(path, text, strlen(text), e);
    umask(before);
    cJSON_free(text);
    return rc;
}

static const char *role_named(const char *name)
{
    static const char *const roles[] = {"system", "user", "assistant"};
    for (size_t i = 0; name && i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(roles[i], name) == 0) {
            return roles[i];
        }
    }
    return NULL;
}

static int take_message(struct chat_turns *t, const cJSON *message, int i, struct err *e)
{
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
    const char *role =
        role_named(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "role")));
    if (!role) {
        return err_set(e, ERR_FORMAT,
                       "messages[%d].role: \"system\", \"user\" or \"assistant\" is wanted", i);
    }
    if (!cJSON_IsString(content)) {
        return err_set(e, ERR_FORMAT, "messages[%d].content: a text is wanted", i);
    }
    return chat_turns_add(t, role, content->valuestring, strlen(content->valuestring), e);
}

int chat_turns_load(struct chat_turns *t, const char *path, struct err *e)
{
    struct chat_turns read = {0};
    cJSON *root = json_parse_file(path, FILE_BYTES_MAX, e);
    if (!root) {
        return -1;
    }
    const cJSON *messages =
        cJSON_IsArray(root) ? root : cJSON_GetObjectItemCaseSensitive(root, "messages");
    int rc = cJSON_IsArray(messages) ? 0
                                     : err_set(e, ERR_FORMAT,
                                               "\"messages\" is wanted, an array of objects "
                                               "with \"role\" and \"content\"");
    int i = 0;
    for (const cJSON *m = rc == 0 ? messages->child : NULL; m && rc == 0; m = m->next) {
        rc = take_message(&read, m, i++, e);
    }
    cJSON_Delete(root);
    if (rc != 0) {
        chat_turns_deinit(&read);
        return err_prefix(e, "%s", path);
    }
    chat_turns_deinit(t);
    *t = read;
    return 0;
}
