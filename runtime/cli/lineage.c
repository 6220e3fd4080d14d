#include <stdio.h>
#include <string.h>

#include "models/lineage/lineage_tree.h"
#include "runtime/cli/cli.h"

#define TEXT_MAX ((size_t)16 << 20)

static int print_text(const struct lineage_tree *t, struct err *e)
{
    struct buf out;
    buf_init(&out, TEXT_MAX);
    int rc = lineage_tree_print(t, &out) == 0 ? 0 : err_nomem(e);
    if (rc == 0) {
        fputs(out.data, stdout);
    }
    buf_deinit(&out);
    return rc;
}

static int print_json(const struct lineage_tree *t, struct err *e)
{
    cJSON *json = lineage_tree_json(t);
    int rc = cli_print_json(json, e);
    cJSON_Delete(json);
    return rc;
}

/* For a copy of the artefact that keeps its name. */
static int write_chain(const struct lineage_tree *t, const char *path, struct err *e)
{
    const char *slash = strrchr(t->root->path, '/');
    return lineage_tree_write(t, slash ? slash + 1 : t->root->path, path, e);
}

int cli_lineage(int argc, char **argv)
{
    bool json = false;
    const char *out = NULL;
    const struct option table[] = {
        {"json", 0, OPTION_FLAG, &json, NULL, "print one JSON object", 0, 0},
        {"out", 'o', OPTION_STRING, &out, "FILE.json",
         "write the whole chain there as well, to go with a copy of FILE", 0, 0},
        {0},
    };
    const struct options options = {
        .usage = "weir lineage FILE [--json] [--out FILE.json]",
        .summary = "Shows what a file of the training pipeline was made from, back to the raw "
                   "text, and checks every hash. FILE is a model, checkpoint, adapter, token "
                   "file, or a lineage.json. Exit status 1: a file has changed since, or a "
                   "record is broken.",
        .table = table,
    };
    struct err e = {0};
    int positional = 0;
    int status = cli_options(&options, argc, argv, &positional);
    if (status >= 0) {
        return status;
    }
    if (positional != 1) {
        fprintf(stderr, "usage: %s\n", options.usage);
        return 2;
    }
    struct lineage_tree *t = lineage_tree_open(argv[1], &e);
    if (!t) {
        return cli_fail("lineage", &e);
    }
    status = lineage_tree_holds(t) ? 0 : 1;
    if ((json ? print_json(t, &e) : print_text(t, &e)) != 0 ||
        (out && write_chain(t, out, &e) != 0)) {
        status = cli_fail("lineage", &e);
    }
    lineage_tree_close(t);
    return status;
}
