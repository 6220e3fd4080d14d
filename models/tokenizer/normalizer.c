#include "models/tokenizer/normalizer.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define KEY_TABLE  "tokenizer.ggml.precompiled_charsmap"
#define KEY_PREFIX "tokenizer.ggml.add_space_prefix"
#define KEY_TRIM   "tokenizer.ggml.remove_extra_whitespaces"
#define UNIT       4 /* bytes */

/* --- loading --- */

static uint32_t read_u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int cut_table(struct normalizer *n, size_t size, const struct gguf *g, struct err *e)
{
    uint32_t trie = size >= UNIT ? read_u32(n->table) : 0;
    if (trie < UNIT || trie % UNIT != 0 || size - UNIT < trie) {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"%s\": a trie of %" PRIu32 " bytes in a table of %zu",
                       gguf_path(g), KEY_TABLE, trie, size);
    }
    n->n_units = trie / UNIT;
    n->replacements = (const char *)n->table + UNIT + trie;
    n->n_replacements = size - UNIT - trie;
    if (n->n_replacements == 0 || n->replacements[n->n_replacements - 1] != '\0') {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"%s\": the replacements do not end with a NUL",
                       gguf_path(g), KEY_TABLE);
    }
    return 0;
}

static int read_table(struct normalizer *n, const struct gguf *g, struct err *e)
{
    const struct gguf_kv *kv = gguf_kv_find(g, KEY_TABLE);
    enum gguf_type item = kv && kv->item_type == GGUF_I8 ? GGUF_I8 : GGUF_U8;
    size_t size;
    if (!kv) {
        return 0;
    }
    if (gguf_get_array(g, KEY_TABLE, item, &kv, &size, e) != 0) {
        return -1;
    }
    if (size == 0) {
        return 0;
    }
    n->table = mem_alloc(size);
    if (!n->table) {
        return err_nomem(e);
    }
    memcpy(n->table, kv->data, size);
    return cut_table(n, size, g, e);
}

static int read_flag(const struct gguf *g, const char *key, bool *out, struct err *e)
{
    return gguf_has(g, key) ? gguf_get_bool(g, key, out, e) : 0;
}

int normalizer_init(struct normalizer *n, const struct gguf *g, struct err *e)
{
    *n = (struct normalizer){.space_before = true};
    if (read_flag(g, KEY_PREFIX, &n->space_before, e) != 0 ||
        read_flag(g, KEY_TRIM, &n->trims, e) != 0) {
        return -1;
    }
    return read_table(n, g, e);
}

void normalizer_deinit(struct normalizer *n)
{
    mem_free(n->table);
    *n = (struct normalizer){0};
}

/* --- the trie --- */

/* A unit: a byte's label in bits 0 to 7 with bit 31, which must be clear; bit 8: a value hangs
 * below; bits 10 on: where the children are, 256 times as far if bit 9 is set. A value has
 * bit 31 set. Places outside the trie read as a unit that no byte fits. */
static uint32_t unit_at(const struct normalizer *n, size_t i)
{
    return i < n->n_units ? read_u32(n->table + UNIT * (i + 1)) : UINT32_MAX;
}

static size_t children_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << (unit & 1U << 9 ? 8 : 0);
}

/* What the value below a unit points to, or NULL where it points outside. */
static const char *replacement_at(const struct normalizer *n, size_t children)
{
    uint32_t value = unit_at(n, children) & 0x7fffffff;
    return value < n->n_replacements ? n->replacements + value : NULL;
}

/* The replacement of the longest sequence that `text` begins with, its length in *used; or
 * NULL. */
static const char *find_replacement(const struct normalizer *n, const char *text, size_t len,
                                    size_t *used)
{
    const char *found = NULL;
    if (!n->table) {
        return NULL;
    }
    size_t at = children_of(unit_at(n, 0));
    for (size_t i = 0; i < len && i < NORMALIZER_MAX_MATCH; i++) {
        unsigned char byte = (unsigned char)text[i];
        at ^= byte;
        uint32_t unit = unit_at(n, at);
        if ((unit & (1U << 31 | 0xff)) != byte) {
            break;
        }
        at ^= children_of(unit);
        const char *replacement = unit & 1U << 8 ? replacement_at(n, at) : NULL;
        if (replacement) {
            found = replacement;
            *used = i + 1;
        }
    }
    return found;
}

/* --- the text --- */

struct piece {
    const char *bytes;
    size_t len;
};

/* What the beginning of the text becomes; how much of it that is in *used. */
static struct piece next_piece(const struct normalizer *n, const char *text, size_t len,
                               size_t *used)
{
    uint32_t c;
    const char *found = find_replacement(n, text, len, used);
    if (found) {
        return (struct piece){found, strlen(found)};
    }
    int size = utf8_decode(text, len, &c);
    *used = size > 0 ? (size_t)size : 1;
    return size > 0 ? (struct piece){text, *used} : (struct piece){"\xef\xbf\xbd", 3};
}

int normalizer_apply(const struct normalizer *n, const char *text, size_t len, struct buf *out)
{
    const size_t begin = out->len;
    size_t used, floor = begin;
    bool after_space = n->trims; /* and a space here would be one too many */
    for (size_t at = 0; at < len; at += used) {
        struct piece p = next_piece(n, text + at, len - at, &used);
        for (; after_space && p.len > 0 && p.bytes[0] == ' '; p.len--) {
            p.bytes++;
        }
        if (p.len == 0) {
            continue;
        }
        if (out->len == begin && n->space_before) {
            buf_append_char(out, ' ');
            floor = out->len;
        }
        buf_append(out, p.bytes, p.len);
        after_space = n->trims && p.bytes[p.len - 1] == ' ';
    }
    while (n->trims && out->len > floor && out->data[out->len - 1] == ' ') {
        out->len--;
    }
    return out->failed ? -1 : 0;
}
