#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/format/gguf_write.h"
#include "runtime/base/mem.h"
#include "tests/unit/models/gguf_builder.h"

static const uint64_t nasty[] = {0, 1, INT32_MAX, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX};

#define N_NASTY (sizeof(nasty) / sizeof(nasty[0]))

static int no_block_is_left(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

static void temporary_path(char out[64])
{
    snprintf(out, 64, "/tmp/weir-test-gguf-%ld.gguf", (long)getpid());
}

/* One value of every type, arrays, a string with a NUL, and three tensors. */
static void fill_writer(struct gguf_writer *w, const float *f32, const uint16_t *f16,
                        const unsigned char *q8_0)
{
    static const struct gguf_str strings[] = {{"a", 1}, {"", 0}, {"\0\xff", 2}};
    static const int32_t ints[] = {-1, 0, INT32_MAX};
    static const float floats[] = {1e-5F, -2.5F};
    static const bool bools[] = {true, false};

    gguf_put_u8(w, "u8", 200);
    gguf_put_i8(w, "i8", -100);
    gguf_put_u16(w, "u16", 60000);
    gguf_put_i16(w, "i16", -30000);
    gguf_put_u32(w, "u32", 4000000000U);
    gguf_put_i32(w, "i32", -2000000000);
    gguf_put_u64(w, "u64", UINT64_MAX);
    gguf_put_i64(w, "i64", INT64_MIN);
    gguf_put_f32(w, "f32", 0.1F);
    gguf_put_f64(w, "f64", 0.1);
    gguf_put_bool(w, "bool", true);
    gguf_put_str(w, "str", "hello");
    gguf_put_bytes(w, "bytes", "a\0b", 3);
    gguf_put_strs(w, "strs", strings, 3);
    gguf_put_array(w, "ints", GGUF_I32, ints, 3);
    gguf_put_array(w, "floats", GGUF_F32, floats, 2);
    gguf_put_array(w, "bools", GGUF_BOOL, bools, 2);
    gguf_put_strs(w, "none", NULL, 0);
    gguf_add_tensor(w, "a.weight", TENSOR_F32, 2, (const uint64_t[]){3, 2}, f32);
    gguf_add_tensor(w, "b.weight", TENSOR_F16, 1, (const uint64_t[]){3}, f16);
    gguf_add_tensor(w, "c.weight", TENSOR_Q8_0, 2, (const uint64_t[]){32, 2}, q8_0);
}

static void check_scalars(const struct gguf *g)
{
    struct err e = {0};
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    int32_t i32 = 0;
    float f = 0;
    bool b = false;
    struct gguf_str s = {0};

    assert_int_equal(gguf_get_u32(g, "u8", &u32, &e), 0);
    assert_int_equal(u32, 200);
    assert_int_equal(gguf_get_i32(g, "i8", &i32, &e), 0);
    assert_int_equal(i32, -100);
    assert_int_equal(gguf_get_u64(g, "u16", &u64, &e), 0);
    assert_int_equal(u64, 60000);
    assert_int_equal(gguf_get_i32(g, "i16", &i32, &e), 0);
    assert_int_equal(i32, -30000);
    assert_int_equal(gguf_get_u32(g, "u32", &u32, &e), 0);
    assert_int_equal(u32, 4000000000U);
    assert_int_equal(gguf_get_i32(g, "i32", &i32, &e), 0);
    assert_int_equal(i32, -2000000000);
    assert_int_equal(gguf_get_u64(g, "u64", &u64, &e), 0);
    assert_true(u64 == UINT64_MAX);
    assert_int_equal(gguf_get_f32(g, "f32", &f, &e), 0);
    assert_true(f == 0.1F);
    assert_int_equal(gguf_get_f32(g, "f64", &f, &e), 0);
    assert_true(f == 0.1F);
    assert_int_equal(gguf_get_bool(g, "bool", &b, &e), 0);
    assert_true(b);
    assert_int_equal(gguf_get_str(g, "bytes", &s, &e), 0);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.data, "a\0b", 3);
}

static void check_arrays(const struct gguf *g)
{
    struct err e = {0};
    const struct gguf_str *strs;
    const struct gguf_kv *kv;
    size_t n;

    assert_int_equal(gguf_get_strs(g, "strs", &strs, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_int_equal(strs[1].len, 0);
    assert_memory_equal(strs[2].data, "\0\xff", 2);
    assert_int_equal(gguf_get_array(g, "ints", GGUF_I32, &kv, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_int_equal(gguf_array_i32(kv, 0), -1);
    assert_int_equal(gguf_array_i32(kv, 2), INT32_MAX);
    assert_int_equal(gguf_get_array(g, "floats", GGUF_F32, &kv, &n, &e), 0);
    assert_true(gguf_array_f32(kv, 1) == -2.5F);
    assert_int_equal(gguf_get_strs(g, "none", &strs, &n, &e), 0);
    assert_int_equal(n, 0);
}

static void check_texts(const struct gguf *g)
{
    static const struct {
        const char *key, *text;
    } wanted[] = {{"u8", "200"},
                  {"i8", "-100"},
                  {"u16", "60000"},
                  {"i16", "-30000"},
                  {"u32", "4000000000"},
                  {"i32", "-2000000000"},
                  {"u64", "18446744073709551615"},
                  {"i64", "-9223372036854775808"},
                  {"f32", "0.1"},
                  {"f64", "0.1"},
                  {"bool", "true"},
                  {"ints", "-1"},
                  {"floats", "1e-05"}};
    size_t n_seen = 0;

    for (size_t i = 0; i < gguf_kv_count(g); i++) {
        const struct gguf_kv *kv = gguf_kv_at(g, i);
        for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++) {
            char text[GGUF_NUMBER_TEXT];
            if (strcmp(kv->key, wanted[k].key) == 0) {
                gguf_format_number(kv, 0, text);
                assert_string_equal(text, wanted[k].text);
                n_seen++;
            }
        }
    }
    assert_int_equal(n_seen, sizeof(wanted) / sizeof(wanted[0]));
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    static const float f32[] = {1, 2, 3, 4, 5, 6};
    static const uint16_t f16[] = {0x3c00, 0xc000, 0x0001};
    unsigned char q8_0[68] = {0x00, 0x38, 2, 0xfe}; /* scale 0.5 */
    struct err e = {0};
    char path[64];
    char hash[HASH_HEX_LEN + 1];
    float row[32];

    temporary_path(path);
    struct gguf_writer *w = gguf_writer_create(&e);
    fill_writer(w, f32, f16, q8_0);
    assert_int_equal(gguf_writer_write(w, path, &e), 0);
    gguf_writer_destroy(w);
    struct gguf *g = gguf_open(path, &e);
    assert_non_null(g);
    assert_string_equal(gguf_path(g), path);
    assert_int_equal(gguf_version(g), 3);
    assert_int_equal(gguf_kv_count(g), 18);
    assert_int_equal(gguf_tensor_count(g), 3);
    check_scalars(g);
    check_arrays(g);
    check_texts(g);
    const struct gguf_tensor *t = gguf_tensor_find(g, "a.weight");
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->dims[0], 3);
    assert_int_equal(t->dims[1], 2);
    assert_int_equal(t->dims[2], 1);
    assert_int_equal(t->size, sizeof(f32));
    assert_memory_equal(t->data, f32, sizeof(f32));
    t = gguf_tensor_find(g, "c.weight");
    assert_int_equal(tensor_row_to_f32(t->type, t->data, row, 32), 0);
    assert_true(row[0] == 1.0F && row[1] == -1.0F && row[2] == 0.0F);
    assert_null(gguf_tensor_find(g, "d.weight"));
    assert_int_equal(gguf_sha256(g, hash, &e), 0);
    assert_int_equal(strlen(hash), HASH_HEX_LEN);
    gguf_close(g);
    unlink(path);
}

static void a_failed_put_leaves_no_file(void **state)
{
    (void)state;
    struct err e = {0};
    char path[64];

    temporary_path(path);
    struct gguf_writer *w = gguf_writer_create(&e);
    gguf_put_u32(w, "twice", 1);
    gguf_put_u32(w, "twice", 2);
    gguf_put_u32(w, "later", 3);
    assert_int_equal(gguf_writer_write(w, path, &e), -1);
    assert_non_null(strstr(e.message, "\"twice\""));
    assert_int_equal(access(path, F_OK), -1);
    gguf_writer_destroy(w);
}

static void tensors_begin_where_the_alignment_says(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {0, 16, 48, 8192, UINT32_MAX};
    static const float three[3];
    struct err e = {0};
    char path[64];

    temporary_path(path);
    struct gguf_writer *w = gguf_writer_create(&e);
    gguf_writer_align(w, 256);
    gguf_add_tensor(w, "a", TENSOR_F32, 1, (const uint64_t[]){3}, three);
    gguf_add_tensor(w, "b", TENSOR_F32, 1, (const uint64_t[]){3}, three);
    assert_int_equal(gguf_writer_write(w, path, &e), 0);
    gguf_writer_destroy(w);
    struct gguf *g = gguf_open(path, &e);
    assert_non_null(g);
    assert_int_equal(gguf_alignment(g), 256);
    assert_int_equal((uintptr_t)gguf_tensor_find(g, "a")->data % 256, 0);
    assert_int_equal((uintptr_t)gguf_tensor_find(g, "b")->data % 256, 0);
    gguf_give_back(g, gguf_tensor_find(g, "a")->data, 12);
    assert_true(*(const float *)gguf_tensor_find(g, "a")->data == 0.0f);
    gguf_close(g);
    unlink(path);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        w = gguf_writer_create(&e);
        gguf_writer_align(w, wrong[i]);
        assert_int_equal(gguf_writer_write(w, path, &e), -1);
        gguf_writer_destroy(w);
    }
}

static void copied_metadata_is_the_same(void **state)
{
    (void)state;
    static const float f32[6];
    static const uint16_t f16[3];
    static const unsigned char q8_0[68];
    struct err e = {0};
    char path[64];
    char path2[80];
    uint32_t v = 0;

    temporary_path(path);
    snprintf(path2, sizeof(path2), "%s.copy", path);
    struct gguf_writer *w = gguf_writer_create(&e);
    fill_writer(w, f32, f16, q8_0);
    assert_int_equal(gguf_writer_write(w, path, &e), 0);
    gguf_writer_destroy(w);
    struct gguf *g = gguf_open(path, &e);
    w = gguf_writer_create(&e);
    gguf_put_u32(w, "u8", 7); /* put before: not copied over */
    gguf_put_copies(w, g, "");
    assert_int_equal(gguf_writer_write(w, path2, &e), 0);
    gguf_writer_destroy(w);
    gguf_close(g);
    g = gguf_open(path2, &e);
    assert_int_equal(gguf_kv_count(g), 18);
    assert_int_equal(gguf_get_u32(g, "u8", &v, &e), 0);
    assert_int_equal(v, 7);
    check_arrays(g);
    gguf_close(g);
    unlink(path);
    unlink(path2);
}

static void a_missing_or_mistyped_key_is_named(void **state)
{
    (void)state;
    struct gguf_builder b;
    struct err e = {0};
    struct gguf_str s;
    int32_t i32 = 5;
    bool flag;

    builder_init(&b);
    builder_header(&b, 0, 1);
    builder_kv_u32(&b, "some.key", UINT32_MAX);
    struct gguf *g = builder_open(&b, &e);
    assert_int_equal(gguf_get_str(g, "some.key", &s, &e), -1);
    assert_string_equal(e.message,
                        "test.gguf: metadata key \"some.key\": type u32, must be a string");
    assert_int_equal(gguf_get_bool(g, "some.key", &flag, &e), -1);
    assert_int_equal(gguf_get_i32(g, "some.key", &i32, &e), -1);
    assert_int_equal(i32, 5);
    assert_int_equal(gguf_get_i32(g, "no.key", &i32, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.message, "test.gguf: metadata key \"no.key\" is missing");
    gguf_close(g);
    builder_deinit(&b);
}

/* Two metadata entries (a number, an array of two strings) and two tensors. */
static void build_sound(struct gguf_builder *b)
{
    builder_init(b);
    builder_header(b, 2, 3);
    builder_kv_u32(b, "general.alignment", 32);
    builder_string(b, "names");
    builder_u32(b, GGUF_ARRAY, "type");
    builder_u32(b, GGUF_STRING, "item type");
    builder_u64(b, 2, "array length");
    builder_string(b, "one");
    builder_string(b, "two");
    builder_string(b, "flags");
    builder_u32(b, GGUF_ARRAY, "type");
    builder_u32(b, GGUF_BOOL, "item type");
    builder_u64(b, 2, "array length");
    builder_u8(b, 1);
    builder_u8(b, 0);
    builder_tensor(b, "x", 2, (const uint64_t[]){4, 2}, TENSOR_F32, 0);
    builder_tensor(b, "y", 1, (const uint64_t[]){32}, TENSOR_Q8_0, 32);
    builder_pad(b, 32, 32 + 34);
}

static void open_and_walk(struct gguf_builder *b)
{
    struct err e = {0};
    struct gguf *g = builder_open(b, &e);

    if (g) {
        builder_walk(g);
    } else {
        assert_int_equal(strncmp(e.message, "test.gguf: ", 11), 0);
    }
    gguf_close(g);
}

static void expect_refusal(struct gguf_builder *b, const char *words)
{
    struct err e = {0};
    struct gguf *g = builder_open(b, &e);

    if (g || !strstr(e.message, words) || strncmp(e.message, "test.gguf: ", 11) != 0) {
        fail_msg("wanted \"%s\", got \"%s\"", words, g ? "(opened)" : e.message);
    }
    builder_deinit(b);
}

/* Writes a value over a field; false when it was there already. */
static bool spoil(struct gguf_builder *b, size_t field, uint64_t value)
{
    const struct builder_field f = b->fields[field];
    bool changed = false;

    for (size_t i = 0; i < f.size; i++) {
        const char byte = (char)(value >> 8 * i);

        changed = changed || b->bytes.data[f.at + i] != byte;
        b->bytes.data[f.at + i] = byte;
    }
    return changed;
}

/* Of these fields no value but the right one makes sense in the file that build_sound makes. */
static bool has_one_right_value(const char *what)
{
    static const char *const names[] = {"version",      "metadata count", "string length",
                                        "array length", "n_dims",         "general.alignment"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(what, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void no_number_at_any_nasty_value_is_trusted(void **state)
{
    (void)state;
    struct gguf_builder b;
    size_t n_fields = 1;

    for (size_t field = 0; field < n_fields; field++) {
        for (size_t i = 0; i < N_NASTY; i++) {
            build_sound(&b);
            n_fields = b.n_fields;
            if (spoil(&b, field, nasty[i]) && has_one_right_value(b.fields[field].what)) {
                expect_refusal(&b, "");
                continue;
            }
            open_and_walk(&b);
            builder_deinit(&b);
        }
    }
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct gguf_builder b;

    build_sound(&b);
    const size_t whole = b.bytes.len;
    open_and_walk(&b);
    builder_deinit(&b);
    for (size_t len = 0; len < whole; len++) {
        build_sound(&b);
        b.bytes.len = len;
        expect_refusal(&b, "");
    }
}

static void a_flipped_bit_anywhere_is_safe(void **state)
{
    (void)state;
    struct gguf_builder b;

    build_sound(&b);
    const size_t bits = 8 * b.bytes.len;
    for (size_t i = 0; i < bits; i++) {
        b.bytes.data[i / 8] = (char)(b.bytes.data[i / 8] ^ 1 << i % 8);
        open_and_walk(&b);
        b.bytes.data[i / 8] = (char)(b.bytes.data[i / 8] ^ 1 << i % 8);
    }
    builder_deinit(&b);
}

static void what_is_no_gguf_file_is_refused(void **state)
{
    (void)state;
    static const unsigned char big_endian[] = {0, 0, 0, 3};
    struct gguf_builder b;
    struct err e = {0};

    builder_init(&b);
    expect_refusal(&b, "not a GGUF file");
    builder_init(&b);
    buf_append_str(&b.bytes, "PK\003\004 and more");
    expect_refusal(&b, "not a GGUF file");
    builder_init(&b);
    buf_append_str(&b.bytes, "GGUF");
    buf_append(&b.bytes, big_endian, 4);
    expect_refusal(&b, "big-endian");
    builder_init(&b);
    buf_append_str(&b.bytes, "GGUF");
    builder_u32(&b, 1, "version");
    expect_refusal(&b, "GGUF version 1; 2 and 3 are supported");
    assert_null(gguf_open("/tmp", &e));
    assert_string_equal(e.message, "/tmp: not a regular file");
    assert_null(gguf_open("/nonexistent/file.gguf", &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void expect_bad_alignment(uint32_t type, uint64_t value, const char *words)
{
    struct gguf_builder b;

    builder_init(&b);
    builder_header(&b, 0, 1);
    builder_string(&b, "general.alignment");
    builder_u32(&b, type, "type");
    builder_u64(&b, value, "value"); /* long enough for any type */
    expect_refusal(&b, words);
}

static void a_bad_alignment_is_refused(void **state)
{
    (void)state;
    expect_bad_alignment(GGUF_U32, 0, "0 is not a power of two");
    expect_bad_alignment(GGUF_U32, 3, "3 is not a power of two");
    expect_bad_alignment(GGUF_U32, 4, "4 is not a power of two of at least 8");
    expect_bad_alignment(GGUF_U64, (uint64_t)1 << 63, "type u64, must be u32");
    expect_bad_alignment(GGUF_I32, 32, "type i32, must be u32");
    expect_bad_alignment(GGUF_STRING, 0, "type string, must be u32");
}

static void keys_and_values_are_checked(void **state)
{
    (void)state;
    struct gguf_builder b;

    builder_init(&b);
    builder_header(&b, 0, 1);
    builder_bytes(&b, "a\0b", 3);
    builder_pad(&b, 64, 0);
    expect_refusal(&b, "not printable ASCII");
    builder_init(&b);
    builder_header(&b, 0, 1);
    builder_string(&b, "");
    builder_pad(&b, 64, 0);
    expect_refusal(&b, "a metadata key at byte 24 has 0 bytes");
    builder_init(&b);
    builder_header(&b, 0, 2);
    builder_kv_u32(&b, "same", 1);
    builder_kv_u32(&b, "same", 1);
    expect_refusal(&b, "metadata key \"same\": is there twice");
    builder_init(&b);
    builder_header(&b, 0, 1);
    builder_string(&b, "nested");
    builder_u32(&b, GGUF_ARRAY, "type");
    builder_u32(&b, GGUF_ARRAY, "item type");
    builder_u64(&b, 0, "array length");
    expect_refusal(&b, "\"nested\": arrays of arrays");
    builder_init(&b);
    builder_header(&b, 0, 1);
    builder_string(&b, "flag");
    builder_u32(&b, GGUF_BOOL, "type");
    builder_u8(&b, 2);
    expect_refusal(&b, "\"flag\": a bool is neither 0 nor 1");
}

static void expect_bad_tensor(uint32_t n_dims, const uint64_t *dims, uint32_t type,
                              uint64_t offset, const char *words)
{
    struct gguf_builder b;

    builder_init(&b);
    builder_header(&b, 1, 0);
    builder_tensor(&b, "w", n_dims, dims, type, offset);
    builder_pad(&b, 32, 256);
    expect_refusal(&b, words);
}

static void tensors_are_checked(void **state)
{
    (void)state;
    static const uint64_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};

    expect_bad_tensor(0, NULL, 0, 0, "tensor \"w\": 0 dimensions, must be 1 to 4");
    expect_bad_tensor(5, ones, 0, 0, "5 dimensions, must be 1 to 4");
    expect_bad_tensor(9, ones, 0, 0, "9 dimensions, must be 1 to 4");
    expect_bad_tensor(UINT32_MAX, NULL, 0, 0, "4294967295 dimensions");
    expect_bad_tensor(2, (const uint64_t[]){4, 0}, 0, 0, "a dimension is 0");
    expect_bad_tensor(2, (const uint64_t[]){(uint64_t)1 << 63, 2}, 0, 0, "too large");
    expect_bad_tensor(2, (const uint64_t[]){(uint64_t)1 << 32, (uint64_t)1 << 32}, 0, 0,
                      "too large");
    expect_bad_tensor(1, (const uint64_t[]){(uint64_t)1 << 62}, 0, 0, "too large");
    expect_bad_tensor(1, (const uint64_t[]){33}, TENSOR_Q8_0, 0,
                      "no whole number of q8_0 blocks");
    expect_bad_tensor(1, ones, 4, 0, "unknown type 4");
    expect_bad_tensor(1, ones, 1000, 0, "unknown type 1000");
    expect_bad_tensor(1, ones, 0, 8, "offset 8 is not a multiple of the alignment 32");
    expect_bad_tensor(1, ones, 0, 256, "reach past the end of the file");
    expect_bad_tensor(1, ones, 0, UINT64_MAX - 31, "reach past the end of the file");
    expect_bad_tensor(1, (const uint64_t[]){65}, 0, 0, "reach past the end of the file");
}

static void two_tensors_may_not_overlap_or_share_a_name(void **state)
{
    (void)state;
    static const uint64_t dims[] = {16};
    struct gguf_builder b;

    builder_init(&b);
    builder_header(&b, 2, 0);
    builder_tensor(&b, "v", 1, dims, TENSOR_F32, 32);
    builder_tensor(&b, "w", 1, dims, TENSOR_F32, 0);
    builder_pad(&b, 32, 256);
    expect_refusal(&b, "tensors \"w\" and \"v\" overlap");
    builder_init(&b);
    builder_header(&b, 2, 0);
    builder_tensor(&b, "w", 1, dims, TENSOR_F32, 64);
    builder_tensor(&b, "w", 1, dims, TENSOR_F32, 0);
    builder_pad(&b, 32, 256);
    expect_refusal(&b, "tensor \"w\": is there twice");
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    bool reached = true;

    for (size_t nth = 1; reached; nth++) {
        struct gguf_builder b;
        struct err e = {0};

        build_sound(&b);
        assert_false(b.bytes.failed);
        mem_fail_at(nth);
        struct gguf *g = builder_open(&b, &e);
        reached = mem_fail_reached();
        mem_fail_at(0);
        assert_true(reached ? !g && e.kind == ERR_NOMEM : g != NULL);
        gguf_close(g);
        builder_deinit(&b);
        assert_int_equal(mem_live(), 0);
    }
}

static void every_half_float_survives_the_way_through_a_float(void **state)
{
    (void)state;
    for (uint32_t h = 0; h <= UINT16_MAX; h++) {
        const float f = f16_to_f32((uint16_t)h);

        if (f == f) {
            assert_int_equal(f16_from_f32(f), h);
        }
    }
    assert_int_equal(f16_from_f32(65520.0F), 0x7c00);
    assert_int_equal(f16_from_f32(65519.0F), 0x7bff);
    assert_int_equal(f16_from_f32(0x1p-25F), 0); /* a tie goes to even */
    assert_int_equal(f16_from_f32(0x1.8p-25F), 1);
    assert_int_equal(f16_from_f32(1.0F + 0x1p-11F), 0x3c00);
    assert_int_equal(f16_from_f32(1.0F + 0x3p-11F), 0x3c02);
    assert_true(bf16_to_f32(0x3f80) == 1.0F);
}

/* A tensor that is longer than a page is behind the first one. */
static void write_long_file(const char *path)
{
    static float numbers[1 << 16];
    struct err e = {0};
    struct gguf_writer *w = gguf_writer_create(&e);

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        numbers[i] = 1.0F;
    }
    gguf_add_tensor(w, "a.weight", TENSOR_F32, 1, (const uint64_t[]){1 << 16}, numbers);
    assert_int_equal(gguf_writer_write(w, path, &e), 0);
    gguf_writer_destroy(w);
}

static float last_number(const struct gguf *g)
{
    const struct gguf_tensor *t = gguf_tensor_find(g, "a.weight");

    return ((const float *)t->data)[t->n_elements - 1];
}

static void a_file_that_is_cut_while_it_is_open_is_told(void **state)
{
    (void)state;
    char path[64];
    char before[HASH_HEX_LEN + 1];
    char after[HASH_HEX_LEN + 1];
    struct err e = {0};

    temporary_path(path);
    write_long_file(path);
    struct gguf *cut = gguf_open(path, &e);
    struct gguf *detached = gguf_open(path, &e);
    assert_non_null(cut);
    assert_non_null(detached);
    assert_int_equal(gguf_sha256(detached, before, &e), 0);
    assert_int_equal(gguf_detach(detached, &e), 0);
    assert_int_equal(truncate(path, 8192), 0);

    assert_int_equal(gguf_check_whole(cut, &e), 0); /* nobody has read there */
    assert_true(last_number(cut) == 0.0F);
    assert_int_equal(gguf_check_whole(cut, &e), -1);
    assert_non_null(strstr(e.message, "was cut short while it was read"));

    assert_true(last_number(detached) == 1.0F);
    gguf_give_back(detached, gguf_tensor_find(detached, "a.weight")->data, 1 << 18);
    assert_int_equal(gguf_sha256(detached, after, &e), 0);
    assert_string_equal(after, before);
    assert_int_equal(gguf_check_whole(detached, &e), 0);
    gguf_close(cut);
    gguf_close(detached);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_was_written_is_read, no_block_is_left),
        cmocka_unit_test_teardown(a_failed_put_leaves_no_file, no_block_is_left),
        cmocka_unit_test_teardown(tensors_begin_where_the_alignment_says, no_block_is_left),
        cmocka_unit_test_teardown(copied_metadata_is_the_same, no_block_is_left),
        cmocka_unit_test_teardown(a_missing_or_mistyped_key_is_named, no_block_is_left),
        cmocka_unit_test_teardown(no_number_at_any_nasty_value_is_trusted, no_block_is_left),
        cmocka_unit_test_teardown(a_file_cut_anywhere_is_refused, no_block_is_left),
        cmocka_unit_test_teardown(a_flipped_bit_anywhere_is_safe, no_block_is_left),
        cmocka_unit_test_teardown(what_is_no_gguf_file_is_refused, no_block_is_left),
        cmocka_unit_test_teardown(a_bad_alignment_is_refused, no_block_is_left),
        cmocka_unit_test_teardown(keys_and_values_are_checked, no_block_is_left),
        cmocka_unit_test_teardown(tensors_are_checked, no_block_is_left),
        cmocka_unit_test_teardown(two_tensors_may_not_overlap_or_share_a_name,
                                  no_block_is_left),
        cmocka_unit_test_teardown(a_file_that_is_cut_while_it_is_open_is_told,
                                  no_block_is_left),
        cmocka_unit_test_teardown(any_allocation_may_fail, no_block_is_left),
        cmocka_unit_test(every_half_float_survives_the_way_through_a_float),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
