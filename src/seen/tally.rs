//! What has come since the last batch: bounded, and each certificate once.
//!
//! Those who came in and those who did not have bounds of their own, so that a flood of strangers
//! pushes out nobody else.

use std::collections::HashMap;
use std::time::Instant;

use super::{Denied, Report, Sighting};
use crate::directory::Wish;
use crate::metrics::SeenKind;
use crate::pki::Fingerprint;
use crate::store::{Denial, SeenCertificate};

/// Certificates of one batch that let somebody in.
const MAX_KNOWN: usize = 500;
/// Certificates of one batch that did not: an inbox of 10,000 lasts for minutes even in a flood.
pub(super) const MAX_STRANGERS: u32 = 100;
/// Their DER together: below what the database takes in one report, base64 included.
const MAX_DER_BYTES: usize = 4 * 1024 * 1024;
/// Denials of one batch.
const MAX_DENIALS: usize = 200;
/// People of one batch whom rules bring: each costs a transaction.
const MAX_WISHES: usize = 20;

/// What has come since the last batch.
#[derive(Debug, Default)]
pub(super) struct Tally {
    known: HashMap<Fingerprint, Counted>,
    strangers: HashMap<Fingerprint, Counted>,
    der_bytes: usize,
    denials: Vec<Denied>,
    wishes: Vec<Wish>,
}

/// One certificate: the last sighting, with the hits of all.
#[derive(Debug)]
struct Counted {
    last: Sighting,
    hits: u64,
}

/// What is written at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    sightings: Vec<Counted>,
    denials: Vec<Denied>,
    pub(super) wishes: Vec<Wish>,
}

impl Tally {
    pub(super) fn is_empty(&self) -> bool {
        let has_certificates = !self.known.is_empty() || !self.strangers.is_empty();
        !has_certificates && self.denials.is_empty() && self.wishes.is_empty()
    }

    /// Counts it, or says what was dropped because there is no room.
    pub(super) fn add(&mut self, report: Report) -> Result<(), SeenKind> {
        match report {
            Report::Certificate(sighting) => self.add_sighting(sighting),
            Report::Denied(denied) => add(&mut self.denials, denied, MAX_DENIALS, SeenKind::Denial),
            Report::Wish(wish) => {
                if self.wishes.iter().any(|other| other.username == wish.username) {
                    return Ok(());
                }
                add(&mut self.wishes, *wish, MAX_WISHES, SeenKind::User)
            }
        }
    }

    fn add_sighting(&mut self, sighting: Sighting) -> Result<(), SeenKind> {
        let sha256 = sighting.shown.certificate.sha256;
        let counted = self.known.get_mut(&sha256).or_else(|| self.strangers.get_mut(&sha256));
        if let Some(counted) = counted {
            counted.add(sighting);
            return Ok(());
        }
        let (counted, most) = match sighting.username {
            Some(_) => (&mut self.known, MAX_KNOWN),
            None => (&mut self.strangers, MAX_STRANGERS as usize),
        };
        let der_bytes = self.der_bytes + sighting.shown.certificate.der.len();
        if counted.len() >= most || der_bytes > MAX_DER_BYTES {
            return Err(SeenKind::Certificate);
        }
        self.der_bytes = der_bytes;
        counted.insert(sha256, Counted { hits: u64::from(sighting.hits), last: sighting });
        Ok(())
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> Batch {
        let Self { known, strangers, denials, wishes, .. } = std::mem::take(self);
        let sightings = known.into_values().chain(strangers.into_values()).collect();
        Batch { sightings, denials, wishes }
    }
}

fn add<T>(rows: &mut Vec<T>, row: T, most: usize, kind: SeenKind) -> Result<(), SeenKind> {
    if rows.len() >= most {
        return Err(kind);
    }
    rows.push(row);
    Ok(())
}

impl Counted {
    /// Workers tell in no order; the later one is the last.
    fn add(&mut self, mut sighting: Sighting) {
        self.hits += u64::from(sighting.hits);
        if sighting.at >= self.last.at {
            std::mem::swap(&mut self.last, &mut sighting);
        }
        if self.last.username.is_none() {
            self.last.username = sighting.username;
        }
    }
}

impl Batch {
    /// What the store writes of it, by the ages at this moment.
    pub(super) fn rows(&self, now: Instant) -> (Vec<SeenCertificate>, Vec<Denial>) {
        let certificates = self.sightings.iter().map(|counted| {
            let Sighting { shown, at, code, username, .. } = &counted.last;
            let age = now.saturating_duration_since(*at);
            let certificate = &shown.certificate;
            SeenCertificate::new(certificate, counted.hits, age, code, username.as_deref())
        });
        let denials = self.denials.iter().map(|denied| Denial {
            age: now.saturating_duration_since(denied.at),
            host: denied.host.clone(),
            request_id: denied.request_id.clone(),
            code: denied.code,
            certificate: denied.certificate,
            peer: denied.peer,
        });
        (certificates.collect(), denials.collect())
    }

    /// How many there are of each kind.
    pub(super) fn counts(&self) -> [(SeenKind, usize); 3] {
        [
            (SeenKind::Certificate, self.sightings.len()),
            (SeenKind::Denial, self.denials.len()),
            (SeenKind::User, self.wishes.len()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rcgen::KeyPair;

    use super::*;
    use crate::directory::Name;
    use crate::pki::Certificate;
    use crate::pki::forge::{Forge, UNKNOWN, extension};
    use crate::proxy::Shown;

    struct Press(KeyPair);

    impl Press {
        fn shown(&self, number: u16, padding: usize) -> Arc<Shown> {
            let [high, low] = number.to_be_bytes();
            let forge = Forge {
                serial: vec![1, high, low],
                extensions: vec![extension(UNKNOWN, false, &vec![0; padding])],
                ..Forge::default()
            };
            Arc::new(Shown::from(Certificate::from_der(&forge.der(&self.0)).unwrap()))
        }
    }

    fn press() -> Press {
        Press(KeyPair::generate().unwrap())
    }

    fn sighting(shown: &Arc<Shown>, code: &'static str, at: Instant) -> Report {
        let username = (code == "mapped").then(|| "alice".into());
        Report::Certificate(Sighting { shown: Arc::clone(shown), hits: 2, at, code, username })
    }

    #[test]
    fn strangers_have_a_bound_and_push_out_nobody_who_came_in() {
        let (press, mut tally, now) = (press(), Tally::default(), Instant::now());
        let all: Vec<_> = (0..900).map(|number| press.shown(number, 0)).collect();
        let mut taken = |code, shown: &[Arc<Shown>]| {
            let taken = shown.iter().map(|shown| tally.add(sighting(shown, code, now)));
            taken.filter(Result::is_ok).count()
        };
        assert_eq!(taken("unmapped", &all[..300]), 100);
        assert_eq!(taken("mapped", &all[300..]), 500);
        // Who is in the tally is counted however full it is.
        assert_eq!(taken("unmapped", &all[..100]), 100);
        let batch = tally.take();
        assert_eq!(batch.counts()[0], (SeenKind::Certificate, 600));
        assert!(tally.is_empty());
    }

    #[test]
    fn certificates_of_the_largest_size_are_bounded_by_their_bytes() {
        let (press, mut tally, now) = (press(), Tally::default(), Instant::now());
        let mut taken = 0;
        for number in 0..400 {
            let large = press.shown(number, 30_000);
            taken += usize::from(tally.add(sighting(&large, "mapped", now)).is_ok());
        }
        assert!((100..MAX_DER_BYTES / 30_000).contains(&taken), "{taken}");
    }

    #[test]
    fn the_last_answer_counts_and_so_do_all_hits_and_who_came_in() {
        let (alice, now) = (press().shown(1, 0), Instant::now());
        let later = now + Duration::from_millis(1);
        for reports in [
            [sighting(&alice, "mapped", now), sighting(&alice, "user_disabled", later)],
            [sighting(&alice, "user_disabled", later), sighting(&alice, "mapped", now)],
        ] {
            let mut tally = Tally::default();
            for report in reports {
                tally.add(report).unwrap();
            }
            let batch = tally.take();
            let [counted] = &batch.sightings[..] else { panic!("one certificate") };
            let last = (counted.last.code, counted.last.username.as_deref());
            assert_eq!((last, counted.hits), (("user_disabled", Some("alice")), 4));
        }
    }

    #[test]
    fn denials_and_wishes_are_bounded_and_a_name_is_wished_once() {
        let (mut tally, at) = (Tally::default(), Instant::now());
        let denied = || Denied {
            at,
            code: "x",
            certificate: None,
            host: None,
            request_id: None,
            peer: None,
        };
        let taken = (0..300).filter(|_| tally.add(Report::Denied(denied())).is_ok()).count();
        assert_eq!(taken, 200);
        let wish = |name: String| {
            let username = Name::parse(name.as_bytes()).unwrap();
            let groups = Vec::new();
            Report::Wish(Box::new(Wish {
                priority: 1,
                username,
                display_name: None,
                email: None,
                groups,
            }))
        };
        for _ in 0..300 {
            tally.add(wish("alice".to_owned())).unwrap();
        }
        let more = (0..300).filter(|n| tally.add(wish(format!("bob{n}"))).is_ok()).count();
        assert_eq!(more, 19);
        assert_eq!(tally.take().counts()[2], (SeenKind::User, 20));
    }
}
