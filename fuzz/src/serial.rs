//! Serial numbers: as text of a header or a database, and as octets of a certificate.

use certgate::pki::{MAX_SERIAL_OCTETS, SerialNumber};

/// A serial that was read from text is usual, and reads back from what it prints; one from octets
/// is usual and does the same, or is marked odd.
pub fn check(data: &[u8]) {
    check_octets(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let from_cli = SerialNumber::parse_cli(text);
    let Ok(serial) = SerialNumber::parse(text) else {
        // What only the command line reads is marked as decimal.
        assert!(from_cli.is_err() || text.starts_with("dec:"));
        if let Ok(serial) = from_cli {
            check_usual(&serial);
        }
        return;
    };
    assert_eq!(from_cli.as_ref(), Ok(&serial));
    assert_eq!(SerialNumber::parse(&text.to_ascii_lowercase()).as_ref(), Ok(&serial));
    check_usual(&serial);
}

fn check_usual(serial: &SerialNumber) {
    let octets = serial.as_bytes();
    assert!(!serial.is_odd());
    assert!(octets.len() <= MAX_SERIAL_OCTETS && octets.first().is_some_and(|first| *first != 0));
    assert_eq!(SerialNumber::parse(&serial.to_string()).as_ref(), Ok(serial));
    let sign = octets.first().filter(|first| **first >= 0x80).map(|_| 0);
    let der: Vec<u8> = sign.into_iter().chain(octets.iter().copied()).collect();
    assert_eq!(SerialNumber::from_der(&der), *serial);
}

fn check_octets(octets: &[u8]) {
    let serial = SerialNumber::from_der(octets);
    let text = serial.to_string();
    if !serial.is_odd() {
        check_usual(&serial);
        return;
    }
    assert_eq!(serial.as_bytes(), octets);
    // An odd one may print as a usual one does, and is never equal to it.
    if let Ok(usual) = SerialNumber::parse(&text) {
        assert_ne!(usual, serial);
    }
}
