//! SETQUOTA. RFC 9208 §4.1.3. (GETQUOTA and GETQUOTAROOT have one argument each.)

use crate::Result;
use crate::cursor::Cursor;

/// SETQUOTA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetQuota {
    /// The quota root.
    pub root: String,
    /// The limits by the resource's name, in upper case. What is not named has none from here on.
    pub limits: Vec<(String, u64)>,
}

impl Cursor<'_> {
    // setquota = "SETQUOTA" SP quota-root-name SP setquota-list
    pub(crate) fn set_quota(&mut self) -> Result<SetQuota> {
        let root = self.astring_text()?;
        self.space()?;
        let limits = self.list(true, |c| {
            let name = c.atom("a resource")?.to_ascii_uppercase();
            c.space()?;
            Ok((name, c.number64()?))
        })?;
        Ok(SetQuota { root, limits })
    }
}
