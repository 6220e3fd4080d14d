/* weir ctl server: the process that serves, and a new one in its place. */
#include <stdio.h>

#include "runtime/cli/ctl.h"
#include "runtime/cli/ctl_print.h"

#define UPGRADE "/admin/upgrade"

/* Asks, and prints the JSON if that is wanted; else *root is the caller's. */
static int ask(struct ctl *c, const char *method, cJSON **root, struct err *e)
{
    ctl_path(c, UPGRADE);
    *root = ctl_ask_json(c, method, NULL, e);
    if (!*root) {
        return -1;
    }
    if (c->json) {
        ctl_print_answer(c);
        cJSON_Delete(*root);
        *root = NULL;
    }
    return 0;
}

static double pid_of(const cJSON *root)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(root, "pid"));
}

static int run_show(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    cJSON *root;
    if (ask(c, "GET", &root, e) != 0) {
        return -1;
    }
    if (root) {
        const char *problem = ctl_text(root, "problem");
        printf("process %.0f, version %s, %s\n", pid_of(root), ctl_text(root, "version"),
               ctl_text(root, "state"));
        if (problem[0]) {
            printf("the last upgrade failed: %s\n", problem);
        }
        cJSON_Delete(root);
    }
    return 0;
}

static int run_upgrade(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    cJSON *root;
    if (ask(c, "POST", &root, e) != 0) {
        return -1;
    }
    if (root) {
        printf("process %.0f serves, version %s\n", pid_of(root), ctl_text(root, "version"));
        cJSON_Delete(root);
    }
    return 0;
}

static const struct ctl_command commands[] = {
    {"show", "", 0, 0, " ", "which process serves, and what became of the last upgrade",
     run_show},
    {"upgrade", "", 0, 0, " ",
     "start the program anew in the running one's place; no request is lost", run_upgrade},
    {0},
};

int ctl_server(int argc, char **argv)
{
    static const struct ctl_command none = {.name = NULL};
    const struct ctl_group group = {.name = "server",
                                    .summary = "The process that serves.",
                                    .common = &none,
                                    .commands = commands};
    return ctl_run(&group, argc, argv);
}
