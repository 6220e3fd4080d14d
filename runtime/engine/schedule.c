#include "runtime/engine/schedule.h"

#include <string.h>

#include "runtime/base/mem.h"

#define GUESS_LOGITS 32 /* rows of a step that may be guesses */
#define PREFILL_MIN  16 /* rows: prompts go on, however slow a step is */
#define GUESS_MEMORY 0.8

int schedule_init(struct schedule *sch, const struct llama_config *c,
                  const struct schedule_settings *s, struct err *e)
{
    size_t max_sequences = (size_t)s->max_sequences;
    size_t max_rows = (size_t)s->max_rows;
    *sch = (struct schedule){.max_sequences = s->max_sequences,
                             .max_rows = s->max_rows,
                             .max_logits = s->max_sequences + GUESS_LOGITS,
                             .context = s->context,
                             .step_s = s->step_s,
                             .guesses = s->guesses};
    sch->running = mem_zarray(max_sequences, sizeof(struct sequence *));
    sch->order = mem_zarray(max_sequences, sizeof(struct sequence *));
    sch->rows = mem_zarray(max_rows, sizeof(*sch->rows));
    sch->samples = mem_zarray(max_sequences, sizeof(*sch->samples));
    sch->published = mem_zarray(max_rows, sizeof(*sch->published));
    if (!sch->running || !sch->order || !sch->rows || !sch->samples || !sch->published) {
        return err_nomem(e);
    }
    if (kv_cache_init(&sch->kv, c, s->kv_type, s->max_sequences, s->context, s->n_pages, e) !=
        0) {
        return -1;
    }
    return kv_pool_init(&sch->pool, s->n_pages, e);
}

void schedule_deinit(struct schedule *sch)
{
    for (int i = 0; i < sch->n_running; i++) {
        sequence_destroy(sch->order[i]);
    }
    for (struct sequence *s = sch->preempted, *next; s; s = next) {
        next = s->next;
        sequence_destroy(s);
    }
    mem_free(sch->running);
    mem_free(sch->order);
    mem_free(sch->rows);
    mem_free(sch->samples);
    mem_free(sch->published);
    kv_pins_deinit(&sch->pins);
    kv_pool_deinit(&sch->pool);
    kv_cache_deinit(&sch->kv);
}

/* --- joining and leaving --- */

bool schedule_has_room(const struct schedule *sch, const struct sequence *s)
{
    if (sch->n_running == 0) {
        return true;
    }
    /* Each running one will want a page soon. */
    size_t wanted = kv_cache_pages((int)s->n_tokens) + (size_t)sch->n_running;
    return sch->n_running < sch->max_sequences &&
           (size_t)kv_pool_available(&sch->pool) >= wanted;
}

void schedule_join(struct schedule *sch, struct sequence *s)
{
    int slot = 0;
    while (sch->running[slot]) {
        slot++;
    }
    s->slot = slot;
    sch->running[slot] = s;
    int at = sch->n_running++;
    for (; at > 0 && sequence_precedes(s, sch->order[at - 1]); at--) {
        sch->order[at] = sch->order[at - 1];
    }
    sch->order[at] = s;
}

/* The last ones first, so that of a chain that is no longer held its end is taken before its
 * beginning. */
static void drop_pages(struct schedule *sch, struct sequence *s, size_t keep)
{
    while (s->kv.n_pages > keep) {
        kv_pool_release(&sch->pool, s->pages[--s->kv.n_pages]);
    }
}

static void forget_slot(struct schedule *sch, struct sequence *s)
{
    sch->running[s->slot] = NULL;
    int at = 0;
    while (sch->order[at] != s) {
        at++;
    }
    sch->n_running--;
    memmove(&sch->order[at], &sch->order[at + 1],
            (size_t)(sch->n_running - at) * sizeof(struct sequence *));
    s->slot = -1;
}

void schedule_leave(struct schedule *sch, struct sequence *s)
{
    drop_pages(sch, s, 0);
    forget_slot(sch, s);
}

static void preempt(struct schedule *sch, struct sequence *s)
{
    drop_pages(sch, s, 0);
    s->kv = (struct sequence_kv){0};
    forget_slot(sch, s);
    s->next = sch->preempted;
    sch->preempted = s;
    sch->stats.preemptions++;
}

bool schedule_yield_paused(struct schedule *sch)
{
    for (int i = sch->n_running - 1; i >= 0; i--) {
        if (sch->order[i]->paused) {
            preempt(sch, sch->order[i]);
            return true;
        }
    }
    return false;
}

void schedule_pin(struct schedule *sch, struct sequence *s)
{
    kv_pins_add(&sch->pins, &sch->pool, s->options.pin, s->pages, s->kv.n_published);
}

/* --- pages --- */

/* Lets a sequence that comes after `s`, or that is paused, give its pages up. */
static bool make_room(struct schedule *sch, const struct sequence *s)
{
    for (int i = sch->n_running - 1; i >= 0; i--) {
        struct sequence *victim = sch->order[i];
        bool may = victim != s && victim->n_rows == 0 && victim->kv.n_pages > 0;
        if (may && (victim->paused || sequence_precedes(s, victim))) {
            preempt(sch, victim);
            return true;
        }
    }
    return kv_pins_remove_oldest(&sch->pins, &sch->pool);
}

static void add_page(struct schedule *sch, struct sequence *s, int page)
{
    kv_cache_map(&sch->kv, s->slot, s->kv.n_pages, page);
    s->pages[s->kv.n_pages++] = page;
}

/* Pages for the first n positions. `insist`: at the cost of others. */
static bool ensure_pages(struct schedule *sch, struct sequence *s, size_t n, bool insist)
{
    while (s->kv.n_pages * KV_PAGE_POSITIONS < n) {
        int page = kv_pool_take(&sch->pool);
        if (page != KV_PAGE_NONE) {
            add_page(sch, s, page);
        } else if (!insist || !make_room(sch, s)) {
            return false;
        }
    }
    return true;
}

/* The content of page `index` of s, whose tokens are all known. */
static struct kv_content content_of(const struct sequence *s, size_t index)
{
    const struct llama_adapter *adapter = s->options.adapter;
    struct kv_content c = {.before = s->kv.chain, .adapter = adapter ? adapter->id : 0};
    size_t first = index * KV_PAGE_POSITIONS;
    if (first + KV_PAGE_POSITIONS > s->options.n_shared) {
        c.salt = s->options.salt;
    }
    memcpy(c.tokens, s->tokens + first, sizeof(c.tokens));
    return c;
}

static void publish_full(struct schedule *sch, struct sequence *s)
{
    while ((s->kv.n_published + 1) * KV_PAGE_POSITIONS <= s->kv.n_past) {
        size_t index = s->kv.n_published++;
        int page = s->pages[index];
        struct kv_content c = content_of(s, index);
        s->kv.chain = kv_pool_publish(&sch->pool, page, &c);
        if (s->n_rows > 0 && sch->n_published < sch->max_rows) {
            sch->published[sch->n_published++] = page;
        }
    }
}

/* --- taking over what others have computed --- */

/* Tokens whose keys and values may be taken over: to get logits, one has to be computed. */
static size_t adoptable(const struct sequence *s)
{
    return s->options.pin ? s->n_tokens : s->n_tokens - 1;
}

/* The prompt was read up to n_past, of which the last `cached` tokens were found. What is read
 * again after a preemption does not count again. */
static void count_read(struct schedule *sch, struct sequence *s, size_t cached)
{
    size_t end = s->kv.n_past < s->n_prompt ? s->kv.n_past : s->n_prompt;
    if (end <= s->n_counted) {
        return;
    }
    size_t n = end - s->n_counted;
    cached = cached < n ? cached : n;
    s->n_counted = end;
    s->n_cached += (int)cached;
    sch->stats.prompt_tokens += n;
    sch->stats.cached_tokens += cached;
}

/* Full pages from where s stands. */
static void adopt_pages(struct schedule *sch, struct sequence *s)
{
    while (s->kv.n_past % KV_PAGE_POSITIONS == 0 &&
           s->kv.n_past + KV_PAGE_POSITIONS <= adoptable(s)) {
        struct kv_content c = content_of(s, s->kv.n_published);
        int page = kv_pool_find(&sch->pool, &c);
        if (page == KV_PAGE_NONE) {
            return;
        }
        add_page(sch, s, page);
        s->kv.n_past += KV_PAGE_POSITIONS;
        s->kv.n_published++;
        s->kv.chain = kv_pool_chain(&sch->pool, page);
        count_read(sch, s, KV_PAGE_POSITIONS);
    }
}

/* How many tokens of the page that s is to begin lie ready in a page of `other`. */
static size_t common_in_page(const struct schedule *sch, const struct sequence *s,
                             const struct sequence *other)
{
    size_t index = s->kv.n_published;
    size_t first = index * KV_PAGE_POSITIONS;
    /* What this step computes is not there yet, and `other` may have taken such a page over. */
    size_t stored = other->before.n_past;
    if (other == s || stored <= first || other->options.adapter != s->options.adapter ||
        (index > 0 && kv_pool_chain(&sch->pool, other->pages[index - 1]) != s->kv.chain)) {
        return 0;
    }
    size_t end = first + KV_PAGE_POSITIONS;
    end = end < stored ? end : stored;
    end = end < adoptable(s) ? end : adoptable(s);
    if (s->options.salt != other->options.salt) {
        size_t open = s->options.n_shared < other->options.n_shared ? s->options.n_shared
                                                                    : other->options.n_shared;
        end = end < open ? end : open;
    }
    size_t n = 0;
    while (first + n < end && s->tokens[first + n] == other->tokens[first + n]) {
        n++;
    }
    return n;
}

/* Of the page in which s parts from all others, the beginning of it that one of them has. */
static void adopt_beginning(struct schedule *sch, struct sequence *s)
{
    const struct sequence *best = NULL;
    size_t most = 0;
    for (int i = 0; i < sch->n_running; i++) {
        size_t n = common_in_page(sch, s, sch->order[i]);
        if (n > most) {
            most = n;
            best = sch->order[i];
        }
    }
    if (best) {
        int from = best->pages[s->kv.n_published];
        int page = kv_pool_take(&sch->pool);
        if (page != KV_PAGE_NONE) {
            kv_cache_copy_page(&sch->kv, page, from);
            add_page(sch, s, page);
            s->kv.n_past += most;
            count_read(sch, s, most);
            publish_full(sch, s); /* all of it, where the pool had lost the original */
        }
    }
}

/* --- rows --- */

static struct llama_row *add_row(struct schedule *sch, struct sequence *s, size_t position,
                                 int32_t token)
{
    struct llama_row *row = &sch->rows[sch->n_rows++];
    *row = (struct llama_row){.token = token,
                              .position = (int32_t)position,
                              .slot = s->slot,
                              .adapter = s->options.adapter};
    s->n_rows++;
    return row;
}

static void want_logits(struct schedule *sch, struct llama_row *row)
{
    row->want_logits = true;
    sch->n_logits++;
}

static void add_sample(struct schedule *sch, struct sequence *s)
{
    sch->samples[sch->n_samples++] =
        (struct schedule_sample){.sequence = s, .logits = sch->n_logits};
}

static int count_decoding(const struct schedule *sch)
{
    int n = 0;
    for (int i = 0; i < sch->n_running; i++) {
        n += sequence_decodes(sch->order[i]) && !sch->order[i]->paused;
    }
    return n;
}

/* How many guesses of s are worth their time: n tokens come true with the probability hit^n,
 * and make a step longer by so much. */
static int worth_guessing(const struct schedule *sch, const struct sequence *s, int n_decoding)
{
    if (sch->guesses == ENGINE_GUESSES_ALWAYS) {
        return PROMPT_LOOKUP_MAX;
    }
    double now = step_cost_of(&sch->cost, n_decoding);
    double expected = 1.0, chance = 1.0, best = 1.0;
    int n = 0;
    for (int i = 1; i <= PROMPT_LOOKUP_MAX && now > 0.0; i++) {
        chance *= s->guess_hit;
        expected += chance;
        double gain = (n_decoding - 1 + expected) / n_decoding * now /
                      step_cost_of(&sch->cost, n_decoding + i);
        if (gain > best) {
            best = gain;
            n = i;
        }
    }
    return n;
}

static void add_guesses(struct schedule *sch, struct sequence *s, int n_decoding)
{
    const int most[] = {
        s->n_known,
        worth_guessing(sch, s, n_decoding),
        sch->context - (int)s->n_tokens,
        sch->max_rows - sch->n_rows - sch->max_sequences,
        sch->max_logits - sch->max_sequences - (sch->n_logits - sch->n_samples),
    };
    s->n_guess = most[0];
    for (size_t i = 1; i < sizeof(most) / sizeof(most[0]); i++) {
        s->n_guess = most[i] < s->n_guess ? most[i] : s->n_guess;
    }
    /* Guesses are not worth another sequence's pages. */
    while (s->n_guess > 0 && !ensure_pages(sch, s, s->n_tokens + (size_t)s->n_guess, false)) {
        s->n_guess--;
    }
    for (int i = 0; i < s->n_guess; i++) {
        want_logits(sch, add_row(sch, s, s->n_tokens + (size_t)i, s->guess[i]));
    }
    s->n_guess = s->n_guess > 0 ? s->n_guess : 0;
    sch->stats.guessed_tokens += (uint64_t)s->n_guess;
}

static void decode(struct schedule *sch, struct sequence *s, int n_decoding)
{
    if (!ensure_pages(sch, s, s->kv.n_past + 1, true)) {
        return;
    }
    add_sample(sch, s);
    want_logits(sch, add_row(sch, s, s->kv.n_past, s->tokens[s->kv.n_past]));
    s->kv.n_past++;
    publish_full(sch, s);
    if (sch->guesses != ENGINE_GUESSES_NEVER) {
        s->n_known = prompt_lookup(s->tokens, s->n_tokens, s->guess, PROMPT_LOOKUP_MAX);
        add_guesses(sch, s, n_decoding);
    }
}

/* The others of a request wait until the first has read the prompt they share. */
static bool waits_for_leader(const struct schedule *sch, const struct sequence *s)
{
    for (int i = 0; i < sch->n_running && s->options.follows; i++) {
        const struct sequence *leader = sch->order[i];
        if (leader->id == s->options.follows) {
            return leader->n_output == 0;
        }
    }
    return false;
}

static void read_prompt(struct schedule *sch, struct sequence *s, int max_rows)
{
    while (sequence_to_go(s) > 0) {
        if (s->kv.n_past % KV_PAGE_POSITIONS == 0) {
            adopt_pages(sch, s);
            if (s->kv.n_past % KV_PAGE_POSITIONS == 0 &&
                s->kv.n_pages * KV_PAGE_POSITIONS == s->kv.n_past &&
                adoptable(s) > s->kv.n_past) {
                adopt_beginning(sch, s);
            }
            if (sequence_to_go(s) == 0) {
                return; /* all of it was there; only a prompt without an answer ends so */
            }
        }
        if (sch->n_rows >= max_rows || !ensure_pages(sch, s, s->kv.n_past + 1, true)) {
            return;
        }
        struct llama_row *row = add_row(sch, s, s->kv.n_past, s->tokens[s->kv.n_past]);
        s->kv.n_past++;
        count_read(sch, s, 0);
        publish_full(sch, s);
        if (sequence_to_go(s) == 0 && !s->options.pin) {
            add_sample(sch, s);
            want_logits(sch, row);
        }
    }
}

/* Rows of this step, those that decode included. */
static int rows_in_time(const struct schedule *sch)
{
    if (sch->n_rows == 0) {
        return sch->max_rows; /* nobody waits for the next token */
    }
    int rows = step_cost_rows(&sch->cost, sch->step_s, sch->max_rows);
    int least = sch->n_rows + PREFILL_MIN;
    rows = rows > least ? rows : least;
    return rows < sch->max_rows ? rows : sch->max_rows;
}

void schedule_build(struct schedule *sch)
{
    sch->n_rows = sch->n_samples = sch->n_logits = sch->n_published = 0;
    for (int i = 0; i < sch->n_running; i++) {
        struct sequence *s = sch->order[i];
        s->before = s->kv;
        s->n_rows = 0;
        s->n_guess = s->n_known = 0;
    }
    /* A sequence that is preempted leaves `order` while it is walked; those that are missed for
     * it come in the next step. */
    int n_decoding = count_decoding(sch);
    for (int i = 0; i < sch->n_running; i++) {
        struct sequence *s = sch->order[i];
        if (sequence_decodes(s) && !s->paused) {
            decode(sch, s, n_decoding);
        }
    }
    int max_rows = rows_in_time(sch);
    for (int i = 0; i < sch->n_running; i++) {
        struct sequence *s = sch->order[i];
        if (s->n_rows == 0 && !sequence_decodes(s) && !s->paused && !waits_for_leader(sch, s)) {
            read_prompt(sch, s, max_rows);
        }
    }
}

void schedule_done(struct schedule *sch, double seconds)
{
    step_cost_observe(&sch->cost, sch->n_rows, seconds);
}

void schedule_undo(struct schedule *sch)
{
    for (int i = 0; i < sch->n_published; i++) {
        kv_pool_forget(&sch->pool, sch->published[i]);
    }
    for (int i = 0; i < sch->n_running; i++) {
        struct sequence *s = sch->order[i];
        drop_pages(sch, s, s->before.n_pages);
        s->kv = s->before;
    }
}

bool schedule_append(struct schedule *sch, struct sequence *s, int32_t token, int index)
{
    s->tokens[s->n_tokens++] = token;
    bool right = index < s->n_known && s->guess[index] == token;
    if (index < s->n_known) { /* what was not worth a row is counted too: it may be again */
        s->guess_hit = GUESS_MEMORY * s->guess_hit + (right ? 1.0 - GUESS_MEMORY : 0.0);
    }
    if (!right || index >= s->n_guess) {
        return false;
    }
    sch->stats.accepted_tokens++;
    s->kv.n_past++;
    publish_full(sch, s);
    return true;
}

uint64_t schedule_largest(const struct schedule *sch)
{
    for (int i = 0; i < sch->n_running; i++) {
        if (2 * sch->order[i]->n_rows > sch->n_rows) {
            return sch->order[i]->id;
        }
    }
    return 0;
}
