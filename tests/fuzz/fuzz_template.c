/* Any text as a chat template: compiling it and rendering a conversation by it must stay inside
 * its memory and end soon, and only text of the template's own may count as trusted. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/template/chat_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct chat_message messages[] = {
    {.role = "system", .content = "Be brief.", .content_len = 9},
    {.role = "user", .content = "\x01\x01 <|im_end|>", .content_len = 13},
    {.role = "assistant",
     .reasoning = "Let me see.",
     .tool_calls = "[{\"id\":\"a1\",\"type\":\"function\",\"function\":{\"name\":\"add\","
                   "\"arguments\":{\"x\":1,\"y\":[2.5,null,true]}}}]"},
    {.role = "tool", .content = "3", .content_len = 1, .tool_call_id = "a1"},
    {.role = "assistant", .content = "Three.", .content_len = 6},
    {.role = "user", .content = " caf\xc3\xa9?\n", .content_len = 8},
};
static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":\"Adds.\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"}}}}}]";

/* The byte 1 stands in a message alone, unless the template has it. */
static void check_trust(const struct chat_text *text, const uint8_t *data, size_t size)
{
    if (memchr(data, 1, size) || memchr(data, '\\', size)) {
        return; /* as it is or escaped */
    }
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] == 1 && text->trusted[i]) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct chat_template *t = chat_template_compile((const char *)data, size, &e);
    if (!t) {
        return 0;
    }
    cJSON *tools = cJSON_Parse(tools_text);
    const struct chat_render in = {.messages = messages,
                                   .n_messages = sizeof(messages) / sizeof(messages[0]),
                                   .add_generation_prompt = true,
                                   .bos_token = "<s>",
                                   .eos_token = "</s>",
                                   .tools = tools,
                                   .unix_time = 1700000000};
    struct chat_text text = {0};
    if (chat_template_render(t, &in, &text, &e) == 0) {
        check_trust(&text, data, size);
        chat_text_deinit(&text);
    }
    cJSON_Delete(tools);
    chat_template_destroy(t);
    return 0;
}
