/* eval_suite.h: what a model is to be tested with: a list of parts, each of one kind and with
 * its lines in a file.
 *
 *     {"name": "mine", "description": "...", "parts": [
 *         {"name": "harm", "kind": "refusal", "file": "refusal.jsonl", "max_tokens": 64},
 *         {"name": "law", "kind": "domain", "inside": "law.jsonl", "outside": "rest.jsonl"}]}
 *
 * Files are named from the suite's own folder. Keys of a part beside name, kind, file and
 * description: "max_tokens" of an answer; for choice and calibration "format", "chat" or
 * "plain", and "letters": true; for perplexity "on", "all" or "answers".
 *
 * Ownership: eval_suite_open returns, eval_suite_close releases. Threads: immutable after
 * opening. */
#pragma once

#include "models/eval/eval_item.h"

#define EVAL_PARTS_MAX      64
#define EVAL_ITEMS_MAX      100000 /* of a part */
#define EVAL_GROUPS_MAX     1024   /* of a part */
#define EVAL_NAME_MAX       64
#define EVAL_ANSWER_TOKENS  128 /* if the part does not say */
#define EVAL_FILE_BYTES_MAX ((size_t)1 << 30)

enum eval_format { EVAL_FORMAT_BY_MODEL, EVAL_FORMAT_CHAT, EVAL_FORMAT_PLAIN };

struct eval_part {
    char name[EVAL_NAME_MAX];
    enum eval_kind kind;
    char *files[2]; /* owned paths; [1]: of a domain, outside of it */
    int max_tokens;
    enum eval_format format; /* of multiple choice */
    bool letters;            /* options are listed, and answered by their letter */
    bool on_all;             /* perplexity of whole conversations, not of answers alone */
    struct eval_item *items; /* (n) owned */
    size_t n;
};

struct eval_suite {
    char name[EVAL_NAME_MAX];
    char *path; /* owned; of the JSON file, or of the one set */
    struct eval_part parts[EVAL_PARTS_MAX];
    size_t n_parts;
};

/* `path`: a folder with suite.json in it, a JSON file like that, or a file of lines (.jsonl),
 * which is a part of the given kind ("questions" unless said). limit: lines of each group of a
 * part, the first ones; 0: all. NULL on failure: the message names the file and the line or the
 * part. */
struct eval_suite *eval_suite_open(const char *path, const char *kind, size_t limit,
                                   struct err *e);
void eval_suite_close(struct eval_suite *s); /* accepts NULL */
