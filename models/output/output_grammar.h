/* output_grammar.h: the texts that a model may write when a request has tools, as a grammar in
 * GBNF (the notation of llama.cpp's grammars).
 *
 * Under OUTPUT_CHOICE_REQUIRED the answer is one call or several, of tools that may be called,
 * with arguments that obey their rules. Under OUTPUT_CHOICE_AUTO it is free text in which what
 * begins a call can only stand where a right call follows: the text is read by the automaton of
 * Aho and Corasick (1975) for the beginnings, written as right-linear rules. So what
 * output_parser.h takes for a call is one, whatever the model would have liked. Before either a
 * model that reasons may reason, freely up to the word that ends it.
 *
 * The grammar is over text. Control tokens among it (output_format_token_text) have to count
 * with the text of their names.
 *
 * Threads: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/output/output_format.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum output_choice { OUTPUT_CHOICE_AUTO, OUTPUT_CHOICE_NONE, OUTPUT_CHOICE_REQUIRED };

struct output_grammar_tool {
    const char *name;      /* letters, digits, '_' and '-' */
    const char *arguments; /* name of the rule that its arguments obey */
};

struct output_grammar {
    const struct output_format *format;
    const struct output_grammar_tool *tools; /* (n_tools) those that may be called */
    size_t n_tools;
    enum output_choice choice;
    bool parallel;       /* more than one call */
    bool reasoning_open; /* the prompt ends inside reasoning: output_format_prompt_open */
    const char *content; /* name of the rule that content obeys, or NULL: it is free */
};

/* Appends `root` and rules whose names begin with "output-". The rules that are named in the
 * request must be in *rules, before or afterwards. -1: memory or the buffer's maximum ran out,
 * or (ERR_INVALID) a call is required where there is nothing to call. */
int output_grammar_write(const struct output_grammar *g, struct buf *rules, struct err *e);
