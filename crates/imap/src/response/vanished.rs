//! VANISHED: UIDs of messages that are gone. RFC 7162 §3.2.10.

use crate::NumberSet;
use crate::response::Encoder;

impl Encoder<'_> {
    /// `* VANISHED 41,43:116`, or with `earlier` `* VANISHED (EARLIER) …`: gone before this session could count them, so that sequence
    /// numbers stay. Nothing for an empty set.
    pub fn vanished(&mut self, earlier: bool, uids: &NumberSet) {
        if uids.is_empty() {
            return;
        }
        self.push(if earlier {
            "* VANISHED (EARLIER) "
        } else {
            "* VANISHED "
        });
        self.print(uids);
        self.end();
    }
}
