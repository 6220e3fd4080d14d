#include "models/lineage/lineage.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define FOLDER_FILES_MAX 100000

struct parent {
    char *role, *path;
    char sha256[HASH_HEX_LEN + 1];
};

struct lineage {
    char *tool;
    cJSON *options, *metrics;
    struct parent *parents; /* (n_parents) */
    size_t n_parents;
    struct err failure; /* kind ERR_NONE: none yet */
};

/* --- hashes --- */

static bool is_part(const char *name)
{
    size_t len = strlen(name), suffix = strlen(LINEAGE_SUFFIX);
    return name[0] != '.' &&
           !(len > suffix && strcmp(name + len - suffix, LINEAGE_SUFFIX) == 0);
}

static int add_part(struct hash *h, const char *folder, const char *name, struct err *e)
{
    char path[PATH_MAX], hex[HASH_HEX_LEN + 1];
    struct stat st;
    if (file_join(path, sizeof(path), folder, name, e) != 0) {
        return -1;
    }
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return 0;
    }
    if (hash_file_hex(path, hex, e) != 0) {
        return -1;
    }
    hash_add(h, hex, HASH_HEX_LEN);
    hash_add(h, "  ", 2);
    hash_add(h, name, strlen(name));
    hash_add(h, "\n", 1);
    return 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int select_part(const struct dirent *d)
{
    return is_part(d->d_name);
}

static int hash_folder(const char *path, char out[HASH_HEX_LEN + 1], struct err *e)
{
    struct dirent **names = NULL;
    int n = scandir(path, &names, select_part, compare_names);
    if (n < 0) {
        return err_set_errno(e, errno, "%s: cannot read", path);
    }
    struct hash *h = hash_begin();
    int rc = h ? 0 : err_nomem(e);
    if (n == 0 || n > FOLDER_FILES_MAX) {
        rc = err_set(e, ERR_INVALID, "%s: a folder with 1 to %d files is wanted", path,
                     FOLDER_FILES_MAX);
    }
    for (int i = 0; i < n; i++) {
        if (rc == 0) {
            rc = add_part(h, path, names[i]->d_name, e);
        }
        free(names[i]); /* by scandir */
    }
    free(names);
    if (hash_end(h, out) != 0 && rc == 0) {
        rc = err_nomem(e);
    }
    return rc;
}

int lineage_hash(const char *path, char out[HASH_HEX_LEN + 1], struct err *e)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return hash_folder(path, out, e);
    }
    return hash_file_hex(path, out, e);
}

/* --- what a tool says --- */

static void fail_nomem(struct lineage *l)
{
    if (l->failure.kind == ERR_NONE) {
        err_nomem(&l->failure);
    }
}

struct lineage *lineage_create(const char *tool)
{
    struct lineage *l = mem_zalloc(sizeof(*l));
    if (!l) {
        return NULL;
    }
    l->tool = mem_strdup(tool);
    l->options = cJSON_CreateObject();
    l->metrics = cJSON_CreateObject();
    if (!l->tool || !l->options || !l->metrics) {
        fail_nomem(l);
    }
    return l;
}

void lineage_destroy(struct lineage *l)
{
    if (!l) {
        return;
    }
    for (size_t i = 0; i < l->n_parents; i++) {
        mem_free(l->parents[i].role);
        mem_free(l->parents[i].path);
    }
    mem_free(l->parents);
    cJSON_Delete(l->options);
    cJSON_Delete(l->metrics);
    mem_free(l->tool);
    mem_free(l);
}

/* `value` is taken. A name that is there already gets the new value. */
static void put(struct lineage *l, cJSON *object, const char *name, cJSON *value)
{
    if (cJSON_HasObjectItem(object, name)) {
        cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    }
    if (!value || !cJSON_AddItemToObject(object, name, value)) {
        cJSON_Delete(value);
        fail_nomem(l);
    }
}

void lineage_option(struct lineage *l, const char *name, const char *value)
{
    if (l && value) {
        put(l, l->options, name, cJSON_CreateString(value));
    }
}

void lineage_option_number(struct lineage *l, const char *name, double value)
{
    if (l && isfinite(value)) {
        put(l, l->options, name, cJSON_CreateNumber(value));
    }
}

void lineage_metric(struct lineage *l, const char *name, double value)
{
    if (l && isfinite(value)) {
        put(l, l->metrics, name, cJSON_CreateNumber(value));
    }
}

void lineage_parent(struct lineage *l, const char *role, const char *path)
{
    if (!l || !path || l->failure.kind != ERR_NONE) {
        return;
    }
    struct parent p = {.role = mem_strdup(role), .path = mem_strdup(path)};
    struct parent *grown = p.role && p.path
                               ? mem_realloc_array(l->parents, l->n_parents + 1, sizeof(*grown))
                               : NULL;
    if (!grown) {
        mem_free(p.role);
        mem_free(p.path);
        fail_nomem(l);
        return;
    }
    l->parents = grown;
    l->parents[l->n_parents++] = p;
    if (lineage_hash(path, l->parents[l->n_parents - 1].sha256, &l->failure) != 0) {
        err_prefix(&l->failure, "%s", role);
    }
}

/* --- the sidecar --- */

/* `path` as it is reached from `folder`; both are absolute and without links. */
static int relative_path(const char *folder, const char *path, char *out, size_t size,
                         struct err *e)
{
    size_t same = 0, at = 0;
    for (size_t i = 0;; i++) {
        bool folder_part = folder[i] == '/' || folder[i] == '\0';
        bool path_part = path[i] == '/' || path[i] == '\0';
        if (folder_part && path_part) {
            same = i;
        }
        if (folder[i] != path[i] || folder[i] == '\0') {
            break;
        }
    }
    out[0] = '\0';
    for (const char *p = folder + same; *p; p++) {
        if (*p == '/' && p[1] != '\0') {
            at += (size_t)snprintf(out + at, at < size ? size - at : 0, "../");
        }
    }
    at += (size_t)snprintf(out + at, at < size ? size - at : 0, "%s",
                           path[same] == '/' ? path + same + 1 : path + same);
    if (at == 0) {
        at = (size_t)snprintf(out, size, ".");
    }
    return at < size ? 0 : err_set(e, ERR_LIMIT, "%s: the path is too long", path);
}

static int parent_path(const char *artefact, const char *path, char out[PATH_MAX],
                       struct err *e)
{
    char folder[PATH_MAX], real_folder[PATH_MAX], real_path[PATH_MAX];
    const char *slash = strrchr(artefact, '/');
    int len = slash ? (int)(slash - artefact + (slash == artefact)) : 1;
    snprintf(folder, sizeof(folder), "%.*s", len, slash ? artefact : ".");
    if (!realpath(folder, real_folder) || !realpath(path, real_path)) {
        /* Gone by now: what the tool was told is all there is to say. */
        snprintf(out, PATH_MAX, "%s", path);
        return 0;
    }
    return relative_path(real_folder, real_path, out, PATH_MAX, e);
}

static cJSON *parents_json(const struct lineage *l, const char *artefact, struct err *e)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < l->n_parents; i++) {
        char path[PATH_MAX];
        cJSON *item = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(list, item) ||
            parent_path(artefact, l->parents[i].path, path, e) != 0 ||
            !cJSON_AddStringToObject(item, "role", l->parents[i].role) ||
            !cJSON_AddStringToObject(item, "file", path) ||
            !cJSON_AddStringToObject(item, "sha256", l->parents[i].sha256)) {
            cJSON_Delete(list);
            return NULL;
        }
    }
    return list;
}

static void format_time(char out[32])
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t now = (time_t)(epoch && *epoch ? strtoll(epoch, NULL, 10) : clock_unix_s());
    struct tm utc;
    if (!gmtime_r(&now, &utc) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        out[0] = '\0';
    }
}

static char *sidecar_text(const struct lineage *l, const char *artefact, const char *sha256,
                          struct err *e)
{
    const char *slash = strrchr(artefact, '/');
    char made_at[32];
    format_time(made_at);
    cJSON *root = cJSON_CreateObject();
    cJSON *parents = parents_json(l, artefact, e);
    char *text = NULL;
    if (parents && cJSON_AddStringToObject(root, "artefact", slash ? slash + 1 : artefact) &&
        cJSON_AddStringToObject(root, "sha256", sha256) &&
        cJSON_AddStringToObject(root, "tool", l->tool) &&
        cJSON_AddStringToObject(root, "weir", WEIR_VERSION) &&
        cJSON_AddStringToObject(root, "made_at", made_at) &&
        cJSON_AddItemReferenceToObject(root, "options", l->options) &&
        cJSON_AddItemToObject(root, "parents", parents)) {
        parents = NULL; /* the root's now */
        text = cJSON_AddItemReferenceToObject(root, "metrics", l->metrics) ? cJSON_Print(root)
                                                                           : NULL;
    }
    cJSON_Delete(parents);
    cJSON_Delete(root);
    if (!text && e->kind == ERR_NONE) {
        err_nomem(e);
    }
    return text;
}

int lineage_write(struct lineage *l, const char *artefact, struct err *e)
{
    char path[PATH_MAX], sha256[HASH_HEX_LEN + 1];
    *e = (struct err){0};
    if (!l) {
        return err_nomem(e);
    }
    if (l->failure.kind != ERR_NONE) {
        *e = l->failure;
        return -1;
    }
    if (snprintf(path, sizeof(path), "%s" LINEAGE_SUFFIX, artefact) >= (int)sizeof(path)) {
        return err_set(e, ERR_LIMIT, "%s: the path is too long", artefact);
    }
    char *text =
        lineage_hash(artefact, sha256, e) == 0 ? sidecar_text(l, artefact, sha256, e) : NULL;
    int rc = text ? file_write_atomic(path, text, strlen(text), e) : -1;
    cJSON_free(text);
    return rc;
}
