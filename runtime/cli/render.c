#include <stdio.h>
#include <string.h>

#include "models/format/gguf.h"
#include "models/template/chat_prompt.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"

#define MESSAGES_BYTES_MAX ((size_t)8 << 20)

/* The array itself, or the "messages" of an object, as a request has it. Borrows from `root`.
 */
static struct chat_message *read_messages(const cJSON *root, size_t *n, struct err *e)
{
    const cJSON *list =
        cJSON_IsObject(root) ? cJSON_GetObjectItemCaseSensitive(root, "messages") : root;
    if (!cJSON_IsArray(list) || !list->child) {
        err_set(e, ERR_INVALID, "an array of messages is wanted");
        return NULL;
    }
    struct chat_message *messages =
        mem_zarray((size_t)cJSON_GetArraySize(list), sizeof(*messages));
    if (!messages) {
        err_nomem(e);
        return NULL;
    }
    *n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(item, "role");
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
        if (!cJSON_IsString(role) || !cJSON_IsString(content)) {
            err_set(e, ERR_INVALID, "messages[%zu]: \"role\" and \"content\" must be strings",
                    *n);
            mem_free(messages);
            return NULL;
        }
        messages[(*n)++] = (struct chat_message){.role = role->valuestring,
                                                 .content = content->valuestring,
                                                 .content_len = strlen(content->valuestring)};
    }
    return messages;
}

static int render(const struct gguf *g, const struct chat_message *messages, size_t n,
                  bool prompt, struct err *e)
{
    struct gguf_str source = {0};
    struct chat_text text = {0};
    struct chat_template *t = NULL;
    struct tokenizer *tokenizer = NULL;
    int rc = gguf_get_str(g, "tokenizer.chat_template", &source, e);
    if (rc == 0) {
        t = chat_template_compile(source.data, source.len, e);
        tokenizer = t ? tokenizer_from_gguf(g, e) : NULL;
        const struct chat_render in = {
            .messages = messages, .n_messages = n, .add_generation_prompt = prompt};
        rc = tokenizer ? chat_prompt_render(t, tokenizer, &in, &text, e) : -1;
    }
    if (rc == 0) {
        fwrite(text.data, 1, text.len, stdout);
    }
    chat_text_deinit(&text);
    tokenizer_destroy(tokenizer);
    chat_template_destroy(t);
    return rc;
}

int cli_render(int argc, char **argv)
{
    const char *model = NULL;
    const char *path = NULL;
    bool no_prompt = false;
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &model, "FILE", "the model, a GGUF file", 0, 0},
        {"messages", 0, OPTION_STRING, &path, "FILE", "JSON array of messages; - is stdin", 0,
         0},
        {"no-generation-prompt", 0, OPTION_FLAG, &no_prompt, NULL,
         "leave out the beginning of the answer", 0, 0},
        {0},
    };
    const struct options options = {"weir render -m FILE --messages FILE.json",
                                    "Prints the prompt text that the chat template makes.",
                                    table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!model || !path || positional > 0) {
        fprintf(stderr, "weir render: -m FILE and --messages FILE are needed\nusage: %s\n",
                options.usage);
        return 2;
    }
    struct err e = {0};
    size_t n = 0;
    struct chat_message *messages = NULL;
    struct gguf *g = NULL;
    cJSON *root = json_parse_file(path, MESSAGES_BYTES_MAX, &e);
    messages = root ? read_messages(root, &n, &e) : NULL;
    g = messages ? gguf_open(model, &e) : NULL;
    rc = g ? render(g, messages, n, !no_prompt, &e) : -1;
    gguf_close(g);
    mem_free(messages);
    cJSON_Delete(root);
    return rc == 0 ? 0 : cli_fail("render", &e);
}
