/* feedback_store.h: what users say of answers, a row each, in an SQLite file.
 *
 * A row says which answer, who (the name of the API key, and the user if the client names one)
 * and what: a thumb, a correction, or that it is the better one of two. Texts are in it only
 * where the owner or the client has them kept. What was added is on disk when feedback_add
 * returns. Rows leave by number and age; what leaves is overwritten.
 *
 * Threads: any; calls wait for each other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

#define FEEDBACK_PAGE_MAX    1000
#define FEEDBACK_ID_SIZE     48 /* "fb-..." and ids of answers */
#define FEEDBACK_KEY_SIZE    65
#define FEEDBACK_USER_SIZE   129
#define FEEDBACK_COMMENT_MAX 4096              /* bytes */
#define FEEDBACK_TEXT_MAX    ((size_t)1 << 20) /* bytes of the texts of a row together */

/* Texts are the owner's of the struct, NUL-terminated; NULL: none. */
struct feedback {
    uint64_t number; /* in the order in which they were stored, from 1, never given twice */
    char id[FEEDBACK_ID_SIZE];
    int64_t time_ms;
    char key[FEEDBACK_KEY_SIZE]; /* name of the API key, or "" */
    char user[FEEDBACK_USER_SIZE];
    char answer[FEEDBACK_ID_SIZE]; /* id of the answer that it is about */
    int choice;                    /* which of several */
    char model[320];               /* "name@version" that made it */
    int thumb;                     /* 1 up, -1 down, 0 none */
    char over[FEEDBACK_ID_SIZE];   /* the answer that is worse, or "" */
    int over_choice;
    char *comment;
    char *messages;   /* JSON: an array of messages, or a string to go on with */
    char *text;       /* of the answer */
    char *correction; /* what it should have been */
    char *over_text;  /* of the worse answer */
};

void feedback_deinit(struct feedback *f); /* frees texts */

struct feedback_limits {
    uint64_t rows;
    int64_t age_ms;
};

struct feedback_store;

/* path NULL: in memory. */
struct feedback_store *feedback_store_open(const char *path,
                                           const struct feedback_limits *limits, struct err *e);
void feedback_store_close(struct feedback_store *s); /* accepts NULL */

/* Takes nothing over. Also deletes what is beyond the limits at f->time_ms. */
int feedback_store_add(struct feedback_store *s, const struct feedback *f, struct err *e);

/* Deletes what is beyond the limits at now_ms. */
int feedback_store_prune(struct feedback_store *s, int64_t now_ms, struct err *e);

/* Rows that were beyond the limits and have been deleted since it was opened. */
uint64_t feedback_store_pruned(const struct feedback_store *s);

/* What is looked for; "" and 0 match all. */
struct feedback_query {
    uint64_t before; /* only those with smaller numbers; 0: all */
    uint64_t after;  /* only those with larger ones */
    bool is_oldest_first;
    char user[FEEDBACK_USER_SIZE];
    char key[FEEDBACK_KEY_SIZE];
    char answer[FEEDBACK_ID_SIZE];
    size_t limit;   /* at most FEEDBACK_PAGE_MAX */
    int64_t now_ms; /* what has become too old by then is not there any more */
};

/* Calls visit for each, whose texts are borrowed; a result other than 0 ends it and is
 * returned. */
int feedback_store_list(struct feedback_store *s, const struct feedback_query *query,
                        int (*visit)(void *ctx, const struct feedback *f, struct err *e),
                        void *ctx, struct err *e);

/* Deletes all of a user (of one key, unless key is ""), or the one with this id. At least one
 * of user and id is given. *n: how many. */
int feedback_store_delete(struct feedback_store *s, const char *user, const char *key,
                          const char *id, uint64_t *n, struct err *e);
