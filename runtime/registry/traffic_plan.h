/* traffic_plan.h: who belongs to a share of the traffic.
 *
 * A caller is a number (serve/sticky.h) and has a place between 0 and 1 on a line; a share of
 * p percent are those whose place is below p / 100. So the same callers belong to a share every
 * time, those who belong to a small share belong to a larger one, and what is counted over many
 * callers is p percent.
 *
 * The line is another one for each salt: who is in the share of one version says nothing of who
 * is in that of the next, nor of the trial of a prompt. Numbers need not be random: they are
 * mixed (the finaliser of SplitMix64; Steele, Lea, Flood 2014, "Fast splittable pseudorandom
 * number generators").
 *
 * Threads: any; pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The place of a caller, 0 .. 2^32 - 1, on the line of `salt`. */
uint32_t traffic_plan_place(const char *salt, uint64_t caller);

/* Whether the caller belongs to a share of `percent`: nobody to 0, everybody to 100. */
bool traffic_plan_takes(const char *salt, uint64_t caller, int percent);
