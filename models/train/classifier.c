#include "models/train/classifier.h"

#include <math.h>
#include <string.h>

#include "filters/sentences.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/utf8.h"

#define DROP_GROUP    0.08f /* the chance of words, or of runs of letters, to be left out all */
#define DROP_PAIRS    0.3f  /* of what a word is with those before it */
#define FINAL_RATE    0.1f  /* of the rate, in the last epoch */
#define ADAGRAD_FLOOR 1e-6f
#define ROW_START     1.0f /* of a row's sum of squares: what is met seldom learns little */
#define ROUNDED_TAIL  1e-5 /* so many of the table's numbers may be beyond int8 */
#define PLATT_STEPS   40
#define THRESHOLD_MIN 60 /* in hundredths */
#define THRESHOLD_MAX                                                      \
    65 /* beyond it too much is missed, however few sentences to choose on \
        */
#define START_BIAS     0.1f /* hidden units begin awake, as the table begins with zeros */
#define HISTOGRAM_BINS 4096

/* A model on its way: the table in float, and sums of squares for Adagrad. */
struct net {
    struct guard_model *model; /* its layers are trained in place */
    float *table;              /* [rows][dims] */
    float *row_squares;        /* [rows] */
    float *squares;            /* of the layers, as they lie in the model */
    size_t n_layers;           /* numbers in them */
    bool is_rounded;           /* the table stays as it is */
};

/* One sentence on its way through. */
struct pass {
    const uint32_t *features;
    uint32_t words;
    bool keeps_words, keeps_runs, keeps_pairs;
    uint64_t dropped[16]; /* bits: words that are left out, of the first 1,024 */
    size_t n_words, n_runs;
    float x[3 * GUARD_DIMS_MAX], h[GUARD_HIDDEN_MAX], z[GUARD_CATEGORIES];
    uint32_t greatest[GUARD_DIMS_MAX]; /* the word that has it */
    float dx[3 * GUARD_DIMS_MAX];
};

static void net_deinit(struct net *net)
{
    guard_model_destroy(net->model);
    mem_free_aligned(net->table);
    mem_free(net->row_squares);
    mem_free(net->squares);
}

static int net_init(struct net *net, const struct classifier_options *options)
{
    const struct guard_shape *s = &options->shape;
    const size_t rows = (size_t)1 << s->bits, n_x = (size_t)3 * s->dims;
    *net = (struct net){.model = guard_model_create(s)};
    net->n_layers = (n_x + 1) * s->hidden + ((size_t)s->hidden + 1) * GUARD_CATEGORIES;
    net->table = mem_zalloc_aligned(rows * s->dims * sizeof(float));
    net->row_squares = mem_zarray(rows, sizeof(float));
    net->squares = mem_zarray(net->n_layers, sizeof(float));
    if (!net->model || !net->table || !net->row_squares || !net->squares) {
        net_deinit(net);
        return -1;
    }
    struct rng r;
    rng_seed(&r, options->seed);
    struct guard_model *m = net->model;
    m->scale = 1;
    for (size_t i = 0; i < n_x * s->hidden; i++) {
        m->hidden[i] = (rng_uniform(&r) - 0.5f) * 0.5f;
    }
    for (size_t i = 0; i < s->hidden; i++) {
        m->hidden_bias[i] = START_BIAS;
    }
    for (size_t i = 0; i < (size_t)s->hidden * GUARD_CATEGORIES; i++) {
        m->output[i] = (rng_uniform(&r) - 0.5f) * 0.5f;
    }
    return 0;
}

/* ---- forward ---- */

static const float *row_of(const struct net *net, uint32_t hash)
{
    const struct guard_shape *s = &net->model->shape;
    return net->table + (size_t)(hash >> (32 - s->bits)) * s->dims;
}

static void add_rows(const struct net *net, const uint32_t *hashes, size_t count, float *to)
{
    const size_t dims = net->model->shape.dims;
    for (size_t i = 0; i < count; i++) {
        const float *row = row_of(net, hashes[i]);
        for (size_t d = 0; d < dims; d++) {
            to[d] += row[d];
        }
    }
}

static bool is_dropped(const struct pass *p, uint32_t word)
{
    return word < 1024 && (p->dropped[word / 64] >> (word % 64) & 1) != 0;
}

static size_t word_rows(const struct pass *p, const uint32_t *features)
{
    return p->keeps_pairs ? features[0] : 1;
}

static void forward(const struct net *net, struct pass *p)
{
    const size_t dims = net->model->shape.dims;
    float *x = p->x;
    memset(x, 0, sizeof(p->x));
    p->n_words = p->n_runs = 0;
    bool is_first = true;
    const uint32_t *f = p->features;
    for (uint32_t w = 0; w < p->words; w++, f += 2 + f[0] + f[1]) {
        if (is_dropped(p, w)) {
            continue;
        }
        float words[GUARD_DIMS_MAX] = {0}, runs[GUARD_DIMS_MAX] = {0};
        if (p->keeps_words) {
            add_rows(net, f + 2, word_rows(p, f), words);
            p->n_words += word_rows(p, f);
        }
        if (p->keeps_runs) {
            add_rows(net, f + 2 + f[0], f[1], runs);
            p->n_runs += f[1];
        }
        for (size_t d = 0; d < dims; d++) {
            x[d] += words[d];
            x[dims + d] += runs[d];
            if (is_first || words[d] + runs[d] > x[2 * dims + d]) {
                x[2 * dims + d] = words[d] + runs[d];
                p->greatest[d] = w;
            }
        }
        is_first = false;
    }
    for (size_t d = 0; d < dims; d++) {
        x[d] /= sqrtf((float)(p->n_words > 0 ? p->n_words : 1));
        x[dims + d] /= sqrtf((float)(p->n_runs > 0 ? p->n_runs : 1));
    }
    guard_model_layers(net->model, x, p->h, p->z);
}

/* ---- backward ---- */

static void adagrad(float *weights, float *squares, const float *gradients, size_t count,
                    float rate)
{
    for (size_t i = 0; i < count; i++) {
        squares[i] += gradients[i] * gradients[i];
        weights[i] -= rate * gradients[i] / (sqrtf(squares[i]) + ADAGRAD_FLOOR);
    }
}

/* From dz to dx; the layers learn on the way unless rate is 0. */
static void backward_layers(struct net *net, struct pass *p, const float *dz, float rate)
{
    struct guard_model *m = net->model;
    const size_t n_h = m->shape.hidden, n_x = (size_t)3 * m->shape.dims;
    float dh[GUARD_HIDDEN_MAX], gradients[GUARD_HIDDEN_MAX * GUARD_CATEGORIES];
    for (size_t j = 0; j < n_h; j++) {
        dh[j] = 0;
        for (size_t c = 0; c < GUARD_CATEGORIES; c++) {
            gradients[j * GUARD_CATEGORIES + c] = p->h[j] * dz[c];
            dh[j] += m->output[j * GUARD_CATEGORIES + c] * dz[c];
        }
        dh[j] = p->h[j] > 0 ? dh[j] : 0;
    }
    for (size_t i = 0; i < n_x; i++) {
        p->dx[i] = 0;
        for (size_t j = 0; j < n_h; j++) {
            p->dx[i] += m->hidden[i * n_h + j] * dh[j];
        }
    }
    if (rate == 0) {
        return;
    }
    float *squares = net->squares + (m->output - m->hidden);
    adagrad(m->output, squares, gradients, n_h * GUARD_CATEGORIES, rate);
    adagrad(m->output_bias, net->squares + (m->output_bias - m->hidden), dz, GUARD_CATEGORIES,
            rate);
    for (size_t i = 0; i < n_x; i++) {
        if (p->x[i] == 0) {
            continue;
        }
        for (size_t j = 0; j < n_h; j++) {
            gradients[j] = p->x[i] * dh[j];
        }
        adagrad(m->hidden + i * n_h, net->squares + i * n_h, gradients, n_h, rate);
    }
    adagrad(m->hidden_bias, net->squares + (m->hidden_bias - m->hidden), dh, n_h, rate);
}

static void step_rows(struct net *net, const uint32_t *hashes, size_t count, const float *g,
                      float rate, float decay)
{
    const struct guard_shape *s = &net->model->shape;
    float square = 0;
    for (size_t d = 0; d < s->dims; d++) {
        square += g[d] * g[d];
    }
    square /= (float)s->dims;
    for (size_t i = 0; i < count; i++) {
        size_t row = hashes[i] >> (32 - s->bits);
        float *weights = net->table + row * s->dims;
        net->row_squares[row] += square;
        float by = rate / sqrtf(ROW_START + net->row_squares[row]);
        for (size_t d = 0; d < s->dims; d++) {
            weights[d] -= by * (g[d] + decay * weights[d]);
        }
    }
}

/* What dx is for each row of word w. */
static void word_gradient(const struct net *net, const struct pass *p, uint32_t w, float *words,
                          float *runs)
{
    const size_t dims = net->model->shape.dims;
    float by_words = 1 / sqrtf((float)(p->n_words > 0 ? p->n_words : 1));
    float by_runs = 1 / sqrtf((float)(p->n_runs > 0 ? p->n_runs : 1));
    for (size_t d = 0; d < dims; d++) {
        float greatest = p->greatest[d] == w ? p->dx[2 * dims + d] : 0;
        words[d] = p->dx[d] * by_words + greatest;
        runs[d] = p->dx[dims + d] * by_runs + greatest;
    }
}

static void backward_table(struct net *net, const struct pass *p, float rate, float decay)
{
    const uint32_t *f = p->features;
    for (uint32_t w = 0; w < p->words; w++, f += 2 + f[0] + f[1]) {
        if (is_dropped(p, w)) {
            continue;
        }
        float words[GUARD_DIMS_MAX], runs[GUARD_DIMS_MAX];
        word_gradient(net, p, w, words, runs);
        if (p->keeps_words) {
            step_rows(net, f + 2, word_rows(p, f), words, rate, decay);
        }
        if (p->keeps_runs) {
            step_rows(net, f + 2 + f[0], f[1], runs, rate, decay);
        }
    }
}

/* dz of the cross entropy; returns the loss. */
static float loss_of(const struct classifier_example *example, const float *z, float *dz)
{
    float loss = 0;
    for (int c = 0; c < GUARD_CATEGORIES; c++) {
        float y = (float)(example->labels >> c & 1), p = guard_sigmoid(z[c]);
        bool is_judged = (example->judged >> c & 1) != 0;
        dz[c] = is_judged ? p - y : 0;
        float right = y > 0 ? p : 1 - p;
        loss += is_judged ? -logf(right > 1e-7f ? right : 1e-7f) : 0;
    }
    return loss;
}

static struct pass pass_of(const struct classifier_set *set, const struct classifier_example *x)
{
    return (struct pass){.features = set->features + x->feature,
                         .words = x->words,
                         .keeps_words = true,
                         .keeps_runs = true,
                         .keeps_pairs = true};
}

static float train_example(struct net *net, const struct classifier_set *set,
                           const struct classifier_example *example,
                           const struct classifier_options *o, float rate, struct rng *r)
{
    struct pass p = pass_of(set, example);
    for (uint32_t w = 0; w < p.words && w < 1024; w++) {
        if (p.words > 2 && rng_uniform(r) < o->drop_word) {
            p.dropped[w / 64] |= (uint64_t)1 << (w % 64);
        }
    }
    float roll = rng_uniform(r);
    p.keeps_words = roll >= DROP_GROUP;
    p.keeps_runs = roll < 1 - DROP_GROUP;
    p.keeps_pairs = rng_uniform(r) >= DROP_PAIRS;
    float dz[GUARD_CATEGORIES];
    forward(net, &p);
    float loss = loss_of(example, p.z, dz);
    backward_layers(net, &p, dz, rate);
    if (!net->is_rounded) {
        backward_table(net, &p, rate, o->decay);
    }
    return loss;
}

/* Every sentence once, in a random order. */
static void train_epoch(struct net *net, const struct classifier_set *set, uint32_t *order,
                        const struct classifier_options *o, float rate, struct rng *r,
                        const char *name)
{
    for (size_t i = set->count - 1; i > 0; i--) {
        size_t k = rng_below(r, (uint32_t)i + 1);
        uint32_t other = order[k];
        order[k] = order[i];
        order[i] = other;
    }
    double loss = 0;
    for (size_t i = 0; i < set->count; i++) {
        loss += (double)train_example(net, set, &set->examples[order[i]], o, rate, r);
    }
    if (o->log) {
        fprintf(o->log, "%s: loss %.4f\n", name, loss / (double)set->count);
    }
}

/* ---- rounding ---- */

/* The magnitude that is rounded to 127. */
static float greatest_kept(const float *table, size_t count)
{
    float max = 0;
    for (size_t i = 0; i < count; i++) {
        max = fabsf(table[i]) > max ? fabsf(table[i]) : max;
    }
    size_t bins[HISTOGRAM_BINS] = {0};
    for (size_t i = 0; max > 0 && i < count; i++) {
        bins[(size_t)(fabsf(table[i]) / max * (HISTOGRAM_BINS - 1))]++;
    }
    size_t beyond = 0, bin = HISTOGRAM_BINS - 1;
    while (bin > 1 && (double)(beyond += bins[bin]) <= ROUNDED_TAIL * (double)count) {
        bin--;
    }
    return max > 0 ? max * (float)(bin + 1) / HISTOGRAM_BINS : 1;
}

static void round_table(struct net *net)
{
    const struct guard_shape *s = &net->model->shape;
    const size_t count = ((size_t)1 << s->bits) * s->dims;
    const float scale = greatest_kept(net->table, count) / 127;
    for (size_t i = 0; i < count; i++) {
        float q = floorf(net->table[i] / scale + 0.5f);
        q = q > 127 ? 127 : q < -127 ? -127 : q;
        net->model->table[i] = (int8_t)q;
        net->table[i] = q * scale;
    }
    net->is_rounded = true;
    net->model->scale = scale;
}

/* ---- probabilities and thresholds ---- */

/* Finds a and b for 1 / (1 + exp(-(a * z + b))) by Newton's method on the cross entropy. */
static void fit_platt(const float *z, const struct classifier_set *set, int c, double *a,
                      double *b)
{
    *a = 1;
    *b = 0;
    for (int step = 0; step < PLATT_STEPS; step++) {
        double ga = 0, gb = 0, haa = 1e-3, hab = 0, hbb = 1e-3;
        for (size_t i = 0; i < set->count; i++) {
            if (!(set->examples[i].judged >> c & 1) || set->examples[i].words == 0) {
                continue;
            }
            double x = (double)z[i * GUARD_CATEGORIES + (size_t)c];
            double p = (double)guard_sigmoid((float)(*a * x + *b));
            double d = p - (double)(set->examples[i].labels >> c & 1), v = p * (1 - p);
            ga += d * x;
            gb += d;
            haa += v * x * x;
            hab += v * x;
            hbb += v;
        }
        double det = haa * hbb - hab * hab;
        double da = (hbb * ga - hab * gb) / det, db = (haa * gb - hab * ga) / det;
        double most = fabs(da) > fabs(db) ? fabs(da) : fabs(db);
        double by = most > 0.25 ? 0.25 / most : 1; /* carefully: Newton alone may overshoot */
        *a -= by * da;
        *b -= by * db;
    }
    *a = *a > 0.1 ? *a : 0.1;
}

/* The lowest threshold, in hundredths, that is precise enough. A sentence that is harmful in
 * another way is no false alarm. */
static float find_threshold(const float *z, const struct classifier_set *set, int c, double a,
                            double b, float precision)
{
    size_t right[101] = {0}, wrong[101] = {0}; /* by hundredths of the score */
    for (size_t i = 0; i < set->count; i++) {
        if (!(set->examples[i].judged >> c & 1) || set->examples[i].words == 0) {
            continue;
        }
        if (set->examples[i].labels != 0 && !(set->examples[i].labels >> c & 1)) {
            continue;
        }
        double x = (double)z[i * GUARD_CATEGORIES + (size_t)c];
        int at = (int)(guard_sigmoid((float)(a * x + b)) * 100);
        (set->examples[i].labels >> c & 1 ? right : wrong)[at]++;
    }
    int best = THRESHOLD_MAX;
    size_t n_right = 0, n_wrong = 0;
    for (int at = 100; at >= THRESHOLD_MIN; at--) {
        n_right += right[at];
        n_wrong += wrong[at];
        if (at <= THRESHOLD_MAX && (float)n_right >= precision * (float)(n_right + n_wrong)) {
            best = at;
        }
    }
    return (float)best / 100;
}

static int calibrate(struct guard_model *model, const struct classifier_set *dev,
                     const struct classifier_options *o)
{
    float *z = mem_array(dev->count, GUARD_CATEGORIES * sizeof(*z));
    if (!z) {
        return -1;
    }
    for (size_t i = 0; i < dev->count; i++) {
        const struct classifier_example *x = &dev->examples[i];
        guard_model_logits(model, dev->text.data + x->text, x->len, z + i * GUARD_CATEGORIES);
    }
    for (int c = 0; c < GUARD_CATEGORIES; c++) {
        double a, b;
        fit_platt(z, dev, c, &a, &b);
        model->thresholds[c] = find_threshold(z, dev, c, a, b, o->precision);
        for (size_t j = 0; j < model->shape.hidden; j++) {
            float *weight = &model->output[j * GUARD_CATEGORIES + (size_t)c];
            *weight = (float)(a * (double)*weight);
        }
        model->output_bias[c] = (float)(a * (double)model->output_bias[c] + b);
        if (o->log) {
            fprintf(o->log, "%s: scores by %.3f %+.3f, threshold %.2f\n",
                    guard_category_names[c], a, b, (double)model->thresholds[c]);
        }
    }
    mem_free(z);
    return 0;
}

/* ---- the whole ---- */

static int train(struct net *net, const struct classifier_set *set,
                 const struct classifier_options *o)
{
    uint32_t *order = mem_array(set->count, sizeof(*order));
    if (!order) {
        return -1;
    }
    for (size_t i = 0; i < set->count; i++) {
        order[i] = (uint32_t)i;
    }
    struct rng r;
    rng_seed(&r, o->seed + 1);
    for (int epoch = 0; epoch < o->epochs; epoch++) {
        char name[32];
        float done = o->epochs > 1 ? (float)epoch / (float)(o->epochs - 1) : 0;
        snprintf(name, sizeof(name), "epoch %d", epoch + 1);
        train_epoch(net, set, order, o, o->rate * (1 - (1 - FINAL_RATE) * done), &r, name);
    }
    round_table(net);
    train_epoch(net, set, order, o, o->rate * FINAL_RATE, &r, "rounded");
    mem_free(order);
    return 0;
}

struct guard_model *classifier_train(const struct classifier_set *train_set,
                                     const struct classifier_set *dev,
                                     const struct classifier_options *options, struct err *e)
{
    struct net net;
    if (train_set->count == 0 || dev->count == 0) {
        err_set(e, ERR_INVALID, "there are no sentences to train or to calibrate on");
        return NULL;
    }
    if (net_init(&net, options) != 0) {
        err_nomem(e);
        return NULL;
    }
    struct guard_model *model = NULL;
    if (train(&net, train_set, options) != 0 || calibrate(net.model, dev, options) != 0) {
        err_nomem(e);
    } else {
        model = net.model;
        net.model = NULL;
    }
    net_deinit(&net);
    return model;
}

void classifier_score_text(const struct guard_model *model, const char *text, size_t len,
                           float scores[GUARD_CATEGORIES])
{
    struct sentence sentence = {0};
    size_t from = 0;
    memset(scores, 0, GUARD_CATEGORIES * sizeof(*scores));
    for (size_t at = 0; at <= len;) {
        uint32_t character = 0;
        int n = at < len ? utf8_decode(text + at, len - at, &character) : 1;
        n = n > 0 ? n : 1;
        if (at == len || sentence_next(&sentence, character, (size_t)n) != SENTENCE_GOES_ON) {
            float of_one[GUARD_CATEGORIES];
            guard_model_score(model, text + from, at - from, of_one);
            for (int c = 0; c < GUARD_CATEGORIES; c++) {
                scores[c] = of_one[c] > scores[c] ? of_one[c] : scores[c];
            }
            from = at;
        }
        at += (size_t)n;
    }
}

void classifier_measure(const struct guard_model *model, const struct classifier_set *set,
                        struct classifier_figures figures[GUARD_CATEGORIES])
{
    memset(figures, 0, GUARD_CATEGORIES * sizeof(*figures));
    for (size_t i = 0; i < set->count; i++) {
        const struct classifier_example *x = &set->examples[i];
        float scores[GUARD_CATEGORIES];
        classifier_score_text(model, set->text.data + x->text, x->len, scores);
        for (int c = 0; c < GUARD_CATEGORIES; c++) {
            struct classifier_figures *f = &figures[c];
            bool is_one = (x->labels >> c & 1) != 0;
            bool is_flagged = scores[c] >= model->thresholds[c];
            if (x->judged >> c & 1) {
                f->judged++;
                f->found += is_one && is_flagged;
                f->missed += is_one && !is_flagged;
                f->wrong += !is_one && is_flagged;
            }
        }
    }
}

float classifier_gradient(const struct classifier_set *set, size_t example,
                          const struct classifier_options *options, uint32_t row, uint32_t dim,
                          float shift, float *derivative)
{
    struct net net;
    if (net_init(&net, options) != 0) {
        return -1;
    }
    const size_t dims = options->shape.dims, rows = (size_t)1 << options->shape.bits;
    struct rng r;
    rng_seed(&r, options->seed + 2);
    for (size_t i = 0; i < rows * dims; i++) {
        net.table[i] = rng_normal(&r) * 0.3f;
    }
    net.table[row * dims + dim] += shift;
    struct pass p = pass_of(set, &set->examples[example]);
    float dz[GUARD_CATEGORIES];
    forward(&net, &p);
    float loss = loss_of(&set->examples[example], p.z, dz);
    backward_layers(&net, &p, dz, 0);
    *derivative = 0;
    const uint32_t *f = p.features;
    for (uint32_t w = 0; w < p.words; w++, f += 2 + f[0] + f[1]) {
        float words[GUARD_DIMS_MAX], runs[GUARD_DIMS_MAX];
        word_gradient(&net, &p, w, words, runs);
        for (uint32_t i = 0; i < f[0] + f[1]; i++) {
            if (f[2 + i] >> (32 - options->shape.bits) == row) {
                *derivative += (i < f[0] ? words : runs)[dim];
            }
        }
    }
    net_deinit(&net);
    return loss;
}
