//! How two names that are not equal come close, for people who ask why a name did not match.
//!
//! Nothing here ever decides that names are equal: that is for the canonical forms alone.

/// In what texts differ that a person may take for the same; from harmless to dangerous.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Likeness {
    /// The same parts of a name in another order.
    Order,
    /// Upper and lower case.
    Case,
    /// Blanks, or characters that show nothing.
    Space,
    /// Letters that look like others.
    LookAlike,
}

/// How two texts come close; none if they are equal or differ in more than that.
#[must_use]
pub fn text_likeness(one: &str, other: &str) -> Option<Likeness> {
    if one == other || !skeleton(one).eq(skeleton(other)) {
        return None;
    }
    if lower(one).eq(lower(other)) {
        return Some(Likeness::Case);
    }
    let is_spacing = squeezed(one).eq(squeezed(other));
    Some(if is_spacing { Likeness::Space } else { Likeness::LookAlike })
}

/// How two names come close, by their canonical forms.
#[must_use]
pub fn name_likeness(one: &[u8], other: &[u8]) -> Option<Likeness> {
    if one == other {
        return None;
    }
    in_order(one, other).or_else(|| {
        // What begins with no part of the other is no permutation of it.
        let first = take_framed(one)?.0;
        frames(other).any(|rdn| rdn == first).then_some(())?;
        let mut sorted = [frames(one).collect::<Vec<_>>(), frames(other).collect()];
        sorted.iter_mut().for_each(|parts| parts.sort_unstable());
        let [one, other] = sorted;
        (one == other).then_some(Likeness::Order)
    })
}

/// Part by part; the worst of what differs. It stops at the first part that is another one.
fn in_order(one: &[u8], other: &[u8]) -> Option<Likeness> {
    let (mut ours, mut theirs) = (frames(one), frames(other));
    let mut worst = None;
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return worst,
            (Some(one), Some(other)) if one == other => {}
            (Some(one), Some(other)) => worst = worst.max(Some(rdn_likeness(one, other)?)),
            _ => return None,
        }
    }
}

fn rdn_likeness(one: &[u8], other: &[u8]) -> Option<Likeness> {
    let (mut ours, mut theirs) = (frames(one), frames(other));
    let mut worst = None;
    loop {
        // Type and value by turns: a type is equal, or it is another attribute.
        match (ours.next(), theirs.next()) {
            (None, None) => return worst,
            (Some(kind), Some(other_kind)) if kind == other_kind => {}
            _ => return None,
        }
        match (ours.next()?, theirs.next()?) {
            (one, other) if one == other => {}
            ([tag, one @ ..], [other_tag, other @ ..]) if tag == other_tag => {
                let texts = std::str::from_utf8(one).ok().zip(std::str::from_utf8(other).ok());
                let (one, other) = texts?;
                worst = worst.max(Some(text_likeness(one, other)?));
            }
            _ => return None,
        }
    }
}

/// The framed parts of a canonical form, one level of them.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (part, rest) = take_framed(bytes)?;
        bytes = rest;
        Some(part)
    })
}

fn take_framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn lower(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn squeezed(text: &str) -> impl Iterator<Item = char> {
    lower(text).filter(|character| !is_unseen(*character))
}

fn skeleton(text: &str) -> impl Iterator<Item = char> {
    squeezed(text).map(looks_like)
}

/// White space, and what is not shown at all: zero width, direction, soft hyphen, variants, and
/// accents that stand by themselves.
fn is_unseen(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}' | '\u{300}'..='\u{36f}')
}

/// The letter that a lower-case one is taken for: the Cyrillic and Greek ones that are drawn like
/// Latin ones, accented Latin ones, full-width forms, and digits that are read as letters.
fn looks_like(character: char) -> char {
    if let '\u{ff01}'..='\u{ff5e}' = character {
        return char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character);
    }
    let (letter, _) = LOOK_ALIKES
        .iter()
        .find(|(_, alike)| alike.contains(character))
        .copied()
        .unwrap_or((character, ""));
    letter
}

const LOOK_ALIKES: [(char, &str); 27] = [
    ('a', "\u{430}\u{3b1}\u{251}àáâãäåāăą"),
    ('b', "\u{432}\u{3b2}\u{44c}"),
    ('c', "\u{441}\u{3f2}çćĉċč"),
    ('d', "\u{501}ďđ"),
    ('e', "\u{435}\u{454}\u{3b5}èéêëēĕėęě\u{451}"),
    ('f', "\u{192}"),
    ('g', "\u{261}ĝğġģ"),
    ('h', "\u{4bb}\u{43d}ĥħ"),
    ('j', "\u{458}ĵ"),
    ('k', "\u{43a}\u{3ba}ķ"),
    ('l', "i1|\u{456}\u{3b9}\u{131}\u{4cf}\u{142}ìíîïĩīĭįĺļľ"),
    ('m', "\u{43c}\u{3bc}"),
    ('n', "\u{3b7}ñńņňŋ\u{578}"),
    ('o', "0\u{43e}\u{3bf}\u{3c3}òóôõöøōŏő\u{585}"),
    ('p', "\u{440}\u{3c1}"),
    ('q', "\u{51b}"),
    ('r', "\u{433}ŕŗř"),
    ('s', "\u{455}śŝşš"),
    ('t', "\u{442}\u{3c4}ţťŧ"),
    ('u', "\u{3c5}\u{57d}ùúûüũūŭůűų"),
    ('v', "\u{3bd}\u{475}"),
    ('w', "\u{461}\u{3c9}\u{51d}ŵ"),
    ('x', "\u{445}\u{3c7}"),
    ('y', "\u{443}\u{3b3}\u{4af}ýÿŷ"),
    ('z', "\u{3b6}źżž"),
    ('-', "\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2212}"),
    ('\'', "\u{2018}\u{2019}\u{2bc}`\u{b4}"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{DistinguishedName, SlashForm};

    #[test]
    fn texts_come_close_in_case_blanks_and_letters() {
        use Likeness::{Case, LookAlike, Space};
        for (one, other, expected) in [
            ("alice", "alice", None),
            ("alice", "bob", None),
            ("alice", "alicea", None),
            ("Alice", "alice", Some(Case)),
            ("ZOË", "zoë", Some(Case)),
            ("Alice Dupont", "Alice  Dupont", Some(Space)),
            ("alice", "ali\u{200b}ce", Some(Space)),
            ("alice ", "alice", Some(Space)),
            ("\u{430}lice", "alice", Some(LookAlike)),
            ("al1ce", "alice", Some(LookAlike)),
            ("zoë", "zoe", Some(LookAlike)),
            ("zoe\u{308}", "zoë", Some(LookAlike)),
            ("\u{ff41}lice", "alice", Some(LookAlike)),
        ] {
            assert_eq!(text_likeness(one, other), expected, "{one:?} {other:?}");
            assert_eq!(text_likeness(other, one), expected, "{other:?} {one:?}");
        }
    }

    #[test]
    fn names_come_close_in_order_and_letters() {
        use Likeness::{Case, LookAlike, Order, Space};
        let canonical = |text: &str| {
            DistinguishedName::parse(text, SlashForm::Accept).unwrap().canonical().to_vec()
        };
        for (one, other, expected) in [
            ("CN=alice,O=Example", "CN=ALICE,O=Example", None), // equal
            ("CN=alice,O=Example", "O=Example,CN=alice", Some(Order)),
            ("CN=alice,OU=a,O=Example", "OU=a,CN=alice,O=Example", Some(Order)),
            ("CN=alice,O=Example", "CN=alice", None),
            ("CN=alice,O=Example", "CN=alice,OU=Example", None),
            ("CN=ZO\\C3\\8B,O=Example", "CN=zo\\C3\\AB,O=Example", Some(Case)),
            ("CN=AliceDupont,O=Example", "CN=Alice Dupont,O=Example", Some(Space)),
            ("CN=\\D0\\B0lice,O=Example", "CN=alice,O=Example", Some(LookAlike)),
            ("CN=alice+UID=a1,O=Example", "CN=a1ice+UID=a1,O=Example", Some(LookAlike)),
            ("CN=bob,O=Example", "CN=alice,O=Example", None),
        ] {
            let (a, b) = (canonical(one), canonical(other));
            assert_eq!(name_likeness(&a, &b), expected, "{one} {other}");
            assert_eq!(name_likeness(&b, &a), expected, "{other} {one}");
        }
    }
}
