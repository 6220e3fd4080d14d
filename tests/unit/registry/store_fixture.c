#include "tests/unit/registry/store_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct prompt_change any_change = {.actor = "tester"};

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
    snprintf(f->file, sizeof(f->file), "%s/prompts.db", f->path);
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

struct prompt_store *store_must_open(const char *path)
{
    struct err e = {0};
    struct prompt_store *s = prompt_store_open(path, &e);
    if (!s) {
        die("prompt_store_open", &e);
    }
    return s;
}

struct prompt *draft_of(const char *text)
{
    struct err e = {0};
    struct prompt *p = prompt_create(0, text, strlen(text), &e);
    if (!p) {
        die("prompt_create", &e);
    }
    return p;
}

uint64_t store_put_text(struct prompt_store *s, const char *profile, const char *text,
                        bool activates)
{
    struct err e = {0};
    struct prompt *p = draft_of(text);
    if (prompt_store_put(s, profile, p, activates, &any_change, NULL, &e) != 0) {
        die("prompt_store_put", &e);
    }
    uint64_t version = p->version;
    prompt_unref(p);
    return version;
}

struct prompt_profile store_state(struct prompt_store *s, const char *profile)
{
    struct err e = {0};
    struct prompt_profile state;
    if (prompt_store_load(s, profile, &state, NULL, NULL, &e) != 0) {
        die("prompt_store_load", &e);
    }
    return state;
}

bool store_same_state(const struct prompt_profile *a, const struct prompt_profile *b)
{
    return strcmp(a->name, b->name) == 0 && a->revision == b->revision &&
           a->latest == b->latest && a->active == b->active && a->split == b->split &&
           a->split_percent == b->split_percent && a->n_versions == b->n_versions &&
           a->updated == b->updated;
}
