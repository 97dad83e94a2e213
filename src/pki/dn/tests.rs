//! Tables and properties of names; what nginx and OpenSSL say is in `tests/it/pki_nginx_dn.rs`.

use proptest::prelude::*;

use super::*;
use crate::pki::forge::{
    BMP, C, CN, EMAIL, IA5, NUMERIC, O, OU, PRINTABLE, T61, UID, UNIQUE_IDENTIFIER, UNIVERSAL,
    UNKNOWN, UTF8, VISIBLE, attribute, common_name, name, rdn,
};

fn from(rdns: &[Vec<u8>]) -> DistinguishedName {
    DistinguishedName::from_der(&name(rdns)).unwrap()
}

fn one(oid: &[u8], text: &str) -> Vec<u8> {
    rdn(&[attribute(oid, UTF8, text.as_bytes())])
}

fn cn(text: &str) -> DistinguishedName {
    DistinguishedName::from_der(&common_name(text)).unwrap()
}

fn parse(text: &str) -> Result<DistinguishedName, DnError> {
    DistinguishedName::parse(text, SlashForm::Refuse)
}

fn parse_own(text: &str) -> Result<DistinguishedName, DnError> {
    DistinguishedName::parse(text, SlashForm::Accept)
}

#[test]
fn every_form_of_text_is_one_name() {
    let expected =
        from(&[one(C, "US"), one(O, "Acme, Inc."), one(OU, "R+D"), one(CN, "Zoë \"Q\"")]);
    for text in [
        r#"CN=Zo\C3\AB \"Q\",OU=R\+D,O=Acme\, Inc.,C=US"#,
        r#"CN=Zoë \"Q\",OU=R\+D,O=Acme\, Inc.,C=US"#,
        r#"cn=Zo\c3\ab \22Q\22,ou=R\2bD,o=Acme\2C Inc.,c=us"#,
        r#"commonName=Zoë \"Q\", organizationalUnitName="R+D", O="Acme, Inc.", C=US"#,
        r#"2.5.4.3=Zoë \"Q\",OID.2.5.4.11=R\+D,oid.2.5.4.10=Acme\, Inc.,2.5.4.6=US"#,
        r#"2.5.4.3=#0C085A6FC3AB20225122,OU=R\+D,O=#130A41636D652C20496E632E,C=#13025553"#,
        r#"  CN=  Zoë  \"Q\"  ,  OU=R\+D  ,O=Acme\, Inc. , C=US  "#,
        r#"C = US, O = "Acme, Inc.", OU = "R+D", CN = Zo\C3\AB \"Q\""#,
        r#"C = US,O = Acme\, Inc., OU = R\+D, CN = "Zoë \"Q\"""#,
    ] {
        assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        assert_eq!(parse_own(text).as_ref(), Ok(&expected), "{text}");
    }
    assert_eq!(expected.to_string(), r#"CN=Zo\C3\AB \"Q\",OU=R\+D,O=Acme\, Inc.,C=US"#);
    assert_eq!(format!("{expected:?}"), expected.to_string());
}

#[test]
fn what_proxies_send_is_read() {
    let person = from(&[
        one(C, "DE"),
        one(O, "Example, Inc. \"R&D\""),
        one(OU, "Z\u{fc}rich"),
        one(UID, "alice"),
        rdn(&[attribute(CN, UTF8, b"Alice O'Neil"), attribute(EMAIL, IA5, b"alice@example.com")]),
    ]);
    let nginx = [
        r"emailAddress=alice@example.com+CN=Alice O'Neil,UID=alice",
        r#"OU=Z\C3\BCrich,O=Example\, Inc. \"R&D\",C=DE"#,
    ]
    .join(",");
    let apache = nginx.replace(r"\C3\BC", "\u{fc}");
    assert_eq!(person.to_string(), nginx);
    assert_eq!(parse(&nginx), Ok(person.clone()));
    assert_eq!(parse(&apache), Ok(person));
    let haproxy = r#"/C=DE/O=Example, Inc. "R&D"/OU=Z\u{fc}rich/UID=alice/CN=Alice O'Neil"#;
    assert_eq!(parse(haproxy), Err(DnError::SlashForm));
    let hostile = from(&[one(O, "x/CN=admin"), one(CN, "bob, CN=admin")]);
    assert_eq!(hostile.to_string(), r"CN=bob\, CN=admin,O=x/CN=admin");
    assert_eq!(parse(r"CN=bob\, CN=admin,O=x/CN=admin"), Ok(hostile));
    assert_eq!(parse_own(r"/O=x\/CN=admin/CN=bob, CN=admin"), Err(DnError::AmbiguousSlashForm));
}

#[test]
fn the_direction_of_the_text_decides_the_name() {
    let forward = from(&[one(C, "FR"), one(CN, "alice")]);
    assert_eq!(parse("CN=alice,C=FR"), Ok(forward.clone()));
    assert_eq!(parse("C = FR, CN = alice"), Ok(forward.clone()));
    assert_eq!(parse_own("/C=FR/CN=alice"), Ok(forward.clone()));
    assert_eq!(parse("C=FR,CN=alice"), Ok(forward.reversed()));
    assert_ne!(forward, forward.reversed());
    assert_eq!(forward.reversed().reversed(), forward);
    assert_eq!(forward.reversed().canonical(), parse("C=FR,CN=alice").unwrap().canonical());
    assert_eq!(parse("C = FR, CN=alice"), Err(DnError::MixedForms));
    assert_eq!(parse("C=FR, CN = alice"), Err(DnError::MixedForms));
}

#[test]
fn the_values_that_text_writes_are_exact() {
    for (text, expected) in [
        ("CN=", ""),
        ("CN=  ", ""),
        (r#"CN="""#, ""),
        ("CN=#", "#"),
        (r"CN=\#", "#"),
        (r"CN=\#hash\ ", "#hash "),
        (r"CN=\ a\ ", " a "),
        (r"CN=\ \ ", "  "),
        (r"CN=a\ b  ", "a b"),
        ("CN=a=b==", "a=b=="),
        ("CN==", "="),
        ("CN=a#b", "a#b"),
        ("CN=a/b", "a/b"),
        (r"CN=a\,CN\=admin", "a,CN=admin"),
        (r"CN=a\\", "a\\"),
        (r"CN=a\\\,", "a\\,"),
        (r"CN=\00", "\0"),
        (r"CN=\0D\0A", "\r\n"),
        (r"CN=\F0\9F\98\80", "\u{1f600}"),
        (r#"CN=" a, b+c;<d> ""#, " a, b+c;<d> "),
        (r#"CN="a\"b\\c\2c""#, "a\"b\\c,"),
        ("CN=ligne 1 rue d'\u{c9}", "ligne 1 rue d'\u{c9}"),
        ("CN=#0C0161", "a"),
        ("CN=#0c0161  ", "a"),
    ] {
        assert_eq!(parse(text).unwrap().values("CN"), [expected], "{text}");
    }
}

#[test]
fn text_that_is_not_a_name_is_refused() {
    use DnError::*;
    let unescaped = |character| Unescaped { character };
    let unknown = |name: &str| UnknownAttribute { name: name.to_owned() };
    for (text, expected) in [
        ("", Empty),
        ("   ", Empty),
        ("alice", MissingEquals),
        (",", EmptyRdn),
        ("CN=a,", EmptyRdn),
        (",CN=a", EmptyRdn),
        ("CN=a,,C=FR", EmptyRdn),
        ("CN=a+", EmptyRdn),
        ("CN=a+,C=FR", EmptyRdn),
        ("CN=a, ", EmptyRdn),
        ("CN=a,b", MissingEquals),
        ("CN=Acme, Inc.,C=FR", MissingEquals),
        ("CN=R+D", MissingEquals),
        ("\"CN=a\"", EmptyRdn),
        ("=a", unknown("")),
        ("X=a", unknown("X")),
        ("C N=a", unknown("C N")),
        ("CN\u{a0}=a", unknown("CN\u{a0}")),
        ("2.5.4.03=a", unknown("2.5.4.03")),
        ("2.5.4.3.=a", unknown("2.5.4.3.")),
        ("CN=a\\", DanglingBackslash),
        ("CN=\\", DanglingBackslash),
        ("CN=\"a\\", DanglingBackslash),
        (r"CN=\x", BadEscape),
        (r"CN=\0", BadEscape),
        (r"CN=\0g", BadEscape),
        (r"CN=a\/b", BadEscape),
        (r"CN=\é", BadEscape),
        (r"CN=\xC3\xBC", BadEscape),
        (r"CN=\FF", Undecodable),
        (r"CN=\C3", Undecodable),
        (r"CN=\ED\A0\80", Undecodable),
        (r"CN=\C0\AF", Undecodable),
        ("CN=#0", BadHex),
        ("CN=#0C", BadHex),
        ("CN=#0C01", BadHex),
        ("CN=#0C016161", BadHex),
        ("CN=#0C81016161", BadHex),
        ("CN=#xyz", BadHex),
        ("CN=##", BadHex),
        ("CN=# hash", BadHex),
        ("CN=#hash", BadHex),
        ("CN=#2C030C0161", BadHex),
        ("CN=#0C01FF", Undecodable),
        ("CN=#8001FF", Der(DerError::Identifier { tag: 0x80 })),
        ("CN=a\"b", unescaped('"')),
        ("CN=a;b", unescaped(';')),
        ("CN=a;C=FR", unescaped(';')),
        ("CN=<x>", unescaped('<')),
        ("CN=a>", unescaped('>')),
        ("CN=\"a", Quotes),
        ("CN=\"a\"b", Quotes),
        ("CN=\"a\"\"b\"", Quotes),
        ("CN=a\0b", ControlCharacter),
        ("CN=a\nb", ControlCharacter),
        ("CN=a\tb", ControlCharacter),
        ("CN=a\u{7f}", ControlCharacter),
        ("CN=a\u{9b}1m", ControlCharacter),
        ("CN=a\r\n", ControlCharacter),
        ("/C=FR/CN=alice", SlashForm),
        (" /C=FR/CN=alice", SlashForm),
    ] {
        assert_eq!(parse(text), Err(expected), "{text}");
    }
    assert_eq!(parse(&format!("CN={}", "a".repeat(MAX_DN_BYTES))), Err(TooLong));
    assert_eq!(parse(&["CN=a"; 257].join(",")), Err(TooManyAttributes));
    assert!(parse(&["CN=a"; 256].join(",")).is_ok());
}

#[test]
fn the_slash_form_is_read_only_where_it_has_one_reading() {
    let expected = parse("CN=alice+UID=a1,O=Acme\\, Inc.,C=FR").unwrap();
    assert_eq!(parse_own("/C=FR/O=Acme, Inc./CN=alice+UID=a1"), Ok(expected));
    for text in [
        r"/O=x\/CN=admin",
        r"/O=x\+y",
        r"/CN=Z\xC3\xBCrich",
        r"/CN=a\",
        "/CN=a/b",
        "/CN=a//O=b",
        "/CN=a/",
        "/",
        "//",
        "/O=R+D",
        "/alice",
    ] {
        assert_eq!(parse_own(text), Err(DnError::AmbiguousSlashForm), "{text}");
    }
    assert!(matches!(parse_own("/X=a"), Err(DnError::UnknownAttribute { .. })));
    assert_eq!(parse_own("/CN=a\n"), Err(DnError::ControlCharacter));
}

#[test]
fn a_lower_case_uid_is_never_taken_for_the_wrong_attribute() {
    let user_id = from(&[one(UID, "alice")]);
    let unique = from(&[one(UNIQUE_IDENTIFIER, "alice")]);
    assert_ne!(user_id, unique);
    assert_eq!(unique.to_string(), "uid=alice");
    assert_eq!(parse("UID=alice"), Ok(user_id.clone()));
    assert_eq!(parse_own("userid=alice"), Ok(user_id));
    assert_eq!(parse("uid=alice"), Ok(unique.clone()));
    assert_eq!(parse_own("uniqueIdentifier=alice"), Ok(unique.clone()));
    assert_eq!(parse_own(&unique.to_exact_text()), Ok(unique));
    let ambiguous = |name: &str| Err(DnError::AmbiguousAttribute { name: name.to_owned() });
    assert_eq!(parse_own("uid=alice"), ambiguous("uid"));
    assert_eq!(parse("Uid=alice"), ambiguous("Uid"));
}

#[test]
fn the_same_text_in_six_string_types_is_one_name() {
    let admin = cn("admin");
    for (tag, content) in [
        (UTF8, &b"ADMIN"[..]),
        (PRINTABLE, b"Admin"),
        (IA5, b" admin"),
        (T61, b"admin  "),
        (VISIBLE, b"admin"),
        (BMP, b"\0a\0D\0m\0i\0n"),
        (UNIVERSAL, b"\0\0\0a\0\0\0d\0\0\0m\0\0\0i\0\0\0N"),
    ] {
        let other = from(&[rdn(&[attribute(CN, tag, content)])]);
        assert_eq!(other, admin, "{tag}");
        assert_eq!(other.canonical(), admin.canonical(), "{tag}");
    }
    for (tag, content) in [
        (NUMERIC, &b"admin"[..]),
        (0x04, b"admin"),
        (0x1b, b"admin"),
        (BMP, b"\x61\x64\x6d\x69"),
        (UTF8, b"admin\0"),
        (UTF8, "\u{430}dmin".as_bytes()),
        (UTF8, "admin\u{200b}".as_bytes()),
        (UTF8, "\u{feff}admin".as_bytes()),
        (UTF8, "adm\u{131}n".as_bytes()),
        (UTF8, "\u{a0}admin".as_bytes()),
        (UTF8, b"ad min"),
    ] {
        let other = from(&[rdn(&[attribute(CN, tag, content)])]);
        assert_ne!(other, admin, "{tag} {content:?}");
    }
}

#[test]
fn nothing_but_ascii_case_and_blanks_is_folded() {
    for (one, other, equal) in [
        ("Alice  Dupont", "alice\tdupont ", true),
        ("alice\u{b}dupont", "alice dupont", true),
        ("alicedupont", "alice dupont", false),
        ("ZO\u{eb}", "zo\u{eb}", true),
        ("zo\u{cb}", "zo\u{eb}", false),
        ("e\u{301}", "\u{e9}", false),
        ("stra\u{df}e", "strasse", false),
        ("\u{212a}elvin", "kelvin", false),
        ("", " ", true),
        ("", "a", false),
    ] {
        assert_eq!(cn(one) == cn(other), equal, "{one:?} {other:?}");
    }
}

#[test]
fn order_matters_between_relative_names_and_not_within_one() {
    let utf8 = |oid, text: &str| attribute(oid, UTF8, text.as_bytes());
    let both = from(&[rdn(&[utf8(O, "a"), utf8(OU, "b")])]);
    assert_eq!(both, from(&[rdn(&[utf8(OU, "B"), utf8(O, "A")])]));
    assert_eq!(both, parse("OU=b+O=a").unwrap());
    assert_eq!(both, parse("O = a + OU = b").unwrap());
    assert_ne!(both, from(&[one(O, "a"), one(OU, "b")]));
    assert_ne!(from(&[one(O, "a"), one(OU, "b")]), from(&[one(OU, "b"), one(O, "a")]));
    assert_ne!(from(&[rdn(&[utf8(O, "a"), utf8(O, "a")])]), from(&[one(O, "a")]));
    assert_ne!(from(&[one(O, "a"), one(O, "a")]), from(&[one(O, "a")]));
    assert_ne!(from(&[one(UID, "alice")]), cn("alice"));
}

#[test]
fn an_empty_name_is_read_from_der_and_not_from_text() {
    let empty = DistinguishedName::from_der(&[0x30, 0x00]).unwrap();
    assert!(empty.is_empty());
    assert_eq!(empty.to_string(), "");
    assert_eq!(empty.common_name(), None);
    assert_ne!(empty, cn(""));
    assert!(!cn("").is_empty());
}

#[test]
fn only_a_single_clean_common_name_counts() {
    let utf8 = |oid, text: &str| attribute(oid, UTF8, text.as_bytes());
    for (name, expected) in [
        (cn("Alice "), Some("Alice ")),
        (from(&[one(C, "FR"), one(CN, "alice"), one(UID, "a")]), Some("alice")),
        (from(&[rdn(&[utf8(UID, "admin"), utf8(CN, "mallory")])]), Some("mallory")),
        (from(&[rdn(&[attribute(CN, BMP, b"\0a")])]), Some("a")),
        (from(&[rdn(&[attribute(CN, T61, b"Zo\xeb")])]), Some("Zo\u{eb}")),
        (cn(""), None),
        (cn("alice\0"), None),
        (cn("alice\n"), None),
        (cn("alice\u{85}"), None),
        (from(&[one(CN, "alice"), one(CN, "alice")]), None),
        (from(&[one(CN, "alice"), one(CN, "admin")]), None),
        (from(&[rdn(&[utf8(CN, "alice"), utf8(CN, "admin")])]), None),
        (from(&[one(CN, "alice"), rdn(&[attribute(CN, 0x04, b"x")])]), None),
        (from(&[rdn(&[attribute(CN, 0x04, b"alice")])]), None),
        (from(&[one(UID, "alice")]), None),
    ] {
        assert_eq!(name.common_name().as_deref(), expected, "{name}");
    }
}

#[test]
fn values_are_listed_in_the_order_of_the_der() {
    let name = from(&[
        one(OU, "first"),
        rdn(&[attribute(OU, 0x04, b"octets")]),
        one(OU, "Second "),
        rdn(&[attribute(EMAIL, IA5, b"alice@example.com")]),
    ]);
    assert_eq!(name.values("OU"), ["first", "Second "]);
    assert_eq!(name.values("organizationalunitname"), ["first", "Second "]);
    assert_eq!(name.values("2.5.4.11"), ["first", "Second "]);
    assert_eq!(name.values("emailAddress"), ["alice@example.com"]);
    assert!(name.values("CN").is_empty());
    assert!(name.values("nonsense").is_empty());
}

#[test]
fn der_that_is_not_a_name_is_refused() {
    let ok = common_name("alice");
    assert!(DistinguishedName::from_der(&ok).is_ok());
    assert_eq!(
        DistinguishedName::from_der(&[&ok[..], &[0]].concat()),
        Err(DnError::Der(DerError::Trailing))
    );
    for (der, expected) in [
        (vec![], DnError::Der(DerError::Truncated)),
        (vec![0x31, 0], DnError::Der(DerError::Unexpected { expected: der::SEQUENCE })),
        (name(&[rdn(&[])]), DnError::EmptyRdn),
        (name(&[rdn(&[attribute(CN, UTF8, b"\xff")])]), DnError::Undecodable),
        (name(&[rdn(&[attribute(CN, BMP, b"\0")])]), DnError::Undecodable),
        (name(&[rdn(&[attribute(CN, BMP, b"\xd8\0")])]), DnError::Undecodable),
        (name(&[rdn(&[attribute(CN, UNIVERSAL, b"\0\x11\0\0")])]), DnError::Undecodable),
        (name(&[rdn(&[attribute(&[0xff; 30], UTF8, b"x")])]), oid_content()),
        (name(&vec![one(CN, "a"); 257]), DnError::TooManyAttributes),
        (name(&[one(CN, &"a".repeat(MAX_DN_BYTES))]), DnError::TooLong),
    ] {
        assert_eq!(DistinguishedName::from_der(&der), Err(expected), "{der:02x?}");
    }
    let huge = [&[0x2a][..], &[0xff; 30], &[0x7f]].concat();
    let huge = name(&[rdn(&[attribute(&huge, UTF8, b"x")])]);
    assert_eq!(DistinguishedName::from_der(&huge), Err(DnError::AttributeType));
}

fn oid_content() -> DnError {
    DnError::Der(DerError::Content { tag: der::OBJECT_IDENTIFIER })
}

/// Types and values as hostile as DER allows; text mostly, and every type that decodes.
fn any_attribute() -> impl Strategy<Value = (&'static [u8], u8, Vec<u8>)> {
    let oid = prop::sample::select(vec![CN, O, OU, C, UID, UNIQUE_IDENTIFIER, EMAIL, UNKNOWN]);
    let text = prop_oneof![
        "[ #+,;<>=\"\\\\a-cA-C/]{0,6}",
        "\\PC{0,6}",
        any::<String>().prop_map(|text| text.chars().take(6).collect()),
    ];
    let wide = |text: String| text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
    let value = prop_oneof![
        4 => text.clone().prop_map(|text| (UTF8, text.into_bytes())),
        1 => text.prop_map(move |text| (UNIVERSAL, wide(text))),
        1 => prop::collection::vec(any::<u8>(), 0..5).prop_map(|bytes| (T61, bytes)),
        1 => prop::collection::vec(any::<u8>(), 0..5).prop_map(|bytes| (0x04, bytes)),
        1 => "[a-c ]{0,4}".prop_map(|text| (PRINTABLE, text.into_bytes())),
    ];
    (oid, value).prop_map(|(oid, (tag, value))| (oid, tag, value))
}

type AnyName = Vec<Vec<(&'static [u8], u8, Vec<u8>)>>;

fn any_name() -> impl Strategy<Value = AnyName> {
    prop::collection::vec(prop::collection::vec(any_attribute(), 1..4), 1..5)
}

fn build(name_parts: &AnyName) -> DistinguishedName {
    let one = |(oid, tag, value): &(&[u8], u8, Vec<u8>)| attribute(oid, *tag, value);
    from(
        &name_parts
            .iter()
            .map(|parts| rdn(&parts.iter().map(one).collect::<Vec<_>>()))
            .collect::<Vec<_>>(),
    )
}

/// What equality should be, written down without the code under test.
fn expected(parts: &AnyName) -> Vec<Vec<(Vec<u8>, u8, String)>> {
    let fold = |tag: u8, value: &[u8]| {
        let characters: Vec<char> = match tag {
            UTF8 | PRINTABLE => std::str::from_utf8(value).unwrap().chars().collect(),
            UNIVERSAL => value
                .chunks(4)
                .map(|c| char::from_u32(u32::from_be_bytes(c.try_into().unwrap())).unwrap())
                .collect(),
            _ => value.iter().map(|octet| char::from(*octet)).collect(),
        };
        let text: String = characters.into_iter().collect();
        if tag == 0x04 {
            return (tag, text);
        }
        let blanks = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
        let words = text.split(blanks).filter(|word| !word.is_empty()).collect::<Vec<_>>();
        (UTF8, words.join(" ").to_ascii_lowercase())
    };
    parts
        .iter()
        .map(|rdn| {
            let mut rdn = rdn
                .iter()
                .map(|(oid, tag, value)| {
                    let (tag, text) = fold(*tag, value);
                    (oid.to_vec(), tag, text)
                })
                .collect::<Vec<_>>();
            rdn.sort();
            rdn
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_printed_is_read_back(parts in any_name()) {
        let name = build(&parts);
        let text = name.to_string();
        prop_assert!(text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "{}", text);
        prop_assert_eq!(parse(&text), Ok(name.clone()));
        prop_assert_eq!(parse(&text).unwrap().to_string(), text);
        prop_assert_eq!(parse(&name.to_exact_text()), Ok(name.clone()));
        prop_assert_eq!(name.reversed().reversed(), name);
    }

    #[test]
    fn equality_is_that_of_the_structure(parts in any_name(), other in any_name()) {
        prop_assert_eq!(build(&parts) == build(&other), expected(&parts) == expected(&other));
        let mut shuffled = parts.clone();
        for rdn in &mut shuffled {
            rdn.reverse();
        }
        prop_assert_eq!(build(&parts), build(&shuffled));
        shuffled.reverse();
        prop_assert_eq!(
            build(&parts) == build(&shuffled),
            expected(&parts) == expected(&shuffled)
        );
    }

    #[test]
    fn small_names_are_equal_only_if_their_structure_is(
        parts in small_name(), other in small_name()
    ) {
        prop_assert_eq!(build(&parts) == build(&other), expected(&parts) == expected(&other));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(/?[CNOU=,+ \"\\\\#0-9a-f/;<>é]{1,8}){0,5}") {
        for slash in [SlashForm::Accept, SlashForm::Refuse] {
            if let Ok(name) = DistinguishedName::parse(&text, slash) {
                prop_assert!(!name.is_empty());
                prop_assert_eq!(parse(&name.to_string()), Ok(name));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = DistinguishedName::from_der(&bytes);
    }
}

/// Names so small that two of them are often equal.
fn small_name() -> impl Strategy<Value = AnyName> {
    let oid = prop::sample::select(vec![CN, O]);
    let tag = prop::sample::select(vec![UTF8, PRINTABLE, T61, 0x04]);
    let attribute =
        (oid, tag, "[aA ]{0,2}").prop_map(|(oid, tag, text)| (oid, tag, text.into_bytes()));
    prop::collection::vec(prop::collection::vec(attribute, 1..3), 1..3)
}
