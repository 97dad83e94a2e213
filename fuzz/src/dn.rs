//! Distinguished names: as text in every form, and as DER.

use certgate::pki::{DistinguishedName, DnError, MAX_DN_BYTES, SlashForm};

/// Every name that is read prints as text that reads back as this name.
pub fn check(data: &[u8]) {
    if let Ok(name) = DistinguishedName::from_der(data) {
        check_name(&name);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let accepted = DistinguishedName::parse(text, SlashForm::Accept);
    let refused = DistinguishedName::parse(text, SlashForm::Refuse);
    for name in accepted.iter().chain(&refused) {
        assert!(!name.is_empty());
        check_name(name);
    }
    match (&accepted, &refused) {
        // The two readings never disagree on whose name it is.
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Ok(_), Err(error)) => assert_eq!(*error, DnError::SlashForm),
        // What only a proxy may say is the word with two meanings.
        (Err(error), Ok(_)) => assert!(matches!(error, DnError::AmbiguousAttribute { .. })),
        (Err(_), Err(_)) => {}
    }
}

/// The texts of a name read back as this name, and its reversal is what it says.
pub(super) fn check_name(name: &DistinguishedName) {
    assert_eq!(name.reversed().reversed(), *name);
    if let Some(common_name) = name.common_name() {
        assert_eq!(name.values("CN"), [common_name]);
    }
    let exact = name.to_exact_text();
    // Escapes can make the text of a long name longer than any text that is read.
    if name.is_empty() || exact.len() > MAX_DN_BYTES {
        return;
    }
    for slash in [SlashForm::Accept, SlashForm::Refuse] {
        match DistinguishedName::parse(&exact, slash) {
            Ok(read) => assert_eq!(read, *name, "{exact}"),
            Err(error) => panic!("{error}: {exact}"),
        }
    }
    let shown = name.to_string();
    if shown == exact {
        return;
    }
    // Only what text cannot tell apart is printed as something else.
    let read = DistinguishedName::parse(&shown, SlashForm::Refuse);
    assert_eq!(read.map(|read| read.to_string()), Ok(shown));
}
