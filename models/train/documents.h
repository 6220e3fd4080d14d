/* documents.h: texts and conversations in a JSONL file to the documents of a token file.
 *
 * One JSON object a line, empty lines are skipped:
 *     {"text": "..."}                                   its tokens and <|endoftext|>, all
 * learnt
 *     {"messages": [{"role": "system|user|assistant", "content": "..."}, ...]}
 * Conversations are written in ChatML: <|im_start|>ROLE\nCONTENT<|im_end|>\n a message. Control
 * tokens come from this rendering alone: what stands in a text or a content is never read as
 * one.
 *
 * Ownership: everything is borrowed. Threads: none.
 */
#pragma once

#include "models/tokenizer/tokenizer.h"
#include "models/train/dataset.h"
#include "runtime/base/err.h"

enum documents_learn {
    DOCUMENTS_LEARN_ALL,    /* every token */
    DOCUMENTS_LEARN_ANSWER, /* of conversations: the assistant's content and its <|im_end|> */
};

/* Adds every document of the file to the writer. Errors name the file and the line. */
int documents_tokenize(const char *path, const struct tokenizer *tokenizer,
                       enum documents_learn learn, struct dataset_writer *writer,
                       struct err *e);

/* The same a line at a time. The tokenizer is borrowed; documents_destroy. */
struct documents;
struct documents *documents_create(const struct tokenizer *tokenizer,
                                   enum documents_learn learn, struct err *e);
void documents_destroy(struct documents *d); /* accepts NULL */
int documents_add(struct documents *d, const char *line, size_t len,
                  struct dataset_writer *writer, struct err *e);
