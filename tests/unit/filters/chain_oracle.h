/* chain_oracle.h: what a chain of word lists, regular expressions and length limits should make
 * of a text. It sees the whole text at once, tries every word at every place, runs PCRE2
 * without partial matching, and applies one filter after another to the result of the one
 * before. It shares no code with the filters, and knows only the letters that the test uses. */
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>

#include "filters/chain.h"

#define ORACLE_ITEMS    8
#define ORACLE_ITEM_MAX 160 /* bytes of a word or pattern */
#define ORACLE_FILTERS  4

enum oracle_kind { ORACLE_WORDS, ORACLE_REGEX, ORACLE_LENGTH };
enum oracle_action { ORACLE_STOP, ORACLE_REPLACE, ORACLE_MASK, ORACLE_NOTE };

struct oracle_filter {
    enum oracle_kind kind;
    enum oracle_action action; /* of a length limit: stop, or replace, which is to cut */
    const char *replacement;   /* also the mask */
    char items[ORACLE_ITEMS][ORACLE_ITEM_MAX];
    size_t count;
    bool case_sensitive;
    bool whole_words;
    size_t limit; /* characters */
    pcre2_code *codes[ORACLE_ITEMS];
};

struct oracle_event {
    enum chain_event_kind kind;
    size_t filter;
    size_t from;  /* in the text that the filter saw */
    size_t label; /* which word or pattern */
};

struct oracle_result {
    struct buf text;
    struct buf events; /* struct oracle_event, by filter, then in order */
    bool stopped;
    struct oracle_event stop;
};

/* 0, or -1 when PCRE2 does not take a pattern. Release in any case. */
int oracle_compile(struct oracle_filter *filter);
void oracle_release(struct oracle_filter *filter);

void oracle_result_init(struct oracle_result *result);
void oracle_result_deinit(struct oracle_result *result);

/* False when a pattern takes too long to tell. */
bool oracle_run(const struct oracle_filter *filters, size_t count, const char *text, size_t len,
                struct oracle_result *result);
