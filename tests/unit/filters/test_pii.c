/* The filter "pii": each rule's true and false cases, what it holds, and that nothing depends
 * on how the text is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/byte_mask.h"
#include "filters/pii_scan.h"
#include "tests/unit/filters/pii_oracle.h"
#include "tests/unit/filters/trace.h"

static struct chain *one_pii(const char *settings)
{
    char json[512];
    snprintf(json, sizeof(json), "{\"name\":\"t\",\"filters\":[{\"type\":\"pii\"%s%s}]}",
             *settings ? "," : "", settings);
    return trace_chain(json, NULL);
}

static void expect(const char *settings, const char *in, const char *out)
{
    struct chain *chain = one_pii(settings);
    for (int cuts = TRACE_WHOLE; cuts <= TRACE_CHARACTERS; cuts++) {
        struct trace trace;
        trace_run_text(&trace, chain, in, (enum trace_cuts)cuts, NULL);
        assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), out);
        trace_deinit(&trace);
    }
    chain_unref(chain);
}

/* Lists of texts that are found as a whole, and of texts in which nothing is, by this rule. */
static void expect_found(const char *rule, const char *const *found, const char *const *clean)
{
    char settings[64];
    snprintf(settings, sizeof(settings), "\"rules\":[\"%s\"]", rule);
    for (; *found; found++) {
        static const char *const around[][2] = {
            {"", ""}, {"see ", "."}, {"(", ")"}, {"\xE5\x8F\xB7", "\xE3\x80\x82"}, {"\n", ", "},
        };
        for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
            char in[256], out[256];
            snprintf(in, sizeof(in), "%s%s%s", around[i][0], *found, around[i][1]);
            snprintf(out, sizeof(out), "%s[%s]%s", around[i][0], rule, around[i][1]);
            expect(settings, in, out);
        }
    }
    for (; *clean; clean++) {
        expect(settings, *clean, *clean);
    }
}

static void emails(void **state)
{
    (void)state;
    static const char *const found[] = {
        "john@example.com", "j.r+tag@mail.example.co.uk", "a_b-c%d@x-y.museum",
        "A@B.IO",           "x@xn--bcher-kva.xn--p1ai",   NULL};
    static const char *const clean[] = {
        "john@localhost",    "@example.com",      "a@b.c",       "a@b.c1", "a@-b.com",
        "user.@example.com", "a b@ c.com x@y..z", "a@[1.2.3.4]", NULL};
    expect_found("email", found, clean);
    expect("\"rules\":[\"email\"]", "so...me@x.com, me@x.com.7", "so...[email], [email].7");
}

static void cards(void **state)
{
    (void)state;
    static const char *const found[] = {"4111111111111111",    "4111 1111 1111 1111",
                                        "5500-0000-0000-0004", "378282246310005",
                                        "3782 822463 10005",   "6011000990139424",
                                        "4222222222222",       "6304000000000000000",
                                        "122000000000003",     NULL};
    static const char *const clean[] = {
        "4111111111111112",  "411111111111",           "1234567890123452",
        "1748503543012",     "4111  1111  1111  1111", "A4111111111111111",
        "4111111111111111A", "0.4111111111111111",     NULL};
    expect_found("card", found, clean);
    expect("\"rules\":[\"card\"]", "4111 1111 1111 1111 12/29", "[card] 12/29");
    expect("\"rules\":[\"card\"]", "17 4111 1111 1111 1111", "17 [card]");
}

static void ibans(void **state)
{
    (void)state;
    static const char *const found[] = {"DE89370400440532013000",
                                        "DE89 3704 0044 0532 0130 00",
                                        "DE89-3704-0044-0532-0130-00",
                                        "GB82 WEST 1234 5698 7654 32",
                                        "NO93 8601 1117 947",
                                        "FR1420041010050500013M02606",
                                        "MT84MALT011000012345MTLCAST001S",
                                        "CH93 0076 2011 6238 5295 7",
                                        "nl91abna0417164300",
                                        NULL};
    static const char *const clean[] = {
        "DE88370400440532013000",      "DE8937040044053201300",
        "DE893704004405320130000",     "XX89370400440532013000",
        "ADE89370400440532013000",     "DE89 37 0400440532013000",
        "DE89 3704-0044 0532 0130 00", NULL};
    expect_found("iban", found, clean);
}

static void social_security_numbers(void **state)
{
    (void)state;
    static const char *const found[] = {"123-45-6789", "078 05 1123", "123.45.6789",
                                        "899-99-9999", NULL};
    static const char *const clean[] = {"000-12-3456",  "666-12-3456",  "900-12-3456",
                                        "123-00-4567",  "123-45-0000",  "123-45 6789",
                                        "123-45-67890", "1123-45-6789", "123-45-6789-1",
                                        "123456789",    "078-05-1120",  NULL};
    expect_found("ssn", found, clean);
}

static void network_addresses(void **state)
{
    (void)state;
    static const char *const v4[] = {"192.168.0.1", "8.8.8.8", "255.255.255.255", NULL};
    static const char *const no_v4[] = {"1.2.3",    "256.1.1.1", "1.2.3.4.5",  "v1.2.3.4",
                                        "1.2.3.4a", "1..2.3.4",  "1.2.3.1234", NULL};
    expect_found("ipv4", v4, no_v4);
    static const char *const v6[] = {"2001:db8::1",
                                     "fe80::1",
                                     "::1",
                                     "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
                                     "::ffff:192.0.2.128",
                                     "1:2:3:4:5:6:7:8",
                                     "2001:db8::",
                                     NULL};
    static const char *const no_v6[] = {
        "std::cad", "dead::beef", "12:30:45", "::", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::1",
        "fe80::1g", ":::1",       "cafe",     NULL};
    expect_found("ipv6", v6, no_v6);
    static const char *const mac[] = {"00:1A:2b:3C:4d:5E",
                                      "00-1a-2b-3c-4d-5e",
                                      "001a.2b3c.4d5e",
                                      "aa:bb:cc:dd:ee:ff",
                                      "ab-cd-ef-ab-cd-e1",
                                      "dead.beef.cafe",
                                      NULL};
    static const char *const no_mac[] = {
        "00:1A:2b:3C:4d", "00:1A:2b:3C:4d:5E:6f", "00:1A-2b:3C:4d:5E",   "ff:ff:ff:ff:ff:FF",
        "0000.0000.0000", "00:1A:2b:3C:4d:5G",    "001a.2b3c.4d5e.6f70", NULL};
    expect_found("mac", mac, no_mac);
}

static void cryptocurrency_addresses(void **state)
{
    (void)state;
    static const char *const found[] = {
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe",
        NULL};
    static const char *const clean[] = {"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
                                        "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLz",
                                        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
                                        "bc1QW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                                        "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BA",
                                        "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe0",
                                        "1BvBMSEYstWetqTFn5",
                                        NULL};
    expect_found("crypto", found, clean);
}

static void phones(void **state)
{
    (void)state;
    static const char *const found[] = {
        "+49 171 1234567",  "+1 (212) 555-0123", "+442079460958",
        "0049 171 1234567", "+49 (0) 30 12345",  "212-555-0123",
        "(212) 555-0123",   "212.555.0123",      "1-800-555-0199",
        "(212)555-0123",    "030 1234567",       "0171/123 45 67",
        "(020) 7946 0958",  "01 23 45 67 89",    "01.23.45.67.89",
        "020 7946 0958",    "03 9876 5432",      NULL};
    static const char *const clean[] = {
        "+1234567",         "+1 2",          "2024-01-02",      "01.02.2024",
        "01.02.2024 10:30", "05 12 2023 14", "112-555-0123",    "212-155-0123",
        "2125550123",       "212-555-01234", "x212-555-0123",   "3.14159265358",
        "0123456789",       "02110-1301",    "1 + 12345678 is", NULL};
    expect_found("phone", found, clean);
}

static void phones_of_chosen_countries(void **state)
{
    (void)state;
    static const struct {
        const char *countries, *in, *out;
    } cases[] = {
        {"\"us\"", "+1 212 555 0123, +49 30 1234567", "[phone], +49 30 1234567"},
        {"\"us\"", "(212) 555-0123, 030 1234567", "[phone], 030 1234567"},
        {"\"us\"", "1-800-555-0199 +1 212 555 012", "[phone] +1 212 555 012"},
        {"\"de\"", "+49 (0) 30 12345, 0049 171 1234567", "[phone], [phone]"},
        {"\"de\",\"fr\"", "01 23 45 67 89, 030 1234567", "[phone], [phone]"},
        {"\"fr\"", "01 23 45 67 89, +33 1 23 45 67 8", "[phone], +33 1 23 45 67 8"},
        {"\"pl\"", "phone 123456789 or phone 1234567890", "phone [phone] or phone 1234567890"},
        {"\"gb\"", "(020) 7946 0958 and 212-555-0123", "[phone] and 212-555-0123"},
        {"\"cn\"", "phone 13812345678, 212-555-0123", "phone [phone], 212-555-0123"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char settings[96];
        snprintf(settings, sizeof(settings), "\"rules\":[\"phone\"],\"phone_countries\":[%s]",
                 cases[i].countries);
        expect(settings, cases[i].in, cases[i].out);
    }
    static const char *const wrong[][2] = {
        {"\"phone_countries\":[\"us\",\"xx\"]", "filters[0].phone_countries[1]: is not the "
                                                "code of a country that the reference of this "
                                                "filter lists, such as \"us\""},
        {"\"phone_countries\":[]", "filters[0].phone_countries: must name at least one"},
        {"\"rules\":[\"email\"],\"phone_countries\":[\"us\"]",
         "filters[0].phone_countries: is of no use unless \"rules\" has \"phone\""},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char json[192];
        struct err e;
        snprintf(json, sizeof(json), "{\"name\":\"t\",\"filters\":[{\"type\":\"pii\",%s}]}",
                 wrong[i][0]);
        assert_null(chain_from_json(json, strlen(json), NULL, &e));
        assert_string_equal(e.message, wrong[i][1]);
    }
}

static void settings_choose_rules_and_actions(void **state)
{
    (void)state;
    const char *text = "a@b.io, 8.8.8.8";
    expect("", text, "[email], [ipv4]");
    expect("\"rules\":[\"ipv4\"]", text, "a@b.io, [ipv4]");
    expect("\"action\":\"mask\",\"mask\":\"#\"", text, "######, #######");
    expect("\"action\":\"stop\"", "to a@b.io", "to ");
    expect("\"action\":\"note\"", text, text);
    struct err e;
    const char *json =
        "{\"name\":\"t\",\"filters\":[{\"type\":\"pii\",\"rules\":[\"email\",\"mail\"]}]}";
    assert_null(chain_from_json(json, strlen(json), NULL, &e));
    assert_string_equal(e.message, "filters[0].rules[1]: \"mail\" is none of the rules that "
                                   "the reference of this filter lists");
    json = "{\"name\":\"t\",\"filters\":[{\"type\":\"pii\",\"rules\":[]}]}";
    assert_null(chain_from_json(json, strlen(json), NULL, &e));
    assert_string_equal(e.message, "filters[0].rules: must name at least one");
}

static void verdicts_name_the_rule(void **state)
{
    (void)state;
    struct chain *chain = one_pii("");
    struct trace trace;
    trace_run_text(&trace, chain, "I am 123-45-6789.", TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.events), "replace 0/pii content#0 5-16 @5 ssn: \n");
    trace_deinit(&trace);
    chain_unref(chain);
}

/* What has been released after each character, joined by "|". */
static void expect_releases(const char *rule, const char *in, const char *releases)
{
    char settings[64];
    snprintf(settings, sizeof(settings), "\"rules\":[\"%s\"]", rule);
    trace_expect_releases(one_pii(settings), in, releases);
}

static void only_what_can_become_a_match_waits(void **state)
{
    (void)state;
    expect_releases("ipv4", "1.2.3.4 ", "|||||||[ipv4] |");
    expect_releases("ipv4", "in 2024", "i|n| ||||2024|");
    expect_releases("ssn", "12 a 9", "||12 |a| |9|");
    expect_releases("iban", "dear", "||dea|r|");
    expect_releases("email", "a b", "|a ||b");
    expect_releases("card", "7 2", "7| ||2");
    expect_releases("mac", "beg", "||beg|");
}

/* ---- against the oracle ---- */

struct corpus {
    const char *rule;
    const char *pieces[24]; /* NULL at the end */
};

static const struct corpus corpora[] = {
    {"email",
     {"a", "b.c", ".", "-", "@", "@", "com", ".io", "1", "_", " ", "x@y.de", "\xC3\xA9"}},
    {"card",
     {"4", "41", "1111", " ", "-", "4111 1111", " 1111 1111", "5", "0", "37828224631000", "a",
      ".", "  ", "4222222222222", "122000", "000000003"}},
    {"iban",
     {"DE89370400440532013000", "DE89 3704 0044 ", "DE89-3704-0044-", "0532-0130-00",
      "0532 0130 00", "NO93 8601 1117 947", "GB82", " WEST 1234 5698 7654 32", " ", "D", "E",
      "N", "O", "1", "a", "."}},
    {"ssn",
     {"123", "-", "123-45-", "45", " ", "6789", "0", "9", "000", "a", "666", "123-45-6789",
      "123 45 ", "1", ".", "123.45.6789"}},
    {"ipv4", {"1", "25", "255", "256", ".", ".", ".", "a", " ", "0", "1.2.3"}},
    {"mac",
     {"0a", "1", "0a:1b:", ":", "-", ".", "0a1b", "-0a-1b", "g", " ",
      "0a:1b:2c:3d:4e:", "ab-cd-ef-", "abcd.ef", "a", "ff:ff:ff:", "00-00-00"}},
    {"ipv6",
     {"1", "::", ":", "fe80", "a", ".", " ", "g", "1:2:3:4:", "192.0.2.1", "dead", "5:6:7:8"}},
    {"phone",
     {"+",       "+1 ", "00", "4",   "49 ", "171", " ",    "-",        "/",     "(0)",
      "1234567", "a",   ".",  "1 2", "212", "555", "0123", "212-555-", "02110", "1301"}},
};

static void random_text(struct rng *rng, const struct corpus *c, char *out, size_t max)
{
    size_t count = 0;
    while (c->pieces[count]) {
        count++;
    }
    out[0] = '\0';
    for (uint32_t n = rng_below(rng, 20); n > 0; n--) {
        const char *piece = c->pieces[rng_below(rng, (uint32_t)count)];
        if (strlen(out) + strlen(piece) + 1 < max) {
            strcat(out, piece);
        }
    }
}

static void random_texts_agree_with_expressions(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 41);
    for (size_t i = 0; i < sizeof(corpora) / sizeof(corpora[0]); i++) {
        const struct corpus *c = &corpora[i];
        char settings[64];
        snprintf(settings, sizeof(settings), "\"rules\":[\"%s\"]", c->rule);
        struct chain *chain = one_pii(settings);
        int found = 0;
        for (int k = 0; k < 3000; k++) {
            char text[256], wanted[1024];
            random_text(&rng, c, text, sizeof(text));
            pii_oracle_run(c->rule, text, wanted);
            struct trace trace;
            trace_run_text(&trace, chain, text, TRACE_RANDOM, &rng);
            if (strcmp(trace_string(&trace.text[FILTER_CONTENT]), wanted) != 0) {
                fail_msg("%s\ntext:   \"%s\"\nwanted: \"%s\"\ngot:    \"%s\"", c->rule, text,
                         wanted, trace_string(&trace.text[FILTER_CONTENT]));
            }
            found += strcmp(text, wanted) != 0;
            trace_deinit(&trace);
        }
        if (found <= 30) {
            fail_msg("%s: only %d texts have any", c->rule, found);
        }
        chain_unref(chain);
    }
}

/* ---- every kind: found where a scan of all places finds it ---- */

/* Pieces of all kinds, so that ids stand beside what they look like; many places, few of them
 * with anything. */
static const char *const mixed[] = {
    "1",
    "12",
    "123",
    "1234",
    "4111 1111 1111 1111",
    "A",
    "ab",
    "ABCDE",
    "x",
    "fe80",
    " ",
    "-",
    ".",
    ",",
    ":",
    "::",
    "/",
    "+",
    "(",
    ")",
    "@",
    "_",
    "ssn ",
    "SIN: ",
    "nhs no. ",
    "078051123",
    "078-05-1123",
    "046 454 286",
    "130692544",
    "943 476 5919",
    "AA123456B",
    "AA 12 34 56 C",
    "RSSMRA85T10A562S",
    "ABCPD1234Z",
    "X9613851N",
    "12345678Z",
    "44051401458",
    "010594Y9032",
    "871220-2384",
    "51 824 753 556",
    "529.982.247-25",
    "1EG4-TE5-MK73",
    "MORGA657054SM9IJ",
    "S2740116C",
    "960121-1234567",
    "65170839J003",
    "0a:1b:2c:3d:4e:5f",
    "ab-cd-ef-ab-cd-ef",
    "2001:db8::1",
    "192.0.2.1",
    "a@b.io",
    "DE89370400440532013000",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    "+49 171 1234567",
    "(212) 555-0123",
    "\xC3\xA9",
    "\xE5\x8F\xB7",
    "\n",
    "mi",
    "11 22 33 44 55 66",
};

static void mixed_text(struct rng *rng, char *out, size_t max)
{
    out[0] = '\0';
    for (uint32_t n = rng_below(rng, 16); n > 0; n--) {
        const char *piece = mixed[rng_below(rng, sizeof(mixed) / sizeof(mixed[0]))];
        if (strlen(out) + strlen(piece) + 1 < max) {
            strcat(out, piece);
        }
    }
}

/* Looks at each place of the whole text, and puts the name in place of what is found. */
static void scan_all_places(const struct pii_kind *kind, const char *text, char *out)
{
    struct pii_scan s = {.text = text, .len = strlen(text), .has_ended = true};
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        size_t to = 0;
        enum finder_found found = FINDER_NONE;
        if (!kind->scan) {
            found = pii_scan_forms(&s, kind->forms, i, &to);
        } else if (kind->scan == pii_email || strchr(kind->lead.first, text[i])) {
            found = kind->scan(&s, i, &to);
        }
        assert_int_not_equal(found, FINDER_UNDECIDED);
        if (found == FINDER_MATCH) {
            n += (size_t)sprintf(out + n, "[%s]", kind->name);
            i = to;
        } else {
            out[n++] = text[i++];
        }
    }
    out[n] = '\0';
}

static void no_place_is_left_out(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 43);
    for (size_t k = 0; k < pii_kind_count; k++) {
        const struct pii_kind *kind = &pii_kinds[k];
        char settings[64];
        snprintf(settings, sizeof(settings), "\"rules\":[\"%s\"]", kind->name);
        struct chain *chain = one_pii(settings);
        for (int i = 0; i < 1500; i++) {
            char text[512], wanted[2048];
            mixed_text(&rng, text, sizeof(text));
            scan_all_places(kind, text, wanted);
            struct trace trace;
            trace_run_text(&trace, chain, text, TRACE_RANDOM, &rng);
            if (strcmp(trace_string(&trace.text[FILTER_CONTENT]), wanted) != 0) {
                fail_msg("%s\ntext:   \"%s\"\nwanted: \"%s\"\ngot:    \"%s\"", kind->name, text,
                         wanted, trace_string(&trace.text[FILTER_CONTENT]));
            }
            trace_deinit(&trace);
        }
        chain_unref(chain);
    }
}

static void masks_are_those_of_plain_c(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 44);
    for (int i = 0; i < 20000; i++) {
        char block[BYTE_MASK_BLOCK];
        for (size_t k = 0; k < sizeof(block); k++) {
            block[k] = (char)rng_below(&rng, 256);
        }
        unsigned char low = (unsigned char)rng_below(&rng, 256);
        unsigned char high = (unsigned char)(low + rng_below(&rng, 256u - low));
        assert_int_equal(byte_mask_range(block, low, high),
                         byte_mask_range_plain(block, low, high));
    }
}

static void cuts_do_not_matter(void **state)
{
    (void)state;
    static const char *const actions[] = {"stop", "replace", "mask", "note"};
    struct rng rng;
    rng_seed(&rng, 42);
    for (int i = 0; i < 4; i++) {
        char settings[64];
        snprintf(settings, sizeof(settings), "\"action\":\"%s\"", actions[i]);
        struct chain *chain = one_pii(settings);
        for (int k = 0; k < 3000; k++) {
            char text[256];
            const struct corpus *c =
                &corpora[rng_below(&rng, sizeof(corpora) / sizeof(corpora[0]))];
            random_text(&rng, c, text, 128);
            if (k % 2 == 0) {
                random_text(&rng, &corpora[rng_below(&rng, 8)], text + strlen(text), 128);
            } else {
                mixed_text(&rng, text + strlen(text), 128);
            }
            struct trace whole, cut;
            trace_run_text(&whole, chain, text, TRACE_WHOLE, NULL);
            for (int cuts = TRACE_CHARACTERS; cuts <= TRACE_RANDOM; cuts++) {
                trace_run_text(&cut, chain, text, (enum trace_cuts)cuts, &rng);
                trace_assert_equal(&whole, &cut);
                trace_deinit(&cut);
            }
            trace_deinit(&whole);
        }
        chain_unref(chain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emails),
        cmocka_unit_test(cards),
        cmocka_unit_test(ibans),
        cmocka_unit_test(social_security_numbers),
        cmocka_unit_test(network_addresses),
        cmocka_unit_test(cryptocurrency_addresses),
        cmocka_unit_test(phones),
        cmocka_unit_test(phones_of_chosen_countries),
        cmocka_unit_test(settings_choose_rules_and_actions),
        cmocka_unit_test(verdicts_name_the_rule),
        cmocka_unit_test(only_what_can_become_a_match_waits),
        cmocka_unit_test(random_texts_agree_with_expressions),
        cmocka_unit_test(no_place_is_left_out),
        cmocka_unit_test(masks_are_those_of_plain_c),
        cmocka_unit_test(cuts_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
