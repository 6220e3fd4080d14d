/* facts.c: general knowledge, from tables of true facts and from questions with a written
 * answer. */
#include "models/weir-tiny/corpus/corpus.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "models/weir-tiny/corpus/wording.h"
#include "models/weir-tiny/corpus/words.h"

#define FACT_COLUMNS 8

/* Column i is slot {a}, {b}, ... of the wordings; {an_a} is the same with its article. NULL:
 * not known, or not asked because the answer would need too many words. */
struct fact_row {
    const char *column[FACT_COLUMNS];
};

struct fact_relation {
    const struct fact_row *rows;
    size_t n_rows;
    char needs; /* the column that must be known */
    const char *topic;
    const char *questions;
    const char *answers;
    const char *terse;
    bool told; /* the answers read well one after another, without the question */
};

static const struct fact_row countries[] = {
#include "models/weir-tiny/corpus/facts_capitals.inc"
};

static const struct fact_row animals[] = {
#include "models/weir-tiny/corpus/facts_animals.inc"
};

#include "models/weir-tiny/corpus/facts_pairs.inc"

#define ROWS(table) (table), CORPUS_COUNT(table)

static const struct fact_relation relations[] = {
#include "models/weir-tiny/corpus/facts_relations.inc"
};

/* Questions with a written answer: why, how, what is. */
static const struct wording_row explanations[] = {
#include "models/weir-tiny/corpus/facts_explained.inc"
#include "models/weir-tiny/corpus/facts_explained_more.inc"
#include "models/weir-tiny/corpus/facts_explained_world.inc"
};

/* Slots for one row: the columns, and the columns with an article. */
struct fact_slots {
    struct slot slot[2 * FACT_COLUMNS];
    size_t n;
    char key[2 * FACT_COLUMNS][8];
    char with_article[FACT_COLUMNS][96];
};

static void slots_add(struct fact_slots *s, const char *prefix, size_t column,
                      const char *value)
{
    snprintf(s->key[s->n], sizeof(s->key[0]), "%s%c", prefix, (char)('a' + (int)column));
    s->slot[s->n].key = s->key[s->n];
    s->slot[s->n].value = value;
    s->n++;
}

static void slots_from_row(struct fact_slots *s, const struct fact_row *row)
{
    s->n = 0;
    for (size_t i = 0; i < FACT_COLUMNS; i++) {
        const char *value = row->column[i];

        if (!value) {
            continue;
        }
        snprintf(s->with_article[i], sizeof(s->with_article[i]), "%s %s",
                 wording_article(value), value);
        slots_add(s, "", i, value);
        slots_add(s, "an_", i, s->with_article[i]);
    }
}

/* The countries that people ask about most. */
static const char *const well_known[] = {
    "France",
    "Germany",
    "Spain",
    "Italy",
    "Japan",
    "China",
    "India",
    "the United States",
    "the United Kingdom",
    "Canada",
    "Mexico",
    "Brazil",
    "Russia",
    "Egypt",
    "Greece",
    "Portugal",
    "Australia",
    "Austria",
    "Sweden",
    "Norway",
    "Poland",
    "Turkey",
    "Ireland",
    "the Netherlands",
    "Denmark",
    "Finland",
    "Belgium",
    "Switzerland",
    "Argentina",
    "Ukraine",
    "Kenya",
    "Peru",
};

static bool is_well_known(const struct fact_row *row)
{
    for (size_t i = 0; i < CORPUS_COUNT(well_known); i++) {
        if (strcmp(row->column[0], well_known[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const struct fact_row *draw_row(const struct fact_relation *rel, struct rng *r)
{
    const struct fact_row *row;
    /* Too many names for a small model: some shall be right. */
    if (rel->rows == countries && corpus_wordings() >= CORPUS_WORDINGS_WIDE &&
        corpus_chance(r, 60)) {
        do {
            row = &CORPUS_PICK(r, countries);
        } while (!is_well_known(row) || !row->column[rel->needs - 'a']);
        return row;
    }

    do {
        row = &rel->rows[rng_below(r, (uint32_t)rel->n_rows)];
    } while (!row->column[rel->needs - 'a']);
    return row;
}

/* Draws a wording and fills it from the row. */
static void fill_wording(char *out, size_t size, const char *list, const struct fact_slots *s,
                         struct rng *r, enum corpus_split split)
{
    char form[WORDING_MAX];

    wording_draw(form, list, r, split);
    corpus_fill(out, size, form, s->slot, s->n);
}

static void exchange_relation(const struct fact_relation *rel, struct rng *r,
                              enum corpus_split split, struct exchange *out)
{
    struct fact_slots slots;

    slots_from_row(&slots, draw_row(rel, r));
    fill_wording(out->user, sizeof(out->user), rel->questions, &slots, r, split);
    fill_wording(out->answer, sizeof(out->answer), rel->answers, &slots, r, split);
    fill_wording(out->terse, sizeof(out->terse), rel->terse, &slots, r, split);
    out->skill = "fact";
    out->topic = rel->topic;
}

/* A relation, as often as it has rows worth asking for: a big table gets more than a small one,
 * but no more than four times the share. */
static const struct fact_relation *draw_relation(struct rng *r)
{
    for (;;) {
        const struct fact_relation *rel = &CORPUS_PICK(r, relations);
        size_t weight = rel->n_rows < 80 ? rel->n_rows + 20 : 100;

        if (corpus_chance(r, (unsigned)weight)) {
            return rel;
        }
    }
}

/* "Is Rome the capital of France?" */
static void exchange_wrong_capital(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct fact_row *right = &CORPUS_PICK(r, countries), *wrong;
    char form[WORDING_MAX];

    do {
        wrong = &CORPUS_PICK(r, countries);
    } while (wrong == right);
    wording_draw(form,
                 "Is {x} the capital of {a}?|{X} is the capital of {a}, right?|"
                 "~Is it true that {x} is the capital of {a}?",
                 r, split);
    corpus_fill_slots(out->user, form, {"a", right->column[0]}, {"x", wrong->column[1]});
    corpus_fill_slots(out->answer, "No, the capital of {a} is {b}.", {"a", right->column[0]},
                      {"b", right->column[1]});
    corpus_copy(out->terse, sizeof(out->terse), "No.");
    out->skill = "fact";
    out->topic = "geography";
}

/* Things that do not exist: the honest answer is not to know them. */
static void exchange_invented(struct rng *r, enum corpus_split split, struct exchange *out)
{
    static const struct wording_row rows[] = {
        {"What is the capital of {x}?|Which city is the capital of {x}?|Where is {x}?|"
         "~Please name the capital of {x}.",
         "I do not know a place called {x}.", "I do not know.", "geography"},
        {"Who is {x}?|Who was {x}?|Tell me who {x} is.|What do you know about {x}?|"
         "~Do you know anything about {x}?",
         "I do not know who {x} is.", "I do not know.", ""},
        {"Who wrote {x}?|Who wrote the book {x}?|~What is the name of the person who wrote "
         "{x}?",
         "I do not know a book called {x}.", "I do not know.", "books"},
        {"What does the word {w} mean?|What does {w} mean?|Explain the word {w}.|"
         "~What is the meaning of {w}?",
         "I do not know the word {w}.", "I do not know.", ""},
    };
    const struct wording_row *row = &CORPUS_PICK(r, rows);
    char form[WORDING_MAX], name[WORD_MAX], word[WORD_MAX];

    do {
        words_invent(r, split, word);
    } while (strlen(word) < 7); /* a shorter one may exist */
    corpus_copy(name, sizeof(name), word);
    name[0] = (char)toupper((unsigned char)name[0]);
    wording_draw(form, row->questions, r, split);
    corpus_fill_slots(out->user, form, {"x", name}, {"w", word});
    corpus_fill_slots(out->answer, row->answers, {"x", name}, {"w", word});
    corpus_copy(out->terse, sizeof(out->terse), row->terse);
    out->skill = "unknown";
    out->topic = row->topic;
}

void exchange_fact(struct rng *r, enum corpus_split split, struct exchange *out)
{
    uint32_t die = rng_below(r, 100);

    if (die < 38) {
        wording_exchange(&CORPUS_PICK(r, explanations), r, split, "fact", out);
    } else if (die < 42) {
        exchange_wrong_capital(r, split, out);
    } else if (die < 47) {
        exchange_invented(r, split, out);
    } else {
        exchange_relation(draw_relation(r), r, split, out);
    }
}

static void append_sentence(struct rng *r, struct buf *out, const char *list,
                            const struct fact_slots *slots)
{
    char sentence[CORPUS_ANSWER_MAX];

    fill_wording(sentence, sizeof(sentence), list, slots, r, CORPUS_TRAIN);
    buf_printf(out, " %s", sentence);
}

/* All that is known of one animal. */
static void paragraph_animal(struct rng *r, struct buf *out)
{
    /* The sentence for each column from the fourth on. */
    static const char *const sentences[] = {
        "It has {d} legs.|Like others of its kind, {an_a} has {d} legs.",
        "{B} eat {e}.|The food of {b} is {e}.",
        "{B} {f}.",
        "A young {a} is called {an_g}.",
        "{An_a} lives in {h}.|You can find {b} in {h}.",
    };
    const struct fact_row *row;
    struct fact_slots slots;
    char sentence[CORPUS_ANSWER_MAX];

    do {
        row = &CORPUS_PICK(r, animals);
    } while (!row->column[2]);
    slots_from_row(&slots, row);
    fill_wording(sentence, sizeof(sentence),
                 "The {a} is {an_c}.|{An_a} is {an_c}.|{An_a} is an animal. It is {an_c}.",
                 &slots, r, CORPUS_TRAIN);
    buf_append_str(out, sentence);
    for (size_t i = 0; i < CORPUS_COUNT(sentences); i++) {
        if (row->column[i + 3]) {
            append_sentence(r, out, sentences[i], &slots);
        }
    }
}

static void paragraph_country(struct rng *r, struct buf *out)
{
    const struct fact_row *row;
    struct fact_slots slots;
    char sentence[CORPUS_ANSWER_MAX];

    do {
        row = &CORPUS_PICK(r, countries);
    } while (!row->column[2]);
    slots_from_row(&slots, row);
    fill_wording(sentence, sizeof(sentence),
                 "{A} is a country in {c}.|In {c} there is a country called {a}.", &slots, r,
                 CORPUS_TRAIN);
    buf_append_str(out, sentence);
    append_sentence(
        r, out,
        "Its capital is {b}.|The capital of {a} is {b}.|The city of {b} is its capital.",
        &slots);
    for (size_t i = 0; i < CORPUS_COUNT(languages); i++) {
        if (strcmp(languages[i].column[0], row->column[0]) == 0) {
            slots_from_row(&slots, &languages[i]);
            append_sentence(r, out, "Most people there speak {b}.|The main language is {b}.",
                            &slots);
        }
    }
}

#define STATEMENTS 5

/* Statements of one relation, no row twice. */
static void paragraph_relation(struct rng *r, struct buf *out)
{
    const struct fact_relation *rel;
    const struct fact_row *rows[STATEMENTS];

    do {
        rel = draw_relation(r);
    } while (!rel->told);
    for (size_t i = 0; i < STATEMENTS; i++) {
        struct fact_slots slots;
        char sentence[CORPUS_ANSWER_MAX];
        bool again;

        do {
            rows[i] = draw_row(rel, r);
            again = false;
            for (size_t j = 0; j < i; j++) {
                again |= rows[j] == rows[i];
            }
        } while (again);
        slots_from_row(&slots, rows[i]);
        fill_wording(sentence, sizeof(sentence), rel->answers, &slots, r, CORPUS_TRAIN);
        buf_printf(out, "%s%s", i ? " " : "", sentence);
    }
}

/* A question and its answer, as in a book for children. */
static void paragraph_explained(struct rng *r, struct buf *out)
{
    const struct wording_row *row = &CORPUS_PICK(r, explanations);
    char text[WORDING_MAX];

    if (corpus_chance(r, 60)) {
        wording_draw(text, row->questions, r, CORPUS_TRAIN);
        buf_printf(out, "%s ", text);
    }
    wording_draw(text, row->answers, r, CORPUS_TRAIN);
    buf_append_str(out, text);
}

void document_facts(struct rng *r, struct buf *out)
{
    typedef void paragraph_fn(struct rng * r, struct buf * out);
    static paragraph_fn *const paragraphs[] = {paragraph_animal,    paragraph_country,
                                               paragraph_relation,  paragraph_explained,
                                               paragraph_explained, paragraph_explained};
    uint32_t n = 5 + rng_below(r, 5);

    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) {
            buf_append_str(out, "\n\n");
        }
        CORPUS_PICK(r, paragraphs)(r, out);
    }
}
