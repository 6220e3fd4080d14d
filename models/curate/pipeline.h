/* pipeline.h: what the steps of a curation share. Inside models/curate only. */
#pragma once

#include <pthread.h>

#include "filters/chain.h"
#include "models/curate/curate.h"
#include "models/curate/near.h"
#include "models/curate/source.h"
#include "models/curate/words.h"

#define NO_MATCH UINT32_MAX

enum record_flag { RECORD_EXCLUDED = 1, RECORD_REDACTED = 2, RECORD_HELDOUT = 4 };

/* What is known of a document. */
struct record {
    struct words_digest digest;
    float value;      /* of a measure, or a Jaccard index */
    uint32_t match;   /* the document that it is like, or NO_MATCH */
    uint32_t reason;  /* index of names */
    uint32_t label;   /* index of names */
    uint32_t cluster; /* a document of its cluster; itself at the root */
    uint8_t step;     /* enum curate_step */
    uint8_t judged;   /* the step that will drop it if none before does */
    uint8_t measure;  /* enum quality_measure of CURATE_QUALITY */
    uint8_t language;
    uint8_t flags; /* enum record_flag */
};

/* Strings by number; 0 is "". Numbers depend on who came first, so nothing that is written
 * does. */
struct names {
    pthread_mutex_t mutex;
    char **items;
    size_t count;
};

int names_find(struct names *n, const char *name, uint32_t *index, struct err *e);

/* A thread's own. */
struct scratch {
    struct document document;
    struct words words;
    struct shingles shingles;
    struct buf *texts; /* (n_texts) of a redacted document's segments */
    size_t n_texts;
};

struct pipeline {
    const struct curate_options *options;
    struct source source;    /* evaluation sets first */
    struct record *records;  /* (n) */
    struct sketch *sketches; /* (n), or NULL */
    size_t n;
    struct names names;
    struct chain *chain;
    uint32_t languages;      /* bits that are asked for; 0: any */
    struct scratch *scratch; /* (threads) */
    struct near_pairs pairs;
    struct curate_summary *summary;
};

/* Reads document i as it will be written: a redacted one is redacted again. */
int pipeline_read(struct pipeline *p, struct scratch *s, size_t i, struct err *e);

/* The shingles of what has been read, unsorted; its words are in the scratch then. */
int pipeline_shingles(const struct pipeline *p, struct scratch *s, struct shingles *out,
                      struct err *e);

/* A part of what has been read. */
static inline const char *scratch_part(const struct scratch *s, size_t segment, size_t *len)
{
    const struct segment *part = &s->document.segments[segment];
    *len = part->len;
    return s->document.text.data ? s->document.text.data + part->begin : "";
}

/* ---- analyse.c ---- */
int pipeline_analyse(struct pipeline *p, struct err *e); /* read, quality, language, sketches */
int pipeline_screen(struct pipeline *p, struct err *e);

/* ---- duplicates.c ---- */
int pipeline_drop_exact(struct pipeline *p, bool redacted, struct err *e);
int pipeline_drop_leaks(struct pipeline *p, struct err *e);
int pipeline_drop_near(struct pipeline *p, struct err *e);

/* ---- split.c ---- */
int pipeline_split(struct pipeline *p, struct err *e);
uint32_t pipeline_cluster(struct record *records, uint32_t i);
void pipeline_unite(struct record *records, uint32_t a, uint32_t b);

/* ---- write.c ---- */
int pipeline_write(struct pipeline *p, struct err *e);
