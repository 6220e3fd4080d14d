/* output_marker.h: the words around calls in models' output, as their templates have them.
 * Private to this folder. */
#pragma once

#define MARKER_TOOL_CALL     "<tool_call>"
#define MARKER_TOOL_CALL_END "</tool_call>"
#define MARKER_TOOL_CALLS    "[TOOL_CALLS]"
#define MARKER_CALL_ID       "[CALL_ID]"
#define MARKER_ARGS          "[ARGS]"
#define MARKER_PYTHON_TAG    "<|python_tag|>"
