#include "runtime/serve/model_budget.h"

static uint64_t excess(uint64_t wanted, uint64_t have)
{
    return wanted > have ? wanted - have : 0;
}

uint64_t budget_shortage(const struct budget_state *s, bool *now)
{
    uint64_t within_limit = s->limit > 0 ? excess(s->used + s->needed, s->limit) : 0;
    uint64_t within_machine = excess(s->at_least, s->left);
    uint64_t shortage = within_limit > within_machine ? within_limit : within_machine;
    *now = shortage == 0;
    return excess(shortage, s->leaving);
}

/* Whether `a` goes before `b`. */
static bool goes_first(const struct budget_item *a, const struct budget_item *b)
{
    return a->is_kept != b->is_kept ? a->is_kept : a->used_ns < b->used_ns;
}

static bool is_in(const size_t *chosen, size_t n, size_t item)
{
    size_t i = 0;
    while (i < n && chosen[i] != item) {
        i++;
    }
    return i < n;
}

/* The next to go; n: there is none. */
static size_t find_next(const struct budget_item *items, size_t n, const size_t *chosen,
                        size_t n_chosen)
{
    size_t next = n;
    for (size_t i = 0; i < n; i++) {
        bool can = items[i].may_go && !is_in(chosen, n_chosen, i);
        if (can && (next == n || goes_first(&items[i], &items[next]))) {
            next = i;
        }
    }
    return next;
}

/* One that is large enough alone may have come last: those before it that are not needed then
 * stay. The last to be chosen is the first that is looked at. */
static size_t leave_out(const struct budget_item *items, size_t *chosen, size_t n,
                        uint64_t surplus)
{
    for (size_t i = n; i-- > 0;) {
        if (items[chosen[i]].bytes <= surplus) {
            surplus -= items[chosen[i]].bytes;
            n--;
            for (size_t k = i; k < n; k++) {
                chosen[k] = chosen[k + 1];
            }
        }
    }
    return n;
}

size_t budget_choose(const struct budget_item *items, size_t n, uint64_t bytes, size_t *chosen)
{
    uint64_t sum = 0;
    size_t n_chosen = 0;
    while (sum < bytes) {
        size_t next = find_next(items, n, chosen, n_chosen);
        if (next == n) {
            return 0;
        }
        chosen[n_chosen++] = next;
        sum += items[next].bytes;
    }
    return leave_out(items, chosen, n_chosen, sum - bytes);
}
