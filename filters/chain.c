#include "filters/chain.h"

#include <stdio.h>
#include <string.h>

#include "filters/chain_config.h"
#include "filters/chain_keys.h"
#include "filters/registry.h"
#include "filters/settings.h"
#include "filters/stage.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define CANONICAL_MAX ((size_t)64 << 20)

/* What reading a chain needs at hand. */
struct reader {
    const char *folder;
    const char *name; /* instead of the document's, or NULL */
    const struct filter_type *const *types;
    struct buf canonical; /* what the content hash is taken over */
    struct err *e;
};

static int set_error(struct reader *r, const char *path, const char *what)
{
    return err_set_param(r->e, ERR_INVALID, path, "%s: %s", path, what);
}

static int read_name(struct chain *chain, const cJSON *item, struct reader *r)
{
    const char *name = r->name ? r->name : cJSON_GetStringValue(item);
    if (!name || !chain_is_name(name)) {
        return set_error(r, "name",
                         "must be a string of 1 to 64 letters, digits, \".\", \"_\" or \"-\"");
    }
    snprintf(chain->name, sizeof(chain->name), "%s", name);
    return 0;
}

/* What people read when a filter has ended an answer. */
static int read_refusal(struct chain *chain, const cJSON *item, struct reader *r)
{
    if (!item) {
        return 0;
    }
    const char *text = cJSON_GetStringValue(item);
    size_t len = text ? strlen(text) : 0;
    if (len == 0 || len > CHAIN_MAX_REFUSAL) {
        return set_error(r, "refusal", "must be a string of 1 to 500 bytes");
    }
    chain->refusal = mem_strdup(text);
    if (!chain->refusal) {
        return err_nomem(r->e);
    }
    buf_printf(&r->canonical, "refusal %zu %s\n", len, text);
    return 0;
}

static int read_version(struct chain *chain, const cJSON *item, struct reader *r)
{
    if (!item) {
        return 0;
    }
    double version = cJSON_IsNumber(item) ? item->valuedouble : 0;
    if (!(version >= 1 && version <= INT32_MAX) || version != (double)(uint32_t)version) {
        return set_error(r, "version", "must be a whole number from 1 to 2147483647");
    }
    chain->version = (uint32_t)version;
    return 0;
}

static int read_sides(struct chain_filter *filter, const cJSON *item, const char *path,
                      struct reader *r)
{
    const char *side = item ? cJSON_GetStringValue(item) : "output";
    if (side && strcmp(side, "input") == 0) {
        filter->sides = FILTER_INPUT;
    } else if (side && strcmp(side, "output") == 0) {
        filter->sides = FILTER_OUTPUT;
    } else if (side && strcmp(side, "both") == 0) {
        filter->sides = FILTER_INPUT | FILTER_OUTPUT;
    } else {
        return set_error(r, path, "must be \"input\", \"output\" or \"both\"");
    }
    if ((filter->sides & ~filter->type->sides) != 0) {
        return err_set_param(
            r->e, ERR_INVALID, path, "%s: filter type \"%s\" works on the %s side only", path,
            filter->type->name, filter->type->sides == FILTER_INPUT ? "input" : "output");
    }
    return 0;
}

static int read_fail(struct chain_filter *filter, const cJSON *item, const char *path,
                     struct reader *r)
{
    const char *fail = item ? cJSON_GetStringValue(item) : "closed";
    if (!fail || (strcmp(fail, "closed") != 0 && strcmp(fail, "open") != 0)) {
        return set_error(r, path, "must be \"closed\" or \"open\"");
    }
    filter->fails_open = strcmp(fail, "open") == 0;
    return 0;
}

static int read_type(struct chain_filter *filter, const cJSON *item, const char *path,
                     struct reader *r)
{
    if (!cJSON_IsString(item)) {
        return set_error(r, path, "must be the name of a filter type");
    }
    const struct filter_type *type = filter_registry_find(r->types, item->valuestring);
    if (!type) {
        return err_set_param(r->e, ERR_NOT_FOUND, path, "%s: there is no filter type \"%.64s\"",
                             path, item->valuestring);
    }
    if (type->abi != FILTER_ABI || type->size < FILTER_TYPE_MIN_SIZE || !type->feed) {
        return err_set_param(r->e, ERR_UNSUPPORTED, path,
                             "%s: filter type \"%s\" does not follow filter ABI %u", path,
                             type->name, FILTER_ABI);
    }
    filter->type = type;
    return 0;
}

/* The type comes out of a shared object, whose content is part of the hash. */
static int read_plugin(struct chain_filter *filter, const cJSON *object, const char *path,
                       struct reader *r)
{
    size_t len;
    char *bytes = settings_read_file(object, "path", path, r->folder, &len, r->e);
    if (!bytes) {
        return -1;
    }
    char hex[HASH_HEX_LEN + 1];
    if (hash_sha256_hex(bytes, len, hex) != 0) {
        mem_free(bytes);
        return err_set(r->e, ERR_IO, "SHA-256 is not available");
    }
    buf_printf(&r->canonical, "plugin sha256:%s\n", hex);
    filter->plugin = plugin_open(bytes, len, r->e);
    mem_free(bytes);
    if (!filter->plugin) {
        return err_prefix(r->e, "%s.path", path);
    }
    filter->type = plugin_type(filter->plugin);
    return 0;
}

static bool is_plugin(const cJSON *type)
{
    return cJSON_IsString(type) && strcmp(type->valuestring, "plugin") == 0;
}

/* Reads the type's own keys and lets it make its config of them. */
static int configure(struct chain_filter *filter, const cJSON *object, const char *path,
                     struct reader *r)
{
    struct filter_error error = {.size = sizeof(error)};
    struct settings settings;
    settings_init(&settings, filter->type);
    settings.has_path = filter->plugin != NULL;
    int rc = settings_read(&settings, object, path, r->folder, r->e);
    if (rc == 0) {
        rc = settings_append_canonical(&settings, &r->canonical, r->e);
    }
    if (rc == 0 && filter->is_normalised && (filter->type->flags & FILTER_TEXT_SETTINGS) != 0) {
        rc = settings_normalise(&settings, r->e);
    }
    if (rc == 0 && filter->plugin &&
        plugin_try_settings(filter->plugin, settings.values, r->e) != 0) {
        rc = err_prefix(r->e, "%s.path", path);
    }
    if (rc == 0 && filter->type->configure &&
        filter->type->configure(&filter->config, settings.values, &error) != 0) {
        char param[FILTER_MAX_KEY + 64];
        error.key[FILTER_MAX_KEY] = '\0';
        error.message[FILTER_MAX_ERROR] = '\0';
        snprintf(param, sizeof(param), "%s%s%s", path, error.key[0] ? "." : "", error.key);
        rc =
            err_set_param(r->e, ERR_INVALID, param, "%s: %s", param,
                          error.message[0] ? error.message : "the filter refused its settings");
    }
    settings_deinit(&settings);
    return rc;
}

static int read_filter(struct chain_filter *filter, const cJSON *object, const char *path,
                       struct reader *r)
{
    char type_path[48], side_path[48], fail_path[48];
    if (!cJSON_IsObject(object)) {
        return set_error(r, path, "must be an object");
    }
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(object, "type");
    snprintf(type_path, sizeof(type_path), "%s.type", path);
    snprintf(side_path, sizeof(side_path), "%s.side", path);
    snprintf(fail_path, sizeof(fail_path), "%s.fail", path);
    int rc = is_plugin(type) ? read_plugin(filter, object, path, r)
                             : read_type(filter, type, type_path, r);
    if (rc != 0 ||
        read_sides(filter, cJSON_GetObjectItemCaseSensitive(object, "side"), side_path, r) !=
            0 ||
        read_fail(filter, cJSON_GetObjectItemCaseSensitive(object, "fail"), fail_path, r) !=
            0 ||
        chain_keys_read(filter, object, path, r->e) != 0) {
        return -1;
    }
    buf_printf(&r->canonical, "type %s\nsides %u\nfail %s\n", filter->type->name, filter->sides,
               filter->fails_open ? "open" : "closed");
    chain_keys_append_canonical(filter, &r->canonical);
    return configure(filter, object, path, r);
}

static int add_filter(struct chain *chain, const cJSON *object, struct reader *r)
{
    struct chain_filter *filter = &chain->filters[chain->filter_count];
    char path[32];
    snprintf(path, sizeof(path), "filters[%zu]", chain->filter_count);
    if (read_filter(filter, object, path, r) != 0) {
        plugin_close(filter->plugin);
        return -1;
    }
    chain->filter_count++;
    return 0;
}

static bool is_chain_key(const char *key)
{
    static const char *const keys[] = {"name", "version", "author",
                                       "note", "refusal", "filters"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether it is said for people, who made the chain and why. */
static bool is_remark(const char *key)
{
    return strcmp(key, "author") == 0 || strcmp(key, "note") == 0;
}

static int check_keys(const cJSON *root, struct reader *r)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, root)
    {
        if (!is_chain_key(item->string)) {
            return err_set_param(r->e, ERR_INVALID, item->string,
                                 "%.64s: is not a key of a filter chain, which has \"name\", "
                                 "\"version\", \"author\", \"note\", \"refusal\" and "
                                 "\"filters\"",
                                 item->string);
        }
        if (is_remark(item->string) && !cJSON_IsString(item)) {
            return set_error(r, item->string, "must be a string");
        }
        for (const cJSON *later = item->next; later; later = later->next) {
            if (strcmp(item->string, later->string) == 0) {
                return set_error(r, item->string, "is given twice");
            }
        }
    }
    return 0;
}

static int read_chain(struct chain *chain, const cJSON *root, struct reader *r)
{
    if (read_name(chain, cJSON_GetObjectItemCaseSensitive(root, "name"), r) != 0 ||
        read_version(chain, cJSON_GetObjectItemCaseSensitive(root, "version"), r) != 0 ||
        read_refusal(chain, cJSON_GetObjectItemCaseSensitive(root, "refusal"), r) != 0) {
        return -1;
    }
    const cJSON *object;
    cJSON_ArrayForEach(object, cJSON_GetObjectItemCaseSensitive(root, "filters"))
    {
        if (add_filter(chain, object, r) != 0) {
            return -1;
        }
    }
    if (chain_keys_check_names(chain, r->e) != 0) {
        return -1;
    }
    if (r->canonical.failed) {
        return err_nomem(r->e);
    }
    const char *canonical = r->canonical.data ? r->canonical.data : "";
    return hash_sha256_hex(canonical, r->canonical.len, chain->hash) == 0
               ? 0
               : err_set(r->e, ERR_IO, "SHA-256 is not available");
}

/* An empty chain with room for the filters that the document lists. */
static struct chain *allocate_chain(const cJSON *root, struct reader *r)
{
    if (!cJSON_IsObject(root)) {
        err_set(r->e, ERR_INVALID, "a filter chain must be a JSON object");
        return NULL;
    }
    if (check_keys(root, r) != 0) {
        return NULL;
    }
    const cJSON *filters = cJSON_GetObjectItemCaseSensitive(root, "filters");
    int count = cJSON_IsArray(filters) ? cJSON_GetArraySize(filters) : -1;
    if (count < 0 || count > CHAIN_MAX_FILTERS) {
        set_error(r, "filters", "must be a list of at most 32 filters");
        return NULL;
    }
    struct chain *chain =
        mem_zalloc(sizeof(*chain) + (size_t)count * sizeof(chain->filters[0]));
    if (!chain) {
        err_nomem(r->e);
        return NULL;
    }
    atomic_init(&chain->refs, 1);
    return chain;
}

struct chain *chain_from_json(const char *text, size_t len, const struct chain_options *options,
                              struct err *e)
{
    struct reader r = {
        .folder = options ? options->folder : NULL,
        .name = options ? options->name : NULL,
        .types = options && options->types ? options->types : filter_registry_builtin,
        .e = e,
    };
    if (len > CHAIN_MAX_JSON) {
        err_set(e, ERR_LIMIT, "a filter chain may be at most %zu bytes of JSON",
                CHAIN_MAX_JSON);
        return NULL;
    }
    cJSON *root = json_parse_large(text, len, e);
    if (!root) {
        return NULL;
    }
    buf_init(&r.canonical, CANONICAL_MAX);
    struct chain *chain = allocate_chain(root, &r);
    if (chain && read_chain(chain, root, &r) != 0) {
        chain_unref(chain);
        chain = NULL;
    }
    if (chain && options && options->version != 0) {
        chain->version = options->version;
    }
    buf_deinit(&r.canonical);
    cJSON_Delete(root);
    return chain;
}

struct chain *chain_from_file(const char *path, struct err *e)
{
    size_t len;
    char *text = file_read(path, CHAIN_MAX_JSON, &len, e);
    if (!text) {
        return NULL;
    }
    struct chain *chain = NULL;
    const char *slash = strrchr(path, '/');
    size_t folder_len = slash ? (size_t)(slash - path) : 0;
    char *folder = slash ? mem_strndup(path, folder_len ? folder_len : 1) : mem_strdup(".");
    if (!folder) {
        err_nomem(e);
    } else {
        struct chain_options options = {.folder = folder};
        chain = chain_from_json(text, len, &options, e);
        if (!chain) {
            err_prefix(e, "%s", path);
        }
    }
    mem_free(folder);
    mem_free(text);
    return chain;
}

struct chain *chain_ref(struct chain *chain)
{
    atomic_fetch_add_explicit(&chain->refs, 1, memory_order_relaxed);
    return chain;
}

void chain_unref(struct chain *chain)
{
    if (!chain || atomic_fetch_sub_explicit(&chain->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < chain->filter_count; i++) {
        struct chain_filter *filter = &chain->filters[i];
        if (filter->type->release) {
            filter->type->release(filter->config);
        }
        plugin_close(filter->plugin);
    }
    mem_free(chain->refusal);
    mem_free(chain);
}

void chain_set_version(struct chain *chain, uint32_t version)
{
    chain->version = version;
}

const char *chain_name(const struct chain *chain)
{
    return chain->name;
}

uint32_t chain_version(const struct chain *chain)
{
    return chain->version;
}

const char *chain_hash(const struct chain *chain)
{
    return chain->hash;
}

const char *chain_refusal(const struct chain *chain)
{
    return chain->refusal;
}

size_t chain_filter_count(const struct chain *chain)
{
    return chain->filter_count;
}

const struct filter_type *chain_filter_type(const struct chain *chain, size_t filter)
{
    return chain->filters[filter].type;
}

const char *chain_filter_name(const struct chain *chain, size_t filter)
{
    return chain->filters[filter].name;
}

bool chain_filter_has_channel(const struct chain *chain, size_t filter,
                              enum filter_channel channel)
{
    return (chain->filters[filter].channels >> channel & 1u) != 0;
}

bool chain_filter_asks(const struct chain *chain, size_t filter)
{
    return stage_type_asks(chain->filters[filter].type);
}

bool chain_has_side(const struct chain *chain, enum filter_side side)
{
    for (size_t i = 0; i < chain->filter_count; i++) {
        if (chain->filters[i].sides & side) {
            return true;
        }
    }
    return false;
}
