#include "models/weir-guard/corpus/grammar.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define FILE_MAX       ((size_t)16 << 20)
#define DEFAULT_WEIGHT 4
#define MAX_DEPTH      8 /* of lists within lists */

void grammar_init(struct grammar *g)
{
    *g = (struct grammar){0};
}

static void free_blocks(struct grammar_block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < blocks[i].count; k++) {
            mem_free(blocks[i].entries[k]);
        }
        mem_free(blocks[i].entries);
        mem_free(blocks[i].head);
    }
    mem_free(blocks);
}

void grammar_deinit(struct grammar *g)
{
    free_blocks(g->lists, g->list_count);
    free_blocks(g->texts, g->text_count);
    grammar_init(g);
}

/* ---- reading ---- */

static struct grammar_block *add_block(struct grammar_block **blocks, size_t *count,
                                       const char *head, size_t len)
{
    struct grammar_block *grown = mem_realloc_array(*blocks, *count + 1, sizeof(*grown));
    if (!grown) {
        return NULL;
    }
    *blocks = grown;
    struct grammar_block *block = &grown[*count];
    *block = (struct grammar_block){.head = mem_strndup(head, len)};
    if (!block->head) {
        return NULL;
    }
    (*count)++;
    return block;
}

static int add_entry(struct grammar_block *block, const char *text, size_t len)
{
    if (block->count == block->room) {
        size_t room = block->room ? 2 * block->room : 16;
        char **grown = mem_realloc_array(block->entries, room, sizeof(*grown));
        if (!grown) {
            return -1;
        }
        block->entries = grown;
        block->room = room;
    }
    block->entries[block->count] = mem_strndup(text, len);
    return block->entries[block->count] ? (block->count++, 0) : -1;
}

/* "@list NAME" or "@text LABELS [weight=N]"; NULL: neither. */
static struct grammar_block *begin_block(struct grammar *g, const char *line, size_t len)
{
    static const char list[] = "@list ", text[] = "@text ", weight[] = " weight=";
    const size_t head = sizeof(list) - 1;
    if (len > head && memcmp(line, list, head) == 0) {
        return add_block(&g->lists, &g->list_count, line + head, len - head);
    }
    if (len <= head || memcmp(line, text, head) != 0) {
        return NULL;
    }
    const char *number = memmem(line, len, weight, sizeof(weight) - 1);
    size_t labels = (number ? (size_t)(number - line) : len) - head;
    struct grammar_block *block = add_block(&g->texts, &g->text_count, line + head, labels);
    if (block) {
        block->weight =
            number ? (uint32_t)strtoul(number + sizeof(weight) - 1, NULL, 10) : DEFAULT_WEIGHT;
    }
    return block;
}

int grammar_read(struct grammar *g, const char *path, struct err *e)
{
    size_t len;
    char *text = file_read(path, FILE_MAX, &len, e);
    if (!text) {
        return -1;
    }
    struct grammar_block *block = NULL;
    int rc = 0;
    size_t number = 0;
    for (const char *line = text; rc == 0 && *line;) {
        size_t n = strcspn(line, "\n");
        number++;
        if (*line == '@') {
            block = begin_block(g, line, n);
            rc = block ? 0
                       : err_set(e, ERR_FORMAT, "%s:%zu: neither @list NAME nor @text LABELS",
                                 path, number);
        } else if (n > 0 && block) {
            rc = add_entry(block, line, n) == 0 ? 0 : err_nomem(e);
        }
        line += n + (line[n] == '\n');
    }
    mem_free(text);
    return rc;
}

/* FNV-1a: an entry stays in its split whatever stands before and after it in its block. */
static enum grammar_split split_of(const char *text, uint32_t parts)
{
    if (*text == '+') {
        return GRAMMAR_TRAIN;
    }
    uint32_t h = 2166136261u;
    for (; *text; text++) {
        h = (h ^ (unsigned char)*text) * 16777619u;
    }
    h ^= h >> 15;
    uint32_t roll = (h * 2654435761u >> 8) % parts;
    return roll == 0 ? GRAMMAR_HELDOUT : roll == 1 ? GRAMMAR_DEV : GRAMMAR_TRAIN;
}

static int part_block(struct grammar_block *block, uint32_t parts)
{
    char **parted = mem_array(block->count + 1, sizeof(*parted));
    if (!parted) {
        return -1;
    }
    size_t n = 0;
    for (int split = 0; split < GRAMMAR_SPLITS; split++) {
        for (size_t i = 0; i < block->count; i++) {
            if (split_of(block->entries[i], parts) == (enum grammar_split)split) {
                parted[n++] = block->entries[i];
            }
        }
        block->ends[split] = n;
    }
    mem_free(block->entries);
    block->entries = parted;
    return 0;
}

static const struct grammar_block *find_list(const struct grammar *g, const char *name,
                                             size_t len)
{
    for (size_t i = 0; i < g->list_count; i++) {
        if (strlen(g->lists[i].head) == len && memcmp(g->lists[i].head, name, len) == 0) {
            return &g->lists[i];
        }
    }
    return NULL;
}

static bool is_name(const char *text, size_t len)
{
    return len > 0 && strspn(text, "abcdefghijklmnopqrstuvwxyz") >= len;
}

static int check_block(const struct grammar *g, const struct grammar_block *block,
                       struct err *e)
{
    for (size_t i = 0; i < block->count; i++) {
        for (const char *p = strchr(block->entries[i], '{'); p; p = strchr(p + 1, '{')) {
            size_t len = strcspn(p + 1, "}");
            if (p[len + 1] == '}' && is_name(p + 1, len) && !find_list(g, p + 1, len)) {
                return err_set(e, ERR_NOT_FOUND, "no list {%.*s}, in \"%s\"", (int)len, p + 1,
                               block->entries[i]);
            }
        }
    }
    return block->count > 0 ? 0 : err_set(e, ERR_FORMAT, "\"%s\" is empty", block->head);
}

int grammar_finish(struct grammar *g, struct err *e)
{
    for (size_t i = 0; i < g->list_count + g->text_count; i++) {
        bool is_list = i < g->list_count;
        struct grammar_block *block = is_list ? &g->lists[i] : &g->texts[i - g->list_count];
        if (part_block(block, is_list ? GRAMMAR_LIST_PARTS : GRAMMAR_TEXT_PARTS) != 0) {
            return err_nomem(e);
        }
        if (check_block(g, block, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- drawing ---- */

struct drawing {
    const struct grammar *g;
    enum grammar_split split;
    struct rng *r;
    struct buf *out;
    int depth;
};

static size_t split_begin(const struct grammar_block *block, enum grammar_split split)
{
    return split > 0 ? block->ends[split - 1] : 0;
}

static const char *draw_entry(const struct grammar_block *block, enum grammar_split split,
                              struct rng *r)
{
    size_t from = split_begin(block, split), to = block->ends[split];
    bool is_shared = block->weight == 0 && (block->count < GRAMMAR_MIN_SPLIT || from == to);
    if (is_shared) {
        from = 0;
        to = block->count;
    }
    const char *entry = block->entries[from + rng_below(r, (uint32_t)(to - from))];
    return entry + (*entry == '+');
}

/* The end of the group that begins at `from`: its ")", or NULL if that is no group. */
static const char *group_end(const char *from, const char *end)
{
    int depth = 0;
    for (const char *p = from; p < end; p++) {
        depth += (*p == '(') - (*p == ')');
        if (depth == 0) {
            return p;
        }
    }
    return NULL;
}

static void fill(struct drawing *d, const char *from, const char *end);

/* One of the parts of text[from, end), which "|" keeps apart. */
static void fill_choice(struct drawing *d, const char *from, const char *end)
{
    uint32_t parts = 1;
    int depth = 0;
    for (const char *p = from; p < end; p++) {
        depth += (*p == '(') - (*p == ')');
        parts += depth == 0 && *p == '|';
    }
    uint32_t chosen = rng_below(d->r, parts);
    const char *begin = from;
    depth = 0;
    for (const char *p = from; p <= end; p++) {
        if (p == end || (depth == 0 && *p == '|')) {
            if (chosen-- == 0) {
                fill(d, begin, p);
                return;
            }
            begin = p + 1;
        } else {
            depth += (*p == '(') - (*p == ')');
        }
    }
}

static void fill(struct drawing *d, const char *from, const char *end)
{
    for (const char *p = from; p < end; p++) {
        const char *close;
        if (*p == '(' && (close = group_end(p, end)) != NULL) {
            bool is_optional = close + 1 < end && close[1] == '?';
            if (!is_optional || rng_below(d->r, 2) == 0) {
                fill_choice(d, p + 1, close);
            }
            p = close + is_optional;
            continue;
        }
        size_t len = *p == '{' ? strcspn(p + 1, "}") : 0;
        const struct grammar_block *list =
            len > 0 && is_name(p + 1, len) ? find_list(d->g, p + 1, len) : NULL;
        if (list && d->depth < MAX_DEPTH) {
            const char *entry = draw_entry(list, d->split, d->r);
            d->depth++;
            fill(d, entry, entry + strlen(entry));
            d->depth--;
            p += len + 1;
        } else {
            buf_append_char(d->out, *p);
        }
    }
}

static void draw_from(const struct grammar *g, const struct grammar_block *block,
                      enum grammar_split split, struct rng *r, struct buf *out)
{
    struct drawing d = {.g = g, .split = split, .r = r, .out = out};
    const char *entry = draw_entry(block, split, r);
    fill(&d, entry, entry + strlen(entry));
}

void grammar_draw_list(const struct grammar *g, const char *name, enum grammar_split split,
                       struct rng *r, struct buf *out)
{
    const struct grammar_block *list = find_list(g, name, strlen(name));
    if (list) {
        draw_from(g, list, split, r, out);
    }
}

/* 0 for templates that have none in the split. */
static uint32_t weight_in(const struct grammar_block *block, enum grammar_split split)
{
    return split_begin(block, split) < block->ends[split] ? block->weight : 0;
}

const char *grammar_draw_text(const struct grammar *g, enum grammar_split split, struct rng *r,
                              struct buf *out)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < g->text_count; i++) {
        sum += weight_in(&g->texts[i], split);
    }
    uint32_t at = rng_below(r, sum);
    const struct grammar_block *block = g->texts;
    for (; at >= weight_in(block, split); block++) {
        at -= weight_in(block, split);
    }
    draw_from(g, block, split, r, out);
    return strcmp(block->head, "benign") == 0 ? "" : block->head;
}
