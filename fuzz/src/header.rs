//! One certificate header in every dialect: PEM, percent-encoding, base64, structured fields.

use certgate::config;
use certgate::pki::{Certificate, SlashForm};
use certgate::proxy::{ChainsBy, Memory, Presented, Shown, percent_decode_strict};

use super::lines::{Lines, reader};

/// What is remembered is what is read anew; what nginx's dialect reads is what decoding by hand
/// gives; and a certificate that was read can be sent again.
pub fn check(data: &[u8]) {
    let Some((choice, value)) = data.split_first() else { return };
    let all = config::Dialect::ALL;
    let Some(dialect) = all.get(usize::from(*choice & 0x0F) % all.len()) else { return };
    let reader = reader(*dialect, ChainsBy::Us, SlashForm::Refuse);
    let Some(name) = reader.names.certificate.clone() else { return };
    let mut lines = Lines::read(b"X-SSL-Client-Verify: SUCCESS");
    if *dialect == config::Dialect::Haproxy {
        lines = Lines::read(b"X-SSL-Client-Verify: 0\nX-SSL-Client-Used: 1");
    }
    lines.push(&name, value);
    let mut memory = Memory::default();
    let first = reader.read(&lines, &mut memory);
    let again = reader.read(&lines, &mut memory);
    let fresh = reader.read(&lines, &mut Memory::default());
    for other in [&again, &fresh] {
        match (&first, other) {
            (Err(one), Err(other)) => assert_eq!(one, other),
            (Ok(one), Ok(other)) => assert_eq!(
                shown(one).map(|shown| (&shown.certificate, &shown.chain)),
                shown(other).map(|shown| (&shown.certificate, &shown.chain))
            ),
            other => panic!("{other:?}"),
        }
    }
    if *dialect == config::Dialect::Nginx
        && let Ok(Presented::Certificate(shown)) = &first
    {
        let pem = percent_decode_strict(value).unwrap_or_default();
        assert_eq!(Certificate::from_pem(&pem).as_ref(), Ok(&shown.certificate));
    }
}

fn shown(presented: &Presented) -> Option<&Shown> {
    match presented {
        Presented::Certificate(shown) => Some(shown),
        Presented::Headers(_) | Presented::Nobody => None,
    }
}
