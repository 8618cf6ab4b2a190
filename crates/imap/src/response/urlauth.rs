//! GENURLAUTH and URLFETCH. RFC 4467 §8.

use crate::response::string::literal_head;
use crate::response::{Encoder, astring, quoted_or_literal};

impl Encoder<'_> {
    /// `* GENURLAUTH url …`
    pub fn gen_url_auth(&mut self, urls: &[String]) {
        self.push("* GENURLAUTH");
        for url in urls {
            self.push(" ");
            quoted_or_literal(self.out, url.as_bytes(), false);
        }
        self.end();
    }

    /// `* URLFETCH url NIL`: nothing can be had by this URL.
    pub fn url_fetch_nil(&mut self, url: &str) {
        self.push("* URLFETCH ");
        astring(self.out, url.as_bytes(), false);
        self.push(" NIL");
        self.end();
    }

    /// `* URLFETCH url {len}`: so many octets follow, for the caller to send, and then a line end.
    pub fn url_fetch(&mut self, url: &str, len: u64) {
        self.push("* URLFETCH ");
        astring(self.out, url.as_bytes(), false);
        self.push(" ");
        literal_head(self.out, len);
    }
}
