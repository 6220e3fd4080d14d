/* weir-guard-corpus: writes labelled sentences as JSON lines, {"text": "...", "labels": [...]}.
 *
 * A part of the harmless ones are what weir-tiny is trained on: questions, answers and stories
 * that have nothing to do with any category. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/weir-guard/corpus/grammar.h"
#include "models/weir-guard/corpus/roughen.h"
#include "models/weir-tiny/corpus/corpus.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/options.h"

#define SENTENCE_MAX ((size_t)4096)
#define LABELS_MAX   128

/* In 100 sentences: of weir-tiny's; with something before, behind; two made one. */
#define FROM_TINY  14
#define OPENED     9
#define CLOSED     7
#define JOINED     16
#define JOIN_SAFE  70 /* of the joined: with a harmless one */
#define LONG       10 /* of all: goes on and on, up to LONG_BYTES */
#define LONG_BYTES 460

struct job {
    long seed;
    long sentences;
    const char *folder;
    const char *split;
    const char *out;
};

struct generator {
    struct grammar grammar;
    enum grammar_split split;
    struct rng r;
    struct buf text, rough, line;
    char labels[LABELS_MAX]; /* parted by blanks */
    uint64_t *seen;          /* hashes of what was written, open addressing; 0: free */
    size_t seen_mask;
};

static bool chance(struct generator *g, uint32_t percent)
{
    return rng_below(&g->r, 100) < percent;
}

/* ---- text of weir-tiny ---- */

/* Appends one sentence of what somebody says. Small talk is left out: there are people in need
 * of help in it. */
static void draw_tiny(struct generator *g)
{
    static exchange_fn *const kinds[] = {exchange_fact, exchange_fact, exchange_about_weir,
                                         exchange_story, exchange_words};
    static struct exchange x;
    kinds[rng_below(&g->r, sizeof(kinds) / sizeof(kinds[0]))](
        &g->r, g->split == GRAMMAR_TRAIN ? CORPUS_TRAIN : CORPUS_HELDOUT, &x);
    const char *said = chance(g, 50) ? x.user : x.answer;
    size_t count = 1;
    for (const char *p = said; (p = strstr(p, ". ")) != NULL; p++) {
        count++;
    }
    size_t chosen = rng_below(&g->r, (uint32_t)count);
    const char *from = said;
    while (chosen-- > 0) {
        from = strstr(from, ". ") + 2;
    }
    const char *to = strstr(from, ". ");
    buf_append(&g->text, from, to ? (size_t)(to - from) : strlen(from));
}

/* ---- sentences ---- */

static void add_labels(struct generator *g, const char *labels)
{
    while (*labels) {
        size_t len = strcspn(labels, " ");
        char label[LABELS_MAX];
        snprintf(label, sizeof(label), "%.*s", (int)len, labels);
        if (!strstr(g->labels, label)) {
            size_t at = strlen(g->labels);
            snprintf(g->labels + at, sizeof(g->labels) - at, "%s%s", at > 0 ? " " : "", label);
        }
        labels += len + (labels[len] == ' ');
    }
}

static void draw_plain(struct generator *g)
{
    if (chance(g, FROM_TINY)) {
        draw_tiny(g);
    } else {
        add_labels(g, grammar_draw_text(&g->grammar, g->split, &g->r, &g->text));
    }
}

/* Another sentence behind this one, most often a harmless one. */
static void join(struct generator *g)
{
    static const char *const joints[] = {", ",      " and ",     ", but ", ", and ", "; ",
                                         ": ",      " because ", " - ",    " so ",   ", so ",
                                         ", then ", " while ",   " (",     " / "};
    buf_append_str(&g->text, joints[rng_below(&g->r, sizeof(joints) / sizeof(joints[0]))]);
    bool is_safe = chance(g, JOIN_SAFE);
    size_t at = g->text.len;
    for (int tries = 0; tries < 64; tries++) {
        char labels[LABELS_MAX];
        memcpy(labels, g->labels, sizeof(labels));
        g->labels[0] = '\0';
        draw_plain(g);
        bool fits = !is_safe || g->labels[0] == '\0';
        if (fits) {
            add_labels(g, labels);
            return;
        }
        memcpy(g->labels, labels, sizeof(labels));
        g->text.len = at;
        g->text.data[at] = '\0';
    }
}

/* "you 're" is what "you('re| are)" leaves where a blank stood before it. */
static void close_contractions(struct buf *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++) {
        const char *rest = text->data + i;
        bool is_one = strncmp(rest, " 'll ", 5) == 0 || strncmp(rest, " 'm ", 4) == 0 ||
                      strncmp(rest, " 've ", 5) == 0 || strncmp(rest, " 're ", 5) == 0;
        if (!is_one) {
            text->data[n++] = text->data[i];
        }
    }
    text->len = n;
    text->data[n] = '\0';
}

static void draw_sentence(struct generator *g)
{
    buf_clear(&g->text);
    g->labels[0] = '\0';
    if (chance(g, OPENED)) {
        grammar_draw_list(&g->grammar, "opener", g->split, &g->r, &g->text);
        buf_append_str(&g->text, chance(g, 70) ? ", " : " ");
    }
    draw_plain(g);
    if (chance(g, JOINED)) {
        join(g);
    }
    if (chance(g, LONG)) {
        size_t bytes = rng_below(&g->r, LONG_BYTES);
        while (g->text.len < bytes) {
            join(g);
        }
    }
    if (chance(g, CLOSED)) {
        buf_append_str(&g->text, chance(g, 50) ? ", " : " ");
        grammar_draw_list(&g->grammar, "closer", g->split, &g->r, &g->text);
    }
    close_contractions(&g->text);
    roughen(g->text.data, &g->r, &g->rough);
}

/* Whether it was not written before. */
static bool is_new(struct generator *g)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < g->rough.len; i++) {
        h = (h ^ (unsigned char)g->rough.data[i]) * 1099511628211u;
    }
    h |= 1;
    size_t at = (size_t)(h >> 20) & g->seen_mask;
    for (; g->seen[at]; at = (at + 1) & g->seen_mask) {
        if (g->seen[at] == h) {
            return false;
        }
    }
    g->seen[at] = h;
    return true;
}

static void write_line(struct generator *g)
{
    buf_clear(&g->line);
    buf_append_str(&g->line, "{\"text\": ");
    json_append_string(&g->line, g->rough.data, g->rough.len);
    buf_append_str(&g->line, ", \"labels\": [");
    for (const char *label = g->labels; *label;) {
        size_t len = strcspn(label, " ");
        buf_printf(&g->line, "%s\"%.*s\"", label > g->labels ? ", " : "", (int)len, label);
        label += len + (label[len] == ' ');
    }
    buf_append_str(&g->line, "]}\n");
}

static int write_sentences(struct generator *g, FILE *f, const struct job *job, struct err *e)
{
    long left = job->sentences;
    for (long tries = 0; left > 0 && tries < 20 * job->sentences; tries++) {
        draw_sentence(g);
        if (!is_new(g)) {
            continue;
        }
        write_line(g);
        if (g->text.failed || g->rough.failed || g->line.failed) {
            return err_set(e, ERR_LIMIT, "a sentence is too long");
        }
        if (fwrite(g->line.data, 1, g->line.len, f) != g->line.len) {
            return err_set_errno(e, errno, "%s: cannot write", job->out);
        }
        left--;
    }
    return left == 0 ? 0 : err_set(e, ERR_LIMIT, "there are not so many different sentences");
}

/* ---- the program ---- */

static int read_files(struct grammar *g, const char *folder, struct err *e)
{
    static const char *const names[] = {
        "lists.txt",   "words.txt",     "benign.txt",    "benign_near.txt", "harassment.txt",
        "illicit.txt", "injection.txt", "self_harm.txt", "sexual.txt",      "violence.txt"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[4096];
        if (file_join(path, sizeof(path), folder, names[i], e) != 0 ||
            grammar_read(g, path, e) != 0) {
            return -1;
        }
    }
    return grammar_finish(g, e);
}

static int find_split(const char *name, enum grammar_split *split, struct err *e)
{
    static const char *const names[] = {"train", "dev", "heldout"}; /* enum grammar_split */
    for (int i = 0; i < GRAMMAR_SPLITS; i++) {
        if (strcmp(names[i], name) == 0) {
            *split = (enum grammar_split)i;
            return 0;
        }
    }
    return err_set_param(e, ERR_INVALID, "split", "--split %s: give train, dev or heldout",
                         name);
}

static int run(const struct job *job, struct err *e)
{
    struct generator g = {.seen_mask = 1023};
    if (!job->out || !job->folder) {
        return err_set(e, ERR_INVALID, "--text FOLDER and --out FILE are needed");
    }
    if (find_split(job->split, &g.split, e) != 0) {
        return -1;
    }
    while (g.seen_mask < 2 * (size_t)job->sentences) {
        g.seen_mask = 2 * g.seen_mask + 1;
    }
    grammar_init(&g.grammar);
    buf_init(&g.text, SENTENCE_MAX);
    buf_init(&g.rough, SENTENCE_MAX);
    buf_init(&g.line, 4 * SENTENCE_MAX);
    rng_seed(&g.r, (uint64_t)job->seed);
    corpus_set_wordings(CORPUS_WORDINGS_WIDE);
    g.seen = mem_zarray(g.seen_mask + 1, sizeof(*g.seen));
    int rc = g.seen ? read_files(&g.grammar, job->folder, e) : err_nomem(e);
    FILE *f = rc == 0 ? fopen(job->out, "wb") : NULL;
    if (rc == 0) {
        rc = f ? write_sentences(&g, f, job, e)
               : err_set_errno(e, errno, "%s: cannot open for writing", job->out);
    }
    if (f && fclose(f) != 0 && rc == 0) {
        rc = err_set_errno(e, errno, "%s: cannot write", job->out);
    }
    mem_free(g.seen);
    buf_deinit(&g.text);
    buf_deinit(&g.rough);
    buf_deinit(&g.line);
    grammar_deinit(&g.grammar);
    return rc;
}

int main(int argc, char **argv)
{
    struct job job = {.seed = 1, .sentences = 1000, .split = "train"};
    const struct option table[] = {
        {"seed", 's', OPTION_INT, &job.seed, "N",
         "the same seed gives the same bytes (default 1)", 0, 1L << 40},
        {"sentences", 'n', OPTION_INT, &job.sentences, "N", "how many (default 1000)", 1,
         1L << 24},
        {"text", 0, OPTION_STRING, &job.folder, "FOLDER", "where lists.txt and the others lie",
         0, 0},
        {"split", 0, OPTION_STRING, &job.split, "train|dev|heldout", "which wordings and words",
         0, 0},
        {"out", 'o', OPTION_STRING, &job.out, "FILE", "the JSON lines to write", 0, 0},
        {NULL, 0, OPTION_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct options options = {
        .usage = "weir-guard-corpus --text FOLDER --out FILE.jsonl [options]",
        .summary = "Writes labelled sentences for the classifier.",
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
    if (rc != 0 || run(&job, &e) != 0) {
        fprintf(stderr, "weir-guard-corpus: %s\n", e.message);
        return rc != 0 ? 2 : 1;
    }
    return 0;
}
