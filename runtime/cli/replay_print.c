#include "runtime/cli/replay_print.h"

#include <stdbool.h>
#include <stdio.h>

#include "filters/replay.h"
#include "runtime/cli/ctl_print.h"
#include "runtime/cli/text_table.h"

#define DIFFERENCES_SHOWN 50

static double number(const cJSON *object, const char *field)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    return cJSON_IsNumber(item) ? item->valuedouble : 0.0;
}

static void print_chain(const char *what, const cJSON *chain)
{
    printf("%-8s %s@%.0f, sha256 %.12s, %.3f s in filters\n", what, ctl_text(chain, "name"),
           number(chain, "version"), ctl_text(chain, "sha256"), number(chain, "seconds"));
    const cJSON *filter;
    cJSON_ArrayForEach(filter, cJSON_GetObjectItemCaseSensitive(chain, "left_out"))
    {
        printf("         filter %.0f is left out: it asks a service\n", filter->valuedouble);
    }
}

static void print_counts(const cJSON *report)
{
    static const char *const said[REPLAY_CHANGES] = {
        "unchanged",         "newly stopped",
        "no longer stopped", "stopped by another verdict or elsewhere",
        "with another text", "with the same text and other verdicts",
        "could not be run"};
    printf("%.0f texts\n", number(report, "texts"));
    for (int i = 0; i < REPLAY_CHANGES; i++) {
        double n = number(report, replay_change_name((enum replay_change)i));
        if (n > 0) {
            printf("%8.0f %s\n", n, said[i]);
        }
    }
    if (number(report, "overflows") > 0) {
        printf("%8.0f of them with more verdicts than are compared\n",
               number(report, "overflows"));
    }
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(report, "complete"))) {
        printf("The time was over before the last text.\n");
    }
}

static void add_cells(struct text_table *t, const cJSON *object, const char *const *fields)
{
    for (; *fields; fields++) {
        ctl_add_cell(t, object, *fields);
    }
    text_table_end_row(t);
}

static void add_header(struct text_table *t, const char *const *names)
{
    for (; *names; names++) {
        text_table_add(t, *names);
    }
    text_table_end_row(t);
}

static int print_rules(const cJSON *rules, struct err *e)
{
    static const char *const header[] = {"FILTER", "CODE",  "VERDICT", "RECORDED", "BEFORE",
                                         "AFTER",  "ADDED", "REMOVED", "MOVED",    NULL};
    static const char *const fields[] = {"name",  "code",  "verdict", "recorded", "before",
                                         "after", "added", "removed", "moved",    NULL};
    struct text_table t;
    const cJSON *rule;
    if (cJSON_GetArraySize(rules) == 0) {
        return 0;
    }
    printf("\n");
    text_table_init(&t);
    add_header(&t, header);
    cJSON_ArrayForEach(rule, rules)
    {
        add_cells(&t, rule, fields);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

/* "stop pii/email, message" */
static void print_verdict(const char *sign, const cJSON *verdict)
{
    printf("  %s %s %s/%s at %.0f%s%s\n", sign, ctl_text(verdict, "verdict"),
           ctl_text(verdict, "name"), ctl_text(verdict, "code"), number(verdict, "from"),
           ctl_text(verdict, "message")[0] ? ": " : "", ctl_text(verdict, "message"));
}

/* Control characters would write where they like on a terminal. */
static void print_quote(const char *sign, const cJSON *difference, const char *field)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(difference, field);
    if (!cJSON_IsString(text)) {
        return;
    }
    printf("  %s \"", sign);
    for (const char *c = text->valuestring; *c; c++) {
        putchar((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c);
    }
    printf("\"\n");
}

static void print_difference(const cJSON *difference)
{
    static const char *const lists[][2] = {{"removed", "-"}, {"added", "+"}, {"moved", "~"}};
    const cJSON *verdict;
    printf("\n%s (%s, %s): %s%s%s\n", ctl_text(difference, "id"), ctl_text(difference, "side"),
           ctl_text(difference, "channel"), ctl_text(difference, "change"),
           ctl_text(difference, "error")[0] ? ": " : "", ctl_text(difference, "error"));
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(difference, lists[i][0]);
        cJSON_ArrayForEach(verdict, list)
        {
            print_verdict(lists[i][1], verdict);
        }
    }
    print_quote("-", difference, "text_before");
    print_quote("+", difference, "text_after");
}

int replay_print(const cJSON *report, struct err *e)
{
    const cJSON *differences = cJSON_GetObjectItemCaseSensitive(report, "differences");
    const cJSON *difference;
    int n = 0;
    print_chain("before", cJSON_GetObjectItemCaseSensitive(report, "before"));
    print_chain("after", cJSON_GetObjectItemCaseSensitive(report, "after"));
    print_counts(report);
    if (print_rules(cJSON_GetObjectItemCaseSensitive(report, "rules"), e) != 0) {
        return -1;
    }
    cJSON_ArrayForEach(difference, differences)
    {
        if (n++ < DIFFERENCES_SHOWN) {
            print_difference(difference);
        }
    }
    double more = number(report, "differences_left_out") +
                  (n > DIFFERENCES_SHOWN ? n - DIFFERENCES_SHOWN : 0);
    if (more > 0) {
        printf("\n%.0f more differences; --json lists up to %d\n", more,
               REPLAY_DIFFERENCES_MAX);
    }
    return 0;
}
