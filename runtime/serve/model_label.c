#include "runtime/serve/model_label.h"

#include <string.h>

static bool has_label(const struct model_version_info *v, const char *label)
{
    return v->manifest && model_manifest_has_label(v->manifest, label);
}

/* Loaded for a part of the requests, or for copies of them: what it is worth is to be seen. */
static bool is_on_trial(const struct model_set *set, const struct generation *g)
{
    enum model_state state = model_set_state_of(set, g);
    return state == MODEL_CANARY || state == MODEL_SPLIT || state == MODEL_SHADOW;
}

const char *model_label_version(const struct model_set *set, const char *label)
{
    const char *moved = model_labels_find(model_set_moved_labels(set), label);
    const char *on_trial = NULL;
    const char *loadable = NULL;
    for (size_t i = 0; !moved && i < model_set_count(set); i++) {
        struct model_version_info v = model_set_at(set, i);
        if (!has_label(&v, label)) {
            continue;
        }
        if (v.generation && !is_on_trial(set, v.generation)) {
            return v.name;
        }
        on_trial = !on_trial && v.generation ? v.name : on_trial;
        loadable = !loadable && v.state != MODEL_FAILED ? v.name : loadable;
    }
    return moved ? moved : on_trial ? on_trial : loadable;
}

const char *model_label_asked(const struct model_set *set, const char *asked)
{
    struct model_version_info ignored;
    const char *name = model_set_name(set);
    size_t len = strlen(name);
    if (strncmp(asked, name, len) != 0 || asked[len] != '@' ||
        model_set_find(set, asked + len + 1, &ignored)) {
        return NULL;
    }
    return model_label_version(set, asked + len + 1);
}

const char *model_label_resolve(const struct model_set *set, const char *text)
{
    struct model_version_info v;
    if (model_set_find(set, text, &v)) {
        return v.name;
    }
    const char *moved = model_labels_find(model_set_moved_labels(set), text);
    for (size_t i = 0; !moved && i < model_set_count(set); i++) {
        v = model_set_at(set, i);
        if (has_label(&v, text)) {
            return v.name;
        }
    }
    return moved;
}

static void add(struct admin_labels *out, const char *label)
{
    if (out->n < ADMIN_LABELS_MAX) {
        out->items[out->n++] = label;
    }
}

void model_label_list(const struct model_set *set, const char *version,
                      struct admin_labels *out)
{
    const struct model_labels *moved = model_set_moved_labels(set);
    struct model_version_info v = {0};
    out->n = 0;
    for (size_t i = 0; i < moved->count; i++) {
        if (strcmp(moved->items[i].version, version) == 0) {
            add(out, moved->items[i].label);
        }
    }
    const struct model_manifest *m = model_set_find(set, version, &v) ? v.manifest : NULL;
    for (size_t i = 0; m && i < m->n_labels; i++) {
        const char *label = m->labels[i];
        const char *means =
            model_labels_find(moved, label) ? NULL : model_label_version(set, label);
        if (means && strcmp(means, version) == 0) {
            add(out, label);
        }
    }
}
