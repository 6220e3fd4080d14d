/* model_store_parts.h: what the files behind model_store.h share. With the lock held. */
#pragma once

#include "runtime/registry/model_store.h"
#include "runtime/registry/version_store_parts.h"

/* Without past and labels. *id is 0 where there is no such model. After a failure there is
 * nothing to release. */
int model_store_find(struct database *d, const char *name, int64_t *id, struct model_record *r,
                     struct err *e);
/* Past and labels. */
int model_store_read_lists(struct database *d, int64_t id, struct model_record *r,
                           struct err *e);
