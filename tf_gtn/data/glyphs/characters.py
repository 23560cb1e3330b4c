"""The alphabets of `glyphs/alphabets`: which characters, by name; a constant of the data set's version.

Scripts, parts of large ones, and some sets of symbols, of what DejaVu Sans draws, each character in one alphabet only. Within
an alphabet no two silhouettes of one size overlap in 90% or more of their union, so that a class is never another one under
a second code; letters that differ in a dot or an accent may stay. Between alphabets there are look-alikes, such as the
capital A of Latin, Greek and Cyrillic.
"""

# Code points in hexadecimal: one, from-to, or from-to/step (decimal).
_CODES = {
    "arabic": "621-62C 62E-637 639-63A 641-64A",
    "arabic_additions": "66E-66F 674 679-685 687-695 697-6A5 6A7-6BF 6C6-6C8 6CB-6CC 6CE 6D0 6D5",
    "arabic_final": (
        "FB53 FB5B-FB77/4 FB7F FB83-FB8F/2 FB93-FB9F/4 FBA1 FBAB FBD4 FBD8-FBDC/2 FBDF FBE5 FBFD FE82-FE8A/2 FE8E "
        "FE90 FE94 FE96 FEA6 FEAA-FEB2/2 FEB6-FEC2/4 FECA-FEF2/4"
    ),
    "arabic_initial": "FB54-FB80/4 FB90-FB9C/4 FBAC FBD5 FBE8 FBFE FE8B-FE97/6 FE9B-FEA7/4 FEB3-FEC3/4 FECB-FED7/4 FEDF-FEE7/4",
    "arabic_medial": (
        "FB55-FB79/4 FB81 FB91-FB9D/4 FBAD FBD6 FBE9 FBFF FE8C-FE98/6 FE9C-FEA8/4 FEB4-FEC4/4 FECC-FED8/4 FEE0-FEE8/4"
    ),
    "armenian_capital": "531-550 552-556",
    "armenian_small": "561-565 567-571 573-587",
    "arrows": "2190-21FF",
    "braille": "2801-2809/2 280A-280F 2811-2819/2 281A-281F 2821-2829/2 282A-282F 2831-2839/2 283A-283F",
    "canadian_k_c": "146B-14A2",
    "canadian_m_n_l": "14A3-14BD 14C0-14CB 14CD 14CF-14EA 14EC",
    "canadian_other": "157D-1585 158A-1596 15A0 15A2-15AF 15DE 15E1 1646-1647 166F-1676",
    "canadian_p_t": "1430-1435 1438-144A 144C-1452 1455-146A",
    "canadian_s_sh": "14ED-1507 1510-1525",
    "canadian_vowels": "1401-1407 140A-1415 1417-141A 141D-1426 1428-142F",
    "canadian_y_r_f_th": "1526-153E 1540-1550 1552-156A 1574-157C",
    "currency": "20A0-20B5 20B8-20BA 20BD",
    "cyrillic_capital": "410-42F",
    "cyrillic_capital_additions": (
        "400-40F 460-480/2 48A-4BE/2 4C1-4CD/2 4D0-4DA/2 4DE-4E6/2 4EA-524/2 A644 A646 A64C-A654/4 A656 A662-A66C/2 "
        "A68A A68C A694"
    ),
    "cyrillic_small": "430-44F",
    "cyrillic_small_additions": (
        "450-45F 461-481/2 48B-4BF/2 4C2-4CE/2 4CF-4E7/2 4EB-525/2 A645 A647 A64D-A655/4 A657 A663-A66D/2 A68B A68D A695"
    ),
    "dingbats": "2701-2704 2706-2709 270C-2727 2729-273B 273D-274B 274D 274F-2750 2756 2758-275E 2761-2767",
    "double_struck": (
        "1D538-1D539 1D53B-1D53E 1D540-1D544 1D546 1D54A-1D550 1D552-1D56B 2102 210D 2115 2119-211A 211D 2124 "
        "213C-2140 2145-2149"
    ),
    "geometric": "25A0-25A9 25AB-25B3 25B5-25B7 25B9-25BD 25BF-25C1 25C3-25FB 25FF",
    "georgian": "10D0-10FA 10FC",
    "georgian_capital": "10A0-10C5",
    "georgian_small": "2D00-2D25",
    "greek_additions": "370-377 37A-37D 3D0-3FD",
    "greek_capital": "391-3A1 3A3-3A9",
    "greek_small": "3B1-3C9",
    "hebrew": "5D0-5EA",
    "hebrew_additions": "FB1D FB1F-FB2B FB2D-FB36 FB38-FB3C FB3E FB40-FB41 FB43-FB44 FB46-FB4F",
    "lao": "E81-E82 E84 E87-E88 E8A E8D E94-E97 E99-E9F EA1-EA3 EA5 EA7 EAA-EAB EAD-EAE",
    "latin_capital": "41-5A",
    "latin_capital_additions": (
        "181-182 184 186-187 189-18B 18E-191 193-194 196-198 19C-19D 19F-1A0 1A2 1A4 1A7 1A9 1AC 1AE-1AF 1B1-1B3 1B5 "
        "1B7-1B8 1BC 1C4-1C5 1C7-1C8 1CA-1CB 1CD-1D7/2 1DE-1EE/2 1F1-1F2 1F6-1F8 1FA-22A/2 22E-232/2 23A-23B 23D-23E "
        "241 243-246 248-24E/2"
    ),
    "latin_medieval": (
        "A722-A72B A730-A739 A73C-A741 A746-A74B A74E-A753 A756-A757 A764-A767 A780-A783 A789-A78E A790-A791 "
        "A7A0-A7AA A7F8-A7FD A7FF"
    ),
    "latin_phonetic": "250-2AF",
    "latin_small": "61-7A",
    "latin_small_additions": (
        "180 183 185 188 18C-18D 192 195 199-19B 19E 1A1-1A5/2 1A8 1AB 1AD 1B0 1B4 1B6 1B9-1BA 1BD 1C6-1CC/3 "
        "1CE-1DC/2 1DD-1EF/2 1F0 1F3 1F9-233/2 234-239 23C 23F-240 242 247-24F/2"
    ),
    "latin_small_capital": "1D00-1D01 1D03-1D07 1D0A-1D10 1D18-1D1C 1D20-1D23 1D26-1D28 1D2A-1D2B 1D7B 2B6",
    "lisu": "A4D0-A4F7",
    "nko": "7CA-7E6",
    "ogham": "1681-169A",
    "old_italic": "10300-1031E",
    "operators": "2200-2232 2234-2252",
    "relations": "2253-229C 229E-22AF",
    "tifinagh": "2D30-2D58 2D5A-2D65",
}


def alphabets() -> dict[str, str]:
    """`{name: string of its characters}`, names in alphabetical order, characters in that of their code points."""
    return {name: "".join(_characters(codes)) for name, codes in _CODES.items()}


def _characters(codes):
    for run in codes.split():
        ends, _, step = run.partition("/")
        first, _, last = ends.partition("-")
        yield from map(chr, range(int(first, 16), int(last or first, 16) + 1, int(step or 1)))
