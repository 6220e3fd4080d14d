#include "filters/settings.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/chain_keys.h"
#include "filters/view.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* Bytes of a string that was normalised: a file may grow. */
#define NORMALISED_MAX ((size_t)64 << 20)

/* Where a value stands, for messages. */
struct place {
    const char *path; /* "filters[0]" */
    const char *folder;
    const struct filter_key *key;
    struct err *e;
};

static int fail(const struct place *place, const char *what)
{
    char param[128];
    snprintf(param, sizeof(param), "%s.%s", place->path, place->key->name);
    return err_set_param(place->e, ERR_INVALID, param, "%s: %s", param, what);
}

void settings_init(struct settings *settings, const struct filter_type *type)
{
    *settings = (struct settings){.type = type};
    while (type->keys && type->keys[settings->key_count].name) {
        settings->key_count++;
    }
}

static void clear_value(struct filter_value *value)
{
    for (size_t i = 0; i < value->count; i++) {
        mem_free((char *)(uintptr_t)value->strings[i].data);
    }
    mem_free((void *)(uintptr_t)value->strings);
    *value = (struct filter_value){0};
}

void settings_deinit(struct settings *settings)
{
    for (size_t i = 0; settings->values && i < settings->key_count; i++) {
        clear_value(&settings->values[i]);
    }
    mem_free(settings->values);
    settings->values = NULL;
}

/* One string, taken: `data` is released with the value, or here when that fails. */
static int set_string(struct filter_value *value, char *data, size_t len, struct err *e)
{
    struct filter_string *strings = data ? mem_array(1, sizeof(*strings)) : NULL;
    if (!strings) {
        mem_free(data);
        return err_nomem(e);
    }
    strings[0] = (struct filter_string){.data = data, .len = len};
    value->strings = strings;
    value->count = 1;
    return 0;
}

static int set_list(struct filter_value *value, const cJSON *item, const struct place *place)
{
    if (!cJSON_IsArray(item)) {
        return fail(place, "must be a list of strings");
    }
    size_t count = (size_t)cJSON_GetArraySize(item);
    struct filter_string *strings = mem_zarray(count, sizeof(*strings));
    if (!strings) {
        return err_nomem(place->e);
    }
    value->strings = strings;
    const cJSON *element;
    cJSON_ArrayForEach(element, item)
    {
        if (!cJSON_IsString(element)) {
            char what[64];
            snprintf(what, sizeof(what), "item %zu must be a string", value->count);
            return fail(place, what);
        }
        size_t len = strlen(element->valuestring);
        char *copy = mem_strndup(element->valuestring, len);
        if (!copy) {
            return err_nomem(place->e);
        }
        strings[value->count++] = (struct filter_string){.data = copy, .len = len};
    }
    return 0;
}

/* The file's bytes, or NULL. */
static char *read_file(const cJSON *item, const struct place *place, size_t *len)
{
    if (!cJSON_IsString(item) || item->valuestring[0] == '\0') {
        fail(place, "must be the path of a file");
        return NULL;
    }
    if (!place->folder) {
        fail(place, "only a chain that is read from a file may name files");
        return NULL;
    }
    char path[PATH_MAX];
    bool is_absolute = item->valuestring[0] == '/';
    int wanted = snprintf(path, sizeof(path), "%s%s%s", is_absolute ? "" : place->folder,
                          is_absolute ? "" : "/", item->valuestring);
    if (wanted < 0 || (size_t)wanted >= sizeof(path)) {
        fail(place, "the path is too long");
        return NULL;
    }
    char *data = file_read(path, CHAIN_MAX_FILE, len, place->e);
    if (!data) {
        err_prefix(place->e, "%s.%s", place->path, place->key->name);
    }
    return data;
}

static int set_file(struct filter_value *value, const cJSON *item, const struct place *place)
{
    size_t len;
    char *data = read_file(item, place, &len);
    return data ? set_string(value, data, len, place->e) : -1;
}

/* A relative path that does not climb. */
static bool is_inside(const char *path)
{
    const char *part = path;
    for (size_t len = strcspn(part, "/"); part[len] != '\0'; len = strcspn(part, "/")) {
        if (len == 2 && memcmp(part, "..", 2) == 0) {
            return false;
        }
        part += len + 1;
    }
    return path[0] != '/' && strcmp(part, "..") != 0;
}

char *settings_read_file(const cJSON *object, const char *name, const char *path,
                         const char *folder, size_t *len, struct err *e)
{
    const struct filter_key key = {.name = name, .kind = FILTER_KEY_FILE};
    struct place place = {.path = path, .folder = folder, .key = &key, .e = e};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!item) {
        fail(&place, "is missing");
        return NULL;
    }
    if (cJSON_IsString(item) && !is_inside(item->valuestring)) {
        fail(&place, "must be a path inside the folder of the chain's file");
        return NULL;
    }
    return read_file(item, &place, len);
}

static int set_choice(struct filter_value *value, const char *text, const struct place *place)
{
    char what[256];
    size_t len = (size_t)snprintf(what, sizeof(what), "\"%.64s\" is not one of", text);
    for (uint32_t i = 0; place->key->choices[i]; i++) {
        if (strcmp(place->key->choices[i], text) == 0) {
            value->choice = i;
            return 0;
        }
        if (len < sizeof(what)) {
            len += (size_t)snprintf(what + len, sizeof(what) - len, "%s \"%s\"", i ? "," : "",
                                    place->key->choices[i]);
        }
    }
    return fail(place, what);
}

static int set_value(struct filter_value *value, const cJSON *item, const struct place *place)
{
    value->is_set = 1;
    switch ((enum filter_key_kind)place->key->kind) {
    case FILTER_KEY_STRING:
        if (!cJSON_IsString(item)) {
            return fail(place, "must be a string");
        }
        return set_string(value, mem_strdup(item->valuestring), strlen(item->valuestring),
                          place->e);
    case FILTER_KEY_BOOL:
        value->choice = cJSON_IsTrue(item) ? 1 : 0;
        return cJSON_IsBool(item) ? 0 : fail(place, "must be true or false");
    case FILTER_KEY_NUMBER:
        value->number = item->valuedouble;
        return cJSON_IsNumber(item) ? 0 : fail(place, "must be a number");
    case FILTER_KEY_CHOICE:
        return cJSON_IsString(item) ? set_choice(value, item->valuestring, place)
                                    : fail(place, "must be a string");
    case FILTER_KEY_LIST:
        return set_list(value, item, place);
    case FILTER_KEY_FILE:
        return set_file(value, item, place);
    }
    return fail(place, "this type's key is of a kind that Weir does not know");
}

static int set_fallback(struct filter_value *value, const struct place *place)
{
    const char *text = place->key->fallback;
    if (place->key->is_required) {
        return fail(place, "is missing");
    }
    if (!text) {
        return 0;
    }
    switch ((enum filter_key_kind)place->key->kind) {
    case FILTER_KEY_STRING:
        return set_string(value, mem_strdup(text), strlen(text), place->e);
    case FILTER_KEY_BOOL:
        value->choice = strcmp(text, "true") == 0;
        return 0;
    case FILTER_KEY_NUMBER:
        value->number = strtod(text, NULL);
        return 0;
    case FILTER_KEY_CHOICE:
        return set_choice(value, text, place);
    case FILTER_KEY_LIST:
    case FILTER_KEY_FILE:
        break;
    }
    return 0;
}

/* Names of keys are not repeated, and all are known. */
static int check_names(const struct settings *settings, const cJSON *object, const char *path,
                       struct err *e)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        for (const cJSON *later = item->next; later; later = later->next) {
            if (strcmp(item->string, later->string) == 0) {
                return err_set_param(e, ERR_INVALID, path, "%s.%.64s: is given twice", path,
                                     item->string);
            }
        }
        bool known = chain_keys_has(item->string) ||
                     (settings->has_path && strcmp(item->string, "path") == 0);
        for (size_t k = 0; k < settings->key_count && !known; k++) {
            known = strcmp(settings->type->keys[k].name, item->string) == 0;
        }
        if (!known) {
            return err_set_param(e, ERR_INVALID, path,
                                 "%s.%.64s: filter type \"%s\" has no such key", path,
                                 item->string, settings->type->name);
        }
    }
    return 0;
}

int settings_read(struct settings *settings, const cJSON *object, const char *path,
                  const char *folder, struct err *e)
{
    if (check_names(settings, object, path, e) != 0) {
        return -1;
    }
    settings->values = mem_zarray(settings->key_count, sizeof(*settings->values));
    if (!settings->values) {
        return err_nomem(e);
    }
    for (size_t k = 0; k < settings->key_count; k++) {
        const struct filter_key *key = &settings->type->keys[k];
        struct place place = {.path = path, .folder = folder, .key = key, .e = e};
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key->name);
        int rc = item ? set_value(&settings->values[k], item, &place)
                      : set_fallback(&settings->values[k], &place);
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

static void append_string(struct buf *out, const struct filter_string *string)
{
    buf_printf(out, " %zu:", string->len);
    buf_append(out, string->data, string->len);
}

int settings_append_canonical(const struct settings *settings, struct buf *out, struct err *e)
{
    for (size_t k = 0; k < settings->key_count; k++) {
        const struct filter_value *value = &settings->values[k];
        const struct filter_key *key = &settings->type->keys[k];
        buf_append_str(out, key->name);
        if (key->kind == FILTER_KEY_BOOL || key->kind == FILTER_KEY_CHOICE) {
            buf_printf(out, " %u", value->choice);
        } else if (key->kind == FILTER_KEY_NUMBER) {
            buf_printf(out, " %.17g", value->number);
        } else if (key->kind == FILTER_KEY_FILE && value->count == 1) {
            char hex[HASH_HEX_LEN + 1];
            if (hash_sha256_hex(value->strings[0].data, value->strings[0].len, hex) != 0) {
                return err_set(e, ERR_IO, "SHA-256 is not available");
            }
            buf_printf(out, " sha256:%s", hex);
        } else {
            for (size_t i = 0; i < value->count; i++) {
                append_string(out, &value->strings[i]);
            }
        }
        buf_append_char(out, '\n');
    }
    return out->failed ? err_nomem(e) : 0;
}

static int normalise_string(struct filter_string *string, struct err *e)
{
    if (!utf8_is_valid(string->data, string->len)) {
        return 0;
    }
    struct buf out;
    buf_init(&out, NORMALISED_MAX);
    size_t len = 0;
    char *data =
        view_normalise(string->data, string->len, &out) == 0 ? buf_take(&out, &len) : NULL;
    buf_deinit(&out);
    if (!data) {
        return err_nomem(e);
    }
    mem_free((char *)(uintptr_t)string->data);
    *string = (struct filter_string){.data = data, .len = len};
    return 0;
}

int settings_normalise(struct settings *settings, struct err *e)
{
    for (size_t k = 0; k < settings->key_count; k++) {
        uint32_t kind = settings->type->keys[k].kind;
        struct filter_string *strings =
            (struct filter_string *)(uintptr_t)settings->values[k].strings;
        bool is_text = kind == FILTER_KEY_LIST || kind == FILTER_KEY_FILE;
        for (size_t i = 0; is_text && i < settings->values[k].count; i++) {
            if (normalise_string(&strings[i], e) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
