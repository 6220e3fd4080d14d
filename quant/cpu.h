/* cpu.h: which instruction sets this processor has and this system lets programs use.
 *
 * Asked of cpuid and xgetbv, or on Arm of the kernel's hardware capabilities, never of the
 * environment, so that a run depends on the machine and
 * on the options given and on nothing else. A caller that wants a lesser kernel takes bits away
 * from the set with a mask, which cpu_features_named gives for a name.
 *
 * Threads: cpu_features may be called from any thread; the answer never changes while a process
 * lives.
 */
#pragma once

#include <stdint.h>

/* Each bit is a bundle that compilers and kernels use together, and includes the system's
 * support for saving the registers it needs. */
enum cpu_feature {
    CPU_AVX2 = 1u << 0,        /* AVX2, FMA, F16C, BMI2 */
    CPU_AVX512 = 1u << 1,      /* AVX-512 F, BW, VL, DQ, and CPU_AVX2 */
    CPU_AVX512_VNNI = 1u << 2, /* vpdpbusd on zmm, and CPU_AVX512 */
    CPU_AVX_VNNI = 1u << 3,    /* vpdpbusd on ymm, VEX-coded, and CPU_AVX2 */
    CPU_AMX_INT8 =
        1u << 4,           /* int8 tiles, the system's leave to use them, and CPU_AVX512_VNNI */
    CPU_NEON = 1u << 5,    /* every AArch64 processor */
    CPU_DOTPROD = 1u << 6, /* FEAT_DotProd: sdot */
    CPU_I8MM = 1u << 7,    /* FEAT_I8MM: smmla, and CPU_DOTPROD */
};

#define CPU_ALL UINT32_MAX

/* The bundles that can be used here; 0 on a processor that has none of them. */
uint32_t cpu_features(void);

/* The most that `--cpu NAME` lets kernels use: "ref" (0), "avx2", "avxvnni", "avx512",
 * "avx512vnni", "amx", on Arm "neon", "dotprod", "i8mm", and "auto" (CPU_ALL). Each name
 * includes the sets before it that it builds on. Returns 0 and fills *mask, or -1 if the name
 * is none of these. */
int cpu_features_named(const char *name, uint32_t *mask);
