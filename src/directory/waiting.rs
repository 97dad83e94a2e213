//! Memberships that wait for their users while a directory is built: one after the other in one
//! piece of memory, because a million of them come and go with each load.

use hashbrown::HashTable;

use super::shelf::spread;

/// Memberships by the hash of the user's name; whose they are is checked on the name itself.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// A hash, and where in `texts` its membership begins.
    places: HashTable<(u32, u32)>,
    /// The lengths of the user's name and of the group's, and both names.
    texts: Vec<u8>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes a membership. False, and nothing is taken, only where 4 GiB are full.
    #[must_use]
    pub(super) fn insert(&mut self, hash: u32, username: &[u8], group: &[u8]) -> bool {
        let lengths = u32::try_from(username.len()).ok().zip(u32::try_from(group.len()).ok());
        let place = u32::try_from(self.texts.len()).ok();
        let Some(((name_length, group_length), place)) = lengths.zip(place) else { return false };
        self.texts.extend_from_slice(&name_length.to_le_bytes());
        self.texts.extend_from_slice(&group_length.to_le_bytes());
        self.texts.extend_from_slice(username);
        self.texts.extend_from_slice(group);
        self.places.insert_unique(spread(hash), (hash, place), |(hash, _)| spread(*hash));
        true
    }

    /// The groups of the user of exactly this name and its hash.
    pub(super) fn of<'w>(&'w self, hash: u32, username: &[u8]) -> impl Iterator<Item = &'w [u8]> {
        let places = self.places.iter_hash(spread(hash)).filter(move |(other, _)| *other == hash);
        let members = places.filter_map(|(_, place)| self.at(*place));
        members.filter(move |(name, _)| *name == username).map(|(_, group)| group)
    }

    /// Every membership: the user's name and the group's.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().filter_map(|(_, place)| self.at(*place))
    }

    fn at(&self, place: u32) -> Option<(&[u8], &[u8])> {
        let rest = self.texts.get(usize::try_from(place).ok()?..)?;
        let (name_length, rest) = rest.split_first_chunk()?;
        let (group_length, rest) = rest.split_first_chunk()?;
        let length = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
        let (username, rest) = rest.split_at_checked(length(name_length)?)?;
        Some((username, rest.get(..length(group_length)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::Waiting;

    #[test]
    fn memberships_are_found_by_their_name_though_hashes_collide() {
        let mut waiting = Waiting::default();
        for (hash, username, group) in [
            (1, "alice", "ops"),
            (1, "bob", "staff"),
            (1, "alice", "staff"),
            (2, "alice", "lost"),
            (1, "", ""),
        ] {
            assert!(waiting.insert(hash, username.as_bytes(), group.as_bytes()));
        }
        let of = |hash: u32, username: &str| -> Vec<String> {
            let groups = waiting.of(hash, username.as_bytes());
            let mut groups: Vec<String> =
                groups.map(|group| String::from_utf8(group.to_vec()).unwrap()).collect();
            groups.sort_unstable();
            groups
        };
        assert_eq!(of(1, "alice"), ["ops", "staff"]);
        assert_eq!(of(1, "bob"), ["staff"]);
        assert_eq!(of(1, ""), [""]);
        assert!(of(2, "bob").is_empty());
        assert!(of(3, "alice").is_empty());
        assert_eq!((waiting.len(), waiting.iter().count()), (5, 5));
    }
}
