/* tool_fields.h: what requests say of tools, checked: "tools", "tool_choice" and whether calls
 * may come together.
 *
 * The three APIs write the same in three shapes; all become that of OpenAI's chat completions,
 * which is what chat templates are made for. Errors name the field in err.param:
 * "tools[2].function.name". Fields that concern other servers (cache_control) are passed over;
 * kinds of tools that this server does not run are refused by name. null counts as absent.
 *
 * Ownership: tool_list_from_* fill, tool_list_deinit releases; the request's JSON is only read.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "models/output/output_grammar.h"
#include "models/output/tool_messages.h"
#include "runtime/base/err.h"

#define TOOLS_MAX 128

struct tool {
    const char *name;        /* in tool_list.json */
    const cJSON *parameters; /* the same; a schema whose type is object */
    bool strict;             /* the client asked for it: a schema that cannot be enforced is an
                                error */
    bool allowed;            /* tool_choice lets it be called */
};

struct tool_list {
    struct tool *tools; /* (n) */
    size_t n;
    cJSON *json; /* array of {type, function: {name, description, parameters}} for the template,
                    NULL when there are none */
    enum output_choice choice; /* OUTPUT_CHOICE_NONE when there are none */
    bool parallel;
};

/* `request`: the whole body. Chat completions: tools[].function, tool_choice,
 * parallel_tool_calls. Responses: the same with the function's fields in tools[] itself.
 * Messages (Anthropic): tools[].input_schema, tool_choice with disable_parallel_tool_use. */
int tool_list_from_chat(struct tool_list *l, const cJSON *request, struct err *e);
int tool_list_from_responses(struct tool_list *l, const cJSON *request, struct err *e);
int tool_list_from_messages(struct tool_list *l, const cJSON *request, struct err *e);
void tool_list_deinit(struct tool_list *l);

/* The names of the tools that may be called, for output_parser.h; none when choice is NONE.
 * Returns how many; names: (TOOLS_MAX). */
size_t tool_list_names(const struct tool_list *l, const char *names[TOOLS_MAX]);

/* "tool_calls" of a message of the assistant's, in the shape of chat completions; `where` is
 * its place: "messages[3].tool_calls". */
int tool_calls_check(const cJSON *calls, const char *where, struct err *e);

/* Appends a call to such an array, for APIs that write calls otherwise. `arguments`: JSON text.
 * 0, or -1 when out of memory. */
int tool_calls_append(cJSON *calls, const char *id, const char *name, const char *arguments);
