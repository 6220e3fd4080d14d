#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/cli/drift_ask.h"
#include "runtime/cli/remote.h"

#define ANSWER_BYTES_MAX ((size_t)16 << 20)
#define THREADS_MAX      64
#define TRIES_MAX        120 /* of a server that has no room, a second apart */

/* What all threads work at: of two versions, prompt i to version k is job 2 * i + k, so that
 * both are asked all the time. */
struct run {
    const struct drift_server *server;
    const struct drift_prompts *prompts;
    const struct drift_progress *progress;
    struct drift_pair *pairs;
    char (*ids)[DRIFT_ID_MAX];

    pthread_mutex_t lock; /* of what follows, and of ids */
    size_t next, done;
    bool has_failed;
    struct err *e;
};

/* --- one answer --- */

static char *request_body(const struct run *run, const struct drift_prompt *p, int side)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", run->server->models[side]);
    if (p->messages) {
        cJSON_AddItemToObject(root, "messages", cJSON_Duplicate(p->messages, true));
    } else {
        cJSON_AddStringToObject(root, "prompt", p->prompt);
    }
    cJSON_AddNumberToObject(root, "temperature", 0);
    cJSON_AddNumberToObject(root, "max_tokens", run->server->max_tokens);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

static enum drift_end end_named(const char *finish)
{
    if (finish && strcmp(finish, "length") == 0) {
        return DRIFT_LENGTH;
    }
    return finish && strcmp(finish, "content_filter") == 0 ? DRIFT_FILTERED : DRIFT_STOP;
}

static int take_text(struct drift_answer *out, const char *text, struct err *e)
{
    out->text = mem_strdup(text ? text : "");
    out->len = out->text ? strlen(out->text) : 0;
    return out->text ? 0 : err_nomem(e);
}

/* It must be the same version from beginning to end. */
static int check_id(struct run *run, int side, const char *id, struct err *e)
{
    int rc = 0;
    pthread_mutex_lock(&run->lock);
    if (!run->ids[side][0]) {
        snprintf(run->ids[side], DRIFT_ID_MAX, "%s", id ? id : "?");
    } else if (id && strncmp(run->ids[side], id, DRIFT_ID_MAX - 1) != 0) {
        rc = err_set(e, ERR_CONFLICT, "\"%s\" was %s and is %s now; name a version that stays",
                     run->server->models[side], run->ids[side], id);
    }
    pthread_mutex_unlock(&run->lock);
    return rc;
}

static int take_answer(struct run *run, int side, const cJSON *root, struct drift_answer *out,
                       struct err *e)
{
    const cJSON *choice =
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "choices"), 0);
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(choice, "message");
    const cJSON *content = message ? cJSON_GetObjectItemCaseSensitive(message, "content")
                                   : cJSON_GetObjectItemCaseSensitive(choice, "text");
    const cJSON *usage = cJSON_GetObjectItemCaseSensitive(root, "usage");
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(usage, "completion_tokens");
    if (!choice) {
        return err_set(e, ERR_FORMAT, "the server's answer has no choice");
    }
    out->end = end_named(
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(choice, "finish_reason")));
    out->tokens = cJSON_IsNumber(tokens) ? (size_t)tokens->valuedouble : 0;
    return check_id(run, side,
                    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "model")),
                    e) == 0
               ? take_text(out, cJSON_GetStringValue(content), e)
               : -1;
}

/* A prompt that was refused as such: by a filter, or because it is too long. */
static int take_refusal(const cJSON *root, struct drift_answer *out, struct err *e)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "code"));
    bool is_filter = code && strcmp(code, "content_filter") == 0;
    out->end = is_filter ? DRIFT_BLOCKED : DRIFT_FAILED;
    return take_text(
        out, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message")), e);
}

static void wait_a_second(void)
{
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
}

static size_t side_count(const struct run *run)
{
    return run->server->models[1] ? 2 : 1;
}

static int ask(struct run *run, struct remote *remote, size_t job, struct buf *answer,
               struct err *e)
{
    size_t prompt = job / side_count(run);
    const struct drift_prompt *p = &run->prompts->items[prompt];
    int side = (int)(job % side_count(run));
    struct drift_answer *out = &run->pairs[prompt].of[side];
    const char *path = p->messages ? "/v1/chat/completions" : "/v1/completions";
    char *body = request_body(run, p, side);
    long status = 429;
    int rc = body ? 0 : err_nomem(e);
    for (int i = 0; rc == 0 && status == 429 && i < TRIES_MAX; i++) {
        if (i > 0) {
            wait_a_second();
        }
        uint64_t begin = clock_now_ns();
        rc = remote_exchange(remote, "POST", path, body, answer, &status, e);
        out->seconds = (double)(clock_now_ns() - begin) / 1e9;
    }
    cJSON_free(body);
    if (rc != 0 || (status != 200 && status != 400)) {
        return rc != 0 ? rc : remote_refused(status, answer, e);
    }
    cJSON *root = json_parse(answer->data ? answer->data : "", answer->len, e);
    if (!root) {
        return err_prefix(e, "the server's answer");
    }
    rc = status == 200 ? take_answer(run, side, root, out, e) : take_refusal(root, out, e);
    cJSON_Delete(root);
    return rc;
}

/* --- several at a time --- */

static bool take_job(struct run *run, size_t *job)
{
    pthread_mutex_lock(&run->lock);
    bool has_one = !run->has_failed && run->next < side_count(run) * run->prompts->n;
    *job = has_one ? run->next++ : 0;
    pthread_mutex_unlock(&run->lock);
    return has_one;
}

static void count_answer(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    run->done++;
    if (run->progress->told) {
        run->progress->told(run->progress->ctx, run->done, side_count(run) * run->prompts->n);
    }
    pthread_mutex_unlock(&run->lock);
}

/* The first failure ends all. */
static void fail(struct run *run, const struct err *e)
{
    pthread_mutex_lock(&run->lock);
    if (!run->has_failed) {
        run->has_failed = true;
        *run->e = *e;
    }
    pthread_mutex_unlock(&run->lock);
}

static void *work(void *arg)
{
    struct run *run = arg;
    struct remote remote;
    struct buf answer;
    struct err e = {0};
    size_t job;
    buf_init(&answer, ANSWER_BYTES_MAX);
    int rc = remote_open(&remote, run->server->url, run->server->api_key, &e);
    while (rc == 0 && take_job(run, &job)) {
        rc = ask(run, &remote, job, &answer, &e);
        if (rc == 0) {
            count_answer(run);
        }
    }
    if (rc != 0) {
        fail(run, &e);
    }
    remote_close(&remote);
    buf_deinit(&answer);
    return NULL;
}

int drift_ask_server(const struct drift_server *server, const struct drift_prompts *prompts,
                     const struct drift_progress *progress, struct drift_pair *pairs,
                     char ids[2][DRIFT_ID_MAX], struct err *e)
{
    struct run run = {.server = server,
                      .prompts = prompts,
                      .progress = progress,
                      .pairs = pairs,
                      .ids = ids,
                      .e = e};
    pthread_t threads[THREADS_MAX];
    int n = 0, wanted = server->side_by_side < THREADS_MAX ? server->side_by_side : THREADS_MAX;
    ids[0][0] = ids[1][0] = '\0';
    pthread_mutex_init(&run.lock, NULL);
    while (n < wanted && pthread_create(&threads[n], NULL, work, &run) == 0) {
        n++;
    }
    if (n == 0) {
        work(&run);
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&run.lock);
    return run.has_failed ? -1 : 0;
}
