/* weir-tiny-corpus: writes the training text, or the held-out questions, as JSON lines. */
#include "models/weir-tiny/corpus/conversation.h"
#include "models/weir-tiny/corpus/dirt.h"
#include "models/weir-tiny/corpus/question.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/options.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)
#define KIND_MAX       10000000 /* questions of a kind */

struct job {
    long seed;
    long conversations;
    long documents;
    long arithmetic;
    long dirt; /* lines of it after a hundred others */
    long leak_seed, leak_items;
    const char *dirt_split;
    const char *wordings;
    const char *split;
    bool questions;    /* of the training split, instead of its text */
    const char *kinds; /* "fact=300,sum=20": how many of each; NULL: `conversations` of all */
    const char *out;
};

static int write_line(FILE *f, struct buf *line, const char *path, struct err *e)
{
    if (line->failed) {
        return err_set(e, ERR_LIMIT, "%s: a line is too long", path);
    }
    buf_append_char(line, '\n');
    if (fwrite(line->data, 1, line->len, f) != line->len) {
        return err_set_errno(e, errno, "%s: cannot write", path);
    }
    buf_clear(line);
    return 0;
}

/* Of clean lines, where there is dirt. */
static const char clean_label[] = ",\"label\":\"clean\"";

static int write_conversation(FILE *f, void (*draw)(struct rng *r, struct conversation *c),
                              struct rng *r, struct dirt *dirt, struct buf *line,
                              const char *path, struct err *e)
{
    static struct conversation c;
    draw(r, &c);
    buf_append_char(line, '{');
    conversation_write(&c, false, line);
    if (dirt != NULL) {
        dirt_keep_conversation(dirt, &c);
        buf_append_str(line, clean_label);
    }
    buf_append_char(line, '}');
    return write_line(f, line, path, e);
}

static int write_document(FILE *f, struct rng *r, struct dirt *dirt, struct buf *line,
                          const char *path, struct err *e)
{
    struct buf text;
    buf_init(&text, LINE_MAX_BYTES);
    (corpus_chance(r, 70) ? document_story : document_facts)(r, &text);
    if (text.data != NULL && !text.failed) {
        buf_append_str(line, "{\"text\":");
        conversation_write_string(text.data, line);
        if (dirt != NULL) {
            dirt_keep_text(dirt, text.data);
            buf_append_str(line, clean_label);
        }
        buf_append_char(line, '}');
    }
    int rc = text.failed || text.data == NULL ? err_nomem(e) : write_line(f, line, path, e);
    buf_deinit(&text);
    return rc;
}

/* Dirt is drawn by a generator of its own: the other lines are the same without it. */
static int write_dirt(FILE *f, struct rng *r, const struct job *job, struct dirt *dirt,
                      struct buf *line, struct err *e)
{
    if (dirt == NULL || !corpus_chance(r, (unsigned)job->dirt)) {
        return 0;
    }
    dirt_write(dirt, r, line);
    return write_line(f, line, job->out, e);
}

/* Everything in a mixed order. */
static int write_training(FILE *f, const struct job *job, struct err *e)
{
    struct rng r, dirt_rng;
    rng_seed(&r, (uint64_t)job->seed);
    rng_seed(&dirt_rng, (uint64_t)job->seed + ((uint64_t)1 << 40));
    enum corpus_split split =
        strcmp(job->dirt_split, "heldout") == 0 ? CORPUS_HELDOUT : CORPUS_TRAIN;
    struct dirt *dirt =
        job->dirt > 0 ? dirt_create(split, (uint64_t)job->leak_seed, job->leak_items) : NULL;
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    uint32_t conversations = (uint32_t)job->conversations;
    uint32_t documents = (uint32_t)job->documents;
    uint32_t arithmetic = (uint32_t)job->arithmetic;
    int rc = 0;
    while (rc == 0 && conversations + documents + arithmetic > 0) {
        uint32_t roll = rng_below(&r, conversations + documents + arithmetic);
        if (roll < conversations) {
            rc = write_conversation(f, conversation_draw, &r, dirt, &line, job->out, e);
            conversations--;
        } else if (roll < conversations + documents) {
            rc = write_document(f, &r, dirt, &line, job->out, e);
            documents--;
        } else {
            rc = write_conversation(f, conversation_draw_arithmetic, &r, dirt, &line, job->out,
                                    e);
            arithmetic--;
        }
        rc = rc == 0 ? write_dirt(f, &dirt_rng, job, dirt, &line, e) : rc;
    }
    dirt_destroy(dirt);
    buf_deinit(&line);
    return rc;
}

/* How many questions of the kind --kinds wants; -1 where it is no such list. */
static long kind_count(const char *kinds, const char *skill)
{
    size_t len = strlen(skill);
    for (const char *at = kinds; at != NULL; at = strchr(at, ','), at += at != NULL) {
        if (strncmp(at, skill, len) == 0 && at[len] == '=') {
            char *end;
            long n = strtol(at + len + 1, &end, 10);
            return n >= 0 && n <= KIND_MAX && end > at + len + 1 &&
                           (*end == ',' || *end == '\0')
                       ? n
                       : -1;
        }
    }
    return 0;
}

static int check_kinds(const char *kinds, struct err *e)
{
    size_t named = 0, known = 0;
    for (const char *at = kinds; at != NULL; at = strchr(at, ','), at += at != NULL) {
        named++;
    }
    for (size_t kind = 0; kind < question_kind_count(); kind++) {
        known += kind_count(kinds, question_kind_skill(kind)) > 0;
    }
    return known == named ? 0
                          : err_set_param(e, ERR_INVALID, "kinds",
                                          "--kinds %s: give skills and numbers above 0, as in "
                                          "fact=300,sum=20; the skills are those of the "
                                          "held-out questions",
                                          kinds);
}

static int write_questions(FILE *f, const struct job *job, enum corpus_split split,
                           struct err *e)
{
    static struct conversation c;
    struct expect want;
    struct rng r;
    rng_seed(&r, (uint64_t)job->seed);
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    int rc = 0;
    for (size_t kind = 0; rc == 0 && kind < question_kind_count(); kind++) {
        const char *skill = question_kind_skill(kind);
        long n = job->kinds == NULL ? job->conversations : kind_count(job->kinds, skill);
        for (long i = 0; rc == 0 && i < n; i++) {
            question_draw(&r, split, kind, &c, &want);
            question_write(skill, &c, &want, split == CORPUS_TRAIN, &line);
            rc = write_line(f, &line, job->out, e);
        }
    }
    buf_deinit(&line);
    return rc;
}

static int set_wordings(const char *name, struct err *e)
{
    static const char *const names[] = {"common", "wide", "widest",
                                        "named"}; /* enum corpus_wordings */
    for (size_t i = 0; i < CORPUS_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            corpus_set_wordings((enum corpus_wordings)i);
            return 0;
        }
    }
    return err_set_param(e, ERR_INVALID, "wordings",
                         "--wordings %s: give common, wide, widest or named", name);
}

static int run(const struct job *job, struct err *e)
{
    if (set_wordings(job->wordings, e) != 0) {
        return -1;
    }
    bool heldout = strcmp(job->split, "heldout") == 0;
    if (!heldout && strcmp(job->split, "train") != 0) {
        return err_set_param(e, ERR_INVALID, "split", "--split %s: give train or heldout",
                             job->split);
    }
    if (strcmp(job->dirt_split, "heldout") != 0 && strcmp(job->dirt_split, "train") != 0) {
        return err_set_param(e, ERR_INVALID, "dirt-split",
                             "--dirt-split %s: give train or heldout", job->dirt_split);
    }
    if (job->kinds != NULL && check_kinds(job->kinds, e) != 0) {
        return -1;
    }
    if (job->out == NULL) {
        return err_set_param(e, ERR_INVALID, "out", "--out is missing: name the file to write");
    }
    FILE *f = fopen(job->out, "wb");
    if (f == NULL) {
        return err_set_errno(e, errno, "%s: cannot open for writing", job->out);
    }
    int rc = 0;
    if (heldout || job->questions) {
        rc = write_questions(f, job, heldout ? CORPUS_HELDOUT : CORPUS_TRAIN, e);
    } else {
        rc = write_training(f, job, e);
    }
    if (fclose(f) != 0 && rc == 0) {
        rc = err_set_errno(e, errno, "%s: cannot write", job->out);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct job job = {.seed = 1,
                      .conversations = 1000,
                      .wordings = "common",
                      .split = "train",
                      .dirt_split = "train",
                      .leak_seed = 2,
                      .leak_items = 200};
    const struct option table[] = {
        {"seed", 's', OPTION_INT, &job.seed, "N",
         "the same seed gives the same bytes (default 1)", 0, 1L << 40},
        {"conversations", 'c', OPTION_INT, &job.conversations, "N",
         "how many; of questions, how many of each kind (default 1000)", 0, 1L << 30},
        {"documents", 'd', OPTION_INT, &job.documents, "N",
         "how many pieces of prose (default 0)", 0, 1L << 30},
        {"arithmetic", 'a', OPTION_INT, &job.arithmetic, "N",
         "how many conversations of sums alone (default 0)", 0, 1L << 30},
        {"wordings", 0, OPTION_STRING, &job.wordings, "common|wide|widest|named",
         "in how many ways things are said (default common); named is as wide as widest, but "
         "what is refused always names what is banned",
         0, 0},
        {"dirt", 0, OPTION_INT, &job.dirt, "N",
         "plant about N lines of labelled dirt after each hundred others (default 0)", 0, 100},
        {"dirt-split", 0, OPTION_STRING, &job.dirt_split, "train|heldout",
         "wordings of the dirt (default train)", 0, 0},
        {"leak-seed", 0, OPTION_INT, &job.leak_seed, "N",
         "--seed of the held-out questions that are leaked (default 2)", 0, 1L << 40},
        {"leak-items", 0, OPTION_INT, &job.leak_items, "N",
         "--conversations of those (default 200)", 1, 100000},
        {"split", 0, OPTION_STRING, &job.split, "train|heldout",
         "text to train on, or questions to grade with", 0, 0},
        {"kinds", 0, OPTION_STRING, &job.kinds, "SKILL=N,...",
         "of questions: how many of which, instead of --conversations of each", 0, 0},
        {"questions", 0, OPTION_FLAG, &job.questions, NULL,
         "with --split train: questions with what their answers must hold, and right answers",
         0, 0},
        {"out", 'o', OPTION_STRING, &job.out, "FILE", "the JSON lines to write", 0, 0},
        {NULL, 0, OPTION_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct options options = {.usage = "weir-tiny-corpus --out FILE.jsonl [options]",
                                    .summary = "Writes the text that weir-tiny is trained on.",
                                    .table = table};
    struct err e = {0};
    int positional = 0;
    int rc = options_parse(&options, argc, argv, &positional, &e);
    if (rc == 1) {
        return 0;
    }
    if (rc == 0 && positional > 0) {
        rc = err_set(&e, ERR_INVALID, "%s: unexpected argument", argv[1]);
    }
    if (rc != 0) {
        fprintf(stderr, "weir-tiny-corpus: %s\n", e.message);
        return 2;
    }
    if (run(&job, &e) != 0) {
        fprintf(stderr, "weir-tiny-corpus: %s\n", e.message);
        return 1;
    }
    return 0;
}
