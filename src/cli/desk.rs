//! What every command that works on the database is given.

use crate::app;
use crate::config::{Config, Environment};
use crate::directory::{Kinds, Settings};
use crate::operator::{Administrators, Ground};
use crate::pki::{UnixTime, parse_text};
use crate::store::{By, Store, StoreError, Work};

/// The operator's place: the database, the configuration, who sits there and what time it is.
pub(super) struct Desk<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Store,
    /// Whether the last administrator may go (`--anyway`).
    pub(super) anyway: bool,
    /// Who says to be at the keyboard; the database itself knows who is connected.
    pub(super) actor: Option<String>,
    pub(super) now: UnixTime,
}

impl Desk<'_> {
    /// Who acts, as the audit tells it.
    pub(super) fn by(&self) -> By {
        By::cli(self.actor.clone())
    }

    /// One act in a transaction of its own, after which an administrator must be left if there was
    /// one.
    pub(super) async fn act<T>(
        &self,
        act: impl AsyncFnOnce(&mut Work) -> Result<T, StoreError>,
    ) -> anyhow::Result<T> {
        let mut work = self.store.begin(&self.by()).await?;
        let before = self.administrators(&mut work).await?;
        let done = act(&mut work).await?;
        self.check_administrators(before, &mut work).await?;
        work.commit().await?;
        Ok(done)
    }

    /// Who administers, for [`Desk::check_administrators`]; nobody where that does not matter.
    pub(super) async fn administrators(
        &self,
        work: &mut Work,
    ) -> anyhow::Result<Option<Administrators>> {
        if self.anyway {
            return Ok(None);
        }
        work.lock_administrators().await?;
        Ok(Some(Administrators::read(work, &self.ground(), None).await?))
    }

    /// Refuses what would leave nobody.
    ///
    /// # Errors
    /// Nobody is left: the transaction is to be dropped.
    pub(super) async fn check_administrators(
        &self,
        before: Option<Administrators>,
        work: &mut Work,
    ) -> anyhow::Result<()> {
        let Some(before) = before else { return Ok(()) };
        let after = Administrators::read(work, &self.ground(), None).await?;
        before
            .check_left(&after, self.now)
            .map_err(|error| anyhow::anyhow!("{error}; to do it all the same, say --anyway"))
    }

    /// The kinds of mappings that may match.
    pub(super) fn kinds(&self) -> Kinds {
        app::gate::policy(self.config).kinds
    }

    /// What an act stands on.
    pub(super) fn ground(&self) -> Ground {
        app::gate::ground(self.config, self.now)
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
