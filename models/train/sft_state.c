/* A fine-tuning run on disk. The file is, little-endian: struct state_header without padding,
 * then blocks of floats: what is trained, both moments, and with held-out data the best so far.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/train/sft_run.h"
#include "runtime/base/mem.h"

static const char magic[8] = "WEIRSFT1";

struct state_header {
    char magic[8];
    struct sft_identity identity;
    struct sft_options options;
    uint64_t n_trained;
    uint64_t step;
    struct batcher_position position;
    double best_loss;
    uint32_t epochs_done, judged, bad, best_epoch;
    uint32_t has_best;
    struct train_shape shape;
};

_Static_assert(sizeof(struct sft_options) == 8 + 48 + 16 + 24, "options have no padding");
_Static_assert(sizeof(struct sft_identity) == 152, "the identity has no padding");

static size_t blocks_of(const struct sft *s, float *out[4])
{
    out[0] = s->trained;
    out[1] = optimizer_moment1(s->optimizer);
    out[2] = optimizer_moment2(s->optimizer);
    out[3] = s->best;
    return s->best ? 4 : 3;
}

static int write_state(const struct sft *s, const struct state_header *h, FILE *f)
{
    float *blocks[4];
    size_t n = blocks_of(s, blocks);
    if (fwrite(h, sizeof(*h), 1, f) != 1) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (fwrite(blocks[i], sizeof(float), s->n_trained, f) != s->n_trained) {
            return -1;
        }
    }
    return fflush(f) != 0 || fsync(fileno(f)) != 0 ? -1 : 0;
}

int sft_save(const struct sft *s, const struct sft_identity *identity, const char *path,
             struct err *e)
{
    char temporary[4096];
    struct state_header h;
    memset(&h, 0, sizeof(h));
    memcpy(h.magic, magic, sizeof(magic));
    h.identity = *identity;
    h.options = s->options;
    h.n_trained = s->n_trained;
    h.step = optimizer_steps_done(s->optimizer);
    h.position = batcher_tell(s->batcher);
    h.best_loss = s->best_loss;
    h.epochs_done = s->epochs_done;
    h.judged = s->judged;
    h.bad = s->bad;
    h.best_epoch = s->best_epoch;
    h.has_best = s->best != NULL;
    h.shape = s->shape;
    if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary)) {
        return err_set(e, ERR_INVALID, "%s: the name is too long", path);
    }
    FILE *f = fopen(temporary, "wbe");
    if (!f) {
        return err_set_errno(e, errno, "%s: cannot write", temporary);
    }
    int rc = write_state(s, &h, f), why = errno;
    if (fclose(f) != 0 && rc == 0) {
        rc = -1;
        why = errno;
    }
    if (rc == 0 && rename(temporary, path) != 0) {
        rc = -1;
        why = errno;
    }
    if (rc != 0) {
        unlink(temporary);
        return err_set_errno(e, why, "%s: cannot write", path);
    }
    return 0;
}

static FILE *open_state(const char *path, struct state_header *h, struct err *e)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        err_set_errno(e, errno, "%s: cannot open", path);
        return NULL;
    }
    if (fread(h, sizeof(*h), 1, f) != 1 || memcmp(h->magic, magic, sizeof(magic)) != 0) {
        err_set(e, ERR_FORMAT,
                "%s: not the state of a fine-tuning run; remove it and begin anew", path);
        fclose(f);
        return NULL;
    }
    return f;
}

int sft_read_identity(const char *path, struct sft_identity *identity, struct err *e)
{
    struct state_header h;
    FILE *f = open_state(path, &h, e);
    if (!f) {
        return -1;
    }
    fclose(f);
    *identity = h.identity;
    return 0;
}

static int check_same(const struct sft *s, const struct sft_identity *id,
                      const struct state_header *h, const char *path, struct err *e)
{
    const char *other = NULL;
    if (memcmp(h->identity.base, id->base, sizeof(id->base)) != 0 ||
        memcmp(&h->shape, &s->shape, sizeof(s->shape)) != 0) {
        other = "another model";
    } else if (memcmp(h->identity.data, id->data, sizeof(id->data)) != 0) {
        other = "other examples";
    } else if (memcmp(&h->options, &s->options, sizeof(s->options)) != 0 ||
               h->n_trained != s->n_trained || h->has_best != (s->best != NULL)) {
        other = "other options";
    }
    return other ? err_set(e, ERR_INVALID,
                           "%s: that run has %s; go on with the same, or remove the file and "
                           "begin anew",
                           path, other)
                 : 0;
}

static int read_blocks(struct sft *s, FILE *f)
{
    float *blocks[4];
    size_t n = blocks_of(s, blocks);
    for (size_t i = 0; i < n; i++) {
        if (fread(blocks[i], sizeof(float), s->n_trained, f) != s->n_trained) {
            return -1;
        }
    }
    return fgetc(f) == EOF ? 0 : -1;
}

int sft_resume(struct sft *s, const struct sft_identity *identity, const char *path,
               struct err *e)
{
    struct state_header h;
    FILE *f = open_state(path, &h, e);
    if (!f) {
        return -1;
    }
    int rc = check_same(s, identity, &h, path, e);
    if (rc == 0 && read_blocks(s, f)) {
        rc = err_set(e, ERR_FORMAT, "%s: cut off or damaged; remove it and begin anew", path);
    }
    fclose(f);
    if (rc != 0) {
        return -1;
    }
    s->epochs_done = h.epochs_done;
    s->judged = h.judged;
    s->bad = h.bad;
    s->best_epoch = h.best_epoch;
    s->best_loss = h.best_loss;
    optimizer_set_steps_done(s->optimizer, h.step);
    return batcher_seek(s->batcher, h.position, e) ? err_prefix(e, "%s", path) : 0;
}
