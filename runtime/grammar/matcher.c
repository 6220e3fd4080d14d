#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/grammar_cache.h"
#include "runtime/grammar/vocab.h"

struct grammar_matcher {
    struct grammar *grammar;             /* retained */
    struct grammar_vocab *vocab;         /* retained */
    struct grammar_cache *cache;         /* of the grammar */
    struct grammar_matcher *prev, *next; /* the cache's other matchers */
    uint32_t state;
    uint32_t imported; /* the same state in a new table, while one is made */
};

void grammar_cache_destroy(struct grammar_cache *c)
{
    state_table_deinit(&c->table);
    mem_free(c->path);
    mem_free(c);
}

/* Forgets the caches that no matcher works with. */
static void drop_idle(struct grammar *g)
{
    for (struct grammar_cache **at = &g->caches; *at;) {
        struct grammar_cache *c = *at;
        if (c->matchers) {
            at = &c->next;
        } else {
            *at = c->next;
            grammar_cache_destroy(c);
        }
    }
}

struct grammar_cache *grammar_cache_get(struct grammar *g, const struct grammar_vocab *v)
{
    for (struct grammar_cache *c = g->caches; c; c = c->next) {
        if (c->vocab_serial == v->serial) {
            return c;
        }
    }
    drop_idle(g);
    struct grammar_cache *c = mem_zalloc(sizeof(*c));
    if (!c) {
        return NULL;
    }
    c->path = mem_array(v->max_len + 1, sizeof(*c->path));
    if (!c->path || state_table_init(&c->table, &g->program) != 0) {
        mem_free(c->path);
        mem_free(c);
        return NULL;
    }
    c->vocab_serial = v->serial;
    c->next = g->caches;
    g->caches = c;
    return c;
}

struct grammar_matcher *grammar_matcher_create(struct grammar *g, struct grammar_vocab *v,
                                               struct err *e)
{
    struct grammar_matcher *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(e);
        return NULL;
    }
    pthread_mutex_lock(&g->lock);
    struct grammar_cache *c = grammar_cache_get(g, v);
    if (c) {
        m->cache = c;
        m->state = c->table.start;
        m->next = c->matchers;
        if (m->next) {
            m->next->prev = m;
        }
        c->matchers = m;
    }
    pthread_mutex_unlock(&g->lock);
    if (!c) {
        mem_free(m);
        err_nomem(e);
        return NULL;
    }
    m->grammar = grammar_retain(g);
    m->vocab = grammar_vocab_retain(v);
    return m;
}

void grammar_matcher_destroy(struct grammar_matcher *m)
{
    if (!m) {
        return;
    }
    pthread_mutex_lock(&m->grammar->lock);
    *(m->prev ? &m->prev->next : &m->cache->matchers) = m->next;
    if (m->next) {
        m->next->prev = m->prev;
    }
    pthread_mutex_unlock(&m->grammar->lock);
    grammar_release(m->grammar);
    grammar_vocab_release(m->vocab);
    mem_free(m);
}

void grammar_matcher_reset(struct grammar_matcher *m)
{
    pthread_mutex_lock(&m->grammar->lock);
    m->state = m->cache->table.start;
    pthread_mutex_unlock(&m->grammar->lock);
}

void grammar_matcher_copy(struct grammar_matcher *to, const struct grammar_matcher *from)
{
    pthread_mutex_lock(&to->grammar->lock);
    to->state = from->state;
    pthread_mutex_unlock(&to->grammar->lock);
}

bool grammar_matcher_may_end(const struct grammar_matcher *m)
{
    pthread_mutex_lock(&m->grammar->lock);
    const bool accepts = m->cache->table.states[m->state].accepts;
    pthread_mutex_unlock(&m->grammar->lock);
    return accepts;
}

/* Forgets all but the states of the matchers when the cache is full. 0, or -1 when out of
 * memory, with everything as it was. */
static int make_room(struct grammar_cache *c)
{
    struct state_table fresh;
    if (state_table_bytes(&c->table) <= GRAMMAR_CACHE_BYTES) {
        return 0;
    }
    if (state_table_init(&fresh, c->table.program) != 0) {
        return -1;
    }
    for (struct grammar_matcher *m = c->matchers; m; m = m->next) {
        m->imported = state_table_import(&fresh, &c->table, m->state);
        if (m->imported == STATE_FAILED) {
            state_table_deinit(&fresh);
            return -1;
        }
    }
    for (struct grammar_matcher *m = c->matchers; m; m = m->next) {
        m->state = m->imported;
    }
    state_table_deinit(&c->table);
    c->table = fresh;
    return 0;
}

/* Adds to mask all tokens of the tree that may follow in `state`; returns how many, -1 when out
 * of memory. */
static int32_t walk(struct grammar_cache *c, const struct grammar_vocab *v,
                    const struct vocab_tree *tree, uint32_t state, uint32_t *mask)
{
    const uint8_t *byte_class = c->table.program->byte_class;
    uint32_t *path = c->path; /* path[d]: the state behind d bytes */
    int32_t n = 0;
    path[0] = state;
    for (size_t i = 0; i < tree->n;) {
        const struct vocab_node *node = &tree->nodes[i];
        const uint32_t to =
            state_table_next(&c->table, path[node->depth], byte_class[node->byte]);
        if (to == STATE_FAILED) {
            return -1;
        }
        if (to == STATE_DEAD) {
            i = node->end;
            continue;
        }
        path[node->depth + 1] = to;
        for (int32_t t = node->token; t != TOKEN_NONE; t = v->same[t]) {
            mask[t / 32] |= (uint32_t)1 << (t % 32);
            n++;
        }
        i++;
    }
    return n;
}

/* The mask of a state that is its own view: all tokens, remembered. */
static int compute_mask(struct grammar_cache *c, const struct grammar_vocab *v, uint32_t state)
{
    const size_t n_words = grammar_vocab_words(v);
    uint32_t *mask = mem_zarray(n_words + 1, sizeof(*mask));
    if (!mask) {
        return -1;
    }
    const int32_t n = walk(c, v, &v->short_tree, state, mask);
    if (n < 0) {
        mem_free(mask);
        return -1;
    }
    c->table.states[state].mask = mask;
    c->table.states[state].n_mask = n;
    c->table.mask_bytes += n_words * sizeof(*mask);
    return 0;
}

static int32_t fill_mask(struct grammar_cache *c, const struct grammar_vocab *v, uint32_t state,
                         uint32_t *mask)
{
    const size_t n_words = grammar_vocab_words(v);
    const uint32_t view = state_table_view(&c->table, state);
    if (view == STATE_FAILED ||
        (!c->table.states[view].mask && compute_mask(c, v, view) != 0)) {
        return -1;
    }
    if (n_words > 0) {
        memcpy(mask, c->table.states[view].mask, n_words * sizeof(*mask));
    }
    int32_t n = c->table.states[view].n_mask;
    const int32_t n_long = walk(c, v, &v->long_tree, state, mask);
    if (n_long < 0) {
        return -1;
    }
    n += n_long;
    if (c->table.states[state].accepts) {
        for (size_t i = 0; i < n_words; i++) {
            mask[i] |= v->ends[i];
        }
        n += v->n_ends;
    }
    return n;
}

int32_t grammar_matcher_mask(struct grammar_matcher *m, uint32_t *mask)
{
    pthread_mutex_lock(&m->grammar->lock);
    const int32_t n =
        make_room(m->cache) == 0 ? fill_mask(m->cache, m->vocab, m->state, mask) : -1;
    pthread_mutex_unlock(&m->grammar->lock);
    return n;
}

/* The state behind bytes; STATE_DEAD or STATE_FAILED. */
static uint32_t advance(struct grammar_cache *c, uint32_t state, const unsigned char *bytes,
                        size_t len)
{
    for (size_t i = 0; i < len && state != STATE_DEAD && state != STATE_FAILED; i++) {
        state = state_table_next(&c->table, state, c->table.program->byte_class[bytes[i]]);
    }
    return state;
}

/* The state behind a token, with the lock held. A token that ends leaves nothing allowed, and
 * the state says whether it may. */
static uint32_t after_token(struct grammar_matcher *m, int32_t token)
{
    const struct grammar_vocab *v = m->vocab;
    if (token < 0 || token >= v->n_tokens) {
        return STATE_DEAD;
    }
    const uint32_t at = v->offsets[token], len = v->offsets[token + 1] - at;
    return len > 0 ? advance(m->cache, m->state, v->bytes + at, len) : STATE_DEAD;
}

static bool ends_here(const struct grammar_matcher *m, int32_t token)
{
    return token >= 0 && token < m->vocab->n_tokens && vocab_ends(m->vocab, token) &&
           m->cache->table.states[m->state].accepts;
}

bool grammar_matcher_allows(struct grammar_matcher *m, int32_t token)
{
    pthread_mutex_lock(&m->grammar->lock);
    bool allowed = ends_here(m, token);
    if (!allowed && make_room(m->cache) == 0) {
        const uint32_t to = after_token(m, token);
        allowed = to != STATE_DEAD && to != STATE_FAILED;
    }
    pthread_mutex_unlock(&m->grammar->lock);
    return allowed;
}

int grammar_matcher_accept(struct grammar_matcher *m, int32_t token, struct err *e)
{
    int rc = 0;
    pthread_mutex_lock(&m->grammar->lock);
    if (ends_here(m, token)) {
        m->state = STATE_DEAD;
    } else {
        const uint32_t to = make_room(m->cache) == 0 ? after_token(m, token) : STATE_FAILED;
        if (to == STATE_FAILED) {
            rc = err_nomem(e);
        } else if (to == STATE_DEAD) {
            rc =
                err_set(e, ERR_INVALID, "the grammar does not allow token %d here", (int)token);
        } else {
            m->state = to;
        }
    }
    pthread_mutex_unlock(&m->grammar->lock);
    return rc;
}

int grammar_matcher_accept_bytes(struct grammar_matcher *m, const char *bytes, size_t len,
                                 struct err *e)
{
    int rc = 0;
    pthread_mutex_lock(&m->grammar->lock);
    const uint32_t to = make_room(m->cache) == 0
                            ? advance(m->cache, m->state, (const unsigned char *)bytes, len)
                            : STATE_FAILED;
    if (to == STATE_FAILED) {
        rc = err_nomem(e);
    } else if (to == STATE_DEAD) {
        rc = err_set(e, ERR_INVALID, "the grammar does not allow these bytes here");
    } else {
        m->state = to;
    }
    pthread_mutex_unlock(&m->grammar->lock);
    return rc;
}
