/* lineage.h: where a file came from. Every tool of the training pipeline writes a small JSON
 * file beside what it makes, ARTEFACT.lineage.json, the artefact's sidecar:
 *
 *     {"artefact": "tiny.ckpt", "sha256": "64 hex digits", "tool": "train pretrain",
 *      "weir": "0.9.0", "made_at": "2026-01-31T12:00:00Z",
 *      "options": {"steps": 1500, "lr": 0.002, "seed": 1},
 *      "parents": [{"role": "data", "file": "pre.tok", "sha256": "..."}],
 *      "metrics": {"loss": 0.96}}
 *
 * A parent is what the artefact was made from: raw text, curated data, vocabulary, token file,
 * checkpoint, adapter, model. `file` is its path as seen from the artefact's folder, so that a
 * folder may be moved as a whole; what counts is the hash. Parents have sidecars of their own,
 * which makes a chain from the raw text to the model (lineage_tree.h).
 *
 * Of a file the hash is that of its bytes. Of a folder (a model of safetensors, a set of
 * shards) it is that of the text which `sha256sum * | LC_ALL=C sort -k 2` prints for the files
 * directly in it, hidden ones and sidecars left out.
 *
 * A tool calls, at the end of its work:
 *
 *     struct lineage *l = lineage_create("train sft");
 *     lineage_parent(l, "base", base_path);
 *     lineage_option_number(l, "steps", steps);
 *     lineage_metric(l, "loss", loss);
 *     rc = lineage_write(l, out_path, &e);
 *     lineage_destroy(l);
 *
 * The first thing that fails is remembered, and lineage_write says what it was.
 *
 * Threads: none; a lineage belongs to its caller. Strings are copied. */
#pragma once

#include "runtime/base/err.h"
#include "runtime/base/hash.h"

#define LINEAGE_SUFFIX    ".lineage.json"
#define LINEAGE_BYTES_MAX ((size_t)16 << 20)

struct lineage;

/* `tool` is the command without "weir": "train pretrain". NULL when out of memory; the
 * functions below accept that. */
struct lineage *lineage_create(const char *tool);
void lineage_destroy(struct lineage *l); /* accepts NULL */

/* An option that decides what the artefact is. Those that were left to their defaults belong
 * here too. A NULL value is passed over. */
void lineage_option(struct lineage *l, const char *name, const char *value);
void lineage_option_number(struct lineage *l, const char *name, double value);

/* Hashes what stands at `path`, now: call it before the file can be replaced. A NULL path is
 * passed over. */
void lineage_parent(struct lineage *l, const char *role, const char *path);

/* A figure about the artefact: "loss", "kept_documents". NAN and infinities are passed over. */
void lineage_metric(struct lineage *l, const char *name, double value);

/* Hashes the artefact and writes its sidecar (atomically). made_at is now, or what
 * SOURCE_DATE_EPOCH says. */
int lineage_write(struct lineage *l, const char *artefact, struct err *e);

/* Significant digits with which a person is shown a number: all of a count, six of a measure.
 */
int lineage_digits(double value);

/* The hash of a file or folder as above. */
int lineage_hash(const char *path, char out[HASH_HEX_LEN + 1], struct err *e);
