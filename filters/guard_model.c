#include "filters/guard_model.h"

#include <math.h>
#include <string.h>

#include "filters/guard_words.h"
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"

/* GCC adds two rows of the table at a time, and an odd last one number by number. */
#if defined(__GNUC__) && !defined(__clang__)
#    pragma GCC optimize("no-loop-unroll-and-jam")
#endif

#define MAGIC       "WEIRGRD1"
#define MAGIC_LEN   8
#define HEAD_LEN    (MAGIC_LEN + 4 * sizeof(uint32_t))
#define WEIGHTS_MAX 1e6f /* of a number of the layers: sums stay finite */

const char *const guard_category_names[GUARD_CATEGORIES] = {
    [GUARD_HARASSMENT] = "harassment", [GUARD_VIOLENCE] = "violence",
    [GUARD_SELF_HARM] = "self-harm",   [GUARD_SEXUAL] = "sexual",
    [GUARD_ILLICIT] = "illicit",       [GUARD_INJECTION] = "injection",
};

static size_t table_len(const struct guard_shape *s)
{
    return ((size_t)1 << s->bits) * s->dims;
}

/* Numbers behind the thresholds: scale, then the layers. */
static size_t float_count(const struct guard_shape *s)
{
    return 1 + ((size_t)3 * s->dims + 1) * s->hidden +
           ((size_t)s->hidden + 1) * GUARD_CATEGORIES;
}

struct guard_model *guard_model_create(const struct guard_shape *shape)
{
    struct guard_model *model = mem_zalloc(sizeof(*model));
    if (!model) {
        return NULL;
    }
    model->shape = *shape;
    /* The layers lie in one block, in the order of the file. */
    model->hidden = mem_zarray(float_count(shape), sizeof(float));
    model->table = mem_zalloc_aligned(table_len(shape));
    if (!model->hidden || !model->table) {
        guard_model_destroy(model);
        return NULL;
    }
    model->hidden_bias = model->hidden + (size_t)3 * shape->dims * shape->hidden;
    model->output = model->hidden_bias + shape->hidden;
    model->output_bias = model->output + (size_t)shape->hidden * GUARD_CATEGORIES;
    return model;
}

void guard_model_destroy(struct guard_model *model)
{
    if (model) {
        mem_free(model->hidden);
        mem_free_aligned(model->table);
        mem_free(model);
    }
}

/* ---- the file ---- */

static uint32_t read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float read_f32(const unsigned char *p)
{
    uint32_t bits = read_u32(p);
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static int append_u32(struct buf *out, uint32_t n)
{
    const unsigned char bytes[4] = {(unsigned char)n, (unsigned char)(n >> 8),
                                    (unsigned char)(n >> 16), (unsigned char)(n >> 24)};
    return buf_append(out, bytes, sizeof(bytes));
}

static int append_f32(struct buf *out, const float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof(bits));
        append_u32(out, bits);
    }
    return out->failed ? -1 : 0;
}

static bool is_shape(const struct guard_shape *s)
{
    return s->dims > 0 && s->dims <= GUARD_DIMS_MAX && s->dims % 8 == 0 && s->hidden > 0 &&
           s->hidden <= GUARD_HIDDEN_MAX && s->hidden % 8 == 0 && s->bits >= GUARD_BITS_MIN &&
           s->bits <= GUARD_BITS_MAX;
}

static int check_sum(const unsigned char *data, size_t len, struct err *e)
{
    char hex[HASH_HEX_LEN + 1];
    if (hash_sha256_hex(data, len - HASH_HEX_LEN, hex) != 0) {
        return err_set(e, ERR_IO, "SHA-256 is not available");
    }
    return memcmp(hex, data + len - HASH_HEX_LEN, HASH_HEX_LEN) == 0
               ? 0
               : err_set(e, ERR_FORMAT, "the classifier is damaged: its checksum is another");
}

static int read_shape(const unsigned char *data, size_t len, struct guard_shape *shape,
                      struct err *e)
{
    if (len < HEAD_LEN || memcmp(data, MAGIC, MAGIC_LEN) != 0) {
        return err_set(e, ERR_FORMAT, "not a classifier: it does not begin with " MAGIC);
    }
    const unsigned char *p = data + MAGIC_LEN;
    *shape = (struct guard_shape){
        .dims = read_u32(p), .bits = read_u32(p + 4), .hidden = read_u32(p + 8)};
    if (!is_shape(shape) || read_u32(p + 12) != GUARD_CATEGORIES) {
        return err_set(e, ERR_UNSUPPORTED,
                       "the classifier's shape is not supported: %u numbers in 1 << %u rows, "
                       "%u hidden, %u categories",
                       shape->dims, shape->bits, shape->hidden, read_u32(p + 12));
    }
    size_t floats = GUARD_CATEGORIES + float_count(shape);
    size_t expected = HEAD_LEN + 4 * floats + table_len(shape) + HASH_HEX_LEN;
    return len == expected
               ? check_sum(data, len, e)
               : err_set(e, ERR_FORMAT, "the classifier has %zu bytes, its head promises %zu",
                         len, expected);
}

static int check_numbers(const struct guard_model *model, struct err *e)
{
    for (int i = 0; i < GUARD_CATEGORIES; i++) {
        if (!(model->thresholds[i] > 0 && model->thresholds[i] < 1)) {
            return err_set(e, ERR_FORMAT, "the classifier's threshold of %s is not in 0 to 1",
                           guard_category_names[i]);
        }
    }
    bool fits = model->scale > 0 && model->scale < WEIGHTS_MAX;
    for (size_t i = 0; fits && i < float_count(&model->shape) - 1; i++) {
        fits = fabsf(model->hidden[i]) < WEIGHTS_MAX;
    }
    return fits ? 0
                : err_set(e, ERR_FORMAT,
                          "the classifier has numbers that are not finite or "
                          "too large");
}

struct guard_model *guard_model_read(const void *data, size_t len, struct err *e)
{
    const unsigned char *p = data;
    struct guard_shape shape;
    if (read_shape(p, len, &shape, e) != 0) {
        return NULL;
    }
    struct guard_model *model = guard_model_create(&shape);
    if (!model) {
        err_nomem(e);
        return NULL;
    }
    p += HEAD_LEN;
    for (int i = 0; i < GUARD_CATEGORIES; i++, p += 4) {
        model->thresholds[i] = read_f32(p);
    }
    model->scale = read_f32(p);
    p += 4;
    for (size_t i = 0; i < float_count(&shape) - 1; i++, p += 4) {
        model->hidden[i] = read_f32(p);
    }
    memcpy(model->table, p, table_len(&shape));
    if (check_numbers(model, e) != 0) {
        guard_model_destroy(model);
        return NULL;
    }
    return model;
}

int guard_model_write(const struct guard_model *model, struct buf *out, struct err *e)
{
    const struct guard_shape *s = &model->shape;
    size_t begin = out->len;
    buf_append(out, MAGIC, MAGIC_LEN);
    append_u32(out, s->dims);
    append_u32(out, s->bits);
    append_u32(out, s->hidden);
    append_u32(out, GUARD_CATEGORIES);
    append_f32(out, model->thresholds, GUARD_CATEGORIES);
    append_f32(out, &model->scale, 1);
    append_f32(out, model->hidden, float_count(s) - 1);
    buf_append(out, model->table, table_len(s));
    char hex[HASH_HEX_LEN + 1];
    if (out->failed) {
        return err_nomem(e);
    }
    if (hash_sha256_hex(out->data + begin, out->len - begin, hex) != 0) {
        return err_set(e, ERR_IO, "SHA-256 is not available");
    }
    return buf_append(out, hex, HASH_HEX_LEN) == 0 ? 0 : err_nomem(e);
}

/* ---- scores ---- */

/* exp(x) for x in -40 to 40: 2^k times a polynomial in what is left (Taylor, to 2^-53). */
static double exp_of(double x)
{
    static const double log2_e = 1.4426950408889634, ln2_high = 6.93147180369123816490e-01,
                        ln2_low = 1.90821492927058770002e-10;
    double k = x * log2_e;
    int64_t whole = (int64_t)(k < 0 ? k - 0.5 : k + 0.5);
    double r = (x - (double)whole * ln2_high) - (double)whole * ln2_low;
    double sum = 1;
    for (int i = 14; i > 0; i--) {
        sum = 1 + sum * r / i;
    }
    uint64_t bits = (uint64_t)(whole + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof(power));
    return sum * power;
}

float guard_sigmoid(float z)
{
    double x = z > 40 ? 40 : z > -40 ? z : -40; /* also what is not a number */
    return (float)(1 / (1 + exp_of(-x)));
}

static inline __attribute__((always_inline)) void hidden_layer(const struct guard_model *model,
                                                               const float *restrict x,
                                                               size_t n_h, float *restrict h)
{
    const size_t n_x = (size_t)3 * model->shape.dims;
    memcpy(h, model->hidden_bias, n_h * sizeof(*h));
    for (size_t i = 0; i < n_x; i++) {
        const float *row = model->hidden + i * n_h;
        for (size_t j = 0; j < n_h; j++) {
            h[j] += x[i] * row[j];
        }
    }
}

void guard_model_layers(const struct guard_model *model, const float *x, float *h,
                        float z[GUARD_CATEGORIES])
{
    const size_t n_h = model->shape.hidden;
    if (n_h == 32) { /* the usual number as a constant: sums stay in registers */
        hidden_layer(model, x, 32, h);
    } else {
        hidden_layer(model, x, n_h, h);
    }
    memcpy(z, model->output_bias, GUARD_CATEGORIES * sizeof(*z));
    for (size_t j = 0; j < n_h; j++) {
        h[j] = h[j] > 0 ? h[j] : 0;
        const float *row = model->output + j * GUARD_CATEGORIES;
        for (size_t c = 0; c < GUARD_CATEGORIES; c++) {
            z[c] += h[j] * row[c];
        }
    }
}

/* What is summed up of the words so far. Rows have at most 127 in a number and a word less than
 * 100 rows, so a word fits into int16. */
struct sums {
    int32_t words[GUARD_DIMS_MAX];
    int32_t runs[GUARD_DIMS_MAX];
    int16_t greatest[GUARD_DIMS_MAX];
    size_t n_words, n_runs;
};

static inline __attribute__((always_inline)) void add_rows_of(const struct guard_model *model,
                                                              const uint32_t *hashes,
                                                              size_t count, size_t dims,
                                                              int16_t *restrict to)
{
    const uint32_t shift = 32 - model->shape.bits;
    for (size_t i = 0; i < count; i++) {
        const int8_t *row = model->table + (size_t)(hashes[i] >> shift) * dims;
        for (size_t d = 0; d < dims; d++) {
            to[d] = (int16_t)(to[d] + row[d]);
        }
    }
}

/* The usual lengths of a row as constants, so that the sums stay in registers. */
static void add_rows(const struct guard_model *model, const uint32_t *hashes, size_t count,
                     int16_t *to)
{
    if (model->shape.dims == 16) {
        add_rows_of(model, hashes, count, 16, to);
    } else if (model->shape.dims == 32) {
        add_rows_of(model, hashes, count, 32, to);
    } else {
        add_rows_of(model, hashes, count, model->shape.dims, to);
    }
}

static void add_word(const struct guard_model *model, const struct guard_word *word,
                     struct sums *sums)
{
    int16_t words[GUARD_DIMS_MAX] = {0}, runs[GUARD_DIMS_MAX] = {0};
    add_rows(model, word->words, word->n_words, words);
    add_rows(model, word->runs, word->n_runs, runs);
    for (size_t d = 0; d < model->shape.dims; d++) {
        int16_t both = (int16_t)(words[d] + runs[d]);
        sums->words[d] += words[d];
        sums->runs[d] += runs[d];
        sums->greatest[d] =
            sums->n_words == 0 || both > sums->greatest[d] ? both : sums->greatest[d];
    }
    sums->n_words += word->n_words;
    sums->n_runs += word->n_runs;
}

static void layers_of(const struct guard_model *model, const struct sums *sums,
                      float z[GUARD_CATEGORIES])
{
    const size_t dims = model->shape.dims;
    float x[3 * GUARD_DIMS_MAX], h[GUARD_HIDDEN_MAX];
    float by_words = model->scale / sqrtf((float)sums->n_words);
    float by_runs = sums->n_runs > 0 ? model->scale / sqrtf((float)sums->n_runs) : 0;
    for (size_t d = 0; d < dims; d++) {
        x[d] = (float)sums->words[d] * by_words;
        x[dims + d] = (float)sums->runs[d] * by_runs;
        x[2 * dims + d] = (float)sums->greatest[d] * model->scale;
    }
    guard_model_layers(model, x, h, z);
}

void guard_model_logits(const struct guard_model *model, const char *text, size_t len,
                        float z[GUARD_CATEGORIES])
{
    struct guard_reader reader;
    struct guard_word word;
    struct sums sums = {.n_words = 0};
    guard_reader_init(&reader, text, len);
    while (guard_reader_next(&reader, &word)) {
        add_word(model, &word, &sums);
    }
    if (sums.n_words > 0) {
        layers_of(model, &sums, z);
        return;
    }
    for (size_t c = 0; c < GUARD_CATEGORIES; c++) {
        z[c] = -INFINITY;
    }
}

void guard_model_score(const struct guard_model *model, const char *text, size_t len,
                       float scores[GUARD_CATEGORIES])
{
    float z[GUARD_CATEGORIES];
    guard_model_logits(model, text, len, z);
    for (size_t c = 0; c < GUARD_CATEGORIES; c++) {
        scores[c] = z[c] == -INFINITY ? 0 : guard_sigmoid(z[c]);
    }
}
