#include "runtime/cli/build_info.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stddef.h>
#include <uv.h>

#include "quant/cpu.h"

/* What a build may have been made without. */
static void print_parts(FILE *to)
{
    fprintf(to, "parts:      training %s, filter \"script\" %s\n",
            BUILD_HAS_TRAINING ? "yes" : "no (built without OpenBLAS)",
            BUILD_HAS_SCRIPT ? "yes" : "no (built without Lua 5.4)");
}

/* Those that are loaded now, and not those that it was built with. */
static void print_libraries(FILE *to)
{
    fprintf(to, "libraries:  libuv %s, %s, libcurl %s\n", uv_version_string(),
            OpenSSL_version(OPENSSL_VERSION), curl_version_info(CURLVERSION_NOW)->version);
}

static void print_processor(FILE *to)
{
    static const struct {
        uint32_t feature;
        const char *name;
    } known[] = {
        {CPU_AVX2, "avx2"},       {CPU_AVX_VNNI, "avxvnni"},
        {CPU_AVX512, "avx512"},   {CPU_AVX512_VNNI, "avx512vnni"},
        {CPU_AMX_INT8, "amx"},    {CPU_NEON, "neon"},
        {CPU_DOTPROD, "dotprod"}, {CPU_I8MM, "i8mm"},
    };
    uint32_t features = cpu_features();
    fprintf(to, "processor: ");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (features & known[i].feature) {
            fprintf(to, " %s", known[i].name);
        }
    }
    fprintf(to, "%s\n", features == 0 ? " ref (none that kernels are written for)" : "");
}

void build_info_print(FILE *to)
{
    fprintf(to, "weir %s\n", WEIR_VERSION);
    fprintf(to, "commit:     %s\n", build_commit);
    fprintf(to, "build:      %s, %s, %s\n", BUILD_TYPE, BUILD_COMPILER, BUILD_PROCESSOR);
    print_parts(to);
    print_libraries(to);
    print_processor(to);
}
