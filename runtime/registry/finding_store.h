/* finding_store.h: what filters found, a row for each verdict, in an SQLite file.
 *
 * A row says when, in which request and by which rule; it never holds the text. If the owner
 * wants texts too, they are rows of their own to which findings point: what went into the
 * chain, before any filter, so that it can be sent through another chain later.
 *
 * The file is one of its own beside the prompts': rows are many and worth little, and a loss of
 * power may take the last of them. Rows leave by number and age, texts also by bytes; the file
 * reuses their room and does not shrink. What leaves is overwritten.
 *
 * Threads: any; calls wait for each other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

#define FINDING_PAGE_MAX 1000
#define FINDING_TEXT_MAX                                                      \
    ((size_t)64 << 10)       /* bytes of a text that is kept; the rest is cut \
                              */
#define FINDING_NAME_SIZE 65 /* names of chains, keys and filters */

struct finding {
    uint64_t id; /* in the order in which they were stored, from 1, never given twice */
    int64_t time_ms;
    char request[129]; /* x-request-id */
    char answer[48];   /* its id; "" of what is not in an answer */
    char key[FINDING_NAME_SIZE];
    char route[64];
    char place[64]; /* "messages[0].content"; "" in an answer */
    char chain[FINDING_NAME_SIZE];
    uint32_t version;
    char side[8];
    char channel[16];
    uint32_t ordinal;             /* which text of the channel, from 0 */
    uint32_t filter;              /* its place in the chain */
    char name[FINDING_NAME_SIZE]; /* its name, or the same as a number */
    char type[64];
    char code[32];
    char verdict[8]; /* note, replace, stop, fail */
    char message[160];
    bool is_recorded;  /* nothing came of it: mode record */
    uint64_t from, to; /* in the text as the filter saw it */
    uint64_t at;       /* where in the released text */
    uint64_t text;     /* id of the text that is kept; 0: none */
};

/* A text that went into a chain. */
struct finding_text {
    uint64_t id;
    int64_t time_ms;
    char request[129];
    char place[64];
    char side[8];
    char channel[16];
    uint32_t ordinal;
    bool is_cut;
    char *text; /* (len), NUL-terminated */
    size_t len;
};

/* What is stored together. Of a finding `text` is here 1 + an index into texts, or 0. */
struct finding_batch {
    const struct finding *findings; /* (n_findings) */
    size_t n_findings;
    const struct finding_text *texts; /* (n_texts) */
    size_t n_texts;
};

struct finding_limits {
    uint64_t rows; /* of findings, and as many of texts */
    int64_t age_ms;
    uint64_t text_bytes; /* of all texts together */
};

struct finding_store;

/* path NULL: in memory. */
struct finding_store *finding_store_open(const char *path, const struct finding_limits *limits,
                                         struct err *e);
void finding_store_close(struct finding_store *s); /* accepts NULL */

/* All of it or nothing. */
int finding_store_add(struct finding_store *s, const struct finding_batch *batch,
                      struct err *e);

/* Deletes some of what is beyond the limits at `now_ms`, a bounded number of rows; *more says
 * that there are others. */
int finding_store_prune(struct finding_store *s, int64_t now_ms, bool *more, struct err *e);

/* What is looked for; "" and 0 match all. */
struct finding_query {
    uint64_t before; /* only those with smaller ids */
    char chain[FINDING_NAME_SIZE];
    uint32_t version;
    char code[32];
    char verdict[8];
    char side[8];
    char request[129];
    size_t limit;
};

/* Newest first, at most query->limit of FINDING_PAGE_MAX: an array, the caller's (mem_free). */
int finding_store_list(struct finding_store *s, const struct finding_query *query,
                       struct finding **out, size_t *n, struct err *e);

/* The newest texts of a side ("": both), newest first: at most `limit` and max_bytes together.
 * Calls visit for each, with `text` borrowed; a result other than 0 ends it and is returned. */
int finding_store_texts(struct finding_store *s, const char *side, size_t limit,
                        size_t max_bytes,
                        int (*visit)(void *ctx, const struct finding_text *text, struct err *e),
                        void *ctx, struct err *e);

/* One text, the caller's (mem_free). NULL with ERR_NOT_FOUND when it has left. */
char *finding_store_text(struct finding_store *s, uint64_t id, size_t *len, struct err *e);
