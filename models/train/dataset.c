#include "models/train/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define HEADER_BYTES 24
#define MAX_BYTES    ((size_t)1 << 34)

static const char magic[8] = "WEIRTOK1";

struct dataset {
    void *map;
    size_t map_len;
    uint32_t vocab;
    uint32_t n_docs;
    uint32_t n_tokens;
    const uint32_t *tokens;   /* (n_tokens) */
    const uint32_t *doc_ends; /* (n_docs) */
};

struct piece {
    uint32_t begin;
    uint32_t len;
};

struct batcher {
    const struct dataset *data;
    struct piece *pieces;
    uint32_t *order; /* (n_pieces) */
    uint32_t n_pieces;
    uint64_t seed;
    bool shuffle;
    struct batcher_position at;
};

void dataset_writer_init(struct dataset_writer *w, uint32_t vocab)
{
    *w = (struct dataset_writer){.vocab = vocab};
    buf_init(&w->tokens, MAX_BYTES);
    buf_init(&w->ends, MAX_BYTES);
    buf_append(&w->tokens, magic, sizeof(magic));
    buf_append(&w->tokens, (uint32_t[4]){0}, 4 * sizeof(uint32_t));
}

void dataset_writer_deinit(struct dataset_writer *w)
{
    buf_deinit(&w->tokens);
    buf_deinit(&w->ends);
}

int dataset_writer_add(struct dataset_writer *w, const uint32_t *tokens, size_t n,
                       struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if ((tokens[i] & ~DATASET_LEARN) >= w->vocab) {
            return err_set(e, ERR_INVALID, "token id %u is not below the vocabulary size %u",
                           tokens[i] & ~DATASET_LEARN, w->vocab);
        }
        w->n_learn += tokens[i] >> 31;
    }
    if (n == 0 || w->n_tokens + n > UINT32_MAX) {
        return err_set(e, ERR_LIMIT, "a token file holds 1 to %u tokens", UINT32_MAX);
    }
    w->n_tokens += n;
    w->n_docs++;
    uint32_t end = (uint32_t)w->n_tokens;
    if (buf_append(&w->tokens, tokens, n * sizeof(uint32_t)) ||
        buf_append(&w->ends, &end, sizeof(end))) {
        return err_nomem(e);
    }
    return 0;
}

int dataset_writer_finish(struct dataset_writer *w, const char *path, struct err *e)
{
    if (w->n_docs == 0) {
        return err_set(e, ERR_INVALID, "%s: there is no document to write", path);
    }
    uint32_t header[4] = {w->vocab, (uint32_t)w->n_docs, (uint32_t)w->n_tokens, 0};
    if (buf_append(&w->tokens, w->ends.data, w->ends.len) || w->tokens.failed) {
        return err_nomem(e);
    }
    memcpy(w->tokens.data + sizeof(magic), header, sizeof(header));
    return file_write_atomic(path, w->tokens.data, w->tokens.len, e);
}

static int map_file(struct dataset *d, const char *path, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(e, errno, "%s: cannot open", path);
    }
    int rc = -1;
    if (fstat(fd, &st)) {
        err_set_errno(e, errno, "%s: cannot stat", path);
    } else if (!S_ISREG(st.st_mode) || st.st_size < HEADER_BYTES) {
        err_set(e, ERR_FORMAT, "%s: not a token file (make one with `weir train tokenize`)",
                path);
    } else {
        d->map_len = (size_t)st.st_size;
        d->map = mmap(NULL, d->map_len, PROT_READ, MAP_PRIVATE, fd, 0);
        rc = d->map == MAP_FAILED ? err_set_errno(e, errno, "%s: cannot map", path) : 0;
        d->map = rc ? NULL : d->map;
    }
    close(fd);
    return rc;
}

static int check_content(const struct dataset *d, const char *path, struct err *e)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < d->n_docs; i++) {
        if (d->doc_ends[i] <= before || d->doc_ends[i] > d->n_tokens) {
            return err_set(e, ERR_FORMAT, "%s: doc_ends[%u] is %u, outside %u..%u", path, i,
                           d->doc_ends[i], before + 1, d->n_tokens);
        }
        before = d->doc_ends[i];
    }
    if (before != d->n_tokens) {
        return err_set(e, ERR_FORMAT, "%s: documents end at token %u of %u", path, before,
                       d->n_tokens);
    }
    for (uint32_t i = 0; i < d->n_tokens; i++) {
        if ((d->tokens[i] & ~DATASET_LEARN) >= d->vocab) {
            return err_set(e, ERR_FORMAT, "%s: tokens[%u] is %u, vocab is %u", path, i,
                           d->tokens[i] & ~DATASET_LEARN, d->vocab);
        }
    }
    return 0;
}

static int read_header(struct dataset *d, const char *path, struct err *e)
{
    uint32_t header[4];
    if (memcmp(d->map, magic, sizeof(magic)) != 0) {
        return err_set(
            e, ERR_FORMAT,
            "%s: not a token file: it does not begin with \"WEIRTOK1\" (make one with "
            "`weir train tokenize`)",
            path);
    }
    memcpy(header, (const char *)d->map + sizeof(magic), sizeof(header));
    d->vocab = header[0];
    d->n_docs = header[1];
    d->n_tokens = header[2];
    uint64_t expected = HEADER_BYTES + ((uint64_t)d->n_docs + d->n_tokens) * sizeof(uint32_t);
    if (d->map_len != expected) {
        return err_set(e, ERR_FORMAT, "%s: %zu bytes, its header says %llu: cut off or damaged",
                       path, d->map_len, (unsigned long long)expected);
    }
    if (d->n_docs == 0) {
        return err_set(e, ERR_FORMAT, "%s: n_docs is 0", path);
    }
    d->tokens = (const uint32_t *)((const char *)d->map + HEADER_BYTES);
    d->doc_ends = d->tokens + d->n_tokens;
    return check_content(d, path, e);
}

struct dataset *dataset_open(const char *path, struct err *e)
{
    struct dataset *d = mem_zalloc(sizeof(*d));
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    if (map_file(d, path, e) || read_header(d, path, e)) {
        dataset_close(d);
        return NULL;
    }
    return d;
}

void dataset_close(struct dataset *d)
{
    if (!d) {
        return;
    }
    if (d->map) {
        munmap(d->map, d->map_len);
    }
    mem_free(d);
}

uint32_t dataset_vocab(const struct dataset *d)
{
    return d->vocab;
}

uint32_t dataset_token_count(const struct dataset *d)
{
    return d->n_tokens;
}

uint32_t dataset_doc_count(const struct dataset *d)
{
    return d->n_docs;
}

/* Counts, or with `pieces` also writes, what each epoch gives out. */
static uint32_t cut_pieces(const struct dataset *d, uint32_t max_doc, struct piece *pieces)
{
    uint32_t count = 0, begin = 0;
    for (uint32_t doc = 0; doc < d->n_docs; begin = d->doc_ends[doc++]) {
        for (uint32_t at = begin; at < d->doc_ends[doc]; at += max_doc) {
            uint32_t left = d->doc_ends[doc] - at, len = left < max_doc ? left : max_doc;
            uint32_t learn = 0;
            for (uint32_t i = 1; i < len; i++) {
                learn |= d->tokens[at + i] & DATASET_LEARN;
            }
            if (learn && pieces) {
                pieces[count] = (struct piece){at, len};
            }
            count += learn != 0;
            if (left <= max_doc) {
                break;
            }
        }
    }
    return count;
}

static void reorder(struct batcher *s)
{
    struct rng rng;
    for (uint32_t i = 0; i < s->n_pieces; i++) {
        s->order[i] = i;
    }
    if (!s->shuffle) {
        return;
    }
    rng_seed(&rng, s->seed + s->at.epoch * 0x9e3779b97f4a7c15u);
    for (uint32_t i = s->n_pieces - 1; i > 0; i--) {
        uint32_t j = rng_below(&rng, i + 1), keep = s->order[i];
        s->order[i] = s->order[j];
        s->order[j] = keep;
    }
}

struct batcher *batcher_create(const struct dataset *d, uint32_t max_doc, uint64_t seed,
                               bool shuffle, struct err *e)
{
    struct batcher *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    *s = (struct batcher){.data = d, .seed = seed, .shuffle = shuffle};
    s->n_pieces = cut_pieces(d, max_doc, NULL);
    if (s->n_pieces == 0) {
        err_set(e, ERR_INVALID, "the token file has no token to learn");
        goto fail;
    }
    s->pieces = mem_array(s->n_pieces, sizeof(*s->pieces));
    s->order = mem_array(s->n_pieces, sizeof(*s->order));
    if (!s->pieces || !s->order) {
        err_nomem(e);
        goto fail;
    }
    cut_pieces(d, max_doc, s->pieces);
    reorder(s);
    return s;
fail:
    batcher_destroy(s);
    return NULL;
}

void batcher_destroy(struct batcher *s)
{
    if (!s) {
        return;
    }
    mem_free(s->pieces);
    mem_free(s->order);
    mem_free(s);
}

struct batcher_position batcher_tell(const struct batcher *s)
{
    return s->at;
}

int batcher_seek(struct batcher *s, struct batcher_position at, struct err *e)
{
    if (at.next > s->n_pieces) {
        return err_set(e, ERR_INVALID, "document %llu of an epoch of %u: this is other data",
                       (unsigned long long)at.next, s->n_pieces);
    }
    s->at = at;
    reorder(s);
    return 0;
}

uint64_t batcher_doc_count(const struct batcher *s)
{
    return s->n_pieces;
}

static void slice_add(struct train_slice *slice, const struct dataset *d, struct piece p)
{
    const uint32_t *tokens = d->tokens + p.begin;
    uint32_t at = slice->n_tokens;
    for (uint32_t i = 0; i < p.len; i++, at++) {
        bool learn = i + 1 < p.len && (tokens[i + 1] & DATASET_LEARN);
        slice->tokens[at] = tokens[i] & ~DATASET_LEARN;
        slice->targets[at] = learn ? tokens[i + 1] & ~DATASET_LEARN : TRAIN_NO_TARGET;
        slice->positions[at] = i;
        slice->n_targets += learn;
    }
    slice->n_tokens = at;
    slice->doc_ends[slice->n_docs++] = at;
}

static struct train_slice *emptiest(struct train_slice *slices, size_t n_slices)
{
    struct train_slice *best = &slices[0];
    for (size_t i = 1; i < n_slices; i++) {
        if (slices[i].n_tokens < best->n_tokens) {
            best = &slices[i];
        }
    }
    return best;
}

uint32_t batcher_fill(struct batcher *s, struct train_slice *slices, size_t n_slices,
                      bool stop_at_end)
{
    uint32_t targets = 0;
    for (size_t i = 0; i < n_slices; i++) {
        slices[i].n_tokens = slices[i].n_docs = slices[i].n_targets = 0;
    }
    for (;;) {
        if (s->at.next == s->n_pieces) {
            if (stop_at_end) {
                break;
            }
            s->at.epoch++;
            s->at.next = 0;
            reorder(s);
        }
        struct piece p = s->pieces[s->order[s->at.next]];
        struct train_slice *slice = emptiest(slices, n_slices);
        if (slice->capacity - slice->n_tokens < p.len) {
            break;
        }
        slice_add(slice, s->data, p);
        s->at.next++;
    }
    for (size_t i = 0; i < n_slices; i++) {
        targets += slices[i].n_targets;
    }
    return targets;
}
