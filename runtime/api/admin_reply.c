#include "runtime/api/admin_reply.h"

#include <stdio.h>

#include "runtime/api/json_text.h"

#define CARD_PATH_MAX 512

void admin_add_labels(cJSON *object, const struct admin_labels *labels,
                      const struct model_manifest *m, const char *loaded_id)
{
    char card[CARD_PATH_MAX];
    cJSON *list = cJSON_AddArrayToObject(object, "labels");
    for (size_t i = 0; i < labels->n; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateString(labels->items[i]));
    }
    json_add_string_or_null(object, "deprecated", m ? m->deprecated : NULL);
    json_add_string_or_null(object, "cutoff", m ? m->cutoff : NULL);
    bool has_card = m && m->card_file && loaded_id;
    snprintf(card, sizeof(card), "/v1/models/%s/card", has_card ? loaded_id : "");
    json_add_string_or_null(object, "card", has_card ? card : NULL);
}

static void add_number_or_null(cJSON *o, const char *name, bool is_known, double value)
{
    cJSON_AddItemToObject(o, name, is_known ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

static cJSON *model_object(const struct admin_model *m)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "id", m->asked_as ? m->asked_as : m->name);
    cJSON_AddStringToObject(o, "object", "model");
    cJSON_AddNumberToObject(o, "created", (double)m->loaded_at);
    cJSON_AddStringToObject(o, "owned_by", "weir");
    json_add_string_or_null(o, "version", m->id);
    json_add_string_or_null(o, "sha256", m->sha256);
    if (m->parent) {
        cJSON_AddStringToObject(o, "parent", m->parent);
    }
    add_number_or_null(o, "context_length", m->is_loaded, m->context);
    cJSON *capabilities = cJSON_AddArrayToObject(o, "capabilities");
    if (m->can_chat) {
        cJSON_AddItemToArray(capabilities, cJSON_CreateString("chat"));
    }
    bool makes_vectors = m->is_loaded && m->embedding_length > 0;
    if (makes_vectors && !m->parent) {
        cJSON_AddItemToArray(capabilities, cJSON_CreateString("embeddings"));
    }
    add_number_or_null(o, "embedding_length", makes_vectors, m->embedding_length);
    cJSON_AddBoolToObject(o, "loaded", m->is_loaded);
    json_add_string_or_null(o, "state", m->state);
    admin_add_labels(o, &m->labels, m->manifest, m->is_loaded ? m->id : NULL);
    return o;
}

char *models_one_text(const struct admin_model *m, size_t *len)
{
    return json_text_take(model_object(m), len);
}

char *models_list_text(const struct admin_model *models, size_t n, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "object", "list");
    cJSON *data = cJSON_AddArrayToObject(root, "data");
    for (size_t i = 0; i < n; i++) {
        cJSON_AddItemToArray(data, model_object(&models[i]));
    }
    return json_text_take(root, len);
}

cJSON *admin_model_json(const struct admin_model *m)
{
    cJSON *o = model_object(m);
    cJSON_AddNumberToObject(o, "generation", (double)m->generation);
    cJSON_AddNumberToObject(o, "file_bytes", (double)m->file_bytes);
    cJSON_AddNumberToObject(o, "memory_bytes", (double)m->memory_bytes);
    cJSON_AddNumberToObject(o, "running", m->running);
    cJSON_AddNumberToObject(o, "waiting", m->waiting);
    cJSON_AddNumberToObject(o, "waiting_tokens", (double)m->waiting_tokens);
    cJSON_AddNumberToObject(o, "prompt_tokens", (double)m->prompt_tokens);
    cJSON_AddNumberToObject(o, "cached_tokens", (double)m->cached_tokens);
    cJSON_AddNumberToObject(o, "output_tokens", (double)m->output_tokens);
    cJSON_AddNumberToObject(o, "guessed_tokens", (double)m->guessed_tokens);
    cJSON_AddNumberToObject(o, "accepted_tokens", (double)m->accepted_tokens);
    cJSON_AddNumberToObject(o, "preemptions", (double)m->preemptions);
    cJSON_AddNumberToObject(o, "kv_pages", m->kv_pages);
    cJSON_AddNumberToObject(o, "kv_pages_free", m->kv_pages_free);
    return o;
}

char *admin_model_text(const struct admin_model *m, size_t *len)
{
    return json_text_take(admin_model_json(m), len);
}

char *admin_reload_text(const char *outcome, const struct admin_model *m, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "status", outcome);
    cJSON_AddItemToObject(root, "model", admin_model_json(m));
    return json_text_take(root, len);
}

char *status_text(const char *status, size_t *len)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "status", status);
    return json_text_take(root, len);
}
