//! A block: which certificates are kept out, whatever else says yes.

use super::near::{Near, Outcome, Probe};
use super::pattern::{Agreement, Column, Pattern, Value, is_visible, shown_texts};
use super::read;
use super::row::{BlockRow, PatternRow};
use super::unusable::RowError;
use super::window::Window;
use crate::pki::{DistinguishedName, Identity, SlashForm, UnixTime};

/// A block of which at least one column can be read.
///
/// In doubt it matches: text compares without case, names in both orders of their RDNs, and a
/// column that cannot be read, or that the input cannot show, counts as agreeing as long as
/// another one can be compared.
#[derive(Clone, Debug)]
pub struct Block {
    /// The row's id.
    pub id: i64,
    columns: Vec<(Column, Wanted)>,
    /// When it counts; none if its window cannot be read, which counts as always.
    window: Option<Window>,
    /// The row it was read from.
    source: BlockRow,
}

/// What a column must show.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Wanted {
    /// Compared as a mapping would: digests, serials, key identifiers.
    Exact(Value),
    /// A name, forward and reversed, canonical.
    Name([Box<[u8]>; 2]),
    /// Text in lower case.
    Folded(String),
}

/// A block and what of its row could not be read.
pub(super) struct Read {
    /// None if no column can be read.
    pub(super) block: Option<Block>,
    pub(super) faults: Vec<RowError>,
}

impl Block {
    pub(super) fn read(row: &BlockRow) -> Read {
        let read = Pattern::read(&row.pattern);
        let mut faults: Vec<RowError> = read
            .faults
            .into_iter()
            .map(|fault| RowError::new(fault.column.name(), fault.why))
            .collect();
        let columns: Vec<_> = read
            .pattern
            .columns()
            .map(|(column, value)| (column, wanted(column, value, row)))
            .collect();
        let window =
            read::window(row.enabled, row.valid_from.as_deref(), row.valid_until.as_deref());
        let window = match window {
            Ok(window) => Some(window),
            Err(error) => {
                faults.push(error);
                None
            }
        };
        if columns.is_empty() {
            if faults.is_empty() {
                faults.push(RowError::new("sha256", "no column is set: nothing is blocked"));
            }
            return Read { block: None, faults };
        }
        let source = row.clone();
        Read { block: Some(Self { id: row.id, columns, window, source }), faults }
    }

    /// Reads a row for a question that is asked beforehand; none if no column can be read.
    #[must_use]
    pub fn of(row: &BlockRow) -> Option<Self> {
        Self::read(row).block
    }

    /// Whether it is switched off or past; a window that cannot be read never is.
    #[must_use]
    pub fn is_over(&self, now: UnixTime) -> bool {
        self.window.is_some_and(|window| {
            !window.enabled || window.valid_until.is_some_and(|until| until <= now)
        })
    }

    /// Whether its row asks for nothing but a CA.
    #[must_use]
    pub fn is_of_ca_alone(&self) -> bool {
        let PatternRow { issuer, issuer_key_id, .. } = self.source.pattern.clone();
        let ca = PatternRow { issuer, issuer_key_id, ..PatternRow::default() };
        self.source.pattern == ca
    }

    /// How it compares with a CA: the worst of the columns that name one; different without any.
    #[must_use]
    pub fn compare_ca(&self, ca: &Identity) -> Agreement {
        let mut columns = self.columns.iter().filter(|(column, _)| is_of_ca(*column)).peekable();
        if columns.peek().is_none() {
            return Agreement::Differs;
        }
        let worst = columns.map(|(column, wanted)| wanted.compare(*column, ca));
        worst
            .min_by_key(|agreement| match agreement {
                Agreement::Differs => 0,
                Agreement::Invisible => 1,
                Agreement::Same => 2,
            })
            .unwrap_or(Agreement::Differs)
    }

    /// Whether it would keep out a certificate of which only this is known: [`Agreement::Invisible`]
    /// and the column where it hangs on the rest.
    #[must_use]
    pub fn foresee(&self, identity: &Identity) -> (Agreement, Option<Column>) {
        let mut unseen = None;
        for (column, wanted) in &self.columns {
            match wanted.compare(*column, identity) {
                // A certificate can have several of those, and this one is not at hand.
                Agreement::Differs if !is_of_san(*column) => {
                    return (Agreement::Differs, Some(*column));
                }
                Agreement::Differs | Agreement::Invisible => unseen = unseen.or(Some(*column)),
                Agreement::Same => {}
            }
        }
        match unseen {
            Some(column) => (Agreement::Invisible, Some(column)),
            None => (Agreement::Same, None),
        }
    }

    /// Whether it names one certificate, and no holder.
    #[must_use]
    pub fn names_one_certificate(&self) -> bool {
        self.columns().any(|column| matches!(column, Column::Serial | Column::Sha256))
    }

    /// Whether it keeps out at its CA whatever the other keeps out at that one's.
    #[must_use]
    pub fn is_copy_of(&self, other: &Self) -> bool {
        let mut own = self.columns.iter().filter(|(column, _)| !is_of_ca(*column));
        own.all(|column| other.columns.contains(column)) && self.is_as_long_as(other)
    }

    /// Whether it counts from the same time on, until the same time, or longer.
    fn is_as_long_as(&self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (self.window, other.window) else {
            return self.window.is_none();
        };
        let begins =
            own.valid_from.is_none_or(|from| others.valid_from.is_some_and(|at| from <= at));
        let ends =
            own.valid_until.is_none_or(|until| others.valid_until.is_some_and(|at| until >= at));
        own.enabled && begins && ends
    }

    /// Whether it counts at `now`; a window that cannot be read always does.
    #[must_use]
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        self.window.is_none_or(|window| window.is_open(now))
    }

    /// Whether it keeps this certificate out: no column differs and at least one was compared.
    #[must_use]
    pub fn matches(&self, identity: &Identity) -> bool {
        let mut compared = false;
        for (column, wanted) in &self.columns {
            match wanted.compare(*column, identity) {
                Agreement::Differs => return false,
                Agreement::Invisible => {}
                Agreement::Same => compared = true,
            }
        }
        compared
    }

    /// The one column that differs as people mistake one value for another, where all others agree;
    /// for people alone.
    pub(super) fn near_column(&self, probe: &Probe<'_>) -> Option<(Column, &[u8], Near)> {
        let mut found = None;
        let mut agrees = self.columns.len() == 1;
        for (column, wanted) in &self.columns {
            match wanted.compare(*column, probe.identity) {
                Agreement::Same => agrees = true,
                Agreement::Invisible => return None,
                Agreement::Differs => {
                    let Wanted::Exact(value) = wanted else { return None };
                    let Outcome::Near(near) = probe.compare(*column, value.bytes()) else {
                        return None;
                    };
                    if found.replace((*column, value.bytes(), near)).is_some() {
                        return None;
                    }
                }
            }
        }
        found.filter(|_| agrees)
    }

    /// The row it was read from.
    pub(super) const fn source(&self) -> &BlockRow {
        &self.source
    }

    /// The columns that it compares.
    pub(super) fn columns(&self) -> impl Iterator<Item = Column> {
        self.columns.iter().map(|(column, _)| *column)
    }

    /// The index keys of one column: every form in which it may be shown.
    pub(super) fn keys(&self, column: Column) -> Vec<&[u8]> {
        let wanted = self.columns.iter().find(|(other, _)| *other == column);
        match wanted.map(|(_, wanted)| wanted) {
            None => Vec::new(),
            Some(Wanted::Exact(value)) => vec![value.bytes()],
            Some(Wanted::Name(forms)) => forms.iter().map(|form| &**form).collect(),
            Some(Wanted::Folded(text)) => vec![text.as_bytes()],
        }
    }
}

impl Wanted {
    fn compare(&self, column: Column, identity: &Identity) -> Agreement {
        if !is_visible(column, identity) {
            return Agreement::Invisible;
        }
        let same = match self {
            Self::Exact(value) => return value.compare(column, identity),
            Self::Name(forms) => {
                let shown = match column {
                    Column::Issuer => identity.issuer.as_ref(),
                    _ => identity.subject.as_ref(),
                };
                shown.is_some_and(|shown| forms.iter().any(|form| **form == *shown.canonical()))
            }
            Self::Folded(text) => {
                shown_texts(column, identity).iter().any(|shown| fold(shown) == *text)
            }
        };
        if same { Agreement::Same } else { Agreement::Differs }
    }
}

const fn is_of_san(column: Column) -> bool {
    matches!(column, Column::SanDns | Column::SanEmail | Column::SanUpn | Column::SanUri)
}

const fn is_of_ca(column: Column) -> bool {
    matches!(column, Column::Issuer | Column::IssuerKeyId)
}

/// Text as blocks compare it.
pub(super) fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn wanted(column: Column, value: &Value, row: &BlockRow) -> Wanted {
    match value {
        Value::Text(text) => Wanted::Folded(fold(text)),
        Value::Name(forward) => {
            let text = match column {
                Column::Issuer => row.pattern.issuer.as_deref(),
                _ => row.pattern.subject.as_deref(),
            };
            let reversed = text
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .and_then(|text| DistinguishedName::parse(text, SlashForm::Accept).ok())
                .map_or_else(|| (**forward).into(), |name| name.reversed().canonical().into());
            Wanted::Name([(**forward).into(), reversed])
        }
        other => Wanted::Exact(other.clone()),
    }
}
