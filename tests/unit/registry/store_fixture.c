#include "tests/unit/registry/store_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/registry/version_store_parts.h"

const struct version_change any_change = {.actor = "tester"};

static void die(const char *what, const struct err *e)
{
    fprintf(stderr, "%s: %s\n", what, e->message);
    abort();
}

void store_folder_make(struct store_folder *f)
{
    snprintf(f->path, sizeof(f->path), "/tmp/weir-store-XXXXXX");
    if (!mkdtemp(f->path)) {
        abort();
    }
    snprintf(f->file, sizeof(f->file), "%s/state.db", f->path);
}

void store_folder_remove(struct store_folder *f)
{
    DIR *folder = opendir(f->path);
    if (!folder) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[sizeof(f->path) + sizeof(entry->d_name) + 1];
        snprintf(path, sizeof(path), "%s/%s", f->path, entry->d_name);
        if (entry->d_name[0] != '.') {
            unlink(path);
        }
    }
    closedir(folder);
    rmdir(f->path);
}

enum version_kind store_kind = VERSION_PROMPTS;

struct version_store *store_must_open(const char *path)
{
    struct err e = {0};
    struct version_database *d = version_database_open(path, &e);
    if (!d) {
        die("version_database_open", &e);
    }
    return version_database_store(d, store_kind);
}

void store_close(struct version_store *s)
{
    if (s) {
        version_database_close(s->file);
    }
}

struct store_content content_of(const char *text)
{
    struct store_content c;
    snprintf(c.json, sizeof(c.json),
             store_kind == VERSION_PROMPTS
                 ? "{\"text\":\"%s\"}"
                 : "{\"name\":\"a\",\"filters\":[{\"type\":\"wordlist\",\"words\":[\"%s\"]}]}",
             text);
    return c;
}

int store_put(struct version_store *s, const char *name, const char *text, bool activates,
              const struct version_change *change, struct version_state *after, struct err *e)
{
    const struct store_content content = content_of(text);
    char sha256[HASH_HEX_LEN + 1];
    if (hash_sha256_hex(text, strlen(text), sha256) != 0) {
        return -1;
    }
    const struct version_draft draft = {.content = content.json,
                                        .sha256 = sha256,
                                        .author = "eve",
                                        .note = "why",
                                        .detail = 1,
                                        .size = strlen(text)};
    return version_store_put(s, name, &draft, activates, change, NULL, after, e);
}

uint64_t store_put_text(struct version_store *s, const char *name, const char *text,
                        bool activates)
{
    struct err e = {0};
    struct version_state after;
    if (store_put(s, name, text, activates, &any_change, &after, &e) != 0) {
        die("version_store_put", &e);
    }
    return after.latest;
}

struct version_state store_state(struct version_store *s, const char *name)
{
    struct err e = {0};
    struct version_state state;
    if (version_store_load(s, name, &state, NULL, NULL, &e) != 0) {
        die("version_store_load", &e);
    }
    return state;
}

int store_audit(struct version_store *s, const char *name, uint64_t before, size_t limit,
                struct version_audit **out, size_t *n, struct err *e)
{
    const struct version_audit_filter filter = {.kind = store_kind, .name = name};
    return version_database_audit(s->file, &filter, before, limit, out, n, e);
}

bool store_same_state(const struct version_state *a, const struct version_state *b)
{
    return strcmp(a->name, b->name) == 0 && a->revision == b->revision &&
           a->latest == b->latest && a->active == b->active && a->split == b->split &&
           a->split_percent == b->split_percent && a->n_versions == b->n_versions &&
           a->updated == b->updated;
}

int store_run_and_kill(void (*work)(const char *file, int acknowledge), const char *file,
                       int wait_us)
{
    struct err e = {0};
    int ends[2], status;
    fflush(NULL);
    pid_t child = pipe(ends) == 0 ? fork() : -1;
    if (child < 0) {
        err_set_errno(&e, errno, "a child");
        die("store_run_and_kill", &e);
    }
    if (child == 0) {
        close(ends[0]);
        work(file, ends[1]);
        _exit(1);
    }
    close(ends[1]);
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    if (wait_us % 4 != 0) {
        poll(&ready, 1, 10000);
    }
    usleep((useconds_t)wait_us);
    kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL) {
        err_set(&e, ERR_IO, "the child ended by itself");
        die("store_run_and_kill", &e);
    }
    return ends[0];
}
