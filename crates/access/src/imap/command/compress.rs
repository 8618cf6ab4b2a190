//! COMPRESS. RFC 4978: from the tagged OK on, both directions are one DEFLATE stream each (RFC 1951).

use crate::imap::answer::{Answer, OwnCode};
use crate::imap::connection::Connection;
use imap::response::Code;

impl Connection {
    pub(crate) fn compress(&self, algorithm: &str) -> Answer {
        if algorithm != "DEFLATE" {
            return Answer::bad("DEFLATE is the only algorithm here");
        }
        if self.stream.is_deflated() {
            return Answer::no(None, "compression is on already").with(OwnCode::Plain(Code::CompressionActive));
        }
        Answer::ok("compression begins")
    }
}
