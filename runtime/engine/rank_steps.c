#include "runtime/engine/rank_steps.h"

#include <pthread.h>
#include <string.h>

#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"
#include "runtime/engine/parallel_team.h"

#define INLINE_BYTES 960

enum step_kind { STEP_COMPUTE = 1, STEP_END };

struct step_message {
    uint64_t number;
    uint64_t hash; /* of all rows and changes */
    uint32_t kind;
    int32_t n_rows, n_changes;
    uint32_t unused;
    unsigned char items[INLINE_BYTES]; /* rows, then changes, where they fit */
};

struct step_row {
    int32_t token, position, slot, want_logits;
};

static size_t items_bytes(size_t n_rows, size_t n_changes)
{
    return n_rows * sizeof(struct step_row) + n_changes * sizeof(struct kv_change);
}

/* --- rank 0 --- */

static void write_items(unsigned char *to, const struct kv_cache *kv,
                        const struct llama_row *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++, to += sizeof(struct step_row)) {
        const struct step_row row = {rows[i].token, rows[i].position, rows[i].slot,
                                     rows[i].want_logits};
        memcpy(to, &row, sizeof(row));
    }
    if (kv->changes.count > 0) {
        memcpy(to, kv->changes.items, kv->changes.count * sizeof(*kv->changes.items));
    }
}

void rank_steps_tell(struct rank_steps *s, struct kv_cache *kv, const struct llama_row *rows,
                     int n_rows)
{
    struct step_message m = {.kind = STEP_COMPUTE, .number = s->number++, .n_rows = n_rows};
    size_t bytes = items_bytes((size_t)n_rows, kv->changes.count);
    unsigned char *items = bytes > INLINE_BYTES ? mem_alloc(bytes) : m.items;
    if (kv->changes.lost || kv->changes.count > INT32_MAX || !items) {
        rank_group_fail(s->group, "no memory to tell the other ranks what a step computes");
    }
    m.n_changes = (int32_t)kv->changes.count;
    write_items(items, kv, rows, (size_t)n_rows);
    m.hash = fnv64(FNV64_BASIS, items, bytes);
    kv->changes.count = 0;
    rank_channel_tell(s->channel, &m, sizeof(m));
    if (items != m.items) {
        rank_channel_tell(s->channel, items, bytes);
        mem_free(items);
    }
}

void rank_steps_end(struct rank_steps *s)
{
    const struct step_message m = {.kind = STEP_END, .number = s->number++};
    rank_channel_tell(s->channel, &m, sizeof(m));
}

/* --- the others --- */

struct rank_follower {
    const struct model *model;
    struct rank_engine shape;
    struct rank_steps steps;
    struct team *team;
    struct llama_state *state;
    struct kv_cache kv;
    struct llama_row *rows; /* (shape.max_rows) */
    pthread_t thread;
    bool is_started;
    atomic_bool is_over;
};

static int create_parts(struct rank_follower *f, int threads, uint32_t cpu_features,
                        struct err *e)
{
    const struct rank_engine *shape = &f->shape;
    const struct llama_config *c = &f->model->config;
    f->team = team_create(threads, e);
    if (!f->team) {
        return -1;
    }
    struct llama_state_settings set = {.max_rows = shape->max_rows,
                                       .max_logits = shape->max_logits,
                                       .context = shape->context,
                                       .precision = f->model->weights.precision,
                                       .kernel = q8_kernel_select(cpu_features),
                                       .ops = ops_select(cpu_features),
                                       .parallel = parallel_team(f->team)};
    set.parallel.ranks = rank_channel_ranks(f->steps.channel);
    f->state = llama_state_create(c, &set, e);
    f->rows = mem_zarray((size_t)shape->max_rows, sizeof(*f->rows));
    if (!f->rows) {
        return err_nomem(e);
    }
    return f->state ? kv_cache_init(&f->kv, c, (enum ops_type)shape->kv_type, shape->n_slots,
                                    shape->context, shape->n_pages, e)
                    : -1;
}

struct rank_follower *rank_follower_create(const struct model *m,
                                           const struct rank_engine *shape, int threads,
                                           uint32_t cpu_features,
                                           const struct rank_steps *steps, struct err *e)
{
    struct rank_follower *f = mem_zalloc(sizeof(*f));
    if (!f) {
        err_nomem(e);
        return NULL;
    }
    f->model = m;
    f->shape = *shape;
    f->steps = *steps;
    if (create_parts(f, threads, cpu_features, e) != 0) {
        rank_follower_destroy(f);
        return NULL;
    }
    return f;
}

static bool row_fits(const struct rank_follower *f, const struct step_row *row)
{
    return row->token >= 0 && row->token < f->model->config.vocab && row->position >= 0 &&
           row->position < f->shape.context && row->slot >= 0 && row->slot < f->shape.n_slots;
}

/* Fills rows, and makes the cache what rank 0's is. False: it is not of this model and cache.
 */
static bool read_items(struct rank_follower *f, const struct step_message *m,
                       const unsigned char *items)
{
    int wanted = 0;
    if (fnv64(FNV64_BASIS, items, items_bytes((size_t)m->n_rows, (size_t)m->n_changes)) !=
        m->hash) {
        return false;
    }
    for (int i = 0; i < m->n_rows; i++, items += sizeof(struct step_row)) {
        struct step_row row;
        memcpy(&row, items, sizeof(row));
        if (!row_fits(f, &row)) {
            return false;
        }
        f->rows[i] = (struct llama_row){.token = row.token,
                                        .position = row.position,
                                        .slot = row.slot,
                                        .want_logits = row.want_logits != 0};
        wanted += row.want_logits != 0;
    }
    bool fits = wanted <= f->shape.max_logits;
    for (int i = 0; i < m->n_changes && fits; i++, items += sizeof(struct kv_change)) {
        struct kv_change change;
        memcpy(&change, items, sizeof(change));
        fits = kv_cache_apply(&f->kv, &change, 1) == 0;
    }
    return fits;
}

/* Every position that is looked at lies in a page. */
static bool rows_are_mapped(const struct rank_follower *f, int n_rows)
{
    for (int i = 0; i < n_rows; i++) {
        size_t last = (size_t)f->rows[i].position / KV_PAGE_POSITIONS;
        void *const *table = f->kv.tables + (size_t)f->rows[i].slot * f->kv.table_size;
        bool first_of_run = i == 0 || f->rows[i].slot != f->rows[i - 1].slot;
        for (size_t page = first_of_run ? 0 : last; page <= last; page++) {
            if (!table[page]) {
                return false;
            }
        }
    }
    return true;
}

static void compute(struct rank_follower *f, const struct step_message *m)
{
    bool counts = m->n_rows >= 1 && m->n_rows <= f->shape.max_rows && m->n_changes >= 0;
    size_t bytes = counts ? items_bytes((size_t)m->n_rows, (size_t)m->n_changes) : 0;
    unsigned char *more = bytes > INLINE_BYTES ? mem_alloc(bytes) : NULL;
    if (!counts || (bytes > INLINE_BYTES && !more)) {
        rank_group_fail(f->steps.group, "a step of %d rows and %d changes, at most %d rows fit",
                        m->n_rows, m->n_changes, f->shape.max_rows);
    }
    if (more) {
        rank_channel_hear(f->steps.channel, more, bytes, rank_group_timeout_ms(f->steps.group));
    }
    if (!read_items(f, m, more ? more : m->items) || !rows_are_mapped(f, m->n_rows)) {
        rank_group_fail(f->steps.group, "step %llu is not one of this model and cache",
                        (unsigned long long)m->number);
    }
    mem_free(more);
    /* Rank 0 knows whether it was given up. */
    (void)llama_step(f->state, &f->model->weights, &f->kv, f->rows, m->n_rows);
}

static void *follow(void *arg)
{
    struct rank_follower *f = arg;
    for (;;) {
        struct step_message m;
        rank_channel_hear(f->steps.channel, &m, sizeof(m), 0);
        if (m.number != f->steps.number) {
            rank_group_fail(f->steps.group, "step %llu came, %llu was expected",
                            (unsigned long long)m.number, (unsigned long long)f->steps.number);
        }
        f->steps.number++;
        if (m.kind != STEP_COMPUTE) {
            break;
        }
        compute(f, &m);
    }
    atomic_store(&f->is_over, true);
    return NULL;
}

int rank_follower_start(struct rank_follower *f, struct err *e)
{
    if (pthread_create(&f->thread, NULL, follow, f) != 0) {
        return err_set(e, ERR_NOMEM, "cannot start the thread that follows rank 0's engine");
    }
    f->is_started = true;
    return 0;
}

bool rank_follower_is_over(const struct rank_follower *f)
{
    return atomic_load(&f->is_over);
}

void rank_follower_destroy(struct rank_follower *f)
{
    if (!f) {
        return;
    }
    if (f->is_started) {
        pthread_join(f->thread, NULL);
    }
    kv_cache_deinit(&f->kv);
    llama_state_destroy(f->state);
    team_destroy(f->team);
    mem_free(f->rows);
    mem_free(f);
}
