#include "runtime/api/model_reply.h"

#include "runtime/api/json_text.h"

static cJSON *version_object(const struct model_version_view *v)
{
    const struct model_manifest *m = v->manifest;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "version", v->name);
    cJSON_AddStringToObject(o, "state", v->state);
    json_add_string_or_null(o, "problem", v->problem);
    json_add_string_or_null(o, "sha256", v->sha256);
    if (v->loaded) {
        cJSON_AddNumberToObject(o, "generation", (double)v->loaded->generation);
        cJSON_AddNumberToObject(o, "loaded_at", (double)v->loaded->loaded_at);
        cJSON_AddNumberToObject(o, "file_bytes", (double)v->loaded->file_bytes);
        cJSON_AddNumberToObject(o, "memory_bytes", (double)v->loaded->memory_bytes);
        cJSON_AddNumberToObject(o, "running", v->loaded->running);
    }
    admin_add_labels(o, &v->labels, m, v->loaded ? v->loaded->id : NULL);
    json_add_string_or_null(o, "note", m ? m->note : NULL);
    return o;
}

static void add_versions(cJSON *o, const struct model_view *m)
{
    cJSON *list = cJSON_AddArrayToObject(o, "versions");
    for (size_t i = 0; i < m->n_versions; i++) {
        cJSON_AddItemToArray(list, version_object(&m->versions[i]));
    }
}

static cJSON *model_object(const struct model_view *m)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", m->name);
    cJSON_AddBoolToObject(o, "default", m->is_default);
    cJSON_AddStringToObject(o, "state", m->state);
    json_add_string_or_null(o, "problem", m->problem);
    json_add_string_or_null(o, "serving", m->serving->is_loaded ? m->serving->id : NULL);
    cJSON_AddNumberToObject(o, "memory_bytes", (double)m->memory_bytes);
    cJSON_AddNumberToObject(o, "requests_waiting", (double)m->waiting);
    traffic_add(o, m->traffic);
    add_versions(o, m);
    return o;
}

char *models_admin_text(const struct models_view *v, size_t *len)
{
    cJSON *root = admin_model_json(v->models[0].serving);
    traffic_add(root, v->models[0].traffic);
    add_versions(root, &v->models[0]);
    cJSON *list = cJSON_AddArrayToObject(root, "models");
    for (size_t i = 0; i < v->n; i++) {
        cJSON_AddItemToArray(list, model_object(&v->models[i]));
    }
    cJSON *memory = cJSON_AddObjectToObject(root, "memory");
    cJSON_AddNumberToObject(memory, "used_bytes", (double)v->memory_bytes);
    cJSON_AddItemToObject(memory, "limit_bytes",
                          v->memory_limit > 0 ? cJSON_CreateNumber((double)v->memory_limit)
                                              : cJSON_CreateNull());
    cJSON_AddItemToObject(memory, "machine_left_bytes",
                          v->memory_left < UINT64_MAX
                              ? cJSON_CreateNumber((double)v->memory_left)
                              : cJSON_CreateNull());
    return json_text_take(root, len);
}

char *model_unloaded_text(const char *model, const char *version, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "status", "unloaded");
    cJSON_AddStringToObject(root, "model", model);
    json_add_string_or_null(root, "version", version[0] ? version : NULL);
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
