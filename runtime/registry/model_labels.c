#include "runtime/registry/model_labels.h"

#include <stdio.h>
#include <string.h>

static struct model_label *find(const struct model_labels *l, const char *label)
{
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->items[i].label, label) == 0) {
            return (struct model_label *)&l->items[i];
        }
    }
    return NULL;
}

const char *model_labels_find(const struct model_labels *l, const char *label)
{
    const struct model_label *item = find(l, label);
    return item ? item->version : NULL;
}

static void remove_item(struct model_labels *l, struct model_label *item)
{
    l->count--;
    memmove(item, item + 1, (size_t)(l->items + l->count - item) * sizeof(*item));
}

int model_labels_set(struct model_labels *l, const char *label, const char *version,
                     struct err *e)
{
    if (version_name_check(label, "label", e) != 0 ||
        (version && version_name_check(version, "version", e) != 0)) {
        return -1;
    }
    struct model_label *item = find(l, label);
    if (!version) {
        if (item) {
            remove_item(l, item);
        }
        return 0;
    }
    if (!item && l->count == MODEL_LABELS_MOVED_MAX) {
        return err_set_param(e, ERR_LIMIT, "label", "%d labels are set, and more cannot be",
                             MODEL_LABELS_MOVED_MAX);
    }
    item = item ? item : &l->items[l->count++];
    snprintf(item->label, sizeof(item->label), "%s", label);
    snprintf(item->version, sizeof(item->version), "%s", version);
    return 0;
}
