/* webhook_answer.h: what a webhook's service answers, as verdicts on the piece that it was
 * asked about.
 *
 *   {"verdict": "pass"}
 *   {"verdict": "note" | "replace" | "stop", "from": 3, "to": 9, "text": "...",
 *    "code": "...", "message": "..."}
 *   {"verdicts": [...]}         several of these, in the order of the text
 *
 * from and to count characters (code points) of the piece; without them all of it is meant.
 *
 * Ownership: webhook_answer_read fills, webhook_answer_deinit releases. Threads: none. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#define WEBHOOK_MAX_VERDICTS 1024

enum webhook_verdict_kind { WEBHOOK_PASS, WEBHOOK_NOTE, WEBHOOK_REPLACE, WEBHOOK_STOP };

struct webhook_verdict {
    enum webhook_verdict_kind kind;
    size_t from, to;  /* bytes of the piece, between characters; from >= the last one's to */
    const char *text; /* REPLACE; so the next: points into the answer */
    const char *code; /* or NULL */
    const char *message;
};

struct webhook_answer {
    struct webhook_verdict *verdicts; /* (count); a stop is the last */
    size_t count;
    cJSON *json;
};

/* 0, or -1 with *problem: what is wrong with the answer, without a word of it. */
int webhook_answer_read(struct webhook_answer *a, const char *body, size_t len,
                        const char *piece, size_t piece_len, const char **problem);
void webhook_answer_deinit(struct webhook_answer *a);
