#include "models/train/dataset.h"

#include <string.h>

#include "models/train/file_list.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define HEADER_BYTES 24
#define MAX_BYTES    ((size_t)1 << 34)

static const char magic[8] = "WEIRTOK1";

/* One file. */
struct part {
    char *path;
    const unsigned char *map;
    uint64_t map_len;
    uint32_t vocab;
    uint32_t n_docs;
    uint32_t n_tokens;
    const uint32_t *tokens;   /* (n_tokens) */
    const uint32_t *doc_ends; /* (n_docs) */
};

struct dataset {
    struct part *parts; /* (n_parts) */
    size_t n_parts;
    uint32_t vocab;
    uint64_t n_docs, n_tokens; /* of all */
    uint64_t hash;
};

struct piece {
    uint32_t part;
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

/* One round of a multiplicative hash (Fibonacci hashing, Knuth 6.4). */
static uint64_t hash_add_word(uint64_t h, uint32_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* Checks every number and takes it into the hash. */
static int check_content(const struct part *p, uint64_t *hash, struct err *e)
{
    uint32_t before = 0;
    uint64_t h = hash_add_word(*hash, p->n_docs);
    for (uint32_t i = 0; i < p->n_docs; i++) {
        if (p->doc_ends[i] <= before || p->doc_ends[i] > p->n_tokens) {
            return err_set(e, ERR_FORMAT, "%s: doc_ends[%u] is %u, outside %u..%u", p->path, i,
                           p->doc_ends[i], before + 1, p->n_tokens);
        }
        before = p->doc_ends[i];
        h = hash_add_word(h, before);
    }
    if (before != p->n_tokens) {
        return err_set(e, ERR_FORMAT, "%s: documents end at token %u of %u", p->path, before,
                       p->n_tokens);
    }
    for (uint32_t i = 0; i < p->n_tokens; i++) {
        if ((p->tokens[i] & ~DATASET_LEARN) >= p->vocab) {
            return err_set(e, ERR_FORMAT, "%s: tokens[%u] is %u, vocab is %u", p->path, i,
                           p->tokens[i] & ~DATASET_LEARN, p->vocab);
        }
        h = hash_add_word(h, p->tokens[i]);
    }
    *hash = h;
    return 0;
}

static int read_part(struct part *p, uint64_t *hash, struct err *e)
{
    uint32_t header[4];
    if (p->map_len < HEADER_BYTES || memcmp(p->map, magic, sizeof(magic)) != 0) {
        return err_set(
            e, ERR_FORMAT,
            "%s: not a token file: it does not begin with \"WEIRTOK1\" (make one with "
            "`weir train tokenize`)",
            p->path);
    }
    memcpy(header, p->map + sizeof(magic), sizeof(header));
    p->vocab = header[0];
    p->n_docs = header[1];
    p->n_tokens = header[2];
    uint64_t expected = HEADER_BYTES + ((uint64_t)p->n_docs + p->n_tokens) * sizeof(uint32_t);
    if (p->map_len != expected) {
        return err_set(e, ERR_FORMAT,
                       "%s: %llu bytes, its header says %llu: cut off or damaged", p->path,
                       (unsigned long long)p->map_len, (unsigned long long)expected);
    }
    if (p->n_docs == 0) {
        return err_set(e, ERR_FORMAT, "%s: n_docs is 0", p->path);
    }
    p->tokens = (const uint32_t *)(const void *)(p->map + HEADER_BYTES);
    p->doc_ends = p->tokens + p->n_tokens;
    return check_content(p, hash, e);
}

static int add_part(struct dataset *d, const char *path, struct err *e)
{
    struct part *grown = mem_realloc_array(d->parts, d->n_parts + 1, sizeof(*grown));
    if (!grown) {
        return err_nomem(e);
    }
    d->parts = grown;
    struct part *p = &d->parts[d->n_parts];
    *p = (struct part){.path = mem_strdup(path)};
    if (!p->path) {
        return err_nomem(e);
    }
    d->n_parts++;
    if (file_map(path, &p->map, &p->map_len, e) || read_part(p, &d->hash, e)) {
        return -1;
    }
    if (d->n_parts > 1 && p->vocab != d->vocab) {
        return err_set(e, ERR_INVALID,
                       "%s: a vocabulary of %u, that of %s is %u: token files of one run come "
                       "from one vocabulary",
                       path, p->vocab, d->parts[0].path, d->vocab);
    }
    d->vocab = p->vocab;
    d->n_docs += p->n_docs;
    d->n_tokens += p->n_tokens;
    return 0;
}

struct dataset *dataset_open(const char *path, struct err *e)
{
    return dataset_open_all(&path, 1, NULL, e);
}

struct dataset *dataset_open_all(const char *const *paths, size_t n_paths, const char *part,
                                 struct err *e)
{
    struct file_list files;
    struct dataset *d = NULL;
    if (file_list_init(&files, paths, n_paths, ".tok", part, e)) {
        return NULL;
    }
    if (!(d = mem_zalloc(sizeof(*d)))) {
        err_nomem(e);
    }
    for (size_t i = 0; d && i < files.count; i++) {
        if (add_part(d, files.paths[i], e)) {
            dataset_close(d);
            d = NULL;
        }
    }
    file_list_deinit(&files);
    return d;
}

void dataset_close(struct dataset *d)
{
    if (!d) {
        return;
    }
    for (size_t i = 0; i < d->n_parts; i++) {
        file_unmap(d->parts[i].map, d->parts[i].map_len);
        mem_free(d->parts[i].path);
    }
    mem_free(d->parts);
    mem_free(d);
}

uint32_t dataset_vocab(const struct dataset *d)
{
    return d->vocab;
}

uint64_t dataset_token_count(const struct dataset *d)
{
    return d->n_tokens;
}

uint64_t dataset_doc_count(const struct dataset *d)
{
    return d->n_docs;
}

size_t dataset_file_count(const struct dataset *d)
{
    return d->n_parts;
}

const char *dataset_file(const struct dataset *d, size_t index)
{
    return d->parts[index].path;
}

uint64_t dataset_hash(const struct dataset *d)
{
    return d->hash;
}

/* Whether anything of these tokens is learnt; the first one cannot be. */
static bool has_target(const uint32_t *tokens, uint32_t len)
{
    uint32_t learn = 0;
    for (uint32_t i = 1; i < len; i++) {
        learn |= tokens[i] & DATASET_LEARN;
    }
    return learn != 0;
}

/* Counts, or with `pieces` also writes from *count on, what each epoch gives out of a part. */
static void cut_part(const struct dataset *d, uint32_t part, uint32_t max_doc,
                     struct piece *pieces, uint64_t *count)
{
    const struct part *p = &d->parts[part];
    uint32_t begin = 0;
    for (uint32_t doc = 0; doc < p->n_docs; begin = p->doc_ends[doc++]) {
        for (uint32_t at = begin, len; at < p->doc_ends[doc]; at += len) {
            uint32_t left = p->doc_ends[doc] - at;
            len = left < max_doc ? left : max_doc;
            if (!has_target(p->tokens + at, len)) {
                continue;
            }
            if (pieces) {
                pieces[*count] = (struct piece){part, at, len};
            }
            ++*count;
        }
    }
}

static uint64_t cut_pieces(const struct dataset *d, uint32_t max_doc, struct piece *pieces)
{
    uint64_t count = 0;
    for (size_t i = 0; i < d->n_parts; i++) {
        cut_part(d, (uint32_t)i, max_doc, pieces, &count);
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
    uint64_t count = cut_pieces(d, max_doc, NULL);
    if (count == 0 || count > UINT32_MAX) {
        err_set(e, count ? ERR_LIMIT : ERR_INVALID,
                count ? "%s: more than 2^32 documents" : "%s: no token to learn",
                d->parts[0].path);
        goto fail;
    }
    s->n_pieces = (uint32_t)count;
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

void dataset_slice_clear(struct train_slice *slice)
{
    slice->n_tokens = 0;
    slice->n_docs = 0;
    slice->n_targets = 0;
}

void dataset_slice_add(struct train_slice *slice, const uint32_t *tokens, uint32_t n)
{
    uint32_t at = slice->n_tokens;
    for (uint32_t i = 0; i < n; i++, at++) {
        bool learn = i + 1 < n && (tokens[i + 1] & DATASET_LEARN);
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
        dataset_slice_clear(&slices[i]);
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
        dataset_slice_add(slice, s->data->parts[p.part].tokens + p.begin, p.len);
        s->at.next++;
    }
    for (size_t i = 0; i < n_slices; i++) {
        targets += slices[i].n_targets;
    }
    return targets;
}
