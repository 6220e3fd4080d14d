#include "runtime/serve/served_adapters.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch/llama_adapter.h"
#include "models/format/gguf.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"

#define SHORT_HASH      12
#define HASH_PREFIX_MIN 8

/* What is to be loaded. */
struct wanted {
    char name[MODEL_NAME_MAX];
    char path[PATH_MAX];
    float scale;
    bool any_base;
};

static bool is_name(const char *name)
{
    size_t n = 0;
    for (; name[n]; n++) {
        unsigned char c = (unsigned char)name[n];
        if (c >= 128 || !(isalnum(c) || strchr("._-", c))) {
            return false;
        }
    }
    return n > 0;
}

/* NAME=FILE[@SCALE]; an '@' that no number follows belongs to the file's name. */
static int parse(const char *given, struct wanted *w, struct err *e)
{
    const char *equals = strchr(given, '=');
    size_t name_len = equals ? (size_t)(equals - given) : 0;
    if (!equals || name_len == 0 || name_len >= sizeof(w->name) || !equals[1]) {
        return err_set_param(
            e, ERR_INVALID, "adapter",
            "--adapter: NAME=FILE or NAME=FILE@SCALE is wanted, not \"%.200s\"", given);
    }
    *w = (struct wanted){.scale = 1.0f};
    memcpy(w->name, given, name_len);
    if (!is_name(w->name)) {
        return err_set_param(e, ERR_INVALID, "adapter",
                             "--adapter: the name \"%s\" may have letters, digits, '.', '_' "
                             "and '-' only",
                             w->name);
    }
    const char *file = equals + 1, *at = strrchr(file, '@');
    size_t len = strlen(file);
    char *end = NULL;
    double scale = at && at > file && at[1] ? strtod(at + 1, &end) : 0.0;
    if (end && *end == '\0') {
        len = (size_t)(at - file);
        w->scale = (float)scale;
        if (!isfinite(w->scale) || fabsf(w->scale) > 1000.0f) {
            return err_set_param(e, ERR_INVALID, "adapter",
                                 "--adapter %s: the scale must be between -1000 and 1000",
                                 w->name);
        }
    }
    if (len >= sizeof(w->path)) {
        return err_set_param(e, ERR_LIMIT, "adapter", "--adapter %s: the path is too long",
                             w->name);
    }
    memcpy(w->path, file, len);
    return 0;
}

int served_adapters_check(const char *given, struct err *e)
{
    struct wanted w;
    return parse(given, &w, e);
}

/* With any_base what the adapter says of its base is told and not enforced. */
static struct llama_adapter *open_wanted(const struct model *base, const struct wanted *w,
                                         struct err *e)
{
    struct llama_adapter *a = llama_adapter_open(w->path, &base->config,
                                                 w->any_base ? "" : base->sha256, w->scale, e);
    if (a && a->base_sha256[0] && strcmp(a->base_sha256, base->sha256) != 0) {
        log_warn("adapter %s was trained on another file (SHA-256 %.12s...) than %s (%.12s...)",
                 w->name, a->base_sha256, base->name, base->sha256);
    }
    return a;
}

static int load_one(struct served_adapters *s, const struct model *base, const struct wanted *w,
                    struct err *e)
{
    bool taken = strcmp(w->name, base->name) == 0;
    for (size_t i = 0; i < s->count; i++) {
        taken = taken || strcmp(w->name, s->items[i].name) == 0;
    }
    if (taken) {
        return err_set_param(e, ERR_INVALID, "adapter",
                             "adapter \"%s\": the model or another adapter has that name",
                             w->name);
    }
    struct served_adapter *to = &s->items[s->count];
    to->adapter = open_wanted(base, w, e);
    if (!to->adapter) {
        return err_prefix(e, "adapter \"%s\"", w->name);
    }
    s->count++;
    snprintf(to->name, sizeof(to->name), "%s", w->name);
    bool has_version = base->version[0] != '\0';
    snprintf(to->id, sizeof(to->id), "%s@%.*s", w->name, has_version ? 127 : SHORT_HASH,
             has_version ? base->version : to->adapter->sha256);
    return 0;
}

/* Beside the model's own file. */
static int find_beside(const struct model_files *files, const struct model_adapter_file *a,
                       struct wanted *w, struct err *e)
{
    *w = (struct wanted){.scale = 1.0f, .any_base = files->manifest->any_base};
    snprintf(w->name, sizeof(w->name), "%s", a->name);
    int n = snprintf(w->path, sizeof(w->path), "%s/%s", files->folder, a->file);
    return n < (int)sizeof(w->path)
               ? 0
               : err_set_param(e, ERR_LIMIT, "adapters",
                               "the path of adapter \"%s\" is too long", a->name);
}

static int load_all(struct served_adapters *s, const struct model *base,
                    const struct adapters_wanted *a, struct err *e)
{
    struct wanted w;
    for (size_t i = 0; i < a->n_given; i++) {
        if (parse(a->given[i], &w, e) != 0) {
            return -1;
        }
        w.any_base = a->any_base;
        if (load_one(s, base, &w, e) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; a->files && i < a->files->manifest->n_adapters; i++) {
        if (find_beside(a->files, &a->files->manifest->adapters[i], &w, e) != 0 ||
            load_one(s, base, &w, e) != 0) {
            return -1;
        }
    }
    return 0;
}

int served_adapters_load(struct served_adapters *s, const struct model *base,
                         const struct adapters_wanted *a, struct err *e)
{
    size_t n = a->n_given + (a->files ? a->files->manifest->n_adapters : 0);
    *s = (struct served_adapters){0};
    if (n == 0) {
        return 0;
    }
    if (n > SERVED_ADAPTERS_MAX) {
        return err_set_param(e, ERR_LIMIT, "adapter", "%zu adapters, at most %d are served", n,
                             SERVED_ADAPTERS_MAX);
    }
    s->items = mem_zarray(n, sizeof(*s->items));
    if (!s->items) {
        return err_nomem(e);
    }
    if (load_all(s, base, a, e) != 0) {
        served_adapters_deinit(s);
        return -1;
    }
    return 0;
}

void served_adapters_deinit(struct served_adapters *s)
{
    for (size_t i = 0; i < s->count; i++) {
        llama_adapter_close(s->items[i].adapter);
    }
    mem_free(s->items);
    *s = (struct served_adapters){0};
}

static bool is_meant(const struct served_adapter *a, const char *base_version, const char *pin)
{
    const char *hash = strncmp(pin, "sha256:", 7) == 0 ? pin + 7 : "";
    return (base_version[0] && strcmp(pin, base_version) == 0) ||
           strcmp(pin, strchr(a->id, '@') + 1) == 0 ||
           (strlen(hash) >= HASH_PREFIX_MIN &&
            strncmp(a->adapter->sha256, hash, strlen(hash)) == 0);
}

const struct served_adapter *served_adapters_find(const struct served_adapters *s,
                                                  const char *base_version, const char *asked)
{
    size_t len = strcspn(asked, "@");
    for (size_t i = 0; i < s->count; i++) {
        const struct served_adapter *a = &s->items[i];
        if (strncmp(a->name, asked, len) == 0 && a->name[len] == '\0' &&
            (asked[len] == '\0' || is_meant(a, base_version, asked + len + 1))) {
            return a;
        }
    }
    return NULL;
}

bool served_adapters_unchanged(const char *const *given, size_t n_given, const char *digest)
{
    for (size_t i = 0; i < n_given; i++) {
        char sha256[HASH_HEX_LEN + 1] = "";
        struct wanted w;
        struct err ignored;
        struct gguf *g =
            parse(given[i], &w, &ignored) == 0 ? gguf_open(w.path, &ignored) : NULL;
        bool same = g && gguf_sha256(g, sha256, &ignored) == 0 &&
                    strncmp(digest + i * HASH_HEX_LEN, sha256, HASH_HEX_LEN) == 0;
        gguf_close(g);
        if (!same) {
            return false;
        }
    }
    return true;
}

char *served_adapters_digest(const struct served_adapters *s)
{
    char *digest = mem_zalloc(s->count * HASH_HEX_LEN + 1);
    for (size_t i = 0; digest && i < s->count; i++) {
        memcpy(digest + i * HASH_HEX_LEN, s->items[i].adapter->sha256, HASH_HEX_LEN);
    }
    return digest;
}

uint64_t served_adapters_bytes(const struct served_adapters *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->count; i++) {
        bytes += s->items[i].adapter->block_bytes;
    }
    return bytes;
}
