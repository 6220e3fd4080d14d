#include "models/convert/hf_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/arch/llama_config.h"
#include "models/convert/hf_config.h"
#include "models/convert/hf_tensors.h"
#include "models/convert/hf_tokenizer.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define MAX_CONFIG    ((size_t)1 << 20)
#define MAX_TOKENIZER ((size_t)256 << 20)
#define MAX_TEMPLATE  ((size_t)1 << 20)
#define PATH_MAX_LEN  4096

struct conversion {
    const char *folder;
    cJSON *config, *tokenizer, *tokenizer_config;
    struct safetensors *weights;
    struct gguf_writer *out;
    struct hf_tensors tensors;
    struct err *e;
};

static cJSON *read_json(const struct conversion *c, const char *name, size_t max)
{
    char path[PATH_MAX_LEN];
    return file_join(path, sizeof(path), c->folder, name, c->e) == 0
               ? json_parse_regular(path, max, c->e)
               : NULL;
}

static int open_all(struct conversion *c)
{
    char path[PATH_MAX_LEN];
    c->config = read_json(c, "config.json", MAX_CONFIG);
    c->tokenizer = c->config ? read_json(c, "tokenizer.json", MAX_TOKENIZER) : NULL;
    if (!c->tokenizer ||
        file_join(path, sizeof(path), c->folder, "tokenizer_config.json", c->e) != 0) {
        return -1;
    }
    if (access(path, F_OK) == 0) {
        c->tokenizer_config = read_json(c, "tokenizer_config.json", MAX_TOKENIZER);
        if (!c->tokenizer_config) {
            return -1;
        }
    }
    c->weights = safetensors_open(c->folder, c->e);
    c->out = c->weights ? gguf_writer_create(c->e) : NULL;
    return c->out ? 0 : -1;
}

/* A template in a file of its own comes before the one in tokenizer_config.json. */
static int put_template_file(const struct conversion *c)
{
    char path[PATH_MAX_LEN];
    size_t len;
    if (file_join(path, sizeof(path), c->folder, "chat_template.jinja", c->e) != 0) {
        return -1;
    }
    if (access(path, F_OK) != 0) {
        return 0;
    }
    char *text = file_read_regular(path, MAX_TEMPLATE, &len, c->e);
    if (!text) {
        return -1;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(c->tokenizer_config, "chat_template");
    gguf_put_bytes(c->out, "tokenizer.chat_template", text, len);
    mem_free(text);
    return 0;
}

static void put_name(const struct conversion *c)
{
    size_t len = strlen(c->folder);
    while (len > 1 && c->folder[len - 1] == '/') {
        len--;
    }
    size_t begin = len;
    while (begin > 0 && c->folder[begin - 1] != '/') {
        begin--;
    }
    gguf_put_bytes(c->out, "general.name", c->folder + begin, len - begin);
}

/* Of a sentence-transformers folder: how an encoder's vectors become one. */
static int put_pooling(const struct conversion *c, const struct hf_config *config)
{
    char path[PATH_MAX_LEN], key[64];
    if (!config->encoder) {
        return 0;
    }
    if (file_join(path, sizeof(path), c->folder, "1_Pooling/config.json", c->e) != 0) {
        return -1;
    }
    if (access(path, F_OK) != 0) {
        return 0;
    }
    cJSON *pooling = json_parse_regular(path, MAX_CONFIG, c->e);
    if (!pooling) {
        return -1;
    }
    bool first = cJSON_IsTrue(cJSON_GetObjectItem(pooling, "pooling_mode_cls_token"));
    bool mean = cJSON_IsTrue(cJSON_GetObjectItem(pooling, "pooling_mode_mean_tokens"));
    cJSON_Delete(pooling);
    if (first == mean) {
        return err_set(c->e, ERR_UNSUPPORTED,
                       "%s: pooling_mode_cls_token or pooling_mode_mean_tokens has to be true",
                       path);
    }
    snprintf(key, sizeof(key), "%s.pooling_type", config->arch);
    gguf_put_u32(c->out, key, first ? LLAMA_POOL_FIRST : LLAMA_POOL_MEAN);
    return 0;
}

static int convert(struct conversion *c, const char *to, uint32_t type)
{
    struct hf_config config;
    put_name(c);
    if (hf_config_read(&config, c->config, c->out, c->e) != 0 || put_pooling(c, &config) != 0 ||
        put_template_file(c) != 0) {
        return -1;
    }
    const struct hf_tokenizer tokenizer = {.tokenizer = c->tokenizer,
                                           .config = c->tokenizer_config,
                                           .model = c->config,
                                           .vocab = config.vocab};
    /* general.file_type of the GGUF specification. */
    gguf_put_u32(c->out, "general.file_type",
                 type == TENSOR_Q8_0  ? 7
                 : type == TENSOR_F16 ? 1
                                      : 0);
    gguf_put_u32(c->out, "general.quantization_version", 2);
    if (hf_tokenizer_put(&tokenizer, c->out, c->e) != 0 ||
        hf_tensors_add(&c->tensors, c->weights, &config, type, c->out, c->e) != 0) {
        return -1;
    }
    return gguf_writer_write(c->out, to, c->e);
}

int hf_model_convert(const char *folder, const char *to, uint32_t type, struct err *e)
{
    struct conversion c = {.folder = folder, .e = e};
    int rc = open_all(&c) != 0 || convert(&c, to, type) != 0 ? -1 : 0;
    if (c.weights && safetensors_check_whole(c.weights, e) != 0) {
        rc = -1;
    }
    if (rc != 0 && strncmp(e->message, folder, strlen(folder)) != 0) {
        err_prefix(e, "%s", folder);
    }
    gguf_writer_destroy(c.out);
    hf_tensors_deinit(&c.tensors);
    safetensors_close(c.weights);
    cJSON_Delete(c.config);
    cJSON_Delete(c.tokenizer);
    cJSON_Delete(c.tokenizer_config);
    return rc;
}

struct gguf *hf_model_open(const char *folder, uint32_t type, struct err *e)
{
    const char *where = getenv("TMPDIR");
    char path[PATH_MAX_LEN];
    int n = snprintf(path, sizeof(path), "%s/weir-XXXXXX", where && *where ? where : "/tmp");
    int fd = n < (int)sizeof(path) ? mkstemp(path) : -1;
    if (fd < 0) {
        err_set_errno(e, errno, "%s: no temporary file for its conversion (TMPDIR)", folder);
        return NULL;
    }
    close(fd);
    struct gguf *g = hf_model_convert(folder, path, type, e) == 0 ? gguf_open(path, e) : NULL;
    unlink(path);
    return g;
}
