/* schema_object.h: what an object of a shape may have (inside of schema.h). */
#pragma once

#include "runtime/grammar/schema.h"

struct property {
    const char *name; /* borrowed from the schema */
    bool required;
};

/* What is written for objects of a shape: the declared properties in order, then maybe others.
 */
struct object_plan {
    struct property *properties; /* (n) */
    size_t n, cap;
    bool open; /* names that are neither declared nor matched by a pattern may follow */
};

int object_plan_make(struct schema *s, const struct shape *x, struct object_plan *plan);
void object_plan_deinit(struct object_plan *plan);
const struct property *object_plan_find(const struct object_plan *plan, const char *name);

/* All schemas that the value of a property of this name must be valid under. *allowed is false
 * when the name itself is not. */
int shape_property(struct schema *s, const struct shape *x, const char *name,
                   struct node_list *set, bool *allowed);
