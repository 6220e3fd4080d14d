#include "quant/cpu.h"

#include <stddef.h>
#include <string.h>

#define BASE_AVX2        CPU_AVX2
#define BASE_AVX512      (CPU_AVX2 | CPU_AVX512)
#define BASE_AVX512_VNNI (BASE_AVX512 | CPU_AVX512_VNNI)

int cpu_features_named(const char *name, uint32_t *mask)
{
    static const struct {
        const char *name;
        uint32_t mask;
    } table[] = {
        {"ref", 0},
        {"avx2", BASE_AVX2},
        {"avxvnni", BASE_AVX2 | CPU_AVX_VNNI},
        {"avx512", BASE_AVX512},
        {"avx512vnni", BASE_AVX512_VNNI},
        {"amx", BASE_AVX512_VNNI | CPU_AVX_VNNI | CPU_AMX_INT8},
        {"neon", CPU_NEON},
        {"dotprod", CPU_NEON | CPU_DOTPROD},
        {"i8mm", CPU_NEON | CPU_DOTPROD | CPU_I8MM},
        {"auto", CPU_ALL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(name, table[i].name) == 0) {
            *mask = table[i].mask;
            return 0;
        }
    }
    return -1;
}

#if defined(__x86_64__)

#    include <cpuid.h>

#    if defined(__linux__)
#        include <sys/syscall.h>
#        include <unistd.h>
#    endif

/* Intel SDM volume 1, 13.3: the state components of XCR0. */
enum {
    XCR0_SSE_AVX = 0x06,
    XCR0_AVX512 = 0xe6,
    XCR0_AMX = 0x60000,
};

struct leaf {
    uint32_t eax, ebx, ecx, edx;
};

static struct leaf cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct leaf l = {0};
    if (!__get_cpuid_count(leaf, subleaf, &l.eax, &l.ebx, &l.ecx, &l.edx)) {
        memset(&l, 0, sizeof(l));
    }
    return l;
}

static uint64_t xgetbv0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int has_bits(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

/* Linux gives a process the 8 KiB of tile registers only when it asks
 * (Documentation/arch/x86/xstate). */
static int ask_for_tiles(void)
{
#    if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#    else
    return 0;
#    endif
}

uint32_t cpu_features(void)
{
    struct leaf l1 = cpuid(1, 0), l7 = cpuid(7, 0), l71 = cpuid(7, 1);
    uint32_t f = 0;

    const uint32_t ecx1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    if (!has_bits(l1.ecx, ecx1) || !has_bits(xgetbv0(), XCR0_SSE_AVX)) {
        return 0;
    }
    const uint64_t xcr0 = xgetbv0();
    if (has_bits(l7.ebx, bit_AVX2 | bit_BMI2)) {
        f |= CPU_AVX2;
    }
    if (has_bits(l71.eax, 1u << 4) && (f & CPU_AVX2)) {
        f |= CPU_AVX_VNNI;
    }
    const uint32_t ebx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    if ((f & CPU_AVX2) && has_bits(l7.ebx, ebx512) && has_bits(xcr0, XCR0_AVX512)) {
        f |= CPU_AVX512;
    }
    if ((f & CPU_AVX512) && has_bits(l7.ecx, 1u << 11)) {
        f |= CPU_AVX512_VNNI;
    }
    const uint32_t edx_amx = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
    if ((f & CPU_AVX512_VNNI) && has_bits(l7.edx, edx_amx) && has_bits(xcr0, XCR0_AMX) &&
        ask_for_tiles()) {
        f |= CPU_AMX_INT8;
    }
    return f;
}

#elif defined(__aarch64__) && defined(__linux__)

#    include <asm/hwcap.h>
#    include <sys/auxv.h>

/* Documentation/arch/arm64/elf_hwcaps in Linux. */
uint32_t cpu_features(void)
{
    uint32_t f = CPU_NEON;
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) {
        f |= CPU_DOTPROD;
    }
    if ((f & CPU_DOTPROD) && (getauxval(AT_HWCAP2) & HWCAP2_I8MM)) {
        f |= CPU_I8MM;
    }
    return f;
}

#else

uint32_t cpu_features(void)
{
    return 0;
}

#endif
