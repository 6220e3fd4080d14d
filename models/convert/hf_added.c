#include "models/convert/hf_added.h"

#include "models/convert/hf_json.h"
#include "runtime/base/mem.h"

int hf_added_put(const cJSON *tokenizer, const char *member, const char *key,
                 struct gguf_writer *out, struct err *e)
{
    const cJSON *token, *added = hf_get(tokenizer, "added_tokens");
    int32_t *ids = mem_array((size_t)cJSON_GetArraySize(added) + 1, sizeof(*ids));
    size_t count = 0;
    if (!ids) {
        return err_nomem(e);
    }
    cJSON_ArrayForEach(token, added)
    {
        const cJSON *id = hf_get(token, "id");
        if (cJSON_IsTrue(hf_get(token, member)) && cJSON_IsNumber(id)) {
            ids[count++] = id->valueint;
        }
    }
    if (count > 0) {
        gguf_put_array(out, key, GGUF_I32, ids, count);
    }
    mem_free(ids);
    return 0;
}
