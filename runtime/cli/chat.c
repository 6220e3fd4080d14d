#include "runtime/cli/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/chat_session.h"
#include "runtime/cli/chat_stop.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/local_model.h"

#define SEED_MAX 9007199254740991 /* a double has it and all before it */

struct chat_options {
    const char *url;
    const char *key;
    const char *prompt;
    const char *name; /* of the model to ask a server for */
    const char *system;
    const char *history;
    bool no_history;
    double temperature; /* -1: not given */
    long seed;          /* -1: not given */
    struct local_model_settings local;
};

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

static void set_parameter(struct chat_parameters *p, enum chat_parameter which, double value)
{
    p->given[which] = value >= 0.0;
    p->values[which] = value;
}

static int choose(const struct chat_source *source, const struct chat_options *o, struct err *e)
{
    if (o->name && source->set_model(source->ctx, o->name, e) != 0) {
        return -1;
    }
    return o->prompt ? source->set_prompt(source->ctx, o->prompt, e) : 0;
}

static int converse(const struct chat_source *source, const struct chat_options *o,
                    struct err *e)
{
    struct chat_session s = {.source = source,
                             .is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    char *usual = o->no_history || o->history ? NULL : chat_history_path();
    set_parameter(&s.parameters, CHAT_TEMPERATURE, o->temperature);
    set_parameter(&s.parameters, CHAT_SEED, (double)o->seed);
    int rc = choose(source, o, e);
    rc = rc == 0 && o->system ? add_system(&s.turns, o->system, e) : rc;
    s.input =
        rc == 0 ? chat_input_open(s.is_terminal, o->history ? o->history : usual, e) : NULL;
    if (s.input) {
        if (s.is_terminal) {
            chat_stop_catch();
        }
        rc = chat_session_run(&s, e);
    } else {
        rc = -1;
    }
    chat_input_close(s.input);
    chat_turns_deinit(&s.turns);
    mem_free(usual);
    return rc;
}

static int chat_with_model(const struct chat_options *o, struct err *e)
{
    struct chat_source source;
    struct chat_local *l = chat_local_open(&o->local, clock_now_ns(), &source, e);
    if (!l) {
        return -1;
    }
    int rc = converse(&source, o, e);
    chat_local_close(l);
    return rc;
}

static int chat_with_server(const struct chat_options *o, struct err *e)
{
    struct chat_source source;
    struct chat_remote *remote = chat_remote_open(o->url, o->key, &source, e);
    if (!remote) {
        return -1;
    }
    int rc = converse(&source, o, e);
    chat_remote_close(remote);
    return rc;
}

static int parse(struct chat_options *o, int argc, char **argv)
{
    long threads = local_core_count();
    const struct option table[] = {
        {"url", 'u', OPTION_STRING, &o->url, "URL", "a server (http://127.0.0.1:8080)", 0, 0},
        {"model", 'm', OPTION_STRING, &o->local.path, "FILE",
         "a GGUF file, run here without a server", 0, 0},
        {"key", 0, OPTION_STRING, &o->key, "KEY", "the server's API key (WEIR_API_KEY)", 0, 0},
        {"name", 0, OPTION_STRING, &o->name, "NAME",
         "the model to ask the server for, NAME or NAME@VERSION", 0, 0},
        {"prompt", 0, OPTION_STRING, &o->prompt, "NAME",
         "the server's system prompt to use, NAME or NAME@VERSION", 0, 0},
        {"system-prompt", 's', OPTION_STRING, &o->system, "FILE",
         "a system message to begin with", 0, 0},
        {"temperature", 0, OPTION_DOUBLE, &o->temperature, "T",
         "0 is greedy (the server's; with --model 0.8)", 0, 2},
        {"seed", 0, OPTION_INT, &o->seed, "N", "for repeatable answers", 0, SEED_MAX},
        {"history", 0, OPTION_STRING, &o->history, "FILE",
         "keep typed lines there (WEIR_CHAT_HISTORY, or ~/.local/state/weir/chat_history)", 0,
         0},
        {"no-history", 0, OPTION_FLAG, &o->no_history, NULL, "keep none", 0, 0},
        {"threads", 't', OPTION_INT, &threads, "N", "with --model (number of cores)", 1, 256},
        {"cpu", 0, OPTION_STRING, &o->local.cpu, "NAME",
         "with --model: best instruction set (auto)", 0, 0},
        {"adapter", 0, OPTION_STRING, &o->local.adapter, "FILE[@SCALE]",
         "with --model: a LoRA adapter (GGUF) of the model", 0, 0},
        {"any-base", 0, OPTION_FLAG, &o->local.any_base, NULL,
         "also where the adapter was trained on another file", 0, 0},
        {0},
    };
    const struct options options = {
        "weir chat [--url URL | --model FILE] [options]",
        "Chat in a terminal: lines are edited and kept, /help lists commands. Without a "
        "terminal, one message a line.",
        table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    o->local.threads = (int)threads;
    if (positional > 0 || (o->local.path && (o->url || o->name))) {
        fprintf(stderr, "weir chat: %s\nusage: %s\n",
                positional > 0 ? "there is one argument too many"
                : o->url       ? "give --url or --model, not both"
                               : "--name goes with --url",
                options.usage);
        return 2;
    }
    return -1;
}

int cli_chat(int argc, char **argv)
{
    struct chat_options o = {.temperature = -1.0,
                             .seed = -1,
                             .local = {.cpu = "auto",
                                       .max_rows = 256,
                                       .n_slots = 1,
                                       .is_stop_wanted = chat_stop_is_wanted}};
    int rc = parse(&o, argc, argv);
    if (rc >= 0) {
        return rc;
    }
    struct err e = {0};
    o.key = o.key ? o.key : getenv("WEIR_API_KEY");
    if (!o.local.path) {
        o.url = o.url ? o.url : "http://127.0.0.1:8080";
        rc = chat_with_server(&o, &e);
    } else {
        rc = chat_with_model(&o, &e);
    }
    return rc == 0 ? 0 : cli_fail("chat", &e);
}
