/* store_fixture.h: a folder with a store's file, and short ways to fill one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/registry/version_store.h"

struct store_folder {
    char path[64];
    char file[80]; /* the store's, not there yet */
};

void store_folder_make(struct store_folder *f);
void store_folder_remove(struct store_folder *f);

/* No condition, by "tester". */
extern const struct version_change any_change;

/* The kind that store_must_open opens: prompts, unless a test sets another. */
extern enum version_kind store_kind;

/* These end the test when they fail. */
struct version_store *store_must_open(const char *path);
void store_close(struct version_store *s); /* accepts NULL */

/* A content of the present kind that says `text`: a prompt or a chain. */
struct store_content {
    char json[256];
};
struct store_content content_of(const char *text);

int store_put(struct version_store *s, const char *name, const char *text, bool activates,
              const struct version_change *change, struct version_state *after, struct err *e);
uint64_t store_put_text(struct version_store *s, const char *name, const char *text,
                        bool activates);
struct version_state store_state(struct version_store *s, const char *name);
bool store_same_state(const struct version_state *a, const struct version_state *b);

/* Runs `work` in a child, which tells on `acknowledge` what it has done, and kills it: three of
 * four after the first word, however slow the machine is, and then wait_us; the others perhaps
 * while they open the file. Returns the other end, closed by the child's death; the caller's.
 */
int store_run_and_kill(void (*work)(const char *file, int acknowledge), const char *file,
                       int wait_us);

int store_audit(struct version_store *s, const char *name, uint64_t before, size_t limit,
                struct version_audit **out, size_t *n, struct err *e);
