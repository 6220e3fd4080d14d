#include "runtime/cli/chat_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/cli/chat_stop.h"
#include "runtime/cli/print_safely.h"

struct showing {
    struct buf text; /* of the answer so far */
    bool is_terminal;
    struct err failed; /* why no more is wanted, unless it was stopped */
};

/* A Ctrl-C meanwhile is no failure. */
static int flush_output(struct err *e)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return 0;
    }
    int number = errno;
    clearerr(stdout);
    return number == EINTR ? 0 : err_set_errno(e, number, "standard output");
}

static int show(void *ctx, const char *text, size_t len)
{
    struct showing *s = ctx;
    if (s->is_terminal) {
        print_safely(stdout, text, len);
    } else {
        fwrite(text, 1, len, stdout);
    }
    if (flush_output(&s->failed) != 0) {
        return -1;
    }
    if (buf_append(&s->text, text, len) != 0) {
        return err_set(&s->failed, ERR_LIMIT, "the answer is longer than %zu bytes",
                       s->text.max);
    }
    return s->is_terminal && chat_stop_is_wanted() ? -1 : 0;
}

int chat_session_answer(struct chat_session *s, struct err *e)
{
    struct showing showing = {.is_terminal = s->is_terminal};
    const struct chat_request request = {.turns = &s->turns,
                                         .parameters = &s->parameters,
                                         .on_text = show,
                                         .text_ctx = &showing};
    buf_init(&showing.text, CHAT_ANSWER_MAX);
    int rc = s->source->answer(s->source->ctx, &request, e);
    bool was_stopped = rc != 0 && s->is_terminal && chat_stop_is_wanted();
    puts(was_stopped ? "\n(stopped)" : "");
    /* What was said before it was stopped is part of the conversation. */
    if (rc == 0 || (was_stopped && showing.text.len > 0)) {
        rc = chat_turns_add(&s->turns, "assistant", showing.text.data ? showing.text.data : "",
                            showing.text.len, e);
    } else {
        rc = was_stopped ? 0 : -1;
    }
    if (rc != 0 && showing.failed.kind != ERR_NONE) {
        *e = showing.failed;
    }
    buf_deinit(&showing.text);
    return rc;
}

static int say(struct chat_session *s, const char *text, struct err *e)
{
    if (chat_turns_add(&s->turns, "user", text, strlen(text), e) != 0) {
        return -1;
    }
    int rc = chat_session_answer(s, e);
    if (chat_turns_ends_with(&s->turns, "user")) {
        chat_turns_drop(&s->turns);
    }
    return rc;
}

/* "//..." is a message that begins with a slash. */
static int take(struct chat_session *s, const char *text, struct err *e)
{
    if (text[0] == '/' && text[1] != '/') {
        return chat_command(s, text, e);
    }
    return say(s, text[0] == '/' ? text + 1 : text, e);
}

/* -1: it ends the conversation. */
static int go_on(struct chat_session *s, const char *text, bool is_fenced, struct err *e)
{
    int rc = is_fenced ? say(s, text, e) : take(s, text, e);
    if (rc == 0 && flush_output(e) == 0) {
        return 0;
    }
    if (!s->is_terminal) {
        return -1;
    }
    print_safely(stderr, e->message, strlen(e->message));
    fputc('\n', stderr);
    *e = (struct err){0};
    return 0;
}

int chat_session_run(struct chat_session *s, struct err *e)
{
    struct buf message;
    bool is_fenced = false;
    int rc = 1;
    buf_init(&message, CHAT_MESSAGE_MAX);
    if (s->is_terminal) {
        puts("/help lists commands; Ctrl-C stops an answer, Ctrl-D or /exit ends.");
    }
    while (rc == 1 && !s->has_ended) {
        chat_stop_forget(); /* what was wanted of the command before */
        rc = chat_input_read(s->input, &message, &is_fenced, e);
        chat_stop_forget();
        if (rc == 1 && message.data[strspn(message.data, " \t\n")] != '\0' &&
            go_on(s, message.data, is_fenced, e) != 0) {
            rc = -1;
        }
    }
    if (s->is_terminal && rc == 0) {
        putchar('\n'); /* behind the prompt at which Ctrl-D was pressed */
    }
    buf_deinit(&message);
    return rc < 0 ? -1 : 0;
}
