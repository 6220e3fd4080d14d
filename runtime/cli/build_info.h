/* build_info.h: which program this is: for reports of mistakes, and to see that an upgrade has
 * arrived. */
#pragma once

#include <stdio.h>

/* Of the source, "-dirty" behind it if there were changes beside it; written by the build. */
extern const char build_commit[];

/* What `weir --version` says. */
void build_info_print(FILE *to);
