/* wordlist_oracle.h: what the filter "wordlist" should make of a text, found by trying every
 * word at every place. It shares no code with the filter, and knows only the letters that
 * the tests use. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ORACLE_MAX_WORDS 8
#define ORACLE_MAX_TEXT  64 /* characters */

enum oracle_action { ORACLE_STOP, ORACLE_REPLACE, ORACLE_MASK, ORACLE_NOTE };

struct oracle_list {
    const char *words[ORACLE_MAX_WORDS];
    size_t count;
    enum oracle_action action;
    const char *replacement; /* also the mask */
    bool case_sensitive;
    bool whole_words;
};

struct oracle_result {
    char text[1024];
    bool stopped;
    /* Hits in order: byte offset where each begins, and which word it is known by. */
    size_t hit_count;
    size_t from[ORACLE_MAX_TEXT];
    size_t word[ORACLE_MAX_TEXT];
};

void oracle_run(const struct oracle_list *list, const char *text, struct oracle_result *result);
