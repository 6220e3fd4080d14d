/* manifest_gate.h: the member "gate" of model.json. Internal to runtime/registry.
 *
 * Threads: any; nothing is kept. */
#pragma once

#include "runtime/registry/manifest_fields.h"

manifest_reader manifest_read_gate;

/* What it has made of the manifest is released. */
void manifest_gate_free(struct model_manifest *m);
