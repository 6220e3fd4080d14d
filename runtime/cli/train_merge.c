/* weir train merge: an adapter into its base model's weights. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "models/convert/adapter_merge.h"
#include "models/convert/hf_model.h"
#include "models/lineage/lineage.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/train.h"

/* A base that has changed since gives other answers than those that were trained. */
static int check_base(const struct gguf *base, const struct gguf *adapter, bool any_base,
                      struct err *e)
{
    static const char key[] = "weir.adapter.base_sha256";
    struct gguf_str wanted;
    char hash[HASH_HEX_LEN + 1];
    if (any_base || !gguf_has(adapter, key)) {
        return 0;
    }
    if (gguf_get_str(adapter, key, &wanted, e) || gguf_sha256(base, hash, e)) {
        return -1;
    }
    if (wanted.len != HASH_HEX_LEN || memcmp(wanted.data, hash, HASH_HEX_LEN) != 0) {
        return err_set(e, ERR_CONFLICT,
                       "%s was trained on another file than %s (its SHA-256 is %.12s..., not "
                       "%.*s...); --any-base merges all the same",
                       gguf_path(adapter), gguf_path(base), hash,
                       wanted.len < 12 ? (int)wanted.len : 12, wanted.data);
    }
    return 0;
}

/* A folder of safetensors, as Hugging Face has models, is converted first. */
static struct gguf *open_base(const char *path, struct err *e)
{
    struct stat info;
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return folder ? hf_model_open(path, TENSOR_F32, e) : gguf_open(path, e);
}

static int merge(const char *model, const char *adapter, struct adapter_merge *m, bool any_base,
                 const char *to, struct err *e)
{
    struct gguf *base = open_base(model, e);
    struct gguf *pairs = base ? gguf_open(adapter, e) : NULL;
    size_t n;
    int rc = -1;
    m->base = base;
    m->adapter = pairs;
    if (pairs && check_base(base, pairs, any_base, e) == 0) {
        rc = adapter_merge_write(m, to, &n, e);
    }
    if (rc == 0) {
        printf("%s: %zu of %zu tensors changed\n", to, n, gguf_tensor_count(base));
    }
    gguf_close(pairs);
    gguf_close(base);
    return rc;
}

static int write_lineage(const char *model, const char *adapter, const char *type, double scale,
                         const char *to, struct err *e)
{
    struct lineage *l = lineage_create("train merge");
    lineage_parent(l, "base", model);
    lineage_parent(l, "adapter", adapter);
    lineage_option(l, "type", type);
    lineage_option_number(l, "scale", scale);
    int rc = lineage_write(l, to, e);
    lineage_destroy(l);
    return rc;
}

int cli_train_merge(int argc, char **argv)
{
    const char *model = NULL, *adapter = NULL, *type = NULL, *name = NULL;
    double scale = 1.0;
    bool any_base = false;
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &model, "MODEL",
         "the base, a GGUF file or a folder of safetensors", 0, 0},
        {"adapter", 0, OPTION_STRING, &adapter, "FILE.gguf",
         "LoRA adapter, of weir train sft or converted for llama.cpp", 0, 0},
        {"scale", 0, OPTION_DOUBLE, &scale, "X", "how strongly it counts [1]", 0, 0},
        {"type", 0, OPTION_STRING, &type, "f32|f16|q8_0",
         "of the matrices [as they are, or q8_0]", 0, 0},
        {"name", 0, OPTION_STRING, &name, "NAME", "general.name [the base's]", 0, 0},
        {"any-base", 0, OPTION_FLAG, &any_base, NULL,
         "also where the adapter was trained on another file", 0, 0},
        {0},
    };
    const struct options options = {
        "weir train merge -m BASE --adapter A.gguf [--scale X] [--type q8_0] OUT.gguf",
        "Puts a LoRA adapter into the weights, for a model that needs no adapter.", table};
    struct err e = {0};
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    const struct tensor_type_info *info = type ? tensor_type_find(type) : NULL;
    bool known = !type || (info && (info->type == TENSOR_F32 || info->type == TENSOR_F16 ||
                                    info->type == TENSOR_Q8_0));
    if (positional != 1 || !model || !adapter || !known) {
        fprintf(stderr, "weir train merge: %s\nusage: %s\n",
                known ? "-m, --adapter and an output file are needed"
                      : "--type: f32, f16 and q8_0 are known",
                options.usage);
        return 2;
    }
    struct adapter_merge m = {
        .scale = (float)scale, .type = info ? info->type : ADAPTER_MERGE_KEEP, .name = name};
    rc = merge(model, adapter, &m, any_base, argv[1], &e);
    if (rc == 0) {
        rc = write_lineage(model, adapter, type, scale, argv[1], &e);
    }
    return rc == 0 ? 0 : cli_fail("train merge", &e);
}
