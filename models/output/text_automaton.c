#include "models/output/text_automaton.h"

#include <string.h>

/* A state: the first len bytes of a word. Of several words that begin alike the first stands
 * for all. */
struct state {
    bool start; /* nothing but these bytes and white space has come yet */
    size_t word;
    size_t len;
};

struct automaton {
    const char *name;
    const struct text_word *words;
    size_t n;
    bool may_end;
    struct buf *out;
};

static const char *const gbnf_space = " \t\n\r";

static bool is_space(char c)
{
    return c != '\0' && strchr(gbnf_space, c);
}

void gbnf_put_literal(const char *text, struct buf *out)
{
    buf_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, *text);
    }
    buf_append_char(out, '"');
}

/* Finds the state of these bytes. The empty one always exists. */
static bool find(const struct automaton *a, bool start, const char *text, size_t len,
                 struct state *out)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct text_word *w = &a->words[i];
        if ((start || !w->at_start) && strlen(w->text) >= len &&
            memcmp(w->text, text, len) == 0) {
            *out = (struct state){start, i, len};
            return true;
        }
    }
    *out = (struct state){start, 0, 0};
    return len == 0;
}

/* The state at the beginning of the text that follows s and a character, if it is there too. A
 * space in a word is passed by white space, and by what stands behind it. */
static bool next_at_start(const struct automaton *a, const struct state *s, char c,
                          struct state *out)
{
    char text[64];
    const size_t len = s->len;

    if (len + 2 >= sizeof(text)) {
        return false;
    }
    memcpy(text, a->words[s->word].text, len);
    if (is_space(c)) {
        if (len == 0 || text[len - 1] == ' ') {
            *out = *s;
            return true;
        }
        text[len] = ' ';
        return find(a, true, text, len + 1, out);
    }
    text[len] = c;
    if (find(a, true, text, len + 1, out)) {
        return true;
    }
    text[len] = ' ';
    text[len + 1] = c;
    return find(a, true, text, len + 2, out);
}

static struct state next(const struct automaton *a, const struct state *s, char c)
{
    char text[64];
    struct state out;

    if (s->start && next_at_start(a, s, c, &out)) {
        return out;
    }
    memcpy(text, a->words[s->word].text, s->len);
    text[s->len] = c;
    for (size_t skip = 0; skip <= s->len; skip++) {
        if (find(a, false, text + skip, s->len + 1 - skip, &out)) {
            return out;
        }
    }
    return (struct state){0};
}

/* --- rules --- */

/* A state's number is that of its word's bytes, all words in a row. */
static void put_name(const struct automaton *a, const struct state *s)
{
    size_t number = s->len;

    for (size_t i = 0; s->len > 0 && i < s->word; i++) {
        number += strlen(a->words[i].text);
    }
    buf_printf(a->out, "%s-%c%zu", a->name, s->start ? 'a' : 'f', number);
}

static void put_class_char(char c, struct buf *out)
{
    buf_printf(out, "\\x%02X", (unsigned)(unsigned char)c);
}

/* The alternative that goes on with c, unless it is what all others do. */
static bool put_alternative(const struct automaton *a, const struct state *s, char c, bool *any)
{
    const struct state to = next(a, s, c);
    const struct text_word *w = &a->words[to.word];
    const bool complete = to.len > 0 && w->text[to.len] == '\0';

    if (!to.start && to.len == 0) {
        return false;
    }
    if (complete && !w->target) {
        return true;
    }
    buf_append_str(a->out, *any ? " | [" : "[");
    put_class_char(c, a->out);
    buf_append_str(a->out, "] ");
    if (complete) {
        buf_append_str(a->out, w->target);
    } else {
        put_name(a, &to);
    }
    *any = true;
    return true;
}

static void put_rule(const struct automaton *a, const struct state *s, const char *alphabet)
{
    struct buf others;
    bool any = false;

    buf_init(&others, 4096);
    put_name(a, s);
    buf_append_str(a->out, " ::= ");
    for (const char *c = alphabet; *c; c++) {
        if (put_alternative(a, s, *c, &any)) {
            put_class_char(*c, &others);
        }
    }
    buf_append_str(a->out, any ? " | " : "");
    /* Whatever else comes: nothing of a word has been met. */
    buf_printf(a->out, others.len > 0 ? "[^%s] " : ". ", others.data ? others.data : "");
    put_name(a, &(struct state){0});
    buf_append_str(a->out, a->may_end ? " | \"\"\n" : "\n");
    a->out->failed = a->out->failed || others.failed;
    buf_deinit(&others);
}

/* All characters that can matter. */
static void gather(const struct automaton *a, char alphabet[128])
{
    size_t n = 0;
    bool seen[128] = {false};

    for (size_t i = 0; i < a->n; i++) {
        for (const char *c = a->words[i].text; *c; c++) {
            seen[(unsigned char)*c & 127] = true;
        }
    }
    for (const char *c = gbnf_space; *c; c++) {
        seen[(unsigned char)*c] = true;
    }
    for (int c = 1; c < 128; c++) {
        if (seen[c]) {
            alphabet[n++] = (char)c;
        }
    }
    alphabet[n] = '\0';
}

static void put_states(const struct automaton *a, bool start, const char *alphabet)
{
    struct state s;

    find(a, start, "", 0, &s);
    put_rule(a, &s, alphabet);
    for (size_t i = 0; i < a->n; i++) {
        const char *text = a->words[i].text;
        for (size_t len = 1; text[len] != '\0'; len++) {
            if (find(a, start, text, len, &s) && s.word == i) {
                put_rule(a, &s, alphabet);
            }
        }
    }
}

void text_automaton_write(const char *name, const struct text_word *words, size_t n,
                          bool may_end, struct buf *out)
{
    const struct automaton a = {name, words, n, may_end, out};
    char alphabet[128];

    gather(&a, alphabet);
    put_states(&a, true, alphabet);
    put_states(&a, false, alphabet);
}
