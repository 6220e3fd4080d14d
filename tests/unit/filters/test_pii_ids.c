/* National ids: numbers that were made with an implementation of its own of each check digit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/pii_check.h"
#include "filters/pii_scan.h"
#include "tests/unit/filters/trace.h"

static const struct id {
    const char *kind;
    const char *before; /* a word that it needs, or "" */
    const char *text;
    bool has_check; /* another last character makes it wrong */
} ids[] = {
    {"us_itin", "", "912-70-9458", false},
    {"us_mbi", "", "1EG4-TE5-MK73", false},
    {"us_mbi", "", "2AK9TD4RX15", false},
    {"us_npi", "NPI ", "1622415499", true},
    {"us_routing", "routing no. ", "021009514", true},
    {"uk_nhs", "", "806 756 9193", true},
    {"uk_nhs", "NHS ", "8067569193", true},
    {"uk_nino", "", "AB 12 34 56 C", false},
    {"uk_nino", "", "PR123612C", false},
    {"uk_nino", "", "CE 123456 A", false},
    {"uk_driving_licence", "", "MORGA657054SM9IJ", false},
    {"uk_driving_licence", "", "FOXAA512239A99AB", false},
    {"ca_sin", "", "139-666-374", true},
    {"ca_sin", "SIN ", "139 666 374", true},
    {"mx_curp", "", "GOMC900514HDFRRLA6", true},
    {"br_cpf", "", "766.299.447-39", true},
    {"br_cpf", "CPF ", "76629944739", true},
    {"br_cnpj", "", "46.054.742/0001-09", true},
    {"br_cnpj", "CNPJ ", "46054742000109", true},
    {"de_tax_id", "", "47951382049", true},
    {"de_tax_id", "", "47 951 382 049", true},
    {"de_social_security", "", "65180539W001", true},
    {"de_social_security", "", "65 180539 W 001", true},
    {"fr_nir", "", "255081416802538", true},
    {"fr_nir", "", "2 80 05 2A 004 012 71", true},
    {"es_nif", "", "70197340Y", true},
    {"es_nif", "", "70197340-y", true},
    {"es_nie", "", "Y2607884C", true},
    {"es_nie", "", "x2607884-Y", true},
    {"it_fiscal_code", "", "RSSMRA85T10A562S", true},
    {"it_fiscal_code", "", "BNCLNZ71L51FNLTV", true},
    {"it_vat", "P.IVA ", "03703742449", true},
    {"nl_bsn", "BSN ", "229262193", true},
    {"be_nrn", "", "85.07.30-033.28", true},
    {"be_nrn", "", "00051300161", true},
    {"ch_ahv", "", "7560816140992", true},
    {"ch_ahv", "", "756.0816.1409.92", true},
    {"ie_pps", "PPS ", "1692061S", true},
    {"ie_pps", "", "1692061EA", true},
    {"dk_cpr", "CPR ", "070761-4285", false},
    {"no_fnr", "", "15038059731", true},
    {"no_fnr", "", "150380 59731", true},
    {"se_personnummer", "", "811228-9874", true},
    {"se_personnummer", "", "198112289874", true},
    {"se_personnummer", "", "19811228-9874", true},
    {"fi_hetu", "", "131052-308T", true},
    {"fi_hetu", "", "010594Y9032", true},
    {"pl_pesel", "PESEL ", "44051401472", true},
    {"tr_tckn", "TCKN ", "35024298430", true},
    {"za_id", "", "8001015009087", true},
    {"in_aadhaar", "", "4011 8973 6775", true},
    {"in_aadhaar", "Aadhaar: ", "401189736775", true},
    {"in_pan", "", "ABCPD1234Z", false},
    {"in_pan", "PAN ", "ABCND1234Z", false},
    {"cn_id", "", "11010519491231002X", true},
    {"cn_id", "", "440524188001010014", true},
    {"kr_rrn", "", "960121-1234567", false},
    {"kr_rrn", "RRN ", "9601211234567", false},
    {"kr_frn", "", "911124-5678901", false},
    {"th_id", "", "1-1017-00230-67-8", true},
    {"th_id", "Thai ID ", "1101700230678", true},
    {"sg_nric", "", "S1808602F", true},
    {"sg_nric", "", "G6311732W", true},
    {"sg_nric", "", "M9653459T", true},
    {"au_tfn", "TFN ", "796270287", true},
    {"au_tfn", "tax file number ", "796 270 287", true},
    {"au_abn", "", "53 287 959 702", true},
    {"au_abn", "ABN ", "53287959702", true},
    {"au_acn", "ACN ", "642060624", true},
    {"au_medicare", "", "2597 77630 1", true},
    {"au_medicare", "Medicare ", "2597776301", true},
    {"passport", "passport ", "912803456", false},
    {"passport", "Reisepass: ", "A12803456", false},
    {"passport", "passport no. ", "AB1234567", false},
};
#define IDS (sizeof(ids) / sizeof(ids[0]))

/* Words that the table's numbers do not need. */
static const struct id others[] = {
    {"ssn", "", "078-05-1123", false},
    {"ssn", "SSN: ", "078051123", false},
    {"ssn", "social security ", "078-051123", false},
    {"us_npi", "NPI ", "1622-415-499", true},
    {"de_tax_id", "Steuer-ID: ", "12345678903", true},
    {"phone", "Tel. ", "13812345678", false},
    {"phone", "phone: ", "03012345678", false},
    {"phone", "tel:", "+4917112345678", false},
};

static void expect(const char *kind, const char *in, const char *out)
{
    char json[128];
    snprintf(json, sizeof(json),
             "{\"name\":\"t\",\"filters\":[{\"type\":\"pii\",\"rules\":[\"%s\"]}]}", kind);
    struct chain *chain = trace_chain(json, NULL);
    for (int cuts = TRACE_WHOLE; cuts <= TRACE_CHARACTERS; cuts++) {
        struct trace trace;
        trace_run_text(&trace, chain, in, (enum trace_cuts)cuts, NULL);
        assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), out);
        trace_deinit(&trace);
    }
    chain_unref(chain);
}

static void expect_found(const struct id *id)
{
    static const char *const around[][2] = {{"", ""}, {"See ", "."}, {"(", ")"}, {"\n", ", "}};
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        char in[160], out[160];
        snprintf(in, sizeof(in), "%s%s%s%s", around[i][0], id->before, id->text, around[i][1]);
        snprintf(out, sizeof(out), "%s%s[%s]%s", around[i][0], id->before, id->kind,
                 around[i][1]);
        expect(id->kind, in, out);
    }
}

static void ids_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < IDS; i++) {
        expect_found(&ids[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        expect_found(&others[i]);
    }
}

static void every_kind_has_an_id(void **state)
{
    (void)state;
    for (size_t k = 0; k < pii_kind_count; k++) {
        size_t i = 0;
        while (i < IDS && strcmp(ids[i].kind, pii_kinds[k].name) != 0) {
            i++;
        }
        if (i == IDS && pii_kinds[k].forms && pii_kinds[k].forms != pii_ssn) {
            fail_msg("no id of %s", pii_kinds[k].name);
        }
    }
}

static void a_wrong_check_digit_makes_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < IDS; i++) {
        char in[128];
        snprintf(in, sizeof(in), "%s%s", ids[i].before, ids[i].text);
        char *last = &in[strlen(in) - 1];
        /* The check digit of these stands before the last character. */
        bool is_before = strcmp(ids[i].kind, "au_medicare") == 0 ||
                         (strcmp(ids[i].kind, "ie_pps") == 0 && !*ids[i].before);
        last -= is_before;
        last -= is_before && *last == ' ';
        *last = *last == '9'   ? '0'
                : *last == 'z' ? 'a'
                : *last == 'Z' ? 'A'
                               : (char)(*last + 1);
        if (ids[i].has_check) {
            expect(ids[i].kind, in, in);
        }
    }
}

static void numbers_alone_need_a_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < IDS; i++) {
        if (*ids[i].before) {
            expect(ids[i].kind, ids[i].text, ids[i].text);
            char far[256];
            snprintf(far, sizeof(far), "%s%70s%s", ids[i].before, "", ids[i].text);
            expect(ids[i].kind, far, far);
        }
    }
}

static void parts_of_something_longer_are_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < IDS; i++) {
        static const char *const behind[] = {"7", "x", "-1", ".5", "_a"};
        for (size_t k = 0; k < sizeof(behind) / sizeof(behind[0]); k++) {
            char in[128];
            snprintf(in, sizeof(in), "%s%s%s", ids[i].before, ids[i].text, behind[k]);
            expect(ids[i].kind, in, in);
        }
        static const char *const front[] = {"7", "x", "a-", "3.", "+"};
        for (size_t k = 0; k < sizeof(front) / sizeof(front[0]); k++) {
            char in[128];
            snprintf(in, sizeof(in), "%s%s%s", ids[i].before, front[k], ids[i].text);
            expect(ids[i].kind, in, in);
        }
    }
}

/* Each digit that is changed, and each pair of neighbours that is swapped, shows (Verhoeff
 * 1969); 236 has the check digit 3. */
static void verhoeff_finds_single_errors(void **state)
{
    (void)state;
    assert_true(pii_has_verhoeff_check("2363", 4));
    for (size_t i = 0; i < 4; i++) {
        for (int digit = '0'; digit <= '9'; digit++) {
            char number[] = "2363";
            bool is_same = number[i] == digit;
            number[i] = (char)digit;
            assert_int_equal(pii_has_verhoeff_check(number, 4), is_same);
        }
    }
    assert_false(pii_has_verhoeff_check("3263", 4));
    assert_false(pii_has_verhoeff_check("2633", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found),
        cmocka_unit_test(every_kind_has_an_id),
        cmocka_unit_test(a_wrong_check_digit_makes_none),
        cmocka_unit_test(numbers_alone_need_a_word),
        cmocka_unit_test(parts_of_something_longer_are_none),
        cmocka_unit_test(verhoeff_finds_single_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
