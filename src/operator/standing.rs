//! Whose a certificate is now: the same questions in the same order as a decision asks them, without
//! those about the certificate itself (its validity, its chain, the lists).

use super::Ground;
use crate::directory::{Directory, Found, Ruled};
use crate::pki::Certificate;
use crate::reason::{AllowReason, DenyReason};

/// Whose a certificate is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The code of the contract that says so.
    pub code: &'static str,
    /// Whose it is, or would be but for the code; none of nobody or of two.
    pub username: Option<String>,
    /// The mapping that says so.
    pub mapping: Option<i64>,
    /// The rule that says so, by its priority.
    pub rule: Option<i64>,
    /// The block that matches.
    pub block: Option<i64>,
}

impl Standing {
    /// Asks the directory.
    #[must_use]
    pub fn of(certificate: &Certificate, directory: &Directory, ground: &Ground) -> Self {
        let identity = ground.identity(certificate);
        let block = directory.find_block(&identity, ground.now).map(|block| block.id);
        let mut standing = Self::nobody(DenyReason::Unmapped);
        match directory.find(&identity, ground.now, ground.kinds) {
            Found::Active(mapping, user) => {
                let is_open = user.window.is_some_and(|window| window.is_open(ground.now));
                standing.code = match is_open {
                    true => AllowReason::Mapped.code(),
                    false => DenyReason::UserDisabled.code(),
                };
                standing.username = Some(user.username.into_owned());
                standing.mapping = Some(mapping.id);
            }
            Found::Ambiguous(_) => standing = Self::nobody(DenyReason::Ambiguous),
            Found::Disabled(kind) => {
                standing = Self::nobody(DenyReason::MappingDisabled);
                let mut of_kind =
                    directory.matching(&identity).filter(|mapping| mapping.kind == kind);
                if let Some(mapping) = of_kind.next() {
                    standing.mapping = Some(mapping.id);
                    let is_one = of_kind.all(|other| other.username == mapping.username);
                    standing.username = is_one.then(|| mapping.username.to_owned());
                }
            }
            Found::Revoked(mapping) => {
                standing = Self::nobody(DenyReason::MappingRevoked);
                standing.username = Some(mapping.username.to_owned());
                standing.mapping = Some(mapping.id);
            }
            Found::Nothing => {
                let holder = ground.holder(&identity, certificate);
                if let Ruled::User(user, priority) = directory.ask_rules(holder, ground.now) {
                    let is_open = user.window.is_some_and(|window| window.is_open(ground.now));
                    standing.code = match is_open {
                        true => AllowReason::Rule.code(),
                        false => DenyReason::UserDisabled.code(),
                    };
                    standing.username = Some(user.username.into_owned());
                    standing.rule = Some(priority);
                }
            }
        }
        if block.is_some() {
            standing.code = DenyReason::Blocked.code();
            standing.block = block;
        }
        standing
    }

    /// Whether nothing that is kept says anything of it.
    #[must_use]
    pub fn is_unmapped(&self) -> bool {
        self.code == DenyReason::Unmapped.code()
    }

    const fn nobody(reason: DenyReason) -> Self {
        Self { code: reason.code(), username: None, mapping: None, rule: None, block: None }
    }
}
