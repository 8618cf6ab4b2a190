//! CANCELUPDATE: the end of a search's updates. RFC 5267 §4.3.5. (`RETURN (UPDATE)` that asks for them is read with the search.)

use crate::cursor::Cursor;
use crate::{Error, Result};

/// Tags in one CANCELUPDATE: no session has so many searches that are kept up to date.
const MOST_TAGS: usize = 1000;

impl Cursor<'_> {
    // command-select =/ "CANCELUPDATE" 1*(SP quoted); the first space is read
    pub(crate) fn cancel_update(&mut self) -> Result<Vec<String>> {
        let mut tags = Vec::new();
        loop {
            let tag = self.string()?.into_owned();
            tags.push(String::from_utf8(tag).map_err(|_| Error::Utf8)?);
            if !self.more() {
                return Ok(tags);
            }
            if tags.len() == MOST_TAGS {
                return Err(Error::TooMany("tags"));
            }
        }
    }
}
