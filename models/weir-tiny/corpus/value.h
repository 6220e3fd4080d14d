/* value.h: drawn values: names, invented words, times, prices, codes, places.
 *
 * The two splits never share a value of an open kind: a hash of the text decides which one it
 * belongs to. Kinds with few members (weekdays, colours) are shared; only their wordings are
 * held out. */
#pragma once

#include "models/weir-tiny/corpus/corpus.h"

#define VALUE_MAX 64

enum value_kind {
    VALUE_NAME,        /* "Mara", "Zorvek" */
    VALUE_PERSON,      /* "Mr. Tolwin", "Mara Oldfield" */
    VALUE_WORD,        /* "plimta" */
    VALUE_TIME,        /* "17:20" */
    VALUE_PRICE,       /* "14 euros" */
    VALUE_SMALL_PRICE, /* "3.50 euros" */
    VALUE_SMALL,       /* 1 to 40 */
    VALUE_NUMBER,      /* 100 to 999 */
    VALUE_CODE,        /* "4821", "KX72" */
    VALUE_PASSWORD,    /* "lamp-42-river" */
    VALUE_PHONE,       /* "555 2038" */
    VALUE_VERSION,     /* "3.14" */
    VALUE_DATE,        /* "12 March" */
    VALUE_WEEKDAY,     /* shared by both splits */
    VALUE_MINUTES,     /* "35 minutes" */
    VALUE_DAYS,        /* "14 days" */
    VALUE_DISH,        /* "mushroom soup with rye bread" */
    VALUE_COLOUR,      /* shared */
    VALUE_STREET,      /* "14 Mill Lane" */
    VALUE_SPOT,        /* "behind the old mill" */
    VALUE_THING,       /* "a brass lamp" */
    VALUE_PERCENT,     /* "15 percent" */
    VALUE_TOWN,        /* "Brellford" */
    VALUE_KIND_COUNT,
};

/* Writes a value of the kind into out[VALUE_MAX]. */
void value_draw(struct rng *r, enum corpus_split split, enum value_kind kind, char *out);

/* A name for an assistant: a first name, an invented one, a word or one with a title. */
void value_draw_assistant_name(struct rng *r, enum corpus_split split, char *out);

/* Which split a text of an open kind belongs to; letter case does not matter. One in eight is
 * held out. */
enum corpus_split value_split(const char *text);

/* A plain noun that reads well after "about": "lamps", "the sea". */
const char *value_noun(struct rng *r, enum corpus_split split);
