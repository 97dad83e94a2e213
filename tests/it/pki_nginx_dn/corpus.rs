//! Hostile names, and names that look alike.

use super::forge::{
    BMP, C, CN, DC, EMAIL, IA5, NUMERIC, O, OU, PRINTABLE, SURNAME, T61, UID, UNIQUE_IDENTIFIER,
    UNIVERSAL, UNKNOWN, UTF8, VISIBLE, attribute, common_name, name, rdn,
};

/// Names with everything in them that has ever confused a parser.
pub(super) fn hostile_names() -> Vec<(&'static str, Vec<u8>)> {
    let mut names = hostile_texts();
    names.extend(hostile_types());
    names.extend(hostile_structures());
    names
}

fn hostile_texts() -> Vec<(&'static str, Vec<u8>)> {
    [
        "alice",
        "",
        " ",
        "  ",
        "#",
        "##",
        "#hash ",
        "#0C0161",
        " leading",
        "trailing ",
        "two  inner",
        "a,b",
        "a+b",
        "a=b",
        "=",
        "a\"b",
        "\"quoted\"",
        "a\\b",
        "\\",
        "trailing\\",
        "\\,",
        "a;b",
        "<x>",
        "a/b",
        "x/CN=admin",
        "bob, CN=admin",
        "bob,CN=admin",
        "bob\\,CN=admin",
        "bob+UID=admin",
        "Zo\u{eb} \"Q\" <x>",
        "nul\0byte",
        "\0",
        "cr\rlf\nend",
        "\n",
        "tab\tx",
        "\tx\t",
        "esc\u{1b}[31m",
        "del\u{7f}",
        "c1\u{85}x",
        "bidi\u{202e}x",
        "zero\u{200b}width",
        "\u{430}lice",
        "\u{1f600}",
        "\u{10ffff}",
        "\u{feff}alice",
        "nfc \u{e9}",
        "nfd e\u{301}",
        "*",
        "(cn=*)",
        "'; drop table x; --",
        "%41%00",
        "$ssl_client_s_dn",
        "\u{ff0c}CN=admin",
        "\u{a0}nbsp\u{a0}",
        "A'B`C|D&E",
    ]
    .into_iter()
    .map(|text| (text, common_name(text)))
    .collect()
}

fn hostile_types() -> Vec<(&'static str, Vec<u8>)> {
    let cn = |tag, value: &[u8]| name(&[rdn(&[attribute(CN, tag, value)])]);
    let long = "x".repeat(3000);
    vec![
        ("BMP", cn(BMP, b"\0a\0d\0m\0i\0n")),
        ("BMP with a comma and a Greek letter", cn(BMP, b"\0,\x03\xb1")),
        ("BMP of odd length", cn(BMP, b"\0a\0")),
        ("BMP with a surrogate", cn(BMP, b"\xd8\x3d\xde\0")),
        ("BMP single hash", cn(BMP, b"\0#")),
        ("BMP ends in a blank", cn(BMP, b"\0a\0 ")),
        ("BMP hides ASCII in a high octet", cn(BMP, b"\x2c\x2c\x2b\x2b")),
        ("Universal", cn(UNIVERSAL, b"\0\0\0a\0\0\0d\0\0\0m\0\0\0i\0\0\0n")),
        ("Universal of odd length", cn(UNIVERSAL, b"\0\0\0a\0")),
        ("Universal emoji", cn(UNIVERSAL, b"\0\x01\xf6\0")),
        ("Universal beyond Unicode", cn(UNIVERSAL, b"\0\x11\0\0")),
        ("T61", cn(T61, b"admin")),
        ("T61 as Latin-1", cn(T61, b"Zo\xeb")),
        ("Printable", cn(PRINTABLE, b"admin")),
        ("Printable with what it must not hold", cn(PRINTABLE, b"a@b_*&\xff")),
        ("IA5", cn(IA5, b"admin")),
        ("IA5 with a high octet", cn(IA5, b"caf\xe9")),
        ("Visible", cn(VISIBLE, b"admin")),
        ("NumericString", cn(NUMERIC, b"4711")),
        ("NumericString with letters", cn(NUMERIC, b"admin")),
        ("UTF8 admin", cn(UTF8, b"admin")),
        ("UTF8 broken", cn(UTF8, b"a\xff")),
        ("UTF8 overlong", cn(UTF8, b"\xc0\xaf")),
        ("UTF8 surrogate", cn(UTF8, b"\xed\xa0\x80")),
        ("UTF8 cut", cn(UTF8, b"\xe2\x82")),
        ("octet string", cn(0x04, b"admin")),
        ("bit string", cn(0x03, b"\0admin")),
        ("bit string with unused bits", cn(0x03, b"\x04\xa0")),
        ("sequence", cn(0x30, b"\x0c\x01a")),
        ("empty sequence", cn(0x30, b"")),
        ("integer", cn(0x02, b"\x05")),
        ("boolean", cn(0x01, b"\xff")),
        ("null", cn(0x05, b"")),
        ("general string", cn(0x1b, b"admin")),
        ("graphic string", cn(0x19, b"admin")),
        ("videotex string", cn(0x15, b"admin")),
        ("utc time", cn(0x17, b"261123100000Z")),
        ("context tag", cn(0x80, b"admin")),
        ("very long", common_name(&long)),
    ]
}

fn hostile_structures() -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = |oid, text: &str| attribute(oid, UTF8, text.as_bytes());
    let one = |oid, text: &str| rdn(&[utf8(oid, text)]);
    vec![
        (
            "the first row of the style guide",
            name(&[
                one(C, "US"),
                one(O, "Acme, Inc."),
                one(OU, "R+D"),
                one(CN, "Zo\u{eb} \"Q\" <x>"),
            ]),
        ),
        (
            "e-mail and UID",
            name(&[
                rdn(&[attribute(DC, IA5, b"com")]),
                rdn(&[attribute(DC, IA5, b"example")]),
                one(CN, "bob"),
                rdn(&[attribute(EMAIL, IA5, b"bob@example.com")]),
                one(UID, "b1"),
            ]),
        ),
        ("multi-valued", name(&[rdn(&[utf8(O, "Acme"), utf8(OU, "Multi")]), one(CN, "#hash ")])),
        ("multi-valued, unsorted", name(&[rdn(&[utf8(OU, "Multi"), utf8(O, "Acme")])])),
        ("multi-valued hides a CN", name(&[rdn(&[utf8(CN, "mallory"), utf8(UID, "admin")])])),
        ("the same attribute twice in one", name(&[rdn(&[utf8(CN, "a"), utf8(CN, "a")])])),
        ("three values", name(&[rdn(&[utf8(CN, "a"), utf8(OU, "b"), utf8(O, "c")]), one(C, "FR")])),
        ("several CNs", name(&[one(CN, "alice"), one(CN, "admin")])),
        ("several CNs reversed", name(&[one(CN, "admin"), one(CN, "alice")])),
        ("uniqueIdentifier", name(&[one(UNIQUE_IDENTIFIER, "alice")])),
        ("userId", name(&[one(UID, "alice")])),
        ("surname", name(&[one(SURNAME, "Dupont")])),
        ("unknown type", name(&[one(UNKNOWN, "alice"), one(CN, "x")])),
        ("unknown type, Printable", name(&[rdn(&[attribute(UNKNOWN, PRINTABLE, b"alice")])])),
        ("unknown type, octets", name(&[rdn(&[attribute(UNKNOWN, 0x04, b"alice")])])),
        ("unknown type, long", name(&[one(UNKNOWN, &"x".repeat(300))])),
        ("type 2.999.1", name(&[one(&[0x88, 0x37, 0x01], "x")])),
        ("type with a large arc", name(&[one(&[0x2a, 0x8f, 0xff, 0xff, 0xff, 0xff, 0x7f], "x")])),
        ("type 0.0", name(&[one(&[0x00], "x")])),
        ("organizationIdentifier", name(&[one(&[0x55, 4, 97], "VATFR-1")])),
        ("jurisdictionC", name(&[one(b"\x2B\x06\x01\x04\x01\x82\x37\x3C\x02\x01\x03", "FR")])),
        ("street", name(&[one(&[0x55, 4, 9], "1 Main St")])),
        ("many", name(&(0..40).map(|at| one(OU, &format!("unit {at}"))).collect::<Vec<_>>())),
        ("an empty SET", name(&[rdn(&[]), one(CN, "x")])),
    ]
}

/// Names that are, or are not, the same to OpenSSL; every pair is compared.
pub(super) fn look_alikes() -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = |oid, text: &str| attribute(oid, UTF8, text.as_bytes());
    let mut names = [
        "ADMIN",
        "Admin",
        " admin",
        "admin ",
        "\tadmin\n",
        "\u{b}admin\u{c}",
        "ad  min",
        "ad min",
        "ad\t\rmin",
        "AD MIN",
        "\u{a0}admin",
        "ad\u{200b}min",
        "\u{430}dmin",
        "adm\u{131}n",
        "adm\u{130}n",
        "\u{ff41}dmin",
        "admin\0",
        "nfc \u{c9}",
        "zo\u{eb}",
        "ZO\u{eb}",
        "zo\u{cb}",
        "stra\u{df}e",
        "strasse",
        "4711",
    ]
    .into_iter()
    .map(|text| (text, common_name(text)))
    .collect::<Vec<_>>();
    names.extend([
        ("Numeric again: NumericString", name(&[rdn(&[attribute(CN, NUMERIC, b"4711")])])),
        ("bits ADMIN", name(&[rdn(&[attribute(CN, 0x03, b"\0ADMIN")])])),
        ("O+OU", name(&[rdn(&[utf8(O, "ACME"), utf8(OU, "multi ")])])),
        ("OU+O", name(&[rdn(&[utf8(OU, "MULTI"), utf8(O, "acme")])])),
        ("O,OU", name(&[rdn(&[utf8(O, "acme")]), rdn(&[utf8(OU, "multi")])])),
        ("OU,O", name(&[rdn(&[utf8(OU, "multi")]), rdn(&[utf8(O, "acme")])])),
        ("CN twice in one", name(&[rdn(&[utf8(CN, "A"), utf8(CN, "a ")])])),
        ("CN once", name(&[rdn(&[utf8(CN, "a")])])),
    ]);
    names
}
