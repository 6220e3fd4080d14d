/* answer.h: an answer while it is written, whichever API it leaves through.
 *
 * A request has one or several choices. A choice consists of pieces that come one after
 * another: text of the answer, text of the reasoning before it, and calls of tools. What a
 * piece says has passed the filters. All of it is also gathered, because a whole answer is a
 * streamed one that was collected, and some streams repeat at their end what they said.
 *
 * Ownership: answer_choice_deinit releases. Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"

enum answer_finish {
    ANSWER_FINISH_STOP,
    ANSWER_FINISH_LENGTH,
    ANSWER_FINISH_TOOL_CALLS,
    ANSWER_FINISH_CONTENT_FILTER
};

enum answer_piece_kind {
    ANSWER_CONTENT,
    ANSWER_REASONING,
    ANSWER_CALL_BEGIN,     /* of the tool with the name `text` */
    ANSWER_CALL_ARGUMENTS, /* more of the JSON text of its arguments */
    ANSWER_CALL_END,
};

struct answer_piece {
    enum answer_piece_kind kind;
    const char *text; /* (len), NUL-terminated; whole characters */
    size_t len;
    size_t call; /* index of the call */
    /* Tokens that came with it, in the choice's list. */
    size_t first_token;
    size_t n_tokens;
};

struct answer_call {
    char id[32]; /* "call_..." */
    char *name;
    struct buf arguments;
    bool complete;
};

/* A token and how likely it was, and others that might have stood there. */
struct answer_alternative {
    int32_t token;
    float logprob;
};

struct answer_token {
    int32_t token;
    float logprob;
    size_t text_end;  /* bytes of the answer's decoded text, this token's included */
    size_t first_top; /* in the list's tops */
    size_t n_top;
};

struct answer_tokens {
    struct answer_token *items; /* (count) */
    size_t count, cap;
    struct answer_alternative *tops; /* (n_tops) */
    size_t n_tops, tops_cap;
};

/* A run of pieces of one kind: texts [from, to) of the content or the reasoning, or a call. */
enum answer_part_kind { ANSWER_PART_CONTENT, ANSWER_PART_REASONING, ANSWER_PART_CALL };

struct answer_part {
    enum answer_part_kind kind;
    size_t from, to;
    size_t call;
};

struct answer_choice {
    struct buf content;
    struct buf reasoning;
    struct answer_part *parts; /* (n_parts), in the order in which they were written */
    size_t n_parts;
    struct answer_call *calls; /* (n_calls) */
    size_t n_calls;
    struct answer_tokens tokens; /* when logprobs were asked for */
    enum answer_finish finish;
    const char *stop;        /* the stop string that ended it, or NULL */
    const char *filter_code; /* why a filter ended it: for programs and for people; or NULL */
    const char *filter_message;
};

struct answer_usage {
    size_t prompt_tokens;
    size_t cached_tokens; /* of those, that were computed before */
    size_t completion_tokens;
    size_t reasoning_tokens; /* of those */
};

void answer_choice_init(struct answer_choice *c);
void answer_choice_deinit(struct answer_choice *c);

/* Adds the piece to what is gathered. 0, or -1 when out of memory. */
int answer_choice_add(struct answer_choice *c, const struct answer_piece *piece);

/* Appends a token (first_top and n_top are set here); tops: (n_tops). 0, or -1 when out of
 * memory. */
int answer_tokens_add(struct answer_tokens *t, const struct answer_token *token,
                      const struct answer_alternative *tops, size_t n_tops);
