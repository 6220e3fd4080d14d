#include "filters/homoglyphs.h"

#include <stddef.h>

/* Sixteen characters from `first` on; a blank where one looks like no other. */
struct row {
    uint32_t first;
    char looks[17];
};

static const struct row rows[] = {
    {0x00B0, "       .        "}, {0x00D0, "D       O       "},
    {0x00F0, "d       o       "}, {0x0110, "Dd              "},
    {0x0120, "      Hh        "}, {0x0130, " i              "},
    {0x0140, " Ll             "}, {0x0160, "      Tt        "},
    {0x0180, "bBBbB OCcDDDdg  "}, {0x0190, "EFfG  IIKkl  NnO"},
    {0x01A0, "    PpR    tTtT "}, {0x01B0, "  VYyZz      s  "},
    {0x01C0, "I  !            "}, {0x01E0, "    Gg          "},
    {0x0220, "Nd  Zz          "}, {0x0230, "    lntj  ACcLTs"},
    {0x0240, "z  BU EeJj qRrYy"}, {0x0250, " a bocdd   e   j"},
    {0x0260, "gggy  h iiilll w"}, {0x0270, " mnnno      rrr "},
    {0x0280, "r s j   t  u   y"}, {0x0290, "zz       b ghj l"},
    {0x02A0, "q               "}, {0x02B0, "         ' '''  "},
    {0x02D0, "       -        "}, {0x0370, "               J"},
    {0x0390, " AB  EZH IK MN O"}, {0x03A0, " P  TY X        "},
    {0x03B0, " a y   n ik  v o"}, {0x03C0, " p otu          "},
    {0x03D0, "            F   "}, {0x03F0, "   j      M     "},
    {0x0400, "     SI J       "}, {0x0410, "AbB  E    K MHO "},
    {0x0420, "PCTY X      b   "}, {0x0430, "a br e    k mho "},
    {0x0440, "pcty x          "}, {0x0450, "     si j  h    "},
    {0x0460, " wbb            "}, {0x0470, "  OoVv       w  "},
    {0x0480, "            bb  "}, {0x0490, "   r      K   K "},
    {0x04A0, "  H       CcT Yy"}, {0x04B0, "YyX        h e e"},
    {0x04C0, "I      H H   M i"}, {0x04E0, "        Oo      "},
    {0x0500, " d          G   "}, {0x0510, "           qWw  "},
    {0x0540, "             U S"}, {0x0550, "     O    '     "},
    {0x0560, " w q  q         "}, {0x0570, "h       n   nu  "},
    {0x0580, " g  fo   :      "}, {0x0660, "             *  "},
    {0x13A0, "DRT  i   YAJE   "}, {0x13B0, "   W   M   H Y  "},
    {0x13C0, "G hZ           b"}, {0x13D0, "  R WS   VS   LC"},
    {0x13E0, "  P   Kd        "}, {0x13F0, "   GB           "},
    {0x1D00, "a   cd e  jklm o"}, {0x1D10, " o      p  tu   "},
    {0x1D20, "vwz   r         "}, {0x1D60, "            bdfm"},
    {0x1D70, "nprrstz    iipu "}, {0x1D80, "bdfgklmnprs yxza"},
    {0x1D90, " dee  io u      "}, {0x1E90, "            sf  "},
    {0x1EF0, "              Yy"}, {0x2010, "- ----  ''''\"\"\"\""},
    {0x2020, "  .             "}, {0x2030, "  '  '   <>     "},
    {0x2040, "   -/         * "}, {0x2050, "   ~            "},
    {0x2210, "  -  / * .      "}, {0x2220, "   |            "},
    {0x2230, "      :     ~   "}, {0x22C0, "     .          "},
    {0x2C60, "LlLPRatHhKkZz M "}, {0x2C70, " vWwv   e o   SZ"},
    {0x2C80, "     r        H "}, {0x2C90, "  I K   M N   Oo"},
    {0x2CA0, "  PpCcT Y   X   "}, {0x2CD0, "L               "},
    {0x2D30, "        VE      "}, {0x2D40, "               I"},
    {0x2D50, "    OQ       X  "}, {0x3010, "            ~   "},
    {0xA4D0, "BPdDT GK JC ZF M"}, {0xA4E0, "NLSR  VH  WXY A "},
    {0xA4F0, "E IOU   . .     "}, {0xA640, "       i        "},
    {0xA690, "     h          "}, {0xA730, "fs              "},
    {0xA740, "KkKkKk  LlOoOo  "}, {0xA750, "PpPpPpQqQq    Vv"},
    {0xA760, " w              "}, {0xA780, "         :  ' l "},
    {0xA790, "NnCcchBbFf     u"}, {0xA7A0, "GgKkNnRrSsH GL q"},
    {0xA7B0, "  JXB   Uu      "}, {0xA7C0, "    CSZDdSs     "},
    {0xAB30, "  eeefglllmn ooo"}, {0xAB40, "      rrrr rr u "},
    {0xAB50, "  u   xxxxy     "}, {0xAB70, "     i          "},
    {0xAB80, " r w            "}, {0xAB90, "   z            "},
    {0xABA0, "         vs    c"},
};

/* Alphabets of 26, A to Z. */
static const uint32_t alphabets[] = {
    0x1F150, /* negative circled */
    0x1F170, /* negative squared */
    0x1F1E6, /* regional indicators, of which flags are made */
};

uint32_t homoglyph_fold(uint32_t code_point)
{
    for (size_t i = 0; code_point >= 0x1F100 && i < sizeof(alphabets) / sizeof(alphabets[0]);
         i++) {
        if (code_point - alphabets[i] < 26) {
            return 'A' + (code_point - alphabets[i]);
        }
    }
    size_t low = 0;
    size_t high = sizeof(rows) / sizeof(rows[0]);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].first + 15 < code_point) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == sizeof(rows) / sizeof(rows[0]) || code_point < rows[low].first) {
        return code_point;
    }
    char looks = rows[low].looks[code_point & 15u];
    return looks == ' ' ? code_point : (uint32_t)looks;
}
