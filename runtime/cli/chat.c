#include "runtime/cli/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/local_model.h"

#define ANSWER_TOKENS_MAX 4096
#define ANSWER_BYTES_MAX  ((size_t)16 << 20)

int chat_turns_add(struct chat_turns *t, const char *role, const char *content, size_t len,
                   struct err *e)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 16;
        struct chat_message *moved = mem_realloc_array(t->messages, cap, sizeof(*moved));
        if (!moved) {
            return err_nomem(e);
        }
        t->messages = moved;
        t->cap = cap;
    }
    char *copy = mem_strndup(content, len);
    if (!copy) {
        return err_nomem(e);
    }
    t->messages[t->count++] =
        (struct chat_message){.role = role, .content = copy, .content_len = len};
    return 0;
}

void chat_turns_clear(struct chat_turns *t)
{
    size_t keep = t->count > 0 && strcmp(t->messages[0].role, "system") == 0 ? 1 : 0;
    while (t->count > keep) {
        mem_free((char *)(uintptr_t)t->messages[--t->count].content);
    }
}

void chat_turns_deinit(struct chat_turns *t)
{
    for (size_t i = 0; i < t->count; i++) {
        mem_free((char *)(uintptr_t)t->messages[i].content);
    }
    mem_free(t->messages);
    *t = (struct chat_turns){0};
}

/* Shows a piece and keeps it for the conversation. */
static int show(void *ctx, const char *text, size_t len)
{
    fwrite(text, 1, len, stdout);
    fflush(stdout);
    return buf_append(ctx, text, len);
}

static int one_turn(struct chat_turns *turns, const struct chat_source *source,
                    const char *line, size_t len, struct err *e)
{
    struct buf answer;
    buf_init(&answer, ANSWER_BYTES_MAX);
    int rc = chat_turns_add(turns, "user", line, len, e);
    if (rc == 0) {
        rc = source->answer(source->ctx, turns, show, &answer, e);
        putchar('\n');
    }
    if (rc == 0) {
        rc = chat_turns_add(turns, "assistant", answer.data ? answer.data : "", answer.len, e);
    }
    buf_deinit(&answer);
    return rc;
}

static int converse(const struct chat_source *source, struct chat_turns *turns, struct err *e)
{
    bool is_terminal = isatty(STDIN_FILENO);
    char *line = NULL;
    size_t cap = 0;
    int rc = 0;
    if (is_terminal) {
        printf("An empty line or Ctrl-D ends, /new starts over.\n");
    }
    while (rc == 0) {
        if (is_terminal) {
            printf("> ");
            fflush(stdout);
        }
        ssize_t len = getline(&line, &cap, stdin);
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) {
            line[--len] = '\0';
        }
        if (len <= 0) {
            break;
        }
        if (strcmp(line, "/new") == 0) {
            chat_turns_clear(turns);
            continue;
        }
        rc = one_turn(turns, source, line, (size_t)len, e);
    }
    free(line);
    return rc;
}

struct local_source {
    struct local_model model;
    struct sampling sampling;
};

static int answer_locally(void *ctx, const struct chat_turns *t, chat_text_fn *on_text,
                          void *text_ctx, struct err *e)
{
    struct local_source *s = ctx;
    return local_model_answer(&s->model, t->messages, t->count, &s->sampling, ANSWER_TOKENS_MAX,
                              on_text, text_ctx, e);
}

static int chat_local(const struct local_model_settings *set, double temperature, long seed,
                      struct chat_turns *turns, struct err *e)
{
    struct local_source s = {.sampling = SAMPLING_DEFAULT};
    s.sampling.temperature = (float)temperature;
    s.sampling.seed = seed >= 0 ? (uint64_t)seed : clock_now_ns();
    if (local_model_open(&s.model, set, e) != 0) {
        return -1;
    }
    struct chat_source source = {&s, answer_locally};
    int rc = converse(&source, turns, e);
    local_model_close(&s.model);
    return rc;
}

static int chat_with_server(const char *url, const char *key, struct chat_turns *turns,
                            struct err *e)
{
    struct chat_source source;
    struct chat_remote *remote = chat_remote_open(url, key, &source, e);
    if (!remote) {
        return -1;
    }
    int rc = converse(&source, turns, e);
    chat_remote_close(remote);
    return rc;
}

static int add_system(struct chat_turns *turns, const char *path, struct err *e)
{
    size_t len;
    char *text = file_read(path, 1 << 20, &len, e);
    if (!text) {
        return -1;
    }
    while (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    int rc = chat_turns_add(turns, "system", text, len, e);
    mem_free(text);
    return rc;
}

int cli_chat(int argc, char **argv)
{
    const char *url = NULL;
    const char *path = NULL;
    const char *key = NULL;
    const char *system = NULL;
    const char *cpu = "auto", *adapter = NULL;
    bool any_base = false;
    double temperature = 0.8;
    long seed = -1;
    long threads = local_core_count();
    const struct option table[] = {
        {"url", 'u', OPTION_STRING, &url, "URL", "a server (http://127.0.0.1:8080)", 0, 0},
        {"model", 'm', OPTION_STRING, &path, "FILE", "a GGUF file, run here without a server",
         0, 0},
        {"key", 0, OPTION_STRING, &key, "KEY", "the server's API key (WEIR_API_KEY)", 0, 0},
        {"system-prompt", 's', OPTION_STRING, &system, "FILE", "a system message to begin with",
         0, 0},
        {"temperature", 0, OPTION_DOUBLE, &temperature, "T", "with --model (0.8; 0 is greedy)",
         0, 0},
        {"seed", 0, OPTION_INT, &seed, "N", "with --model, for repeatable answers", 0, 0},
        {"threads", 't', OPTION_INT, &threads, "N", "with --model (number of cores)", 1, 256},
        {"cpu", 0, OPTION_STRING, &cpu, "NAME", "with --model: best instruction set (auto)", 0,
         0},
        {"adapter", 0, OPTION_STRING, &adapter, "FILE[@SCALE]",
         "with --model: a LoRA adapter (GGUF) of the model", 0, 0},
        {"any-base", 0, OPTION_FLAG, &any_base, NULL,
         "also where the adapter was trained on another file", 0, 0},
        {0},
    };
    const struct options options = {
        "weir chat [--url URL | --model FILE] [options]",
        "Chat in a terminal. Without a terminal, one question a line.", table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if ((url && path) || positional > 0) {
        fprintf(stderr, "weir chat: give --url or --model, not both\nusage: %s\n",
                options.usage);
        return 2;
    }
    struct err e = {0};
    struct chat_turns turns = {0};
    rc = system ? add_system(&turns, system, &e) : 0;
    if (rc == 0 && path) {
        struct local_model_settings set = {.path = path,
                                           .adapter = adapter,
                                           .any_base = any_base,
                                           .cpu = cpu,
                                           .threads = (int)threads,
                                           .max_rows = 256,
                                           .n_slots = 1};
        rc = chat_local(&set, temperature, seed, &turns, &e);
    } else if (rc == 0) {
        rc = chat_with_server(url ? url : "http://127.0.0.1:8080",
                              key ? key : getenv("WEIR_API_KEY"), &turns, &e);
    }
    chat_turns_deinit(&turns);
    return rc == 0 ? 0 : cli_fail("chat", &e);
}
