/* store_fixture.h: a folder with a prompt store's file, and short ways to fill one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/registry/prompt_store.h"

struct store_folder {
    char path[64];
    char file[80]; /* the store's, not there yet */
};

void store_folder_make(struct store_folder *f);
void store_folder_remove(struct store_folder *f);

/* No condition, by "tester". */
extern const struct prompt_change any_change;

/* These end the test when they fail. */
struct prompt_store *store_must_open(const char *path);
struct prompt *draft_of(const char *text);
uint64_t store_put_text(struct prompt_store *s, const char *profile, const char *text,
                        bool activates);
struct prompt_profile store_state(struct prompt_store *s, const char *profile);
bool store_same_state(const struct prompt_profile *a, const struct prompt_profile *b);
