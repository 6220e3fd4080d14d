#include "filters/word_set.h"

#include "filters/letters.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define SYMBOLS_MAX ((size_t)64 << 20)

void word_set_init(struct word_set *set, bool ignores_case, bool whole_words)
{
    *set = (struct word_set){.ignores_case = ignores_case, .whole_words = whole_words};
    buf_init(&set->symbols, SYMBOLS_MAX);
}

static void forget_entries(struct word_set *set)
{
    buf_deinit(&set->symbols);
    mem_free(set->entries);
    set->entries = NULL;
    set->entry_count = 0;
    set->entry_cap = 0;
}

void word_set_deinit(struct word_set *set)
{
    forget_entries(set);
    aho_corasick_destroy(set->ac);
    set->ac = NULL;
    word_skip_deinit(&set->skip);
}

uint32_t word_set_letter(const struct word_set *set, uint32_t code_point)
{
    return set->ignores_case ? letter_fold(code_point) : code_point;
}

static struct word_entry *new_entry(struct word_set *set)
{
    if (set->entry_count == set->entry_cap) {
        size_t cap = set->entry_cap ? set->entry_cap * 2 : 64;
        struct word_entry *moved = mem_realloc_array(set->entries, cap, sizeof(*moved));
        if (!moved) {
            return NULL;
        }
        set->entries = moved;
        set->entry_cap = cap;
    }
    return &set->entries[set->entry_count++];
}

/* Appends the symbols of a word that is known to be UTF-8. */
static void append_symbols(struct word_set *set, const char *word, size_t len)
{
    bool in_word = false;
    for (size_t at = 0; at < len;) {
        uint32_t letter;
        at += (size_t)utf8_decode(word + at, len - at, &letter);
        letter = word_set_letter(set, letter);
        bool was_in_word = in_word;
        in_word = set->whole_words && letter_is_in_word(letter);
        if (in_word != was_in_word) {
            buf_append_char(&set->symbols, (char)WORD_MARK);
        }
        char bytes[4];
        int n = utf8_encode(letter, bytes);
        buf_append(&set->symbols, bytes, (size_t)n);
    }
    if (in_word) {
        buf_append_char(&set->symbols, (char)WORD_MARK);
    }
}

int word_set_add(struct word_set *set, const char *word, size_t len, uint32_t label,
                 struct err *e)
{
    if (len == 0) {
        return err_set(e, ERR_INVALID, "is empty");
    }
    if (len > WORD_SET_MAX_WORD) {
        return err_set(e, ERR_LIMIT, "is longer than %d bytes", WORD_SET_MAX_WORD);
    }
    if (!utf8_is_valid(word, len)) {
        return err_set(e, ERR_FORMAT, "is not UTF-8");
    }
    if (set->entry_count == WORD_SET_MAX_WORDS) {
        return err_set(e, ERR_LIMIT, "is one too many, %d words are allowed",
                       WORD_SET_MAX_WORDS);
    }
    struct word_entry *entry = new_entry(set);
    if (!entry) {
        return err_nomem(e);
    }
    size_t start = set->symbols.len;
    append_symbols(set, word, len);
    *entry =
        (struct word_entry){.start = start, .len = set->symbols.len - start, .label = label};
    return set->symbols.failed ? err_nomem(e) : 0;
}

static int build_skip(struct word_set *set)
{
    size_t shortest = SIZE_MAX;
    for (size_t i = 0; i < set->entry_count; i++) {
        shortest = set->entries[i].len < shortest ? set->entries[i].len : shortest;
    }
    if (word_skip_init(&set->skip, set->ignores_case, set->whole_words, set->entry_count,
                       shortest) != 0) {
        return -1;
    }
    for (size_t i = 0; i < set->entry_count; i++) {
        const struct word_entry *entry = &set->entries[i];
        word_skip_add(&set->skip, (const unsigned char *)set->symbols.data + entry->start,
                      entry->len);
    }
    return 0;
}

int word_set_build(struct word_set *set, struct err *e)
{
    struct ac_pattern *patterns = mem_array(set->entry_count, sizeof(*patterns));
    if (!patterns || build_skip(set) != 0) {
        mem_free(patterns);
        return err_nomem(e);
    }
    for (size_t i = 0; i < set->entry_count; i++) {
        const struct word_entry *entry = &set->entries[i];
        patterns[i] = (struct ac_pattern){
            .bytes = (const unsigned char *)set->symbols.data + entry->start,
            .len = entry->len,
            .label = entry->label,
        };
    }
    set->ac = aho_corasick_create(patterns, set->entry_count, e);
    mem_free(patterns);
    forget_entries(set);
    return set->ac ? 0 : -1;
}
