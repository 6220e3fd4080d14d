#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "models/eval/eval_expect.h"
#include "runtime/cli/local_model.h"

#define SET_BYTES_MAX     ((size_t)1 << 30)
#define ANSWER_BYTES_MAX  ((size_t)1 << 20)
#define ANSWER_TOKENS_MAX 128
#define SKILLS_MAX        256
#define MESSAGES_MAX      1024

/* How the answers of one skill were. */
struct skill {
    char *name; /* owned */
    long right;
    long of;
};

struct evaluation {
    struct local_model model;
    struct skill skills[SKILLS_MAX];
    size_t n_skills;
    long limit;         /* questions of each skill, 0: all */
    long show_failures; /* how many are still to be shown */
    FILE *shown_on;
    long asked;
    bool progress;
};

struct question {
    cJSON *json; /* the line; the rest borrows from it */
    const char *skill;
    struct chat_message messages[MESSAGES_MAX];
    size_t n_messages;
    const cJSON *expect_json;
    struct eval_expect expect;
};

static int parse_messages(struct question *q, const cJSON *json, struct err *e)
{
    if (!cJSON_IsArray(json) || !json->child) {
        return err_set(e, ERR_FORMAT,
                       "\"messages\": an array of one message or more is wanted");
    }
    for (const cJSON *m = json->child; m; m = m->next) {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(m, "role");
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(m, "content");
        if (!cJSON_IsString(role) || !cJSON_IsString(content)) {
            return err_set(e, ERR_FORMAT,
                           "\"messages\": each needs the texts role and content");
        }
        if (q->n_messages == MESSAGES_MAX) {
            return err_set(e, ERR_LIMIT, "\"messages\": more than %d", MESSAGES_MAX);
        }
        q->messages[q->n_messages++] = (struct chat_message){
            .role = role->valuestring,
            .content = content->valuestring,
            .content_len = strlen(content->valuestring),
        };
    }
    return 0;
}

static int check_keys(const cJSON *json, struct err *e)
{
    if (!cJSON_IsObject(json)) {
        return err_set(e, ERR_FORMAT, "an object is wanted");
    }
    for (const cJSON *item = json->child; item; item = item->next) {
        if (strcmp(item->string, "skill") != 0 && strcmp(item->string, "messages") != 0 &&
            strcmp(item->string, "expect") != 0) {
            return err_set(e, ERR_FORMAT,
                           "\"%.40s\" is not known; skill, messages and expect are",
                           item->string);
        }
    }
    return 0;
}

/* On failure too, q->json is to be deleted. */
static int parse_question(struct question *q, const char *line, size_t len, struct err *e)
{
    q->n_messages = 0;
    q->json = json_parse(line, len, e);
    if (!q->json || check_keys(q->json, e) != 0) {
        return -1;
    }
    const cJSON *skill = cJSON_GetObjectItemCaseSensitive(q->json, "skill");
    if (!cJSON_IsString(skill)) {
        return err_set(e, ERR_FORMAT, "\"skill\": a text is wanted");
    }
    q->skill = skill->valuestring;
    if (parse_messages(q, cJSON_GetObjectItemCaseSensitive(q->json, "messages"), e) != 0) {
        return -1;
    }
    q->expect_json = cJSON_GetObjectItemCaseSensitive(q->json, "expect");
    if (eval_expect_parse(&q->expect, q->expect_json, e) != 0) {
        return err_prefix(e, "\"expect\"");
    }
    return 0;
}

static struct skill *find_skill(struct evaluation *ev, const char *name, struct err *e)
{
    for (size_t i = 0; i < ev->n_skills; i++) {
        if (strcmp(ev->skills[i].name, name) == 0) {
            return &ev->skills[i];
        }
    }
    if (ev->n_skills == SKILLS_MAX) {
        err_set(e, ERR_LIMIT, "\"skill\": more than %d skills", SKILLS_MAX);
        return NULL;
    }
    char *copy = mem_strdup(name);
    if (!copy) {
        err_nomem(e);
        return NULL;
    }
    struct skill *s = &ev->skills[ev->n_skills++];
    *s = (struct skill){.name = copy};
    return s;
}

static int keep_text(void *ctx, const char *text, size_t len)
{
    return buf_append(ctx, text, len);
}

static void show_failure(struct evaluation *ev, const struct question *q,
                         const struct buf *answer)
{
    if (ev->show_failures == 0) {
        return;
    }
    ev->show_failures--;
    fprintf(ev->shown_on, "--- %s\n", q->skill);
    for (size_t i = 0; i < q->n_messages; i++) {
        fprintf(ev->shown_on, "%s: %s\n", q->messages[i].role, q->messages[i].content);
    }
    char *expected = cJSON_PrintUnformatted(q->expect_json);
    fprintf(ev->shown_on, "answer: %.*s\nexpected: %s\n", (int)answer->len,
            answer->data ? answer->data : "", expected ? expected : "(out of memory)");
    cJSON_free(expected);
}

static int ask(struct evaluation *ev, const struct question *q, struct skill *skill,
               struct err *e)
{
    const struct sampling greedy = {.top_p = 1.0f};
    struct buf answer;
    buf_init(&answer, ANSWER_BYTES_MAX);
    int rc = local_model_answer(&ev->model, q->messages, q->n_messages, &greedy,
                                ANSWER_TOKENS_MAX, keep_text, &answer, e);
    if (rc == 0) {
        const char *text = answer.data ? answer.data : "";
        bool right = eval_expect_holds(&q->expect, text, answer.len);
        skill->of++;
        skill->right += right;
        ev->asked++;
        if (!right) {
            show_failure(ev, q, &answer);
        }
    }
    buf_deinit(&answer);
    return rc;
}

static int run_line(struct evaluation *ev, struct question *q, const char *line, size_t len,
                    struct err *e)
{
    int rc = parse_question(q, line, len, e);
    if (rc == 0) {
        struct skill *skill = find_skill(ev, q->skill, e);
        if (!skill) {
            rc = -1;
        } else if (ev->limit == 0 || skill->of < ev->limit) {
            rc = ask(ev, q, skill, e);
        }
    }
    cJSON_Delete(q->json);
    return rc;
}

static int run_set(struct evaluation *ev, const char *path, struct err *e)
{
    size_t len = 0;
    char *set = file_read(path, SET_BYTES_MAX, &len, e);
    struct question *q = mem_zalloc(sizeof(*q));
    int rc = set ? 0 : -1;
    if (set && !q) {
        rc = err_nomem(e);
    }
    size_t number = 1;
    for (size_t at = 0; rc == 0 && at < len; number++) {
        const char *end = memchr(set + at, '\n', len - at);
        size_t n = end ? (size_t)(end - set) - at : len - at;
        if (n > 0 && run_line(ev, q, set + at, n, e) != 0) {
            rc = err_prefix(e, "%s: line %zu", path, number);
        }
        if (ev->progress) {
            fprintf(stderr, "\r%ld answers, %3.0f %% of the set", ev->asked,
                    100.0 * (double)at / (double)len);
        }
        at += n + 1;
    }
    if (ev->progress) {
        fputs("\r\033[K", stderr);
    }
    if (rc == 0 && ev->asked == 0) {
        rc = err_set(e, ERR_FORMAT, "%s: holds no question", path);
    }
    mem_free(q);
    mem_free(set);
    return rc;
}

static double percent(const struct skill *s)
{
    return s->of > 0 ? 100.0 * (double)s->right / (double)s->of : 0.0;
}

static struct skill total_of(const struct evaluation *ev)
{
    struct skill total = {0};
    for (size_t i = 0; i < ev->n_skills; i++) {
        total.right += ev->skills[i].right;
        total.of += ev->skills[i].of;
    }
    return total;
}

static void print_table(const struct evaluation *ev)
{
    struct skill total = total_of(ev);
    printf("%-24s %7s %7s %8s\n", "skill", "right", "of", "percent");
    for (size_t i = 0; i < ev->n_skills; i++) {
        const struct skill *s = &ev->skills[i];
        printf("%-24s %7ld %7ld %8.1f\n", s->name, s->right, s->of, percent(s));
    }
    printf("%-24s %7ld %7ld %8.1f\n", "total", total.right, total.of, percent(&total));
}

static void add_result(cJSON *to, const struct skill *s)
{
    cJSON_AddNumberToObject(to, "right", (double)s->right);
    cJSON_AddNumberToObject(to, "of", (double)s->of);
    cJSON_AddNumberToObject(to, "percent", percent(s));
}

static int print_json(const struct evaluation *ev, struct err *e)
{
    struct skill total = total_of(ev);
    cJSON *root = cJSON_CreateObject();
    add_result(root, &total);
    cJSON *skills = cJSON_AddObjectToObject(root, "skills");
    for (size_t i = 0; i < ev->n_skills; i++) {
        add_result(cJSON_AddObjectToObject(skills, ev->skills[i].name), &ev->skills[i]);
    }
    char *text = cJSON_PrintUnformatted(root);
    int rc = text ? 0 : err_nomem(e);
    if (text) {
        puts(text);
    }
    cJSON_free(text);
    cJSON_Delete(root);
    return rc;
}

int cli_eval(int argc, char **argv)
{
    const char *path = NULL;
    const char *set = NULL;
    const char *cpu = "auto", *kv_type = NULL, *weights = NULL;
    bool json = false;
    long show = 0;
    long limit = 0;
    long threads = local_core_count();
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &path, "FILE", "the model, a GGUF file", 0, 0},
        {"set", 0, OPTION_STRING, &set, "FILE.jsonl",
         "questions, a line each: {\"skill\", \"messages\", \"expect\"}", 0, 0},
        {"limit", 0, OPTION_INT, &limit, "N", "ask at most N questions of each skill (all)", 1,
         1L << 30},
        {"show-failures", 0, OPTION_INT, &show, "N", "show the first N wrong answers (0)", 0,
         1L << 30},
        {"json", 0, OPTION_FLAG, &json, NULL, "print the result as JSON; failures go to stderr",
         0, 0},
        {"threads", 't', OPTION_INT, &threads, "N", "threads (number of cores)", 1, 256},
        {"cpu", 0, OPTION_STRING, &cpu, "NAME", "best instruction set to use (auto)", 0, 0},
        {"kv-type", 0, OPTION_STRING, &kv_type, "NAME", "KV cache as f16, int8 or f32 (f16)", 0,
         0},
        {"weights", 0, OPTION_STRING, &weights, "NAME",
         "weights as int8, or f32: slow, to see what int8 costs (int8)", 0, 0},
        {0},
    };
    const struct options options = {
        "weir eval -m FILE --set FILE.jsonl [options]",
        "Asks a model the questions of a test set and counts the answers that are as expected.",
        table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!path || !set || positional > 0) {
        fprintf(stderr, "weir eval: -m FILE and --set FILE are needed\nusage: %s\n",
                options.usage);
        return 2;
    }
    struct err e = {0};
    struct evaluation ev = {.limit = limit,
                            .show_failures = show,
                            .shown_on = json ? stderr : stdout,
                            .progress = isatty(STDERR_FILENO) && show == 0};
    struct local_model_settings s = {
        .path = path,
        .cpu = cpu,
        .kv_type = kv_type,
        .weights = weights,
        .threads = (int)threads,
        .max_rows = 256,
        .n_slots = 1,
    };
    rc = local_model_open(&ev.model, &s, &e);
    if (rc == 0) {
        rc = run_set(&ev, set, &e);
        local_model_close(&ev.model);
    }
    if (rc == 0 && json) {
        rc = print_json(&ev, &e);
    } else if (rc == 0) {
        print_table(&ev);
    }
    for (size_t i = 0; i < ev.n_skills; i++) {
        mem_free(ev.skills[i].name);
    }
    return rc == 0 ? 0 : cli_fail("eval", &e);
}
