#include <stdio.h>
#include <string.h>

#include "models/format/gguf.h"
#include "models/template/chat_prompt.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"

#define MESSAGES_BYTES_MAX ((size_t)8 << 20)

/* What is to be rendered. Strings are borrowed from `root`, but for tool_calls, which are its
 * own. */
struct conversation {
    cJSON *root;
    struct chat_message *messages;
    size_t n_messages;
    const cJSON *tools;
    const cJSON *kwargs;
};

static void conversation_deinit(struct conversation *c)
{
    for (size_t i = 0; i < c->n_messages; i++) {
        cJSON_free((char *)c->messages[i].tool_calls);
    }
    mem_free(c->messages);
    cJSON_Delete(c->root);
}

/* A field; NULL where it is missing or null. */
static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(field) ? NULL : field;
}

/* A string, or NULL where the field is missing or null. */
static int read_string(const cJSON *item, size_t at, const char *key, const char **out,
                       struct err *e)
{
    const cJSON *field = get(item, key);
    if (field && !cJSON_IsString(field)) {
        return err_set(e, ERR_INVALID, "messages[%zu]: \"%s\" must be a string", at, key);
    }
    *out = cJSON_GetStringValue(field);
    return 0;
}

static int read_message(const cJSON *item, size_t at, struct chat_message *m, struct err *e)
{
    if (read_string(item, at, "role", &m->role, e) != 0 ||
        read_string(item, at, "content", &m->content, e) != 0 ||
        read_string(item, at, "reasoning_content", &m->reasoning, e) != 0 ||
        read_string(item, at, "tool_call_id", &m->tool_call_id, e) != 0) {
        return -1;
    }
    const cJSON *calls = get(item, "tool_calls");
    if (calls && !cJSON_IsArray(calls)) {
        return err_set(e, ERR_INVALID, "messages[%zu]: \"tool_calls\" must be an array", at);
    }
    if (!m->role || (!m->content && !calls)) {
        return err_set(e, ERR_INVALID,
                       "messages[%zu]: \"role\" and \"content\" must be strings", at);
    }
    m->content_len = m->content ? strlen(m->content) : 0;
    m->tool_calls = calls ? cJSON_PrintUnformatted(calls) : NULL;
    return calls && !m->tool_calls ? err_nomem(e) : 0;
}

/* An array of messages, or an object as a request has it: "messages", "tools" and
 * "chat_template_kwargs". */
static int read_conversation(const char *path, struct conversation *c, struct err *e)
{
    c->root = json_parse_file(path, MESSAGES_BYTES_MAX, e);
    if (!c->root) {
        return -1;
    }
    const cJSON *list = c->root;
    if (cJSON_IsObject(c->root)) {
        list = get(c->root, "messages");
        c->tools = get(c->root, "tools");
        c->kwargs = get(c->root, "chat_template_kwargs");
    }
    if (!cJSON_IsArray(list) || !list->child) {
        return err_set(e, ERR_INVALID, "an array of messages is wanted");
    }
    if ((c->tools && !cJSON_IsArray(c->tools)) || (c->kwargs && !cJSON_IsObject(c->kwargs))) {
        return err_set(e, ERR_INVALID,
                       "\"tools\" must be an array and \"chat_template_kwargs\" an object");
    }
    c->messages = mem_zarray((size_t)cJSON_GetArraySize(list), sizeof(*c->messages));
    if (!c->messages) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        size_t at = c->n_messages++;
        if (read_message(item, at, &c->messages[at], e) != 0) {
            return -1;
        }
    }
    return 0;
}

struct render_job {
    const char *model, *template_path, *conversation;
    const char *bos, *eos; /* where no model says them */
    long time;
    bool no_prompt;
};

static struct chat_template *load_template(const struct render_job *job, const struct gguf *g,
                                           struct err *e)
{
    if (!job->template_path) {
        return chat_template_from_gguf(g, e);
    }
    size_t len;
    char *source = file_read(job->template_path, CHAT_TEMPLATE_BYTES_MAX, &len, e);
    struct chat_template *t = source ? chat_template_compile(source, len, e) : NULL;
    mem_free(source);
    if (!t) {
        err_prefix(e, "%s", job->template_path);
    }
    return t;
}

static int render(const struct render_job *job, const struct gguf *g,
                  const struct conversation *c, struct err *e)
{
    struct chat_text text = {0};
    struct tokenizer *tokenizer = NULL;
    struct chat_template *t = load_template(job, g, e);
    const struct chat_render in = {.messages = c->messages,
                                   .n_messages = c->n_messages,
                                   .add_generation_prompt = !job->no_prompt,
                                   .bos_token = job->bos,
                                   .eos_token = job->eos,
                                   .tools = c->tools,
                                   .kwargs = c->kwargs,
                                   .unix_time = job->time};
    int rc = -1;
    if (t && g) {
        tokenizer = tokenizer_from_gguf(g, e);
        rc = tokenizer ? chat_prompt_render(t, tokenizer, &in, &text, e) : -1;
    } else if (t) {
        rc = chat_template_render(t, &in, &text, e);
    }
    if (rc == 0) {
        fwrite(text.data, 1, text.len, stdout);
    }
    chat_text_deinit(&text);
    tokenizer_destroy(tokenizer);
    chat_template_destroy(t);
    return rc;
}

static int run(const struct render_job *job, struct err *e)
{
    struct conversation c = {0};
    struct gguf *g = NULL;
    int rc = read_conversation(job->conversation, &c, e);
    if (rc == 0 && job->model) {
        g = gguf_open(job->model, e);
        rc = g ? 0 : -1;
    }
    if (rc == 0) {
        rc = render(job, g, &c, e);
    }
    gguf_close(g);
    conversation_deinit(&c);
    return rc;
}

int cli_render(int argc, char **argv)
{
    struct render_job job = {.bos = "", .eos = ""};
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &job.model, "FILE", "the model, a GGUF file", 0, 0},
        {"messages", 0, OPTION_STRING, &job.conversation, "FILE",
         "JSON array of messages, or an object with \"messages\", \"tools\" and "
         "\"chat_template_kwargs\"; - is stdin",
         0, 0},
        {"template", 0, OPTION_STRING, &job.template_path, "FILE",
         "a Jinja template, in place of the model's; it needs no model", 0, 0},
        {"bos", 0, OPTION_STRING, &job.bos, "TEXT", "bos_token, where there is no model", 0, 0},
        {"eos", 0, OPTION_STRING, &job.eos, "TEXT", "eos_token, where there is no model", 0, 0},
        {"time", 0, OPTION_INT, &job.time, "SECONDS",
         "what strftime_now shows, since 1970 (the present)", 0, 1L << 40},
        {"no-generation-prompt", 0, OPTION_FLAG, &job.no_prompt, NULL,
         "leave out the beginning of the answer", 0, 0},
        {0},
    };
    const struct options options = {
        "weir render (-m FILE | --template FILE) --messages FILE.json",
        "Prints the prompt text that a chat template makes.", table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if ((!job.model && !job.template_path) || !job.conversation || positional > 0) {
        fprintf(stderr,
                "weir render: -m FILE or --template FILE, and --messages FILE, are needed\n"
                "usage: %s\n",
                options.usage);
        return 2;
    }
    struct err e = {0};
    return run(&job, &e) == 0 ? 0 : cli_fail("render", &e);
}
