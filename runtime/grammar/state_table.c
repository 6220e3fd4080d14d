#include "runtime/grammar/state_table.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/array.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/vocab.h"

/* States with more positions are their own view: cutting counters joins positions, and where
 * STATE_ITEMS_MAX leaves some out a state and its view could differ. */
#define VIEW_ITEMS_MAX 32

/* A position while the nodes that read nothing are followed. */
struct pending {
    uint32_t node, frame;
    uint32_t fresh; /* frames on top that were pushed since the last byte */
};

/* Working memory: the positions to look at, those seen since the last byte, those found. */
struct closure {
    struct pending *pending;
    size_t n_pending, cap_pending;
    struct pending
        *seen; /* (cap_seen) by hash; a slot counts when its stamp is the current one */
    uint32_t *stamps;
    size_t cap_seen, n_seen;
    uint32_t stamp;
    struct item *items;
    size_t n_items, cap_items;
    bool accepts;
};

static uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 31) * 0x9e3779b97f4a7c15U;
    return h ^ h >> 29;
}

static uint64_t hash_frame(const struct frame *f)
{
    return mix(mix(((uint64_t)f->node << 1 | f->turn) << 31 ^ f->parent) ^
               ((uint64_t)f->lo << 32 | f->hi));
}

static uint64_t hash_items(const struct item *items, size_t n, bool accepts)
{
    uint64_t h = accepts;
    for (size_t i = 0; i < n; i++) {
        h = mix(h ^ ((uint64_t)items[i].node << 32 | items[i].frame));
    }
    return h;
}

/* A table of twice the size; the caller puts all elements in again. */
static int index_grow(struct index *x)
{
    const size_t n = x->n == 0 ? 256 : x->n * 2;
    uint32_t *slots = mem_zarray(n, sizeof(*slots));
    if (!slots) {
        return -1;
    }
    mem_free(x->slots);
    *x = (struct index){slots, n};
    return 0;
}

static void index_put(struct index *x, uint64_t hash, uint32_t element)
{
    size_t slot = hash & (x->n - 1);
    while (x->slots[slot] != 0) {
        slot = (slot + 1) & (x->n - 1);
    }
    x->slots[slot] = element + 1;
}

/* Whether one more element keeps the table at most half full, after growing it if need be. */
static bool index_is_full(const struct index *x, size_t n)
{
    return (n + 1) * 2 > x->n;
}

/* The frame with these fields but depth, a new one if there is none yet. */
static uint32_t frame_intern(struct state_table *t, struct frame f)
{
    f.depth = t->frames[f.parent].depth + 1;
    const uint64_t hash = hash_frame(&f);
    if (index_is_full(&t->frame_index, t->n_frames)) {
        if (index_grow(&t->frame_index) != 0) {
            return STATE_FAILED;
        }
        for (size_t i = 1; i < t->n_frames; i++) {
            index_put(&t->frame_index, hash_frame(&t->frames[i]), (uint32_t)i);
        }
    }
    for (size_t slot = hash & (t->frame_index.n - 1); t->frame_index.slots[slot] != 0;
         slot = (slot + 1) & (t->frame_index.n - 1)) {
        const uint32_t i = t->frame_index.slots[slot] - 1;
        if (memcmp(&t->frames[i], &f, sizeof(f)) == 0) {
            return i;
        }
    }
    if (t->n_frames >= UINT32_MAX - 1 ||
        ARRAY_RESERVE(t->frames, t->cap_frames, t->n_frames + 1) != 0) {
        return STATE_FAILED;
    }
    t->frames[t->n_frames] = f;
    index_put(&t->frame_index, hash, (uint32_t)t->n_frames);
    return (uint32_t)t->n_frames++;
}

static int grow_seen(struct closure *c)
{
    const size_t cap = c->cap_seen == 0 ? 256 : c->cap_seen * 2;
    struct pending *seen = mem_array(cap, sizeof(*seen));
    uint32_t *stamps = mem_zarray(cap, sizeof(*stamps));
    if (!seen || !stamps) {
        mem_free(seen);
        mem_free(stamps);
        return -1;
    }
    for (size_t i = 0; i < c->cap_seen; i++) {
        if (c->stamps[i] == c->stamp) {
            const struct pending *x = &c->seen[i];
            size_t slot =
                mix(((uint64_t)x->node << 32 | x->frame) + x->fresh * 0x9e37U) & (cap - 1);
            while (stamps[slot] == c->stamp) {
                slot = (slot + 1) & (cap - 1);
            }
            stamps[slot] = c->stamp;
            seen[slot] = *x;
        }
    }
    mem_free(c->seen);
    mem_free(c->stamps);
    c->seen = seen;
    c->stamps = stamps;
    c->cap_seen = cap;
    return 0;
}

/* Puts a position on the list to look at, unless it was there since the last byte. */
static int closure_push(struct closure *c, uint32_t node, uint32_t frame, uint32_t fresh)
{
    const struct pending x = {node, frame, fresh};
    if ((c->n_seen + 1) * 2 > c->cap_seen && grow_seen(c) != 0) {
        return -1;
    }
    size_t slot = mix(((uint64_t)node << 32 | frame) + fresh * 0x9e37U) & (c->cap_seen - 1);
    for (; c->stamps[slot] == c->stamp; slot = (slot + 1) & (c->cap_seen - 1)) {
        if (memcmp(&c->seen[slot], &x, sizeof(x)) == 0) {
            return 0;
        }
    }
    if (ARRAY_RESERVE(c->pending, c->cap_pending, c->n_pending + 1) != 0) {
        return -1;
    }
    c->stamps[slot] = c->stamp;
    c->seen[slot] = x;
    c->n_seen++;
    c->pending[c->n_pending++] = x;
    return 0;
}

static int closure_add(struct closure *c, uint32_t node, uint32_t frame)
{
    if (ARRAY_RESERVE(c->items, c->cap_items, c->n_items + 1) != 0) {
        return -1;
    }
    c->items[c->n_items++] = (struct item){node, frame};
    return 0;
}

/* Pushes a frame and goes on at `node`; where the stack would be too deep, nothing goes on. */
static int enter(struct state_table *t, const struct pending *x, uint32_t node, struct frame f)
{
    if (t->frames[x->frame].depth >= GRAMMAR_DEPTH_MAX) {
        return 0;
    }
    f.parent = x->frame;
    const uint32_t frame = frame_intern(t, f);
    return frame == STATE_FAILED ? -1 : closure_push(t->closure, node, frame, x->fresh + 1);
}

/* Before a turn of a loop: one more may begin, or what follows the loop. */
static int turn(struct state_table *t, const struct pending *x, uint32_t loop, uint32_t lo,
                uint32_t hi)
{
    const struct node *n = &t->program->nodes[loop];
    int rc = 0;
    if (hi > 0) {
        const struct frame f = {.node = loop,
                                .turn = 1,
                                .lo = lo > 0 ? lo - 1 : 0,
                                .hi = hi == SYNTAX_UNBOUNDED ? hi : hi - 1};
        rc = enter(t, x, n->a, f);
    }
    if (rc == 0 && lo == 0) {
        rc = closure_push(t->closure, n->b, x->frame, x->fresh);
    }
    return rc;
}

static int leave(struct state_table *t, const struct pending *x)
{
    struct closure *c = t->closure;
    if (x->frame == FRAME_BOTTOM) {
        c->accepts = true;
        return 0;
    }
    const struct frame f = t->frames[x->frame];
    const struct pending below = {f.node, f.parent, x->fresh > 0 ? x->fresh - 1 : 0};
    if (!f.turn) {
        return closure_push(c, below.node, below.frame, below.fresh);
    }
    /* A turn that read nothing leads nowhere new. */
    return x->fresh > 0 ? 0 : turn(t, &below, f.node, f.lo, f.hi);
}

static int follow(struct state_table *t, const struct pending *x)
{
    const struct program *p = t->program;
    const struct node *n = &p->nodes[x->node];
    int rc = 0;
    switch (n->kind) {
    case NODE_BYTES:
        return closure_add(t->closure, x->node, x->frame);
    case NODE_SPLIT:
        for (uint32_t i = 0; i < n->b && rc == 0; i++) {
            rc = closure_push(t->closure, p->targets[n->a + i], x->frame, x->fresh);
        }
        return rc;
    case NODE_CALL:
        return n->tail ? closure_push(t->closure, p->entries[n->a], x->frame, x->fresh)
                       : enter(t, x, p->entries[n->a], (struct frame){.node = n->b});
    case NODE_LOOP:
        return turn(t, x, x->node, n->lo, n->hi);
    case NODE_RETURN:
        return leave(t, x);
    }
    return 0;
}

static void closure_begin(struct closure *c)
{
    c->n_pending = c->n_items = c->n_seen = 0;
    c->accepts = false;
    if (++c->stamp == 0) {
        memset(c->stamps, 0, c->cap_seen * sizeof(*c->stamps));
        c->stamp = 1;
    }
}

static int closure_run(struct state_table *t)
{
    struct closure *c = t->closure;
    while (c->n_pending > 0) {
        const struct pending x = c->pending[--c->n_pending];
        if (follow(t, &x) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Orders stacks by content, never by number: numbers depend on what was asked before. */
static int compare_stacks(const struct frame *frames, uint32_t a, uint32_t b)
{
    while (a != b) {
        const struct frame *x = &frames[a], *y = &frames[b];
        if (x->depth != y->depth) {
            return x->depth < y->depth ? -1 : 1;
        }
        if (x->node != y->node) {
            return x->node < y->node ? -1 : 1;
        }
        if (x->turn != y->turn) {
            return x->turn < y->turn ? -1 : 1;
        }
        if (x->lo != y->lo) {
            return x->lo < y->lo ? -1 : 1;
        }
        if (x->hi != y->hi) {
            return x->hi < y->hi ? -1 : 1;
        }
        a = x->parent;
        b = y->parent;
    }
    return 0;
}

static int compare_items(const void *a, const void *b, void *frames)
{
    const struct item *x = a, *y = b;
    if (x->node != y->node) {
        return x->node < y->node ? -1 : 1;
    }
    return compare_stacks(frames, x->frame, y->frame);
}

/* The items that were found, sorted and without repetition. */
static void closure_sort(struct state_table *t)
{
    struct closure *c = t->closure;
    size_t kept = 0;
    if (c->n_items > 1) {
        qsort_r(c->items, c->n_items, sizeof(*c->items), compare_items, t->frames);
    }
    for (size_t i = 0; i < c->n_items && kept < STATE_ITEMS_MAX; i++) {
        if (kept == 0 || memcmp(&c->items[kept - 1], &c->items[i], sizeof(*c->items)) != 0) {
            c->items[kept++] = c->items[i];
        }
    }
    c->n_items = kept;
}

static int add_state(struct state_table *t, const struct item *items, size_t n, bool accepts)
{
    const size_t n_classes = t->program->n_classes;
    if (t->n_states >= UINT32_MAX - 2 || t->n_items + n > UINT32_MAX ||
        ARRAY_RESERVE(t->states, t->cap_states, t->n_states + 1) != 0 ||
        ARRAY_RESERVE(t->items, t->cap_items, t->n_items + n) != 0 ||
        ARRAY_RESERVE(t->transitions, t->cap_transitions, (t->n_states + 1) * n_classes) != 0) {
        return -1;
    }
    t->states[t->n_states] = (struct state){
        .items = (uint32_t)t->n_items, .n_items = (uint32_t)n, .accepts = accepts};
    if (n > 0) {
        memcpy(t->items + t->n_items, items, n * sizeof(*items));
    }
    t->n_items += n;
    memset(t->transitions + t->n_states * n_classes, n > 0 ? 0xFF : 0,
           n_classes * sizeof(*t->transitions));
    t->n_states++;
    return 0;
}

/* The state of the closure's items, a new one if they were never met. */
static uint32_t intern(struct state_table *t)
{
    struct closure *c = t->closure;
    closure_sort(t);
    if (c->n_items == 0 && !c->accepts) {
        return STATE_DEAD;
    }
    const uint64_t hash = hash_items(c->items, c->n_items, c->accepts);
    if (index_is_full(&t->state_index, t->n_states)) {
        if (index_grow(&t->state_index) != 0) {
            return STATE_FAILED;
        }
        for (size_t i = 1; i < t->n_states; i++) {
            const struct state *s = &t->states[i];
            index_put(&t->state_index, hash_items(t->items + s->items, s->n_items, s->accepts),
                      (uint32_t)i);
        }
    }
    for (size_t slot = hash & (t->state_index.n - 1); t->state_index.slots[slot] != 0;
         slot = (slot + 1) & (t->state_index.n - 1)) {
        const uint32_t i = t->state_index.slots[slot] - 1;
        const struct state *s = &t->states[i];
        if (s->n_items == c->n_items && s->accepts == c->accepts &&
            (c->n_items == 0 ||
             memcmp(t->items + s->items, c->items, c->n_items * sizeof(*c->items)) == 0)) {
            return i;
        }
    }
    if (add_state(t, c->items, c->n_items, c->accepts) != 0) {
        return STATE_FAILED;
    }
    index_put(&t->state_index, hash, (uint32_t)t->n_states - 1);
    return (uint32_t)t->n_states - 1;
}

/* Follows the edges of one item by a byte. */
static int read_byte(struct state_table *t, struct item item, uint8_t byte)
{
    const struct node *n = &t->program->nodes[item.node];
    for (uint32_t i = 0; i < n->b; i++) {
        const struct edge *edge = &t->program->edges[n->a + i];
        if (edge->lo > byte) {
            break;
        }
        if (byte <= edge->hi && closure_push(t->closure, edge->to, item.frame, 0) != 0) {
            return -1;
        }
    }
    return 0;
}

uint32_t state_table_step(struct state_table *t, uint32_t state, uint32_t byte_class)
{
    const struct state s = t->states[state];
    const uint8_t byte = t->program->class_byte[byte_class];
    closure_begin(t->closure);
    for (uint32_t i = 0; i < s.n_items; i++) {
        if (read_byte(t, t->items[s.items + i], byte) != 0) {
            return STATE_FAILED;
        }
    }
    const uint32_t to = closure_run(t) == 0 ? intern(t) : STATE_FAILED;
    if (to != STATE_FAILED) {
        t->transitions[(size_t)state * t->program->n_classes + byte_class] = to;
    }
    return to;
}

static uint32_t cut_counter(uint32_t count)
{
    return count > VOCAB_SHORT_MAX ? VOCAB_SHORT_MAX + 1 : count;
}

/* The stack `frame` of `from` with what `cut` makes of its counters, in t. from may be t
 * itself.
 */
static uint32_t copy_stack(struct state_table *t, const struct state_table *from,
                           uint32_t frame, bool cut)
{
    uint32_t path[GRAMMAR_DEPTH_MAX];
    size_t n = 0;
    uint32_t top = FRAME_BOTTOM;
    for (; frame != FRAME_BOTTOM; frame = from->frames[frame].parent) {
        path[n++] = frame;
    }
    while (n > 0 && top != STATE_FAILED) {
        struct frame f = from->frames[path[--n]];
        f.parent = top;
        if (cut) {
            f.lo = cut_counter(f.lo);
            f.hi = cut_counter(f.hi);
        }
        top = frame_intern(t, f);
    }
    return top;
}

static uint32_t copy_state(struct state_table *t, const struct state_table *from,
                           uint32_t state, bool cut)
{
    const struct state s = from->states[state];
    closure_begin(t->closure);
    t->closure->accepts = s.accepts;
    for (uint32_t i = 0; i < s.n_items; i++) {
        const struct item item = from->items[s.items + i];
        const uint32_t frame = copy_stack(t, from, item.frame, cut);
        if (frame == STATE_FAILED || closure_add(t->closure, item.node, frame) != 0) {
            return STATE_FAILED;
        }
    }
    return intern(t);
}

uint32_t state_table_view(struct state_table *t, uint32_t state)
{
    if (t->states[state].view == 0) {
        const bool cut = t->states[state].n_items <= VIEW_ITEMS_MAX;
        const uint32_t view = cut ? copy_state(t, t, state, true) : state;
        if (view == STATE_FAILED) {
            return STATE_FAILED;
        }
        t->states[state].view = view;
    }
    return t->states[state].view;
}

uint32_t state_table_import(struct state_table *t, const struct state_table *from,
                            uint32_t state)
{
    return copy_state(t, from, state, false);
}

size_t state_table_bytes(const struct state_table *t)
{
    return t->cap_states * sizeof(*t->states) + t->cap_items * sizeof(*t->items) +
           t->cap_frames * sizeof(*t->frames) + t->cap_transitions * sizeof(*t->transitions) +
           (t->state_index.n + t->frame_index.n) * sizeof(uint32_t) + t->mask_bytes;
}

static int find_start(struct state_table *t)
{
    const struct program *p = t->program;
    closure_begin(t->closure);
    if (closure_push(t->closure, p->entries[p->root], FRAME_BOTTOM, 0) != 0 ||
        closure_run(t) != 0) {
        return -1;
    }
    t->start = intern(t);
    return t->start == STATE_FAILED ? -1 : 0;
}

int state_table_init(struct state_table *t, const struct program *p)
{
    *t = (struct state_table){.program = p, .closure = mem_zalloc(sizeof(struct closure))};
    if (!t->closure || grow_seen(t->closure) != 0 ||
        ARRAY_RESERVE(t->frames, t->cap_frames, 1) != 0 ||
        ARRAY_RESERVE(t->items, t->cap_items, 1) != 0) {
        state_table_deinit(t);
        return -1;
    }
    t->frames[t->n_frames++] = (struct frame){0};
    if (add_state(t, NULL, 0, false) != 0 || find_start(t) != 0) {
        state_table_deinit(t);
        return -1;
    }
    return 0;
}

void state_table_deinit(struct state_table *t)
{
    for (size_t i = 0; i < t->n_states; i++) {
        mem_free(t->states[i].mask);
    }
    mem_free(t->states);
    mem_free(t->items);
    mem_free(t->frames);
    mem_free(t->transitions);
    mem_free(t->state_index.slots);
    mem_free(t->frame_index.slots);
    if (t->closure) {
        mem_free(t->closure->pending);
        mem_free(t->closure->seen);
        mem_free(t->closure->stamps);
        mem_free(t->closure->items);
        mem_free(t->closure);
    }
    *t = (struct state_table){0};
}
