#include "models/weir-tiny/corpus/dirt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/weir-tiny/corpus/dirt_harmful.inc"
#include "models/weir-tiny/corpus/dirt_personal.inc"
#include "models/weir-tiny/corpus/dirt_spam.inc"
#include "models/weir-tiny/corpus/question.h"
#include "runtime/base/mem.h"

#define KEPT      64
#define TEXT_MAX  8000
#define LABEL_MAX 31
#define EDIT_EACH 40 /* words of a near duplicate for one edit */

struct kept {
    bool is_text;
    struct conversation c;
    char text[TEXT_MAX];
};

struct dirt {
    enum corpus_split split;
    struct kept *kept; /* (KEPT) the last ones */
    size_t n_kept, next;
    struct conversation *leaks; /* (n_leaks) */
    size_t n_leaks;
    char label[LABEL_MAX + 1];
    char text[TEXT_MAX]; /* of a line that is prose */
    struct kept copy;
};

struct dirt *dirt_create(enum corpus_split split, uint64_t leak_seed, long leak_items)
{
    struct dirt *d = mem_zalloc(sizeof(*d));
    size_t n = question_kind_count() * (size_t)leak_items;
    struct kept *kept = mem_zarray(KEPT, sizeof(*kept));
    struct conversation *leaks = mem_zarray(n + 1, sizeof(*leaks));
    if (!d || !kept || !leaks) {
        fprintf(stderr, "weir-tiny-corpus: out of memory\n");
        exit(1);
    }
    d->split = split;
    d->kept = kept;
    d->leaks = leaks;
    struct rng r;
    struct expect want;
    rng_seed(&r, leak_seed);
    for (size_t i = 0; i < n; i++) {
        question_draw(&r, CORPUS_HELDOUT, i / (size_t)leak_items, &leaks[i], &want);
    }
    d->n_leaks = n;
    return d;
}

void dirt_destroy(struct dirt *d)
{
    if (d) {
        mem_free(d->kept);
        mem_free(d->leaks);
        mem_free(d);
    }
}

static struct kept *next_kept(struct dirt *d)
{
    struct kept *k = &d->kept[d->next++ % KEPT];
    d->n_kept += d->n_kept < KEPT;
    return k;
}

void dirt_keep_conversation(struct dirt *d, const struct conversation *c)
{
    struct kept *k = next_kept(d);
    k->is_text = false;
    k->c = *c;
}

void dirt_keep_text(struct dirt *d, const char *text)
{
    if (strlen(text) < TEXT_MAX) {
        struct kept *k = next_kept(d);
        k->is_text = true;
        corpus_copy(k->text, TEXT_MAX, text);
    }
}

/* ---- words and what makes other text of them ---- */

static size_t count_words(const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        n += *text == ' ' || *text == '\n';
    }
    return n + 1;
}

static size_t kept_words(const struct kept *k)
{
    size_t n = k->is_text ? count_words(k->text) : count_words(k->c.system);
    for (size_t i = 0; !k->is_text && i < k->c.n_turns; i++) {
        n += count_words(k->c.turns[i].user) + count_words(k->c.turns[i].assistant);
    }
    return n;
}

/* Puts `word` in place of the nth word; its punctuation stays. */
static void change_word(char *text, size_t size, size_t nth, const char *word)
{
    size_t begin = 0, end;
    for (; nth > 0 && text[begin]; nth--) {
        begin += strcspn(text + begin, " \n");
        begin += text[begin] != '\0';
    }
    for (end = begin; isalnum((unsigned char)text[end]); end++) {
    }
    size_t len = strlen(text), n = strlen(word);
    if (end > begin && len - (end - begin) + n + 1 < size) {
        memmove(text + begin + n, text + end, len - end + 1);
        memcpy(text + begin, word, n);
    }
}

static void change_any_word(struct rng *r, char *text, size_t size)
{
    static const char *const other[] = {"really", "quite", "teh",  "maybe",
                                        "today",  "soon",  "thing"};
    change_word(text, size, rng_below(r, (uint32_t)count_words(text)), CORPUS_PICK(r, other));
}

static void edit(struct rng *r, struct kept *k)
{
    if (k->is_text) {
        change_any_word(r, k->text, sizeof(k->text));
        return;
    }
    struct turn *turn = &k->c.turns[rng_below(r, (uint32_t)k->c.n_turns)];
    if (corpus_chance(r, 40)) {
        change_any_word(r, turn->user, sizeof(turn->user));
    } else {
        change_any_word(r, turn->assistant, sizeof(turn->assistant));
    }
}

static void shout(char *text)
{
    for (; *text; text++) {
        *text = (char)toupper((unsigned char)*text);
    }
}

/* ---- kinds ---- */

static void set_label(struct dirt *d, const char *kind, const char *detail)
{
    snprintf(d->label, sizeof(d->label), "%s%s%s", kind, detail ? "." : "",
             detail ? detail : "");
}

static void write_kept(const struct dirt *d, const struct kept *k, struct buf *line)
{
    if (k->is_text) {
        buf_append_str(line, "{\"text\":");
        conversation_write_string(k->text, line);
    } else {
        buf_append_char(line, '{');
        conversation_write(&k->c, false, line);
    }
    buf_printf(line, ",\"label\":\"%s\"}", d->label);
}

static void write_text(const struct dirt *d, struct buf *line)
{
    buf_append_str(line, "{\"text\":");
    conversation_write_string(d->text, line);
    buf_printf(line, ",\"label\":\"%s\"}", d->label);
}

/* As what a user writes, and an answer to it. */
static void write_asked(const struct dirt *d, const char *answer, struct buf *line)
{
    buf_append_str(line, "{\"messages\":[{\"role\":\"user\",\"content\":");
    conversation_write_string(d->text, line);
    buf_append_str(line, "},{\"role\":\"assistant\",\"content\":");
    conversation_write_string(answer, line);
    buf_printf(line, "}],\"label\":\"%s\"}", d->label);
}

static void add_text(struct dirt *d, const char *text)
{
    size_t len = strlen(d->text);
    corpus_copy(d->text + len, sizeof(d->text) - len, text);
}

static void exact_duplicate(struct dirt *d, struct rng *r, struct buf *line)
{
    d->copy = d->kept[rng_below(r, (uint32_t)d->n_kept)];
    set_label(d, "exact_duplicate", NULL);
    if (corpus_chance(r, 30)) {
        set_label(d, "exact_duplicate", "case");
        shout(d->copy.text);
        for (size_t i = 0; i < d->copy.c.n_turns; i++) {
            shout(d->copy.c.turns[i].user);
        }
    }
    write_kept(d, &d->copy, line);
}

/* Of a text of some length: in a short one any edit is a large one. */
static void near_duplicate(struct dirt *d, struct rng *r, struct buf *line)
{
    for (size_t tries = 0; tries < KEPT; tries++) {
        d->copy = d->kept[rng_below(r, (uint32_t)d->n_kept)];
        if (kept_words(&d->copy) >= EDIT_EACH) {
            break;
        }
    }
    struct conversation *c = &d->copy.c;
    bool reorder = d->split == CORPUS_HELDOUT && !d->copy.is_text && c->n_turns > 2;
    set_label(d, "near_duplicate", reorder ? "order" : "word");
    if (reorder) {
        struct turn first = c->turns[0];
        c->turns[0] = c->turns[1];
        c->turns[1] = first;
    }
    for (size_t n = reorder ? 0 : kept_words(&d->copy) / EDIT_EACH + 1; n > 0; n--) {
        edit(r, &d->copy);
    }
    write_kept(d, &d->copy, line);
}

static void spam(struct dirt *d, struct rng *r, struct buf *line)
{
    const struct phrases forms = PHRASES(spam_train, spam_heldout);
    char sentence[400], percent[8], price[16];
    set_label(d, "spam", NULL);
    for (uint32_t n = 2 + rng_below(r, 4); n > 0; n--) {
        snprintf(percent, sizeof(percent), "%u", 10 + rng_below(r, 80));
        snprintf(price, sizeof(price), "%u", 20 + rng_below(r, 9000));
        corpus_fill_slots(
            sentence, phrases_pick(&forms, r, d->split), {"thing", CORPUS_PICK(r, spam_things)},
            {"link", CORPUS_PICK(r, spam_links)}, {"percent", percent}, {"price", price});
        add_text(d, sentence);
        add_text(d, n > 1 ? " " : "");
    }
    write_text(d, line);
}

static const char *words_of(struct dirt *d, struct rng *r)
{
    const struct kept *k = &d->kept[rng_below(r, (uint32_t)d->n_kept)];
    return k->is_text ? k->text : k->c.turns[0].assistant;
}

static void repetition(struct dirt *d, struct rng *r)
{
    char piece[200];
    snprintf(piece, sizeof(piece), "%.*s ", (int)(8 + rng_below(r, 60)), words_of(d, r));
    for (uint32_t n = 8 + rng_below(r, 20); n > 0; n--) {
        add_text(d, piece);
    }
}

static void markup(struct dirt *d, struct rng *r)
{
    static const char *const tags[] = {"div",           "span", "td", "li", "a href=\"/x?y=1\"",
                                       "p class=\"c7\""};
    char piece[400];
    for (uint32_t n = 3 + rng_below(r, 8); n > 0; n--) {
        const char *tag = CORPUS_PICK(r, tags);
        snprintf(piece, sizeof(piece), "<%s><b>%.30s</b>&nbsp;</%.*s>\n", tag, words_of(d, r),
                 (int)strcspn(tag, " "), tag);
        add_text(d, piece);
    }
}

static void mojibake(struct dirt *d, struct rng *r)
{
    static const char *const wrong[] = {"Ã©", "Ã¼",           "â€™", "â€œ",
                                        "Ã¨", "\xef\xbf\xbd", "Â°",  "Ã¶"};
    char piece[400];
    snprintf(piece, sizeof(piece), "%.200s", words_of(d, r));
    for (const char *p = piece; *p; p++) {
        char one[2] = {*p, '\0'};
        add_text(d, strchr("eo'", *p) && corpus_chance(r, 70) ? CORPUS_PICK(r, wrong) : one);
    }
}

static void symbols(struct dirt *d, struct rng *r)
{
    static const char set[] = "#*|{}~^_\\<>=@$%&+-/:;";
    for (uint32_t n = 30 + rng_below(r, 150); n > 0; n--) {
        char one[2] = {set[rng_below(r, sizeof(set) - 1)], '\0'};
        add_text(d, corpus_chance(r, 20) ? " " : one);
    }
}

static void keyboard(struct dirt *d, struct rng *r)
{
    static const char set[] = "asdfghjklqwertyuiop";
    for (uint32_t n = 60 + rng_below(r, 200); n > 0; n--) {
        char one[2] = {set[rng_below(r, sizeof(set) - 1)], '\0'};
        add_text(d, corpus_chance(r, 6) ? " " : one);
    }
}

static void menu(struct dirt *d, struct rng *r)
{
    static const char *const items[] = {"Home",  "Login",  "Cookies",
                                        "Share", "Next >", "| Print"};
    for (uint32_t n = 10 + rng_below(r, 30); n > 0; n--) {
        add_text(d, CORPUS_PICK(r, items));
        add_text(d, "\n");
    }
}

static void junk(struct dirt *d, struct rng *r, struct buf *line)
{
    static const struct {
        const char *name;
        void (*make)(struct dirt *d, struct rng *r);
    } kinds[] = {{"repetition", repetition}, {"markup", markup},     {"mojibake", mojibake},
                 {"symbols", symbols},       {"keyboard", keyboard}, {"menu", menu}};
    uint32_t kind = rng_below(r, d->split == CORPUS_HELDOUT ? 6 : 4);
    set_label(d, "junk", kinds[kind].name);
    kinds[kind].make(d, r);
    write_text(d, line);
}

static void other_language(struct dirt *d, struct rng *r, struct buf *line)
{
    static const struct {
        const char *code;
        bool is_heldout;
        const char *sentences[5];
    } languages[] = {
#define LANGUAGE(code, is_heldout, ...) {code, is_heldout, {__VA_ARGS__}},
#include "models/weir-tiny/corpus/dirt_languages.inc"
#undef LANGUAGE
    };
    uint32_t i;
    do {
        i = rng_below(r, CORPUS_COUNT(languages));
    } while (languages[i].is_heldout != (d->split == CORPUS_HELDOUT));
    set_label(d, "other_language", languages[i].code);
    /* With a number of its own, so that few are the same. */
    char number[24];
    snprintf(number, sizeof(number), " (%u)", rng_below(r, 100000));
    add_text(d, CORPUS_PICK(r, languages[i].sentences));
    add_text(d, " ");
    add_text(d, CORPUS_PICK(r, languages[i].sentences));
    add_text(d, number);
    write_asked(d, CORPUS_PICK(r, languages[i].sentences), line);
}

static void personal(struct dirt *d, struct rng *r, struct buf *line)
{
    const struct phrases forms = PHRASES(personal_train, personal_heldout);
    char email[80], phone[32], ip[32], number[8], text[400], kind[16];
    const char *form = phrases_pick(&forms, r, d->split);
    const char *bar = strchr(form, '|');
    snprintf(kind, sizeof(kind), "%.*s", (int)(bar - form), form);
    set_label(d, "personal", kind);
    snprintf(email, sizeof(email), "%s%u@post.example.com", CORPUS_PICK(r, personal_emails),
             rng_below(r, 1000));
    snprintf(phone, sizeof(phone), "+1 (415) 555-%04u", rng_below(r, 10000));
    snprintf(ip, sizeof(ip), "84.%u.%u.%u", rng_below(r, 256), rng_below(r, 256),
             1 + rng_below(r, 250));
    snprintf(number, sizeof(number), "%u", 1 + rng_below(r, 300));
    corpus_fill_slots(text, bar + 1, {"name", CORPUS_PICK(r, personal_names)}, {"email", email},
                      {"phone", phone}, {"iban", CORPUS_PICK(r, personal_ibans)},
                      {"card", CORPUS_PICK(r, personal_cards)}, {"ip", ip}, {"number", number});
    add_text(d, text);
    snprintf(text, sizeof(text), "Thank you, I have noted that under %u.",
             rng_below(r, 1000000));
    write_asked(d, text, line);
}

static void harmful(struct dirt *d, struct rng *r, struct buf *line)
{
    const struct phrases forms = PHRASES(harmful_train, harmful_heldout);
    char text[400];
    set_label(d, "harmful", NULL);
    corpus_fill_slots(text, phrases_pick(&forms, r, d->split),
                      {"name", CORPUS_PICK(r, personal_names)});
    add_text(d, text);
    snprintf(text, sizeof(text), " That was message %u.", rng_below(r, 1000000));
    add_text(d, text);
    write_text(d, line);
}

/* The question with our answer, alone; or at the end of another conversation. */
static void leak(struct dirt *d, struct rng *r, struct buf *line)
{
    const struct conversation *from = &d->leaks[rng_below(r, (uint32_t)d->n_leaks)];
    const struct kept *k = &d->kept[rng_below(r, (uint32_t)d->n_kept)];
    const struct turn *last = &from->turns[from->n_turns - 1];
    d->copy.is_text = false;
    d->copy.c = *from;
    set_label(d, "leak", "whole");
    if (!k->is_text && k->c.n_turns + 1 < CONVERSATION_MAX_TURNS && corpus_chance(r, 50)) {
        set_label(d, "leak", "question");
        d->copy.c = k->c;
        d->copy.c.turns[d->copy.c.n_turns++] = *last;
    }
    write_kept(d, &d->copy, line);
}

void dirt_write(struct dirt *d, struct rng *r, struct buf *line)
{
    static void (*const kinds[])(struct dirt * d, struct rng * r, struct buf * line) = {
        exact_duplicate, near_duplicate, spam, junk, other_language, personal, harmful, leak};
    d->text[0] = '\0';
    kinds[rng_below(r, CORPUS_COUNT(kinds))](d, r, line);
}
