#include <stdio.h>

#include "models/lineage/lineage.h"
#include "models/train/export.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/train.h"

static int write_lineage(const char *ckpt, const char *vocab, const char *type, const char *out,
                         struct err *e)
{
    struct lineage *l = lineage_create("train export");
    lineage_parent(l, "checkpoint", ckpt);
    lineage_parent(l, "vocab", vocab);
    lineage_option(l, "type", type);
    int rc = lineage_write(l, out, e);
    lineage_destroy(l);
    return rc;
}

int cli_train_export(int argc, char **argv)
{
    const char *vocab = NULL, *type = "f32", *name = NULL;
    const struct option table[] = {
        {"vocab", 0, OPTION_STRING, &vocab, "FILE.gguf",
         "the model that the run began with, or its vocabulary (weir train vocab)", 0, 0},
        {"type", 0, OPTION_STRING, &type, "f32|f16|q8_0", "of the matrices [f32]", 0, 0},
        {"name", 0, OPTION_STRING, &name, "NAME", "general.name [the model's, or weir-tiny]", 0,
         0},
        {0},
    };
    const struct options options = {
        "weir train export CKPT --vocab FILE.gguf [--type f32|f16|q8_0] OUT.gguf",
        "a checkpoint's weights as a GGUF model file", table};
    struct err e;
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    const struct tensor_type_info *info = tensor_type_find(type);
    bool known = info && (info->type == TENSOR_F32 || info->type == TENSOR_F16 ||
                          info->type == TENSOR_Q8_0);
    if (positional != 2 || !vocab || !known) {
        fprintf(
            stderr,
            "weir train export: a checkpoint, --vocab, a type f32, f16 or q8_0 and an output "
            "file are needed\nusage: %s\n",
            options.usage);
        return 2;
    }
    rc = export_gguf(argv[1], vocab, name, info->type, argv[2], &e);
    if (rc == 0) {
        rc = write_lineage(argv[1], vocab, type, argv[2], &e);
    }
    return rc == 0 ? 0 : cli_fail("train export", &e);
}
