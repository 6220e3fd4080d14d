/* drift_series.h: the answers of one version with one prompt as they come: a baseline first,
 * then windows that are held against it (drift_judge.h).
 *
 * Windows have 1, 2, 4 and 8 times as many answers as the settings say, each two of one size
 * making one of the next: what changes much is seen soon, what changes little once there are
 * enough answers. Each full window of any size is one look.
 *
 * What users thought of an answer is known long after it, when nobody can speak of it any more.
 * So of these two measures the baseline is complete later: it has the first answers from where
 * it begins, as many as it has of the others.
 *
 * Memory: seven samples of 7 KiB, however many answers there are.
 *
 * Threads: one at a time. */
#pragma once

#include "runtime/registry/drift_judge.h"

#define DRIFT_SIZES 4

/* What a look has changed in a measure. */
enum drift_change { DRIFT_SAME, DRIFT_BEGAN, DRIFT_ENDED };

struct drift_look {
    uint64_t number; /* of the look, from 1 since the baseline was taken */
    int size;        /* the window had settings.window << size answers */
    const struct answer_sample *window;
    struct drift_finding findings[ANSWER_MEASURE_COUNT];
    enum drift_change changes[ANSWER_MEASURE_COUNT];
};

/* All zero is one that begins to take its baseline. */
struct drift_series {
    bool has_baseline; /* else it is being taken */
    struct answer_sample baseline;
    uint64_t answers;                 /* since it began */
    uint64_t looks;                   /* since the baseline was taken */
    int drifts[ANSWER_MEASURE_COUNT]; /* 0, or 1 + the size of the window that showed it */
    struct answer_sample sizes[DRIFT_SIZES]; /* not full yet; those of small size are newer */
    struct answer_sample before;             /* the last full one of the largest size */
    struct answer_sample judged;             /* of the last look */
    struct drift_finding findings[ANSWER_MEASURE_COUNT]; /* likewise */
    uint64_t feedback_from; /* number of the first answer whose feedback counts */
};

/* Which answer of which series it was. */
struct drift_mark {
    uint64_t series; /* drift_desk.h; 0: of none */
    uint64_t number;
};

/* Calls look for each window that is full with this answer. a->number is set here. True: the
 * baseline is complete with it. */
bool drift_series_add(struct drift_series *s, const struct drift_settings *set,
                      const struct answer_seen *a,
                      void (*look)(void *ctx, const struct drift_look *look), void *ctx);

/* Of an answer of this series. */
void drift_series_add_feedback(struct drift_series *s, const struct answer_feedback *f);

/* The newest answers since the baseline, up to 16 windows of them. */
void drift_series_newest(const struct drift_series *s, struct answer_sample *out);

/* Begins anew with this baseline, whose answers are taken for the newest; NULL: with the taking
 * of one. */
void drift_series_restart(struct drift_series *s, const struct answer_sample *baseline);
