//! ENUMERATE OBJECTS: which keys and files there are.

use chancery_iso7816::{CommandApdu, Transport};
use chancery_schsm::{Fid, KeyId, fid};

use crate::error::{Doing, Error};
use crate::session::Session;

/// File identifiers on the token, in the order the card gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectList(Vec<Fid>);

impl ObjectList {
    /// Every file identifier; CCxx are keys.
    pub fn iter(&self) -> impl Iterator<Item = Fid> + '_ {
        self.0.iter().copied()
    }

    /// Whether this file or key is listed. Some firmwares do not list certificates (CAxx, CExx).
    #[must_use]
    pub fn contains(&self, fid: Fid) -> bool {
        self.0.contains(&fid)
    }

    /// Ids of the keys, the device authentication key 00 left out, ascending.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyId> {
        let mut ids: Vec<u8> = self.with_prefix(fid::prefix::KEY).filter(|id| *id != 0).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(KeyId).collect()
    }

    /// Whether a key with this id is listed.
    #[must_use]
    pub fn has_key(&self, id: KeyId) -> bool {
        self.contains(fid::key(id))
    }

    /// Lowest id at which neither a key nor a description or certificate left over from one exists.
    ///
    /// Low ids first: some tools allocate below 60 only.
    #[must_use]
    pub fn next_free_key_id(&self) -> Option<KeyId> {
        (1..=u8::MAX).map(KeyId).find(|id| {
            [fid::key(*id), fid::prkd(*id), fid::certificate(*id)]
                .iter()
                .all(|fid| !self.contains(*fid))
        })
    }

    /// Low bytes of the identifiers with this high byte.
    pub fn with_prefix(&self, prefix: u8) -> impl Iterator<Item = u8> + '_ {
        self.0
            .iter()
            .filter(move |fid| fid.prefix() == prefix)
            .map(|fid| fid.low())
    }
}

impl<T: Transport> Session<T> {
    pub(crate) fn enumerate(&mut self) -> Result<ObjectList, Error> {
        let doing = Doing::new("ENUMERATE OBJECTS", "keys and files");
        let command = CommandApdu::new(0x80, 0x58, 0x00, 0x00)
            .expecting(65_536)
            .extended();
        let response = self.link.expect_ok(&doing, Ok(command), Error::refused)?;
        if !response.data.len().is_multiple_of(2) {
            return Err(Error::protocol(
                &doing,
                "half a file identifier at the end of the list",
            ));
        }
        Ok(ObjectList(fid::parse_list(&response.data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_over_files_block_an_id() {
        let list = ObjectList([0xCC00, 0xCC01, 0xC401, 0xCE02, 0xC403, 0xCC05].map(Fid).to_vec());
        assert_eq!(list.next_free_key_id().map(|id| id.0), Some(4));
        assert_eq!(list.keys().iter().map(|id| id.0).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(
            ObjectList((0..=0xFF).map(|low| Fid::from_parts(0xCC, low)).collect()).next_free_key_id(),
            None
        );
    }
}
