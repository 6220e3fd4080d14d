/* tool_text.h: tools, calls and arguments as the text that OUTPUT_CALLS_JSON has for them, and
 * what their JSON must be like. Private to this folder. */
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/json.h"

/* 0 when every item is a call: {id, function: {name, arguments}}, at most TOOL_CALLS_MAX;
 * arguments are JSON text or an object. */
int tool_text_check_calls(const cJSON *calls);

/* Arguments given as JSON text, as an object. NULL when they are none. */
cJSON *tool_text_arguments(const cJSON *text);

/* What follows fails by out->failed. */

/* {"tool_calls": [{"name": "f", "arguments": {}}]} */
void tool_text_put_calls(const cJSON *calls, struct buf *out);

/* What a model is told about tools that its template does not show it. */
void tool_text_put_description(const cJSON *tools, struct buf *out);
