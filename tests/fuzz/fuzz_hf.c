/* Any JSON as the files of a folder of Hugging Face's, {"config", "tokenizer",
 * "tokenizer_config"}: making GGUF metadata of it must stay inside its memory. */
#include <stddef.h>
#include <stdint.h>

#include "models/convert/hf_config.h"
#include "models/convert/hf_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_VOCAB 4096 /* what is asked for is taken; larger ones would only be slow */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    cJSON *files = cJSON_ParseWithLength((const char *)data, size);
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(files, "config");
    struct gguf_writer *out = gguf_writer_create(&e);
    struct hf_config c;
    if (config && out && hf_config_read(&c, config, out, &e) == 0 && c.vocab <= MAX_VOCAB) {
        const struct hf_tokenizer tokenizer = {
            .tokenizer = cJSON_GetObjectItemCaseSensitive(files, "tokenizer"),
            .config = cJSON_GetObjectItemCaseSensitive(files, "tokenizer_config"),
            .model = config,
            .vocab = c.vocab};
        (void)hf_tokenizer_put(&tokenizer, out, &e);
    }
    gguf_writer_destroy(out);
    cJSON_Delete(files);
    return 0;
}
