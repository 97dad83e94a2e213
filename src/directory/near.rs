//! What nearly matches: a column that differs from what is shown as people mistake one for the
//! other.
//!
//! It explains and never decides: nothing here makes a mapping or a block match.

use std::fmt::Write as _;

use super::pattern::{Agreement, Column, compare, shown_texts};
use crate::pki::{
    DistinguishedName, Fingerprint, Identity, Likeness, SerialNumber, name_likeness, text_likeness,
};

/// How a row that does not match comes close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Near {
    /// The serial was written in decimal, or taken for decimal.
    Decimal,
    /// The parts of a name in another order.
    RdnOrder,
    /// Upper and lower case.
    Case,
    /// Blanks, or characters that show nothing.
    Space,
    /// The same key in another certificate.
    OtherCertificate,
    /// The same issuer and subject, another certificate: most often a renewal.
    SameName,
    /// The issuer has the same name and another key.
    OtherIssuerKey,
    /// The same subject from another issuer.
    OtherIssuer,
    /// Letters that look like others: a mistake, or somebody who wants to be taken for another.
    LookAlike,
}

impl Near {
    /// Whether it may be the work of somebody who wants to be taken for another.
    #[must_use]
    pub const fn is_suspicious(self) -> bool {
        matches!(self, Self::LookAlike | Self::OtherIssuer)
    }
}

impl From<Likeness> for Near {
    fn from(likeness: Likeness) -> Self {
        match likeness {
            Likeness::Case => Self::Case,
            Likeness::LookAlike => Self::LookAlike,
            Likeness::Order => Self::RdnOrder,
            Likeness::Space => Self::Space,
        }
    }
}

/// A certificate that is known and is like the one in question.
#[derive(Clone, Debug)]
pub struct Sibling {
    /// Its fingerprint.
    pub sha256: Fingerprint,
    /// That of its key.
    pub spki_sha256: Fingerprint,
}

/// What was presented, with everything that it might have been mistaken for.
#[derive(Debug)]
pub(super) struct Probe<'i> {
    pub(super) identity: &'i Identity,
    siblings: &'i [Sibling],
    /// The serial's decimal digits read as hexadecimal ones, and its hexadecimal as decimal ones.
    misread: Vec<SerialNumber>,
}

/// What comparing one column came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Differs,
    Invisible,
    Near(Near),
    Same,
}

impl<'i> Probe<'i> {
    pub(super) fn new(identity: &'i Identity, siblings: &'i [Sibling]) -> Self {
        let serial = identity.serial.as_ref().filter(|serial| !serial.is_odd());
        let misread = serial.map_or_else(Vec::new, |serial| {
            let decimal = serial.to_decimal();
            let as_hex = decimal.and_then(|digits| SerialNumber::parse(&digits).ok());
            // nginx prints an even number of digits; whoever takes them for decimal drops a zero.
            let as_decimal = SerialNumber::parse_cli(&format!("dec:{serial}")).ok();
            as_hex.into_iter().chain(as_decimal).filter(|other| other != serial).collect()
        });
        Self { identity, siblings, misread }
    }

    /// Compares one column of a row.
    pub(super) fn compare(&self, column: Column, want: &[u8]) -> Outcome {
        match compare(column, want, self.identity) {
            Agreement::Same => Outcome::Same,
            Agreement::Invisible => Outcome::Invisible,
            Agreement::Differs => {
                self.nearness(column, want).map_or(Outcome::Differs, Outcome::Near)
            }
        }
    }

    fn nearness(&self, column: Column, want: &[u8]) -> Option<Near> {
        let identity = self.identity;
        let of_name = |shown: Option<&DistinguishedName>| {
            name_likeness(shown?.canonical(), want).map(Near::from)
        };
        match column {
            Column::Sha256 => {
                let sibling = self.siblings.iter().find(|one| one.sha256.as_bytes() == want)?;
                let is_same_key = Some(sibling.spki_sha256) == identity.spki_sha256;
                Some(if is_same_key { Near::OtherCertificate } else { Near::SameName })
            }
            Column::SpkiSha256 => {
                let mut siblings = self.siblings.iter();
                siblings.any(|one| one.spki_sha256.as_bytes() == want).then_some(Near::SameName)
            }
            Column::Issuer => of_name(identity.issuer.as_ref()),
            Column::Subject => of_name(identity.subject.as_ref()),
            Column::IssuerKeyId => None,
            Column::Serial => {
                self.misread.iter().any(|other| other.as_bytes() == want).then_some(Near::Decimal)
            }
            Column::CommonName
            | Column::SanDns
            | Column::SanEmail
            | Column::SanUpn
            | Column::SanUri => {
                let want = std::str::from_utf8(want).ok()?;
                let shown = shown_texts(column, identity).iter();
                shown.filter_map(|shown| text_likeness(shown, want)).min().map(Near::from)
            }
        }
    }
}

/// How all columns of a row together come out.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    columns: Vec<(Column, Outcome)>,
}

impl Outcomes {
    pub(super) fn push(&mut self, column: Column, outcome: Outcome) {
        self.columns.push((column, outcome));
    }

    pub(super) fn clear(&mut self) {
        self.columns.clear();
    }

    fn is(&self, column: Column, outcome: Outcome) -> bool {
        self.columns.contains(&(column, outcome))
    }

    /// Whether a column other than the issuer's agrees: the issuer alone is shared by everybody
    /// whom this CA certified, and makes nobody a candidate.
    pub(super) fn has_agreement(&self) -> bool {
        self.columns.iter().any(|(column, outcome)| {
            !matches!(column, Column::Issuer | Column::IssuerKeyId) && *outcome == Outcome::Same
        })
    }

    /// The first column that does not agree.
    pub(super) fn first_disagreement(&self) -> Option<(Column, Outcome)> {
        self.columns.iter().find(|(_, outcome)| *outcome != Outcome::Same).copied()
    }

    /// How a row that does not match comes close: every column agrees or is near. The worst counts.
    pub(super) fn near(&self) -> Option<Near> {
        let mut worst = None;
        for (column, outcome) in &self.columns {
            let near = match outcome {
                Outcome::Same => continue,
                Outcome::Near(near) => *near,
                Outcome::Invisible => return None,
                Outcome::Differs => match column {
                    Column::IssuerKeyId if self.is(Column::Issuer, Outcome::Same) => {
                        Near::OtherIssuerKey
                    }
                    Column::Issuer if self.is(Column::Subject, Outcome::Same) => Near::OtherIssuer,
                    Column::Sha256 if self.is(Column::SpkiSha256, Outcome::Same) => {
                        Near::OtherCertificate
                    }
                    _ => return None,
                },
            };
            worst = worst.max(Some(near));
        }
        // The key of another issuer says nothing of the holder by itself.
        let is_about_holder = self.columns.iter().any(|(column, outcome)| {
            let is_holders = !matches!(column, Column::Issuer | Column::IssuerKeyId);
            is_holders && matches!(outcome, Outcome::Same | Outcome::Near(_))
        });
        worst.filter(|_| is_about_holder)
    }
}

/// What is near, in a sentence without a subject.
pub(super) fn sentence(column: Column, near: Near, want: &[u8], identity: &Identity) -> String {
    let name = column.name();
    match near {
        Near::Decimal => {
            let mut written = String::new();
            for octet in want {
                // Writing into a string does not fail.
                let _ = write!(written, "{octet:02X}");
            }
            let serial = identity.serial.as_ref();
            let shown = serial.map(ToString::to_string).unwrap_or_default();
            let decimal = serial.and_then(SerialNumber::to_decimal).unwrap_or_default();
            format!(
                "serial is the decimal of your hex: the row says {written}, which is read as \
                 hexadecimal; this certificate has {shown}, {decimal} in decimal"
            )
        }
        Near::RdnOrder => format!("{name} has its RDNs in the other order"),
        Near::Case => format!("{name} differs in case"),
        Near::Space => format!("{name} differs in a space, or a character that shows nothing"),
        Near::LookAlike => format!("{name} differs in a look-alike letter: look twice"),
        Near::OtherCertificate => format!("{name} differs: same key, other certificate"),
        Near::SameName => format!("{name} differs: same issuer and subject, other certificate"),
        Near::OtherIssuerKey => {
            "issuer_key_id differs: same issuer name, other key (issuer_key_id)".to_owned()
        }
        Near::OtherIssuer => "issuer differs: same subject, other issuer".to_owned(),
    }
}
