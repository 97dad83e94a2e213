//! What every command that works on the database is given.

use crate::app;
use crate::config::{Config, Environment};
use crate::directory::{Kinds, Settings};
use crate::pki::{UnixTime, parse_text};
use crate::store::{By, Store, StoreError, Work};

/// The operator's place: the database, the configuration, who sits there and what time it is.
pub(super) struct Desk<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Store,
    /// Who says to be at the keyboard; the database itself knows who is connected.
    pub(super) actor: Option<String>,
    pub(super) now: UnixTime,
}

impl Desk<'_> {
    /// Who acts, as the audit tells it.
    pub(super) fn by(&self) -> By {
        By::cli(self.actor.clone())
    }

    /// One act in a transaction of its own.
    pub(super) async fn act<T>(
        &self,
        act: impl AsyncFnOnce(&mut Work) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.store.act(&self.by(), act).await
    }

    /// The kinds of mappings that may match.
    pub(super) fn kinds(&self) -> Kinds {
        app::gate::policy(self.config).kinds
    }

    /// What is configured of names.
    pub(super) fn settings(&self) -> Settings {
        app::gate::settings(self.config)
    }
}

/// The person at the keyboard, behind `sudo` too; none if nobody says so, or in no usable text.
pub(super) fn actor(env: &Environment) -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    let claimed = names.iter().find_map(|name| env.get(*name).filter(|text| !text.is_empty()))?;
    parse_text(claimed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_actor_is_the_person_behind_sudo() {
        let environment = |pairs: &[(&str, &str)]| -> Environment {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let of = |pairs: &[(&str, &str)]| actor(&environment(pairs));
        assert_eq!(of(&[("USER", "root"), ("SUDO_USER", "alice")]).as_deref(), Some("alice"));
        assert_eq!(of(&[("USER", ""), ("LOGNAME", "bob")]).as_deref(), Some("bob"));
        assert_eq!(of(&[("USER", "a\nb")]), None);
        assert_eq!(of(&[]), None);
    }
}
