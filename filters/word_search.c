#include "filters/word_search.h"

#include "filters/letters.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define SKIP_WORTH 16u /* bytes; with fewer the automaton is faster */

int word_search_init(struct word_search *search, const struct word_set *set)
{
    /* A hit that is not final covers some of the held text, which is at most max_depth
     * characters, and no two cover the same one; the next character may complete two more,
     * one that ends before it. */
    uint64_t room = 1;
    while (room < (uint64_t)set->ac->max_depth + 2) {
        room *= 2;
    }
    *search = (struct word_search){.set = set, .mask = room - 1};
    search->starts = mem_array(room, sizeof(*search->starts));
    search->hits = mem_array(room, sizeof(*search->hits));
    if (!search->starts || !search->hits) {
        word_search_deinit(search);
        return -1;
    }
    return 0;
}

void word_search_deinit(struct word_search *search)
{
    mem_free(search->starts);
    mem_free(search->hits);
    search->starts = NULL;
    search->hits = NULL;
}

/* An occurrence is complete: it swallows the hits that it shares a character with. */
static void add_hit(struct word_search *search, struct word_hit hit)
{
    while (search->hit_count > 0) {
        const struct word_hit *last = word_search_hit(search, search->hit_count - 1);
        if (last->to <= hit.from) {
            break;
        }
        if (last->from <= hit.from) {
            hit.from = last->from;
            hit.label = last->label;
        }
        hit.is_known |= last->is_known;
        search->hit_count--;
    }
    *word_search_hit(search, search->hit_count) = hit;
    search->hit_count++;
}

/* One symbol that begins at `start`, and the occurrence that may end with it, at `end`.
 * Shorter occurrences that end there too lie within the longest. */
static void step(struct word_search *search, unsigned char symbol, uint64_t start, uint64_t end)
{
    const struct aho_corasick *ac = search->set->ac;
    search->starts[search->symbols & search->mask] = start;
    search->symbols++;
    search->node = aho_corasick_step(ac, search->node, symbol);
    uint32_t match = ac->nodes[search->node].match;
    if (match != AHO_CORASICK_ROOT) {
        uint64_t first = search->symbols - ac->nodes[match].depth;
        add_hit(search, (struct word_hit){
                            .from = search->starts[first & search->mask],
                            .to = end,
                            .label = ac->nodes[match].label,
                        });
    }
}

void word_search_feed(struct word_search *search, uint32_t code_point, size_t len)
{
    uint64_t start = search->at;
    search->at += len;
    uint32_t letter = word_set_letter(search->set, code_point);
    if (search->set->whole_words) {
        bool in_word = letter_is_in_word(letter);
        if (in_word != search->in_word) {
            step(search, WORD_MARK, start, start);
        }
        search->in_word = in_word;
    }
    char bytes[4];
    int n = utf8_encode(letter, bytes);
    for (int i = 0; i < n; i++) {
        step(search, (unsigned char)bytes[i], start, search->at);
    }
}

size_t word_search_skip(struct word_search *search, const char *text, size_t len)
{
    if (search->node != AHO_CORASICK_ROOT || len < SKIP_WORTH || (unsigned char)*text >= 0x80) {
        return 0;
    }
    size_t n = word_skip_over(&search->set->skip, text, len, search->in_word);
    search->at += n;
    if (n > 0 && search->set->whole_words) {
        search->in_word = letter_is_in_word((unsigned char)text[n - 1]);
    }
    return n;
}

void word_search_end(struct word_search *search)
{
    if (search->in_word) {
        step(search, WORD_MARK, search->at, search->at);
        search->in_word = false;
    }
    search->node = AHO_CORASICK_ROOT;
}

uint64_t word_search_hold(const struct word_search *search)
{
    uint32_t depth = search->set->ac->nodes[search->node].depth;
    return depth ? search->starts[(search->symbols - depth) & search->mask] : search->at;
}

struct word_hit *word_search_hit(struct word_search *search, size_t i)
{
    return &search->hits[(search->first_hit + i) & search->mask];
}

void word_search_drop_first(struct word_search *search)
{
    search->first_hit++;
    search->hit_count--;
}
