#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/array.h"
#include "runtime/grammar/schema.h"

#define SHAPES_MAX 512
#define DEPTH_MAX  64 /* of schemas that include each other for one value */

int node_list_add(struct node_list *l, const cJSON *node, struct err *e)
{
    if (ARRAY_RESERVE(l->nodes, l->cap, l->n + 1) != 0) {
        return err_nomem(e);
    }
    l->nodes[l->n++] = node;
    return 0;
}

int node_list_copy(struct node_list *to, const struct node_list *from, struct err *e)
{
    *to = (struct node_list){0};
    for (size_t i = 0; i < from->n; i++) {
        if (node_list_add(to, from->nodes[i], e) != 0) {
            return -1;
        }
    }
    return 0;
}

void node_list_deinit(struct node_list *l)
{
    mem_free((void *)l->nodes);
    *l = (struct node_list){0};
}

void shape_list_deinit(struct shape_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        node_list_deinit(&l->shapes[i].parts);
    }
    mem_free(l->shapes);
    *l = (struct shape_list){0};
}

/* Appends one step of a JSON pointer (RFC 6901). */
static void write_step(struct buf *path, const char *name)
{
    buf_append_char(path, '/');
    for (; *name; name++) {
        if (*name == '~' || *name == '/') {
            buf_append_str(path, *name == '~' ? "~0" : "~1");
        } else {
            buf_append_char(path, *name);
        }
    }
}

/* Appends the pointer from `at` to `node`; false when it is not below. The depth of a document
 * is bounded by json_parse. */
static bool find_path(const cJSON *at, const cJSON *node, struct buf *path)
{
    size_t i = 0;
    if (at == node) {
        return true;
    }
    for (const cJSON *child = at->child; child; child = child->next, i++) {
        const size_t len = path->len;
        char number[24];
        (void)snprintf(number, sizeof(number), "%zu", i);
        write_step(path, child->string ? child->string : number);
        if (find_path(child, node, path)) {
            return true;
        }
        path->len = len;
    }
    return false;
}

int schema_fail(struct schema *s, enum err_kind kind, const cJSON *object, const char *keyword,
                const char *why)
{
    struct buf path;
    buf_init(&path, 4096);
    buf_append_char(&path, '#');
    (void)find_path(s->root, object, &path);
    if (keyword) {
        write_step(&path, keyword);
    }
    err_set(s->e, kind, "schema %.*s: %s", (int)path.len, path.data ? path.data : "", why);
    buf_deinit(&path);
    return -1;
}

int schema_unsupported(struct schema *s, const cJSON *object, const char *keyword,
                       const char *why)
{
    return schema_fail(s, ERR_UNSUPPORTED, object, keyword, why);
}

/* Decodes one step of a pointer in place: %XX (RFC 3986), then ~0 and ~1. */
static void decode_step(char *step)
{
    char *out = step;
    for (const char *p = step; *p; p++) {
        unsigned byte;
        if (p[0] == '%' && strspn(p + 1, "0123456789abcdefABCDEF") >= 2 &&
            sscanf(p + 1, "%2x", &byte) == 1) {
            *out++ = (char)byte;
            p += 2;
        } else {
            *out++ = *p;
        }
    }
    *out = '\0';
    out = step;
    for (const char *p = step; *p; p++) {
        if (p[0] == '~' && (p[1] == '0' || p[1] == '1')) {
            *out++ = p[1] == '0' ? '~' : '/';
            p++;
        } else {
            *out++ = *p;
        }
    }
    *out = '\0';
}

static const cJSON *child_named(const cJSON *at, const char *step)
{
    if (cJSON_IsArray(at)) {
        char *end;
        const long i = strtol(step, &end, 10);
        return *step && !*end && i >= 0 && i <= INT32_MAX ? cJSON_GetArrayItem(at, (int)i)
                                                          : NULL;
    }
    return cJSON_GetObjectItemCaseSensitive(at, step);
}

const cJSON *schema_resolve(struct schema *s, const cJSON *object, const cJSON *ref)
{
    const char *text = ref->valuestring;
    const cJSON *at = s->root;
    if (text[0] != '#' || (text[1] != '\0' && text[1] != '/') || s->has_ids) {
        schema_unsupported(s, object, "$ref",
                           "only references into this document are followed, \"#/...\", and "
                           "none in a document with embedded $id");
        return NULL;
    }
    char *path = mem_strdup(text + 1);
    if (!path) {
        err_nomem(s->e);
        return NULL;
    }
    for (char *step = path; at && *step == '/';) {
        char *end = step + 1 + strcspn(step + 1, "/");
        const bool last = *end == '\0';
        *end = '\0';
        decode_step(step + 1);
        at = child_named(at, step + 1);
        step = end;
        if (last) {
            break;
        }
        *step = '/';
    }
    mem_free(path);
    if (!at || !schema_is_one(at)) {
        schema_fail(s, ERR_INVALID, object, "$ref",
                    at ? "what it names is no schema" : "what it names does not exist");
        return NULL;
    }
    return at;
}

/* A schema that still has to be looked at, or a fork: the branches of an anyOf or oneOf of it.
 */
struct todo {
    const cJSON *schema;
    const char *fork;        /* keyword, or NULL */
    const struct todo *via;  /* through which it came in; NULL: a member of the set itself */
    const struct todo *next; /* after this one */
    struct todo *allocated;  /* list of all of an expansion */
};

struct expansion {
    struct schema *s;
    struct shape_list *out;
    struct todo *allocated;
};

static int expand(struct expansion *x, const struct node_list *parts, const struct todo *todo,
                  int depth);

static const struct todo *add_todo(struct expansion *x, const cJSON *schema, const char *fork,
                                   const struct todo *via, const struct todo *next)
{
    struct todo *t = mem_alloc(sizeof(*t));
    if (!t) {
        err_nomem(x->s->e);
        return NULL;
    }
    *t = (struct todo){schema, fork, via, next, x->allocated};
    x->allocated = t;
    return t;
}

static int add_shape(struct expansion *x, const struct node_list *parts)
{
    struct shape shape = {.types = TYPE_ANY};
    for (size_t i = 0; i < parts->n; i++) {
        unsigned allowed;
        if (schema_types_by_not(x->s, parts->nodes[i], &allowed) != 0) {
            return -1;
        }
        shape.types &= schema_types(parts->nodes[i]) & allowed;
    }
    if (shape.types == 0) {
        return 0;
    }
    if (x->out->n >= SHAPES_MAX) {
        return err_set(x->s->e, ERR_LIMIT,
                       "the schema is too complex: its alternatives have more than %d "
                       "combinations for one value",
                       SHAPES_MAX);
    }
    if (ARRAY_RESERVE(x->out->shapes, x->out->cap, x->out->n + 1) != 0) {
        return err_nomem(x->s->e);
    }
    if (node_list_copy(&shape.parts, parts, x->s->e) != 0) {
        node_list_deinit(&shape.parts);
        return -1;
    }
    x->out->shapes[x->out->n++] = shape;
    return 0;
}

/* Refuses oneOf unless what is written for one branch can never be valid under another: `begin`
 * is (branches + 1) where the shapes of each branch lie. */
static int check_exclusive(struct expansion *x, const cJSON *object, const size_t *begin)
{
    struct schema *s = x->s;
    const cJSON *branches = schema_get(object, "oneOf");
    int j = 0;
    for (const cJSON *other = branches->child; other; other = other->next, j++) {
        struct shape_list true_shapes = {0};
        struct node_list set = {0};
        int rc = node_list_add(&set, other, s->e);
        rc = rc == 0 ? schema_expand(s, &set, &true_shapes) : -1;
        for (size_t k = begin[0]; rc == 0 && k < x->out->n; k++) {
            const bool own = k >= begin[j] && k < begin[j + 1];
            for (size_t t = 0; rc == 0 && !own && t < true_shapes.n; t++) {
                const int disjoint =
                    schema_disjoint(s, &x->out->shapes[k], &true_shapes.shapes[t], 0);
                rc = disjoint < 0 ? -1 : 0;
                if (disjoint == 0) {
                    rc = schema_unsupported(s, object, "oneOf",
                                            "a value could be valid under two branches; make "
                                            "them exclude each other or use anyOf");
                }
            }
        }
        node_list_deinit(&set);
        shape_list_deinit(&true_shapes);
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

static int expand_fork(struct expansion *x, const struct node_list *parts,
                       const struct todo *fork, int depth)
{
    const cJSON *branches = schema_get(fork->schema, fork->fork);
    const size_t n = (size_t)cJSON_GetArraySize(branches);
    size_t *begin = mem_array(n + 1, sizeof(*begin));
    size_t i = 0;
    int rc = 0;
    if (!begin) {
        return err_nomem(x->s->e);
    }
    for (const cJSON *branch = branches->child; branch && rc == 0; branch = branch->next) {
        const struct todo *todo = add_todo(x, branch, NULL, fork, fork->next);
        begin[i++] = x->out->n;
        rc = todo ? expand(x, parts, todo, depth + 1) : -1;
    }
    begin[n] = x->out->n;
    if (rc == 0 && strcmp(fork->fork, "oneOf") == 0) {
        rc = check_exclusive(x, fork->schema, begin);
    }
    mem_free(begin);
    return rc;
}

static bool comes_in_itself(const struct todo *t)
{
    for (const struct todo *up = t->via; up; up = up->via) {
        if (up->schema == t->schema) {
            return true;
        }
    }
    return false;
}

static bool has_node(const struct node_list *l, const cJSON *node)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->nodes[i] == node) {
            return true;
        }
    }
    return false;
}

/* Puts what a schema object applies to the same value before what is left to do: $ref, the
 * members of allOf, then the forks. NULL on failure. `none` stands for an empty list. */
static const struct todo *add_applicators(struct expansion *x, const struct todo *t)
{
    const cJSON *object = t->schema;
    const cJSON *ref = schema_get(object, "$ref"), *all = schema_get(object, "allOf");
    const struct todo *list = t->next;
    bool ok = true;
    for (int i = 0; i < 2 && ok; i++) {
        const char *fork = i == 0 ? "oneOf" : "anyOf";
        if (schema_get(object, fork)) {
            list = add_todo(x, object, fork, t->via, list);
            ok = list != NULL;
        }
    }
    for (int i = cJSON_GetArraySize(all); i > 0 && ok; i--) {
        list = add_todo(x, cJSON_GetArrayItem(all, i - 1), NULL, t, list);
        ok = list != NULL;
    }
    if (ok && ref) {
        const cJSON *target = schema_resolve(x->s, object, ref);
        list = target ? add_todo(x, target, NULL, t, list) : NULL;
        ok = list != NULL;
    }
    /* The object itself is done: a list that begins with `true` is never empty. */
    static const cJSON nothing = {.type = cJSON_True};
    return ok ? add_todo(x, &nothing, NULL, NULL, list) : NULL;
}

static int expand_todo(struct expansion *x, struct node_list *parts, const struct todo *t,
                       int depth)
{
    for (; t; t = t->next) {
        if (t->fork) {
            return expand_fork(x, parts, t, depth);
        }
        if (cJSON_IsFalse(t->schema)) {
            return 0;
        }
        if (cJSON_IsTrue(t->schema)) {
            continue;
        }
        if (comes_in_itself(t)) {
            return schema_fail(x->s, ERR_INVALID, t->schema, NULL,
                               "the schema refers to itself without end");
        }
        if (has_node(parts, t->schema)) {
            continue;
        }
        if (schema_check_keywords(x->s, t->schema) != 0 ||
            node_list_add(parts, t->schema, x->s->e) != 0) {
            return -1;
        }
        t = add_applicators(x, t);
        if (!t) {
            return -1;
        }
    }
    return add_shape(x, parts);
}

static int expand(struct expansion *x, const struct node_list *parts, const struct todo *todo,
                  int depth)
{
    struct node_list own;
    if (depth > DEPTH_MAX || budget_check(&x->s->budget, x->s->e) != 0) {
        return depth > DEPTH_MAX
                   ? err_set(x->s->e, ERR_LIMIT,
                             "the schema is too complex: its anyOf and oneOf nest deeper than "
                             "%d for one value",
                             DEPTH_MAX)
                   : -1;
    }
    int rc = node_list_copy(&own, parts, x->s->e);
    if (rc == 0) {
        rc = expand_todo(x, &own, todo, depth);
    }
    node_list_deinit(&own);
    return rc;
}

int schema_expand(struct schema *s, const struct node_list *set, struct shape_list *out)
{
    struct expansion x = {.s = s, .out = out};
    const struct node_list none = {0};
    const struct todo *todo = NULL;
    int rc = 0;
    for (size_t i = set->n; i > 0 && rc == 0; i--) {
        todo = add_todo(&x, set->nodes[i - 1], NULL, NULL, todo);
        rc = todo ? 0 : -1;
    }
    rc = rc == 0 ? expand(&x, &none, todo, 0) : -1;
    while (x.allocated) {
        struct todo *next = x.allocated->allocated;
        mem_free(x.allocated);
        x.allocated = next;
    }
    return rc;
}

uint32_t shape_count(const struct shape *x, const char *keyword, bool largest,
                     uint32_t otherwise)
{
    uint32_t count = otherwise;
    for (size_t i = 0; i < x->parts.n; i++) {
        const cJSON *value = schema_get(x->parts.nodes[i], keyword);
        if (value) {
            const uint32_t n = (uint32_t)value->valuedouble;
            count = largest ? (n > count ? n : count) : (n < count ? n : count);
        }
    }
    return count;
}
