/* weir align score: the rewards of conversations, one JSON object a line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "models/train/reward.h"
#include "runtime/base/json_lines.h"
#include "runtime/cli/align.h"
#include "runtime/cli/cli.h"

struct scoring {
    struct align_base base;
    struct reward_model *model;
    struct align_set set;
    uint32_t row;
};

static int score_doc(struct scoring *s, const struct align_doc *doc, double *reward,
                     struct err *e)
{
    if (doc->n > s->row) {
        return err_set(e, ERR_LIMIT, "%u tokens, at most %u are read (--row)", doc->n, s->row);
    }
    *reward = reward_of(s->model, &s->set, doc);
    return 0;
}

/* A pair's two, or the one of a conversation that ends with an answer. */
static int score_json(struct scoring *s, const cJSON *json, struct err *e)
{
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(json, "messages");
    struct align_doc doc;
    double a = 0.0, b = 0.0;
    align_set_clear(&s->set);
    if (cJSON_GetObjectItemCaseSensitive(json, "chosen")) {
        if (align_set_add_pair(&s->set, &s->base.renderer, json, e) ||
            score_doc(s, &align_set_pair(&s->set, 0)->chosen, &a, e) ||
            score_doc(s, &align_set_pair(&s->set, 0)->rejected, &b, e)) {
            return -1;
        }
        printf("{\"chosen\":%.5f,\"rejected\":%.5f}\n", a, b);
        return 0;
    }
    if (!cJSON_IsArray(messages)) {
        return err_set(e, ERR_INVALID,
                       "\"messages\" must be a list that ends with an assistant's answer");
    }
    if (align_set_add_doc(&s->set, &s->base.renderer, messages, &doc, e) ||
        score_doc(s, &doc, &a, e)) {
        return -1;
    }
    printf("{\"reward\":%.5f}\n", a);
    return 0;
}

static int score_file(struct scoring *s, const char *path, struct err *e)
{
    struct json_lines lines;
    int rc;
    if (json_lines_open(&lines, path, true, e)) {
        return -1;
    }
    while ((rc = json_lines_next(&lines, e)) > 0) {
        cJSON *json = json_parse(lines.text, lines.len, e);
        rc = json ? score_json(s, json, e) : -1;
        cJSON_Delete(json);
        if (rc) {
            json_lines_blame(&lines, e);
            break;
        }
    }
    json_lines_close(&lines);
    if (!rc && fflush(stdout) != 0) {
        rc = err_set_errno(e, errno, "the output cannot be written");
    }
    return rc;
}

static int score(const char *base, const char *reward, const char *set, uint32_t row,
                 struct err *e)
{
    struct scoring s = {.row = row};
    align_set_init(&s.set);
    int rc = -1;
    if (!align_base_open(&s.base, base, e) && (s.model = reward_open(reward, row, e))) {
        const struct train_shape *shape = reward_shape(s.model);
        s.row = row > 0 ? row : shape->context;
        if ((uint32_t)tokenizer_vocab_size(s.base.tokenizer) > shape->vocab ||
            row > shape->context) {
            err_set(
                e, ERR_INVALID,
                "%s: made for a vocabulary of %u and a context of %u; %s has %d, --row is %u",
                reward, shape->vocab, shape->context, base,
                tokenizer_vocab_size(s.base.tokenizer), row);
        } else {
            rc = score_file(&s, set, e);
        }
    }
    reward_close(s.model);
    align_set_deinit(&s.set);
    align_base_close(&s.base);
    return rc;
}

int cli_align_score(int argc, char **argv)
{
    const char *base = NULL, *reward = NULL, *set = NULL;
    long row = 0;
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &base, "FILE.gguf", "tokenizer and chat template", 0, 0},
        {"reward", 0, OPTION_STRING, &reward, "FILE.reward", "of weir align reward", 0, 0},
        {"set", 0, OPTION_STRING, &set, "FILE.jsonl",
         "conversations {\"messages\": [...]} that end with an answer, or pairs; - is stdin", 0,
         0},
        {"row", 0, OPTION_INT, &row, "N", "longest conversation, tokens [the context]", 2,
         65536},
        {0},
    };
    const struct options options = {
        "weir align score -m FILE.gguf --reward FILE.reward --set FILE.jsonl",
        "Prints {\"reward\": X} for each conversation, {\"chosen\": X, \"rejected\": Y} for "
        "each pair. Only differences say something: sigmoid(X - Y) is how likely X's answer is "
        "the preferred one.",
        table};
    struct err e = {0};
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!base || !reward || !set || positional > 0) {
        fprintf(stderr, "weir align score: --model, --reward and --set are needed\nusage: %s\n",
                options.usage);
        return 2;
    }
    return score(base, reward, set, (uint32_t)row, &e) ? cli_fail("align score", &e) : 0;
}
