#include "models/lineage/lineage_tree.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "models/lineage/lineage.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

/* Every document that was read, by its path, so that none is read twice; and hashes of files,
 * which may be large. */
struct document {
    char *path;
    cJSON *json;    /* NULL: there is none, or it is broken */
    bool is_broken; /* then `problem` says why */
    char *problem;
};

struct hashed_file {
    char *path;
    char sha256[HASH_HEX_LEN + 1];
};

struct lineage_book {
    struct document *documents; /* (n_documents) */
    size_t n_documents;
    struct hashed_file *files; /* (n_files) */
    size_t n_files;
    const struct lineage_node **expanded; /* (n_expanded) whose parents are shown */
    size_t n_expanded;
};

/* What a node is looked for by. */
struct search {
    const char *role;
    const char *path;
    const char *sha256; /* "" at the root: what its record says */
    bool is_recorded;   /* told of in a lineage.json: no file to look for */
    int depth;
};

/* --- documents --- */

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool is_sha256(const char *text)
{
    return text && strlen(text) == HASH_HEX_LEN &&
           strspn(text, "0123456789abcdef") == HASH_HEX_LEN;
}

static int check_record(const cJSON *record, struct err *e)
{
    const cJSON *parents = cJSON_GetObjectItemCaseSensitive(record, "parents"), *p;
    if (!cJSON_IsObject(record) || !is_sha256(text_of(record, "sha256")) ||
        !text_of(record, "artefact") || !text_of(record, "tool") || !cJSON_IsArray(parents)) {
        return err_set(e, ERR_FORMAT,
                       "no record of a lineage: artefact, sha256, tool and parents are wanted");
    }
    cJSON_ArrayForEach(p, parents)
    {
        if (!text_of(p, "role") || !text_of(p, "file") || !is_sha256(text_of(p, "sha256"))) {
            return err_set(e, ERR_FORMAT, "a parent without role, file and sha256");
        }
    }
    return 0;
}

static int check_document(const cJSON *json, bool is_chain, struct err *e)
{
    const cJSON *records = cJSON_GetObjectItemCaseSensitive(json, "records"), *r;
    if (!is_chain) {
        return check_record(json, e);
    }
    if (!text_of(json, "artefact") || !is_sha256(text_of(json, "sha256")) ||
        strchr(text_of(json, "artefact"), '/') || !cJSON_IsArray(records)) {
        return err_set(e, ERR_FORMAT, "artefact, sha256 and records are wanted");
    }
    cJSON_ArrayForEach(r, records)
    {
        if (check_record(r, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The document at `path`, whether it is there or not. NULL: no memory. Documents may move when
 * another is read. */
static const struct document *read_document(struct lineage_book *b, const char *path,
                                            bool is_chain, struct err *e)
{
    for (size_t i = 0; i < b->n_documents; i++) {
        if (strcmp(b->documents[i].path, path) == 0) {
            return &b->documents[i];
        }
    }
    struct document *grown =
        mem_realloc_array(b->documents, b->n_documents + 1, sizeof(*grown));
    struct document d = {.path = mem_strdup(path)};
    if (grown) {
        b->documents = grown;
    }
    if (!grown || !d.path) {
        mem_free(d.path);
        err_nomem(e);
        return NULL;
    }
    struct err why = {0};
    d.json = json_parse_regular(path, LINEAGE_BYTES_MAX, &why);
    if (d.json && check_document(d.json, is_chain, &why) != 0) {
        err_prefix(&why, "%s", path);
        cJSON_Delete(d.json);
        d.json = NULL;
    }
    if (!d.json && why.kind != ERR_NOT_FOUND) {
        d.is_broken = true;
        d.problem = mem_strdup(why.message);
    }
    b->documents[b->n_documents++] = d;
    return &b->documents[b->n_documents - 1];
}

/* Among the records of all chains that were read. */
static const cJSON *find_recorded(const struct lineage_book *b, const char *sha256)
{
    for (size_t i = 0; i < b->n_documents; i++) {
        const cJSON *r;
        cJSON_ArrayForEach(r, cJSON_GetObjectItemCaseSensitive(b->documents[i].json, "records"))
        {
            if (strcmp(text_of(r, "sha256"), sha256) == 0) {
                return r;
            }
        }
    }
    return NULL;
}

static int hash_once(struct lineage_book *b, const char *path, char out[HASH_HEX_LEN + 1],
                     struct err *e)
{
    for (size_t i = 0; i < b->n_files; i++) {
        if (strcmp(b->files[i].path, path) == 0) {
            memcpy(out, b->files[i].sha256, HASH_HEX_LEN + 1);
            return 0;
        }
    }
    if (lineage_hash(path, out, e) != 0) {
        return -1;
    }
    struct hashed_file *grown = mem_realloc_array(b->files, b->n_files + 1, sizeof(*grown));
    struct hashed_file f = {.path = mem_strdup(path)};
    if (grown) {
        b->files = grown;
    }
    if (!grown || !f.path) {
        mem_free(f.path);
        return err_nomem(e);
    }
    memcpy(f.sha256, out, HASH_HEX_LEN + 1);
    b->files[b->n_files++] = f;
    return 0;
}

/* --- paths --- */

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* `name` in the folder of `path`. */
static int beside(const char *path, const char *name, char out[PATH_MAX], struct err *e)
{
    int folder = name[0] == '/' ? 0 : (int)folder_length(path);
    int n = snprintf(out, PATH_MAX, "%.*s%s", folder, path, name);
    return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "%.100s...: the path is too long", path);
}

static int sidecar_path(const char *path, char out[PATH_MAX], struct err *e)
{
    int n = snprintf(out, PATH_MAX, "%s" LINEAGE_SUFFIX, path);
    return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "%.100s...: the path is too long", path);
}

/* --- nodes --- */

static void free_node(struct lineage_node *n)
{
    for (size_t i = 0; i < n->n_parents; i++) {
        free_node(n->parents[i]);
    }
    mem_free(n->parents);
    mem_free(n->problem);
    mem_free(n->role);
    mem_free(n->path);
    mem_free(n);
}

static struct lineage_node *create_node(struct lineage_tree *t, const struct search *s,
                                        struct err *e)
{
    if (t->n_nodes == LINEAGE_NODES_MAX || s->depth > LINEAGE_DEPTH_MAX) {
        err_set(e, ERR_LIMIT, "%s: more than %d files or %d steps in its lineage", s->path,
                LINEAGE_NODES_MAX, LINEAGE_DEPTH_MAX);
        return NULL;
    }
    struct lineage_node *n = mem_zalloc(sizeof(*n));
    if (n) {
        n->role = mem_strdup(s->role);
        n->path = mem_strdup(s->path);
    }
    if (!n || !n->role || !n->path) {
        if (n) {
            free_node(n);
        }
        err_nomem(e);
        return NULL;
    }
    snprintf(n->sha256, sizeof(n->sha256), "%s", s->sha256);
    t->n_nodes++;
    return n;
}

static int break_node(struct lineage_node *n, const char *problem, struct err *e)
{
    n->state = LINEAGE_BROKEN;
    n->problem = mem_strdup(problem);
    return n->problem ? 0 : err_nomem(e);
}

/* Its sidecar, or what a lineage.json in its folder tells of it. */
static int find_record(struct lineage_tree *t, struct lineage_node *n, bool *is_recorded,
                       struct err *e)
{
    char path[PATH_MAX];
    const struct document *d = NULL;
    if (!*is_recorded) {
        if (sidecar_path(n->path, path, e) != 0 ||
            !(d = read_document(t->book, path, false, e))) {
            return -1;
        }
        if (d->is_broken) {
            return break_node(n, d->problem ? d->problem : "", e);
        }
        if (d->json && n->sha256[0] == '\0') {
            snprintf(n->sha256, sizeof(n->sha256), "%s", text_of(d->json, "sha256"));
        }
        if (d->json && strcmp(text_of(d->json, "sha256"), n->sha256) == 0) {
            n->record = d->json;
            return 0;
        }
        if (beside(n->path, LINEAGE_FILE, path, e) != 0 ||
            !(d = read_document(t->book, path, true, e))) {
            return -1;
        }
        const char *name = n->path + folder_length(n->path);
        if (n->sha256[0] == '\0' && d->json &&
            strcmp(text_of(d->json, "artefact"), name) == 0) {
            snprintf(n->sha256, sizeof(n->sha256), "%s", text_of(d->json, "sha256"));
        } else if (d->is_broken && n->sha256[0] == '\0') {
            return break_node(n, d->problem ? d->problem : "", e);
        }
    }
    n->record = find_recorded(t->book, n->sha256);
    *is_recorded = n->record != NULL;
    return 0;
}

/* Holds the file against its hash. */
static int check_file(struct lineage_tree *t, struct lineage_node *n, struct err *e)
{
    struct stat st;
    struct err why = {0};
    if (stat(n->path, &st) != 0) {
        n->state = LINEAGE_MISSING;
        return 0;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        return break_node(n, "neither a file nor a folder", e);
    }
    if (hash_once(t->book, n->path, n->found, &why) != 0) {
        return break_node(n, why.message, e);
    }
    n->state = n->record ? LINEAGE_HOLDS : LINEAGE_SOURCE;
    if (strcmp(n->found, n->sha256) == 0) {
        n->found[0] = '\0';
    } else {
        n->state = LINEAGE_CHANGED;
    }
    return 0;
}

static bool is_expanded(const struct lineage_book *b, const struct lineage_node *n)
{
    for (size_t i = 0; i < b->n_expanded; i++) {
        if (b->expanded[i]->record == n->record) {
            return true;
        }
    }
    return false;
}

static int add_expanded(struct lineage_book *b, const struct lineage_node *n, struct err *e)
{
    const struct lineage_node **grown =
        mem_realloc_array(b->expanded, b->n_expanded + 1, sizeof(struct lineage_node *));
    if (!grown) {
        return err_nomem(e);
    }
    b->expanded = grown;
    b->expanded[b->n_expanded++] = n;
    return 0;
}

static struct lineage_node *visit(struct lineage_tree *t, const struct search *s,
                                  struct err *e);

static int visit_parents(struct lineage_tree *t, struct lineage_node *n, bool is_recorded,
                         int depth, struct err *e)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(n->record, "parents"), *p;
    size_t count = (size_t)cJSON_GetArraySize(list);
    n->parents = mem_zarray(count + 1, sizeof(struct lineage_node *));
    if (!n->parents) {
        return err_nomem(e);
    }
    cJSON_ArrayForEach(p, list)
    {
        char path[PATH_MAX];
        const char *file = text_of(p, "file");
        if (is_recorded ? snprintf(path, sizeof(path), "%s", file) >= (int)sizeof(path)
                        : beside(n->path, file, path, e) != 0) {
            return err_set(e, ERR_LIMIT, "%.100s...: the path is too long", file);
        }
        const struct search s = {.role = text_of(p, "role"),
                                 .path = path,
                                 .sha256 = text_of(p, "sha256"),
                                 .is_recorded = is_recorded,
                                 .depth = depth + 1};
        n->parents[n->n_parents] = visit(t, &s, e);
        if (!n->parents[n->n_parents++]) {
            n->n_parents--;
            return -1;
        }
    }
    return 0;
}

static int look_up(struct lineage_tree *t, struct lineage_node *n, const struct search *s,
                   struct err *e)
{
    bool is_recorded = s->is_recorded; /* of what its parents are joined by */
    if (find_record(t, n, &is_recorded, e) != 0) {
        return -1;
    }
    if (n->sha256[0] == '\0' && n->state != LINEAGE_BROKEN) {
        return err_set(e, ERR_NOT_FOUND,
                       "%s: no " LINEAGE_SUFFIX " and no " LINEAGE_FILE
                       " beside it tells where it comes from",
                       n->path);
    }
    if (n->state != LINEAGE_BROKEN && s->is_recorded) {
        n->state = LINEAGE_RECORDED;
    } else if (n->state != LINEAGE_BROKEN && check_file(t, n, e) != 0) {
        return -1;
    }
    n->is_repeated = n->record && is_expanded(t->book, n);
    if (!n->is_repeated) {
        t->counts[n->state]++;
    }
    if (!n->record || n->is_repeated) {
        return 0;
    }
    return add_expanded(t->book, n, e) == 0 ? visit_parents(t, n, is_recorded, s->depth, e)
                                            : -1;
}

static struct lineage_node *visit(struct lineage_tree *t, const struct search *s, struct err *e)
{
    struct lineage_node *n = create_node(t, s, e);
    if (n && look_up(t, n, s, e) != 0) {
        free_node(n);
        return NULL;
    }
    return n;
}

/* --- the tree --- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

/* The artefact that `path` leads to. */
static int find_artefact(struct lineage_tree *t, const char *path, char out[PATH_MAX],
                         struct err *e)
{
    if (strlen(path) >= PATH_MAX) {
        return err_set(e, ERR_LIMIT, "%.100s...: the path is too long", path);
    }
    snprintf(out, PATH_MAX, "%s", path);
    if (strcmp(path + folder_length(path), LINEAGE_FILE) == 0) {
        const struct document *d = read_document(t->book, path, true, e);
        if (!d) {
            return -1;
        }
        if (!d->json) {
            return err_set(e, d->is_broken ? ERR_FORMAT : ERR_NOT_FOUND, "%s",
                           d->problem ? d->problem : path);
        }
        return beside(path, text_of(d->json, "artefact"), out, e);
    }
    if (ends_with(path, LINEAGE_SUFFIX)) {
        out[strlen(path) - strlen(LINEAGE_SUFFIX)] = '\0';
    }
    while (strlen(out) > 1 && ends_with(out, "/")) {
        out[strlen(out) - 1] = '\0';
    }
    return 0;
}

struct lineage_tree *lineage_tree_open(const char *path, struct err *e)
{
    char artefact[PATH_MAX];
    struct lineage_tree *t = mem_zalloc(sizeof(*t));
    if (t) {
        t->book = mem_zalloc(sizeof(*t->book));
    }
    if (!t || !t->book) {
        lineage_tree_close(t);
        err_nomem(e);
        return NULL;
    }
    if (find_artefact(t, path, artefact, e) == 0) {
        const struct search s = {.role = "artefact", .path = artefact, .sha256 = ""};
        t->root = visit(t, &s, e);
    }
    if (!t->root) {
        lineage_tree_close(t);
        return NULL;
    }
    return t;
}

static void free_book(struct lineage_book *b)
{
    for (size_t i = 0; i < b->n_documents; i++) {
        mem_free(b->documents[i].path);
        mem_free(b->documents[i].problem);
        cJSON_Delete(b->documents[i].json);
    }
    for (size_t i = 0; i < b->n_files; i++) {
        mem_free(b->files[i].path);
    }
    mem_free(b->documents);
    mem_free(b->files);
    mem_free(b->expanded);
    mem_free(b);
}

void lineage_tree_close(struct lineage_tree *t)
{
    if (!t) {
        return;
    }
    if (t->root) {
        free_node(t->root);
    }
    if (t->book) {
        free_book(t->book);
    }
    mem_free(t);
}

bool lineage_tree_holds(const struct lineage_tree *t)
{
    return t->counts[LINEAGE_CHANGED] == 0 && t->counts[LINEAGE_BROKEN] == 0;
}
