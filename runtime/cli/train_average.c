#include <stdio.h>

#include "models/train/checkpoint.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/train.h"

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
    return checkpoint_average(argv[1], argv[2], (float)weight, argv[3], &e)
               ? cli_fail("train average", &e)
               : 0;
}
