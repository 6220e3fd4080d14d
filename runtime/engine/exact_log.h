/* exact_log.h: the natural logarithm in double, the same bits on every machine: that of a C
 * library may differ in the last one, and sampling must not. Within 4 ulp. */
#pragma once

double exact_log(double x); /* x > 0 and normal */
