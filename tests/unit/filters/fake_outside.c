#include "tests/unit/filters/fake_outside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void release(struct fake_question *q)
{
    free(q->body);
    free(q);
}

static void *ask(struct chain_outside *outside, const struct filter_question *question,
                 void (*answered)(void *user, const struct filter_answer *answer), void *user)
{
    struct fake_outside *o = (struct fake_outside *)outside;
    if (++o->asked == o->refuse_at || o->count == FAKE_MAX_PENDING) {
        return NULL;
    }
    assert_int_equal(question->size, sizeof(*question));
    struct fake_question *q = calloc(1, sizeof(*q));
    q->body = strndup(question->body, question->body_len);
    q->delay_ms = question->delay_ms;
    q->timeout_ms = question->timeout_ms;
    q->answered = answered;
    q->user = user;
    for (size_t i = 0; i < question->header_count; i++) {
        strncat(q->headers, question->headers[i], 100);
        strncat(q->headers, "|", 2);
    }
    o->pending[o->count++] = q;
    return q;
}

static void remove_question(struct fake_outside *o, const struct fake_question *q)
{
    size_t i = 0;
    while (i < o->count && o->pending[i] != q) {
        i++;
    }
    assert_true(i < o->count); /* else it was answered or taken back before */
    memmove(&o->pending[i], &o->pending[i + 1], (o->count - i - 1) * sizeof(o->pending[0]));
    o->count--;
}

static void take_back(struct chain_outside *outside, void *asked)
{
    struct fake_outside *o = (struct fake_outside *)outside;
    remove_question(o, asked);
    release(asked);
    o->taken_back++;
}

void fake_outside_init(struct fake_outside *o,
                       uint32_t (*serve)(const struct fake_question *q,
                                         char out[FAKE_MAX_ANSWER], void *ctx),
                       void *ctx)
{
    *o = (struct fake_outside){
        .face = {.ask = ask, .take_back = take_back}, .serve = serve, .ctx = ctx};
}

void fake_outside_answer(struct fake_outside *o, size_t index)
{
    assert_true(index < o->count);
    struct fake_question *q = o->pending[index];
    char out[FAKE_MAX_ANSWER] = "";
    uint32_t status = o->serve(q, out, o->ctx);
    /* An array of its own size, so that a read beyond its end is seen. */
    size_t len = strlen(out);
    char *body = malloc(len + 1);
    memcpy(body, out, len + 1);
    const struct filter_answer answer = {.size = sizeof(answer),
                                         .status = status,
                                         .body = status ? body : NULL,
                                         .len = status ? len : 0,
                                         .error = status ? NULL : body};
    remove_question(o, q);
    q->answered(q->user, &answer);
    release(q);
    free(body);
}

const char *fake_question_text(const struct fake_question *q)
{
    const char *text = strstr(q->body, "\"text\":\"");
    assert_non_null(text);
    return text + 8;
}
