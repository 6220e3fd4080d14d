#include <stdio.h>

#include "models/lineage/lineage.h"
#include "models/train/checkpoint.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/train.h"

static int write_lineage(const char *a, const char *b, double weight, const char *out,
                         struct err *e)
{
    struct lineage *l = lineage_create("train average");
    lineage_parent(l, "a", a);
    lineage_parent(l, "b", b);
    lineage_option_number(l, "weight", weight);
    int rc = lineage_write(l, out, e);
    lineage_destroy(l);
    return rc;
}

int cli_train_average(int argc, char **argv)
{
    double weight = 0.5;
    const struct option table[] = {
        {"weight", 0, OPTION_DOUBLE, &weight, "X", "of B, from 0 to 1; A has the rest [0.5]", 0,
         0},
        {0},
    };
    const struct options options = {"weir train average A.ckpt B.ckpt OUT.ckpt [--weight X]",
                                    "the mean of the weights of two checkpoints of one model, "
                                    "to keep what a short last stage "
                                    "would forget",
                                    table};
    struct err e;
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (positional != 3 || !(weight >= 0.0 && weight <= 1.0)) {
        fprintf(
            stderr,
            "weir train average: two checkpoints, an output file and a --weight from 0 to 1 "
            "are needed\nusage: %s\n",
            options.usage);
        return 2;
    }
    rc = checkpoint_average(argv[1], argv[2], (float)weight, argv[3], &e);
    if (rc == 0) {
        rc = write_lineage(argv[1], argv[2], weight, argv[3], &e);
    }
    return rc == 0 ? 0 : cli_fail("train average", &e);
}
