#include "runtime/api/model_reply.h"

#include "runtime/api/json_text.h"

static cJSON *version_object(const struct model_version_view *v)
{
    const struct model_manifest *m = v->manifest;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "version", v->name);
    cJSON_AddStringToObject(o, "state", v->state);
    json_add_string_or_null(o, "problem", v->problem);
    json_add_string_or_null(o, "sha256", v->loaded ? v->loaded->sha256 : m ? m->sha256 : NULL);
    if (v->loaded) {
        cJSON_AddNumberToObject(o, "generation", (double)v->loaded->generation);
        cJSON_AddNumberToObject(o, "loaded_at", (double)v->loaded->loaded_at);
        cJSON_AddNumberToObject(o, "file_bytes", (double)v->loaded->file_bytes);
        cJSON_AddNumberToObject(o, "running", v->loaded->running);
    }
    admin_add_labels(o, &v->labels, m);
    json_add_string_or_null(o, "note", m ? m->note : NULL);
    return o;
}

char *model_versions_text(const struct admin_model *serving, const struct traffic_view *traffic,
                          const struct model_version_view *versions, size_t n, size_t *len)
{
    cJSON *root = admin_model_json(serving);
    traffic_add(root, traffic);
    cJSON *list = cJSON_AddArrayToObject(root, "versions");
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(list, version_object(&versions[i]));
    }
    return json_text_take(root, len);
}

/* What the owner wrote, golden prompts and all. */
static void add_document(cJSON *o, const struct model_manifest *m)
{
    cJSON *copy = m ? cJSON_Duplicate(m->json, 1) : cJSON_CreateNull();
    cJSON_AddItemToObject(o, "manifest", copy);
}

char *model_version_text(const char *model, const struct model_version_view *v, size_t *len)
{
    cJSON *o = version_object(v);
    cJSON_AddStringToObject(o, "model", model);
    cJSON_AddItemToObject(o, "gate",
                          v->report ? cJSON_CreateRaw(v->report) : cJSON_CreateNull());
    add_document(o, v->manifest);
    return json_text_take(o, len);
}
