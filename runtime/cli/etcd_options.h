/* etcd_options.h: the options by which a fleet and its etcd are named, for weir serve and weir
 * ctl fleet. Command-internal. */
#pragma once

#include "runtime/base/err.h"
#include "runtime/base/options.h"
#include "runtime/serve/fleet_link.h"

#define ETCD_OPTIONS 7

struct etcd_options {
    const char *endpoints, *fleet;
    const char *user, *password_file;
    const char *ca, *cert, *key; /* files */
};

/* table[ETCD_OPTIONS]: without an end. */
void etcd_options_fill(struct option *table, struct etcd_options *o);

/* Reads the files and checks all of it; *set's other fields stay. Where --fleet is not given
 * nothing happens. The error names the option. etcd_options_release in any case. */
int etcd_options_read(const struct etcd_options *o, struct fleet_settings *set, struct err *e);
void etcd_options_release(struct fleet_settings *set);
