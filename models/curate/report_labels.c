#include <stdlib.h>
#include <string.h>

#include "models/curate/report.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

/* Kinds of dirt, by the beginning of a label: "junk" for "junk.markup". Each has a step that is
 * there for it. */
enum kind { EXACT, NEAR, SPAM, JUNK, LANGUAGE, PERSONAL, HARMFUL, LEAK, KINDS, CLEAN = KINDS };

static const char *const kinds[KINDS] = {
    "exact_duplicate", "near_duplicate", "spam",    "junk",
    "other_language",  "personal",       "harmful", "leak"};

struct tally {
    const char *label;
    enum kind kind;
    uint64_t planted, found, own; /* own: by the step that is there for it */
};

/* What a kind's step has found, by what it was. */
struct fired {
    uint64_t own, other, clean;
};

static enum kind kind_of(const char *label)
{
    size_t n = strcspn(label, ".");
    for (size_t i = 0; i < KINDS; i++) {
        if (strlen(kinds[i]) == n && strncmp(kinds[i], label, n) == 0) {
            return (enum kind)i;
        }
    }
    return CLEAN;
}

/* The kind whose step has found the document; CLEAN: none has. A classifier looks for harm,
 * other filters for personal data. */
static enum kind found_as(const struct pipeline *p, const struct record *r)
{
    bool harmful = strncmp(p->names.items[r->reason], "classifier", 10) == 0;
    switch (r->step) {
    case CURATE_EXACT:
        return EXACT;
    case CURATE_NEAR:
        return NEAR;
    case CURATE_QUALITY:
        return r->measure == QUALITY_SPAM ? SPAM : JUNK;
    case CURATE_LANGUAGE:
        return LANGUAGE;
    case CURATE_FILTERS:
        return harmful ? HARMFUL : PERSONAL;
    case CURATE_LEAK:
        return LEAK;
    default:
        return r->flags & RECORD_REDACTED ? PERSONAL : CLEAN;
    }
}

/* A copy with a comma more is an exact duplicate to us. */
static bool is_own(enum kind planted, enum kind found)
{
    bool duplicates =
        (planted == EXACT || planted == NEAR) && (found == EXACT || found == NEAR);
    return planted == found || duplicates;
}

/* Personal data that is redacted is found; anything else must be gone. */
static bool is_found(enum kind planted, enum kind found, const struct record *r)
{
    return found != CLEAN && (r->step != CURATE_KEPT || planted == PERSONAL);
}

static int by_label(const void *a, const void *b)
{
    return strcmp(((const struct tally *)a)->label, ((const struct tally *)b)->label);
}

static void count(const struct pipeline *p, struct tally *tallies, struct fired *fired)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct record *r = &p->records[i];
        if (r->flags & RECORD_EXCLUDED || r->step == CURATE_MALFORMED) {
            continue;
        }
        struct tally *t = &tallies[r->label];
        enum kind found = found_as(p, r);
        bool is_gone = is_found(t->kind, found, r);
        t->planted++;
        t->found += is_gone;
        t->own += is_gone && is_own(t->kind, found);
        if (found != CLEAN) {
            struct fired *f = &fired[found];
            *(t->kind == CLEAN ? &f->clean : is_own(t->kind, found) ? &f->own : &f->other) += 1;
        }
    }
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_labels(const struct tally *tallies, size_t n, struct buf *json,
                         struct buf *table)
{
    bool first = true;
    buf_append_str(json, "{\"labels\": [");
    buf_printf(table, "%-28s %8s %8s %8s %9s\n", "planted", "number", "found", "by its",
               "recall");
    buf_printf(table, "%-28s %8s %8s %8s\n", "", "", "", "own step");
    for (size_t i = 0; i < n; i++) {
        const struct tally *t = &tallies[i];
        const char *label = t->label[0] ? t->label : "(no label)";
        if (t->planted == 0) {
            continue;
        }
        buf_printf(table, "%-28s %8llu %8llu %8llu ", label, (unsigned long long)t->planted,
                   (unsigned long long)t->found, (unsigned long long)t->own);
        buf_printf(table, t->kind == CLEAN ? "%7.2f %% lost\n" : "%7.1f %%\n",
                   percent(t->found, t->planted));
        buf_append_str(json, first ? "\n  {\"label\": " : ",\n  {\"label\": ");
        json_append_string(json, label, strlen(label));
        buf_printf(json, ", \"dirt\": %s, \"planted\": %llu, \"found\": %llu, ",
                   t->kind == CLEAN ? "false" : "true", (unsigned long long)t->planted,
                   (unsigned long long)t->found);
        buf_printf(json, "\"own\": %llu, \"recall\": %.4f}", (unsigned long long)t->own,
                   percent(t->found, t->planted) / 100);
        first = false;
    }
}

static void print_fired(const struct fired *fired, struct buf *json, struct buf *table)
{
    buf_append_str(json, "\n], \"steps\": [");
    buf_printf(table, "\n%-28s %8s %8s %8s %9s\n", "step for", "its own", "others'", "clean",
               "precision");
    for (size_t i = 0; i < KINDS; i++) {
        const struct fired *f = &fired[i];
        uint64_t all = f->own + f->other + f->clean;
        buf_printf(table, "%-28s %8llu %8llu %8llu ", kinds[i], (unsigned long long)f->own,
                   (unsigned long long)f->other, (unsigned long long)f->clean);
        if (all) {
            buf_printf(table, "%7.1f %%\n", percent(f->own + f->other, all));
        } else {
            buf_printf(table, "%9s\n", "-");
        }
        buf_printf(json,
                   "%s\n  {\"step\": \"%s\", \"own\": %llu, \"other\": %llu, \"clean\": %llu, "
                   "\"precision\": ",
                   i ? "," : "", kinds[i], (unsigned long long)f->own,
                   (unsigned long long)f->other, (unsigned long long)f->clean);
        if (all) {
            buf_printf(json, "%.4f}", percent(f->own + f->other, all) / 100);
        } else {
            buf_append_str(json, "null}");
        }
    }
    buf_append_str(json, "\n]}\n");
}

int report_labels(const struct pipeline *p, struct buf *json, struct buf *table, struct err *e)
{
    struct fired fired[KINDS] = {0};
    struct tally *tallies = mem_zarray(p->names.count + 1, sizeof(*tallies));
    if (!tallies) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < p->names.count; i++) {
        tallies[i].label = p->names.items[i];
        tallies[i].kind = kind_of(p->names.items[i]);
    }
    count(p, tallies, fired);
    qsort(tallies, p->names.count, sizeof(*tallies), by_label);
    print_labels(tallies, p->names.count, json, table);
    print_fired(fired, json, table);
    mem_free(tallies);
    return json->failed || table->failed ? err_nomem(e) : 0;
}
