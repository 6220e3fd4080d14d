#include "models/output/output_grammar.h"

#include "models/output/output_marker.h"
#include "models/output/text_automaton.h"

/* How a call is written: "arguments", with one space at most where JSON may have any. */
#define RULES_COMMON           \
    "output-sp ::= \" \"?\n"   \
    "output-nl ::= \"\\n\"?\n" \
    "output-space ::= [ \\n]{0,4}\n"

static const char *arguments_key(const struct output_format *f)
{
    return f->calls == OUTPUT_CALLS_BARE ? "parameters" : "arguments";
}

static bool may_call(const struct output_grammar *g)
{
    return g->choice != OUTPUT_CHOICE_NONE && g->n_tools > 0;
}

/* output-tool-N: what stands behind "name": of the Nth tool, or of OUTPUT_CALLS_NAMED all of
 * its call. */
static void put_tools(const struct output_grammar *g, struct buf *out)
{
    for (size_t i = 0; i < g->n_tools; i++) {
        const struct output_grammar_tool *tool = &g->tools[i];
        buf_printf(out, "output-tool-%zu ::= ", i);
        if (g->format->calls == OUTPUT_CALLS_NAMED) {
            gbnf_put_literal(tool->name, out);
            buf_append_str(
                out, g->format->call_ids ? " ( \"" MARKER_CALL_ID "\" [a-zA-Z0-9]{9} )?" : "");
            buf_printf(out, " \"" MARKER_ARGS "\" %s\n", tool->arguments);
        } else {
            buf_printf(
                out,
                "\"\\\"%s\\\"\" output-sp \",\" output-sp \"\\\"%s\\\"\" output-sp \":\" "
                "output-sp %s\n",
                tool->name, arguments_key(g->format), tool->arguments);
        }
    }
    buf_append_str(out, "output-tool ::= ");
    for (size_t i = 0; i < g->n_tools; i++) {
        buf_printf(out, "%soutput-tool-%zu", i > 0 ? " | " : "", i);
    }
    buf_append_str(out,
                   "\n"
                   "output-named ::= output-sp \":\" output-sp output-tool output-sp \"}\"\n"
                   "output-object ::= \"{\" output-sp \"\\\"name\\\"\" output-named\n");
}

/* output-calls: all that an answer has of calls; output-call: the same behind what announces
 * it. */
static void put_calls(const struct output_grammar *g, struct buf *out)
{
    const bool more = g->parallel && !g->format->one_call;

    switch (g->format->calls) {
    case OUTPUT_CALLS_TAGGED:
        buf_printf(out,
                   "output-calls ::= \"" MARKER_TOOL_CALL "\" output-call\n"
                   "output-call ::= output-nl output-object output-nl \"" MARKER_TOOL_CALL_END
                   "\"%s\n",
                   more ? " ( output-nl output-calls )?" : "");
        break;
    case OUTPUT_CALLS_BARE:
        buf_printf(out,
                   "output-calls ::= output-object%s\n"
                   "output-call ::= output-named%s\n"
                   "output-typed ::= output-sp \",\" output-sp \"\\\"name\\\"\" output-call\n"
                   "output-tag ::= output-sp output-calls\n",
                   more ? " ( \"; \" output-calls )?" : "",
                   more ? " ( \"; \" output-calls )?" : "");
        break;
    case OUTPUT_CALLS_LIST:
        buf_printf(out,
                   "output-calls ::= \"" MARKER_TOOL_CALLS "\" output-call\n"
                   "output-call ::= output-sp \"[\" output-object%s \"]\"\n",
                   more ? " ( \",\" output-sp output-object )*" : "");
        break;
    case OUTPUT_CALLS_NAMED:
        buf_printf(out,
                   "output-calls ::= \"" MARKER_TOOL_CALLS "\" output-call\n"
                   "output-call ::= output-tool%s\n",
                   more ? " output-calls?" : "");
        break;
    case OUTPUT_CALLS_JSON:
        buf_printf(out,
                   "output-calls ::= \"{\" output-sp \"\\\"tool_calls\\\"\" output-call\n"
                   "output-call ::= output-sp \":\" output-sp \"[\" output-object%s \"]\" "
                   "output-sp \"}\"\n",
                   more ? " ( \",\" output-sp output-object )*" : "");
        break;
    }
}

/* Free text, in which reasoning comes first if at all, and calls are right. */
static void put_text(const struct output_grammar *g, struct buf *out)
{
    struct text_word words[TEXT_WORDS_MAX];
    size_t n = 0;

    if (g->format->think_open) {
        words[n++] = (struct text_word){g->format->think_open, true, "output-think-a0"};
    }
    switch (g->format->calls) {
    case OUTPUT_CALLS_TAGGED:
        words[n++] = (struct text_word){MARKER_TOOL_CALL, false, "output-call"};
        break;
    case OUTPUT_CALLS_BARE:
        words[n++] = (struct text_word){MARKER_PYTHON_TAG, false, "output-tag"};
        words[n++] = (struct text_word){"{ \"name\"", true, "output-call"};
        words[n++] = (struct text_word){"{ \"type\" : \"function\"", true, "output-typed"};
        words[n++] = (struct text_word){"{ \"parameters\"", true, NULL};
        words[n++] = (struct text_word){"{ \"arguments\"", true, NULL};
        break;
    case OUTPUT_CALLS_LIST:
    case OUTPUT_CALLS_NAMED:
        words[n++] = (struct text_word){MARKER_TOOL_CALLS, false, "output-call"};
        break;
    case OUTPUT_CALLS_JSON:
        words[n++] = (struct text_word){"{ \"tool_calls\"", true, "output-call"};
        break;
    }
    text_automaton_write("output-text", words, n, true, out);
}

/* output-answer: what follows reasoning, white space before it included. */
static void put_answer(const struct output_grammar *g, bool free_text, struct buf *out)
{
    if (free_text) {
        buf_append_str(out, "output-answer ::= output-text-a0\n");
        put_text(g, out);
        return;
    }
    const bool calls = may_call(g);
    const bool content = g->content && g->choice != OUTPUT_CHOICE_REQUIRED;
    buf_printf(out, "output-answer ::= output-space output-stated\noutput-stated ::= %s%s%s\n",
               calls ? "output-calls" : "", calls && content ? " | " : "",
               content ? g->content : "");
}

static void put_root(const struct output_grammar *g, bool free_text, struct buf *out)
{
    const struct output_format *f = g->format;

    if (g->reasoning_open) {
        buf_append_str(out, "root ::= output-think-a0\n");
    } else if (free_text) {
        buf_append_str(out, "root ::= output-text-a0\n");
    } else if (f->think_open) {
        buf_append_str(out, "root ::= ");
        gbnf_put_literal(f->think_open, out);
        buf_append_str(out, " output-think-a0 | output-stated\n");
    } else {
        buf_append_str(out, "root ::= output-stated\n");
    }
}

int output_grammar_write(const struct output_grammar *g, struct buf *rules, struct err *e)
{
    const bool free_text = g->choice == OUTPUT_CHOICE_AUTO && !g->content;

    if (!may_call(g) && (!g->content || g->choice == OUTPUT_CHOICE_REQUIRED)) {
        return err_set(e, ERR_INVALID, "there is no tool that may be called");
    }
    put_root(g, free_text, rules);
    buf_append_str(rules, RULES_COMMON);
    put_answer(g, free_text, rules);
    if (may_call(g)) {
        put_tools(g, rules);
        put_calls(g, rules);
    }
    if (g->format->think_open) {
        const struct text_word end = {g->format->think_close, false, "output-answer"};
        text_automaton_write("output-think", &end, 1, false, rules);
    }
    return rules->failed ? err_nomem(e) : 0;
}
