/* quality_characters.h: one pass over a text's characters, for quality.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct quality_characters {
    size_t shown;                    /* characters that are no blanks */
    size_t letters, digits, symbols; /* of those; digits are letters too */
    size_t markup;     /* in tags <...>, entities &...; and what only script has */
    size_t mojibake;   /* U+FFFD, and UTF-8 that was read as Latin-1 or Windows-1252 */
    size_t runs;       /* words parted by blanks */
    size_t stop_words; /* of these, of English */
    size_t placeholders;
    bool is_unspaced; /* most letters are of a script that is written without blanks */
};

void quality_characters_count(struct quality_characters *c, const char *text, size_t len);
