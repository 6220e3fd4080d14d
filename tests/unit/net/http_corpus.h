/* http_corpus.h: requests from llhttp's test suite (test/request, Markdown files), which may be
 * laid beside the checkout as ../shared/data/http. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_corpus_case {
    const char *wire; /* (len) */
    size_t len;
    bool is_lenient; /* written for a parser with some leniency switched on */
    bool has_error;  /* llhttp's own log of it ends in a parse error */
};

/* Calls `visit` for each request block of every file; returns how many, 0 when the folder is
 * absent. */
size_t http_corpus_visit(const char *folder,
                         void (*visit)(void *ctx, const struct http_corpus_case *one),
                         void *ctx);
