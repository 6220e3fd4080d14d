/* ctl_fleet.h: the commands under `weir ctl fleet`. Command-internal. */
#pragma once

#include <stdbool.h>

#include "runtime/api/fleet_text.h"
#include "runtime/base/json.h"
#include "runtime/cli/etcd_options.h"
#include "runtime/cli/etcd_remote.h"

struct ctl_fleet {
    struct etcd_options etcd;
    struct fleet_settings set;
    struct etcd_remote remote;
    long version;     /* of prompts and filters: to go back to; 0: none */
    const char *note; /* or NULL */
    const char *actor;
    long wait_s;
    long if_revision; /* -1: as it is found */
    bool json;
    bool is_usage; /* what failed is how the command was called */
};

/* What the replicas say of themselves, as one array of their reports; the caller's. Of one that
 * cannot be read there are "id" and "state", "unreadable". NULL: *e says why. */
cJSON *ctl_fleet_replicas(struct ctl_fleet *c, struct err *e);

/* Prints what is in force, and where. 1: not everywhere; -1: *e says why. */
int ctl_fleet_status(struct ctl_fleet *c, struct err *e);

/* What was written and is to be in force everywhere. */
struct ctl_fleet_written {
    enum fleet_kind kind;
    const char *name;
    const char *version;
    int64_t revision; /* of etcd */
    double began_s;   /* clock_now_s */
};

/* Waits until every replica that is there has told what became of it, printing that. 0: it is
 * in force on all; -1: *e says what it is not on, and why, or that there is none. */
int ctl_fleet_wait(struct ctl_fleet *c, const struct ctl_fleet_written *w, struct err *e);
