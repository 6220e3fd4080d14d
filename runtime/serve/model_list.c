#include "runtime/serve/model_list.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"

void model_list_deinit(struct model_list *l)
{
    while (l->count > 0) {
        model_list_remove(l, &l->items[l->count - 1]);
    }
    mem_free(l->items);
    *l = (struct model_list){0};
}

struct listed_version *model_list_find(const struct model_list *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->items[i].name, name) == 0) {
            return &l->items[i];
        }
    }
    return NULL;
}

static int grow(struct model_list *l)
{
    if (l->count < l->cap) {
        return 0;
    }
    size_t cap = l->cap ? 2 * l->cap : 16;
    struct listed_version *moved = mem_realloc_array(l->items, cap, sizeof(*moved));
    if (!moved) {
        return -1;
    }
    l->items = moved;
    l->cap = cap;
    return 0;
}

struct listed_version *model_list_get(struct model_list *l, const char *name)
{
    struct listed_version *v = model_list_find(l, name);
    if (v || grow(l) != 0) {
        return v;
    }
    size_t at = l->count;
    while (at > 0 && model_version_compare(l->items[at - 1].name, name) > 0) {
        at--;
    }
    v = &l->items[at];
    memmove(v + 1, v, (l->count - at) * sizeof(*v));
    *v = (struct listed_version){0};
    snprintf(v->name, sizeof(v->name), "%s", name);
    l->count++;
    return v;
}

void model_list_remove(struct model_list *l, struct listed_version *v)
{
    model_manifest_free(v->manifest);
    mem_free(v->report);
    l->count--;
    memmove(v, v + 1, (size_t)(l->items + l->count - v) * sizeof(*v));
}

static void take(struct model_list *l, struct model_repo_version *seen, const char *model)
{
    struct listed_version *v = model_list_get(l, seen->name);
    if (!v) {
        return; /* at the next look again */
    }
    v->is_there = true;
    if (v->still == seen->still) {
        return;
    }
    v->still = seen->still;
    v->bytes = seen->bytes;
    v->sha256[0] = '\0';
    v->is_wanted = seen->problem.kind == ERR_NONE;
    v->has_failed = !v->is_wanted;
    snprintf(v->problem, sizeof(v->problem), "%s", seen->problem.message);
    if (v->has_failed) {
        log_error("model %s@%s: %s", model, v->name, v->problem);
    }
    if (seen->is_news) {
        model_manifest_free(v->manifest);
        v->manifest = seen->manifest;
        seen->manifest = NULL;
        seen->is_news = false;
    }
}

void model_list_take(struct model_list *l, struct model_repo *repo)
{
    for (size_t i = 0; i < l->count; i++) {
        l->items[i].is_there = false;
    }
    for (size_t i = 0; i < repo->count; i++) {
        if (repo->versions[i].still != 0) {
            take(l, &repo->versions[i], repo->name);
        }
    }
}
