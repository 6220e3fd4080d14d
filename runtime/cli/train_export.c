#include <stdio.h>
#include <string.h>

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
    const char *vocab = NULL, *type = "f32", *name = "weir-tiny";
    const struct option table[] = {
        {"vocab", 0, OPTION_STRING, &vocab, "FILE.gguf", "vocabulary (weir train vocab)", 0, 0},
        {"type", 0, OPTION_STRING, &type, "f32|q8_0", "of the matrices [f32]", 0, 0},
        {"name", 0, OPTION_STRING, &name, "NAME", "general.name [weir-tiny]", 0, 0},
        {0},
    };
    const struct options options = {
        "weir train export CKPT --vocab FILE.gguf [--type f32|q8_0] OUT.gguf",
        "a checkpoint's weights as a GGUF model file", table};
    struct err e;
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    bool q8 = strcmp(type, "q8_0") == 0;
    if (positional != 2 || !vocab || (!q8 && strcmp(type, "f32") != 0)) {
        fprintf(stderr,
                "weir train export: a checkpoint, --vocab, a type f32 or q8_0 and an output "
                "file are needed\nusage: %s\n",
                options.usage);
        return 2;
    }
    rc = export_gguf(argv[1], vocab, name, q8, argv[2], &e);
    if (rc == 0) {
        rc = write_lineage(argv[1], vocab, type, argv[2], &e);
    }
    return rc == 0 ? 0 : cli_fail("train export", &e);
}
