#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/cli/chat_session.h"
#include "runtime/cli/print_safely.h"

const struct chat_parameter_kind chat_parameter_kinds[CHAT_PARAMETERS] = {
    [CHAT_TEMPERATURE] = {"temperature", 0, 2, false},
    [CHAT_TOP_P] = {"top_p", 0, 1, false},
    [CHAT_TOP_K] = {"top_k", 0, 1000000, true},
    [CHAT_MIN_P] = {"min_p", 0, 1, false},
    [CHAT_REPETITION_PENALTY] = {"repetition_penalty", 0.01, 10, false},
    [CHAT_PRESENCE_PENALTY] = {"presence_penalty", -2, 2, false},
    [CHAT_FREQUENCY_PENALTY] = {"frequency_penalty", -2, 2, false},
    [CHAT_MAX_TOKENS] = {"max_tokens", 1, 1048576, true},
    [CHAT_SEED] = {"seed", 0, 9007199254740991.0, true},
};

/* Tells somebody who sits there that something was done; a script need not hear it. */
static void confirm(const struct chat_session *s, const char *text)
{
    if (s->is_terminal) {
        puts(text);
    }
}

static void print_text(const struct chat_session *s, const char *text)
{
    if (s->is_terminal) {
        print_safely(stdout, text, strlen(text));
    } else {
        fputs(text, stdout);
    }
}

static int print(const struct chat_session *s, const struct buf *text, struct err *e)
{
    if (text->failed) {
        return err_nomem(e);
    }
    print_text(s, text->data ? text->data : "");
    return 0;
}

static int needs(const char *argument, const char *what, struct err *e)
{
    return *argument ? 0 : err_set(e, ERR_INVALID, "%s is wanted behind the command", what);
}

/* --- the conversation --- */

static int clear(struct chat_session *s, const char *argument, struct err *e)
{
    (void)argument;
    (void)e;
    chat_turns_clear(&s->turns);
    confirm(s, "A new conversation.");
    return 0;
}

static int system_message(struct chat_session *s, const char *argument, struct err *e)
{
    if (*argument) {
        return chat_turns_set_system(&s->turns, strcmp(argument, "-") == 0 ? NULL : argument,
                                     e);
    }
    const char *text = chat_turns_system(&s->turns);
    print_text(s, text ? text : "There is no system message of yours; /system TEXT sets one.");
    putchar('\n');
    return 0;
}

static int need_question(const struct chat_session *s, struct err *e)
{
    return chat_turns_has_question(&s->turns)
               ? 0
               : err_set(e, ERR_INVALID, "there is no message of yours before this");
}

/* Where there is no other answer the one before stays. */
static int retry(struct chat_session *s, const char *argument, struct err *e)
{
    (void)argument;
    struct chat_message before = {0};
    if (need_question(s, e) != 0) {
        return -1;
    }
    if (chat_turns_ends_with(&s->turns, "assistant")) {
        before = chat_turns_take(&s->turns);
    }
    int rc = chat_session_answer(s, e);
    if (before.content && chat_turns_ends_with(&s->turns, "user")) {
        chat_turns_put_back(&s->turns, before);
    } else {
        mem_free((char *)(uintptr_t)before.content);
    }
    return rc;
}

static int undo(struct chat_session *s, const char *argument, struct err *e)
{
    (void)argument;
    if (need_question(s, e) != 0) {
        return -1;
    }
    if (chat_turns_ends_with(&s->turns, "assistant")) {
        chat_turns_drop(&s->turns);
    }
    chat_turns_drop(&s->turns);
    confirm(s, "Your last message and its answer are taken back.");
    return 0;
}

/* --- files --- */

/* "~/..." as a shell has it. */
static int complete_path(const char *argument, char *path, size_t size, struct err *e)
{
    const char *home = getenv("HOME");
    int n = strncmp(argument, "~/", 2) == 0 && home
                ? snprintf(path, size, "%s%s", home, argument + 1)
                : snprintf(path, size, "%s", argument);
    return n >= 0 && (size_t)n < size ? 0 : err_set(e, ERR_LIMIT, "the path is too long");
}

static int save(struct chat_session *s, const char *argument, struct err *e)
{
    char path[4096];
    if (needs(argument, "a file", e) != 0 ||
        complete_path(argument, path, sizeof(path), e) != 0 ||
        chat_turns_save(&s->turns, path, e) != 0) {
        return -1;
    }
    confirm(s, "Saved.");
    return 0;
}

static int load(struct chat_session *s, const char *argument, struct err *e)
{
    char path[4096];
    if (needs(argument, "a file", e) != 0 ||
        complete_path(argument, path, sizeof(path), e) != 0 ||
        chat_turns_load(&s->turns, path, e) != 0) {
        return -1;
    }
    if (s->is_terminal) {
        printf("%zu messages are loaded.\n", s->turns.count);
    }
    return 0;
}

/* --- who answers, and how --- */

static int model(struct chat_session *s, const char *argument, struct err *e)
{
    const struct chat_source *source = s->source;
    if (*argument) {
        return source->set_model(source->ctx, argument, e);
    }
    struct buf text;
    buf_init(&text, 1 << 20);
    int rc = source->list_models(source->ctx, &text, e);
    rc = rc == 0 ? print(s, &text, e) : rc;
    buf_deinit(&text);
    return rc;
}

static int prompt(struct chat_session *s, const char *argument, struct err *e)
{
    return s->source->set_prompt(s->source->ctx, *argument ? argument : NULL, e);
}

static int info(struct chat_session *s, const char *argument, struct err *e)
{
    (void)argument;
    struct buf text;
    buf_init(&text, 1 << 16);
    s->source->describe(s->source->ctx, &text);
    int rc = print(s, &text, e);
    buf_deinit(&text);
    return rc;
}

static void print_parameters(const struct chat_parameters *p)
{
    for (int i = 0; i < CHAT_PARAMETERS; i++) {
        const struct chat_parameter_kind *kind = &chat_parameter_kinds[i];
        if (p->given[i]) {
            printf("%-20s %.16g\n", kind->name, p->values[i]);
        } else {
            printf("%-20s default; %g to %.16g\n", kind->name, kind->min, kind->max);
        }
    }
}

static int find_parameter(const char *name, struct err *e)
{
    struct nearest near = {.wanted = name};
    for (int i = 0; i < CHAT_PARAMETERS; i++) {
        if (strcmp(chat_parameter_kinds[i].name, name) == 0) {
            return i;
        }
        nearest_offer(&near, chat_parameter_kinds[i].name);
    }
    return near.name
               ? err_set(e, ERR_INVALID, "\"%.40s\" is not known; did you mean %s?", name,
                         near.name)
               : err_set(e, ERR_INVALID, "\"%.40s\" is not known; /set lists what is", name);
}

static int set(struct chat_session *s, const char *argument, struct err *e)
{
    struct chat_parameters *p = &s->parameters;
    char name[64];
    size_t len = strcspn(argument, " \t=");
    const char *text = argument + len;
    text += strspn(text, " \t=");
    if (!*argument) {
        print_parameters(p);
        return 0;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1),
             argument);
    int which = find_parameter(name, e);
    if (which < 0) {
        return -1;
    }
    const struct chat_parameter_kind *kind = &chat_parameter_kinds[which];
    if (strcmp(text, "default") == 0) {
        p->given[which] = false;
        return 0;
    }
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= kind->min && value <= kind->max) ||
        (kind->is_whole && value != floor(value))) {
        return err_set(e, ERR_INVALID,
                       "/set %s: \"%.40s\" is not allowed; %s, %g to %.16g, or default",
                       kind->name, text, kind->is_whole ? "a whole number" : "a number",
                       kind->min, kind->max);
    }
    p->given[which] = true;
    p->values[which] = value;
    return 0;
}

/* --- the session --- */

static int help(struct chat_session *s, const char *argument, struct err *e);

static int leave(struct chat_session *s, const char *argument, struct err *e)
{
    (void)argument;
    (void)e;
    s->has_ended = true;
    return 0;
}

static const struct command {
    const char *name;
    const char *argument; /* for /help */
    const char *help;
    int (*run)(struct chat_session *s, const char *argument, struct err *e);
} commands[] = {
    {"help", "", "this list", help},
    {"clear", "", "start over; the system message stays (also /new)", clear},
    {"system", "[TEXT]", "show the system message, or set it; - takes it away", system_message},
    {"model", "[NAME]", "list models, or have another one answer (a file without a server)",
     model},
    {"prompt", "[NAME]", "the server's system prompt to use, NAME or NAME@VERSION", prompt},
    {"info", "", "which model, prompt and filters made the last answer", info},
    {"set", "[NAME VALUE]", "list what can be set, or set it: /set temperature 0.2", set},
    {"retry", "", "another answer to your last message", retry},
    {"undo", "", "take your last message and its answer back", undo},
    {"save", "FILE", "write the conversation, JSON", save},
    {"load", "FILE", "go on with a saved one", load},
    {"exit", "", "end (also /quit, Ctrl-D)", leave},
    {"new", "", NULL, clear},
    {"quit", "", NULL, leave},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(struct chat_session *s, const char *argument, struct err *e)
{
    (void)s;
    (void)argument;
    (void)e;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (commands[i].help) {
            printf("/%-7s %-14s %s\n", commands[i].name, commands[i].argument,
                   commands[i].help);
        }
    }
    puts("A line that ends in \\ goes on in the next one; lines between \"\"\" and \"\"\" are "
         "one "
         "message.\n//text is a message that begins with a slash. Ctrl-C stops an answer.");
    return 0;
}

int chat_command(struct chat_session *s, const char *line, struct err *e)
{
    char name[32];
    struct nearest near = {.wanted = name};
    size_t len = strcspn(line + 1, " \t\n");
    const char *argument = line + 1 + len;
    argument += strspn(argument, " \t\n");
    snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1),
             line + 1);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return commands[i].run(s, argument, e);
        }
        nearest_offer(&near, commands[i].name);
    }
    return near.name
               ? err_set(e, ERR_INVALID, "there is no command /%s; did you mean /%s?", name,
                         near.name)
               : err_set(e, ERR_INVALID, "there is no command /%s; /help lists them", name);
}
