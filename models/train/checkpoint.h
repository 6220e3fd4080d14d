/* checkpoint.h: a training run on disk.
 *
 * The file is, little-endian: the bytes of struct checkpoint_header (below, no padding), then
 * the parameters as floats in the order of train_shape_tensors, then both moments of the
 * optimizer. It is written atomically: a reader sees the old one or the new one, and where the
 * disk is full the old one stays. Magic, shape
 * and length are checked before anything is read; the numbers themselves are taken as they are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "models/train/trainer.h"
#include "runtime/base/err.h"

struct checkpoint_header {
    char magic[8]; /* "WEIRCKP2" */
    struct train_shape shape;
    uint32_t reserved;  /* 0 */
    uint64_t data_docs; /* of the token files, to notice others */
    uint64_t data_tokens;
    uint64_t data_hash; /* dataset_hash */
    struct train_options options;
    uint64_t step;
    struct batcher_position position;
};

int checkpoint_save(const char *path, struct trainer *t, const struct dataset *data,
                    struct err *e);

/* Whether the file begins as a checkpoint does. */
bool checkpoint_is_one(const char *path);

/* The header alone, checked. */
int checkpoint_read_header(const char *path, struct checkpoint_header *h, struct err *e);

/* The weights alone, as one block of train_shape_param_count floats; the caller's
 * (mem_free_aligned). */
float *checkpoint_read_params(const char *path, struct checkpoint_header *h, struct err *e);

/* Writes a checkpoint whose weights are a + (b - a) * weight, with the header of b and moments
 * of zero: to export or to begin another stage with. Wortsman et al. 2022, "Robust fine-tuning
 * of zero-shot models". */
int checkpoint_average(const char *a, const char *b, float weight, const char *out,
                       struct err *e);

/* The weights alone, into a trainer of the same shape (fine-tuning). */
int checkpoint_load_params(const char *path, struct trainer *t, struct err *e);

/* Weights, optimizer, step and place in the data: the run goes on as if it had not stopped.
 * Refused when `data` is not what the run began with: other files, or the same in another
 * order. */
int checkpoint_resume(const char *path, struct trainer *t, const struct dataset *data,
                      struct err *e);

/* A checkpoint of weights alone, with moments of zero: to export, or to begin with (--init). */
int checkpoint_write_params(const char *path, const struct train_shape *shape,
                            const float *params, struct err *e);
