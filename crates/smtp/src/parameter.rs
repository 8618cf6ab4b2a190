//! Parameters of `MAIL` and `RCPT`: `SIZE` (RFC 1870), `BODY` (RFC 6152, RFC 3030), `SMTPUTF8` (RFC 6531), `RET`, `ENVID`, `NOTIFY` and
//! `ORCPT` (RFC 3461 §4), `AUTH` (RFC 4954 §5), `HOLDFOR` and `HOLDUNTIL` (RFC 4865 §4), `REQUIRETLS` (RFC 8689 §2). What none of them is, is refused with
//! `555` (RFC 5321 §4.1.1.11).

use crate::moment::parse_timestamp;
use crate::{Address, Recipient, Reply, ReversePath, Sender, Status};
use std::fmt;

/// The longest `ENVID` (RFC 3461 §4.4).
const ENVID_LENGTH: usize = 100;
/// The longest `ORCPT` (RFC 3461 §4.2).
const ORCPT_LENGTH: usize = 500;

/// What the body of a message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Body {
    /// Lines of ASCII.
    #[default]
    SevenBit,
    /// Lines of octets.
    EightBit,
    /// Any octets; such a message comes by `BDAT` only.
    Binary,
}

impl fmt::Display for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Body::SevenBit => "7BIT",
            Body::EightBit => "8BITMIME",
            Body::Binary => "BINARYMIME",
        })
    }
}

/// What a bounce should carry of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

impl fmt::Display for Return {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Return::Full => "FULL",
            Return::Headers => "HDRS",
        })
    }
}

/// When the sender wants to hear of a recipient. All three false: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it failed.
    pub failure: bool,
    /// When it is late.
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`
    pub const NEVER: Notify = Notify {
        success: false,
        failure: false,
        delay: false,
    };

    fn parse(value: &str) -> Option<Notify> {
        if value.eq_ignore_ascii_case("NEVER") {
            return Some(Notify::NEVER);
        }
        let mut notify = Notify::NEVER;
        for word in value.split(',') {
            let flag = match word {
                word if word.eq_ignore_ascii_case("SUCCESS") => &mut notify.success,
                word if word.eq_ignore_ascii_case("FAILURE") => &mut notify.failure,
                word if word.eq_ignore_ascii_case("DELAY") => &mut notify.delay,
                _ => return None,
            };
            *flag = true;
        }
        Some(notify)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Notify::NEVER {
            return formatter.write_str("NEVER");
        }
        let mut comma = "";
        for (wanted, word) in [
            (self.success, "SUCCESS"),
            (self.failure, "FAILURE"),
            (self.delay, "DELAY"),
        ] {
            if wanted {
                write!(formatter, "{comma}{word}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

/// When a message is to leave (RFC 4865).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// In so many seconds.
    For(i64),
    /// At this time, in seconds since 1970.
    Until(i64),
}

/// `MAIL FROM:` path and the parameters that follow it. `extended`: the client said EHLO. `future`: messages may wait.
pub(crate) fn sender(path: ReversePath, parameters: &str, extended: bool, future: bool) -> Result<Sender, Reply> {
    let mut sender = Sender {
        path,
        size: None,
        body: Body::default(),
        smtputf8: false,
        ret: None,
        envid: None,
        auth: None,
        requiretls: false,
        hold: None,
    };
    let mut body = None;
    for (keyword, value) in split(parameters, extended)? {
        if keyword.eq_ignore_ascii_case("SIZE") {
            let digits =
                value.filter(|value| (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()));
            let digits = digits.ok_or_else(|| wrong("SIZE takes a number"))?;
            once(&mut sender.size, digits.parse().unwrap_or(u64::MAX))?;
        } else if keyword.eq_ignore_ascii_case("BODY") {
            let value = value.unwrap_or_default();
            let kind = match value {
                value if value.eq_ignore_ascii_case("7BIT") => Body::SevenBit,
                value if value.eq_ignore_ascii_case("8BITMIME") => Body::EightBit,
                value if value.eq_ignore_ascii_case("BINARYMIME") => Body::Binary,
                _ => return Err(wrong("BODY takes 7BIT, 8BITMIME or BINARYMIME")),
            };
            once(&mut body, kind)?;
        } else if keyword.eq_ignore_ascii_case("SMTPUTF8") {
            if value.is_some() || sender.smtputf8 {
                return Err(wrong("SMTPUTF8 takes no value and stands once"));
            }
            sender.smtputf8 = true;
        } else if keyword.eq_ignore_ascii_case("REQUIRETLS") {
            if value.is_some() || sender.requiretls {
                return Err(wrong("REQUIRETLS takes no value and stands once"));
            }
            sender.requiretls = true;
        } else if keyword.eq_ignore_ascii_case("RET") {
            let value = value.unwrap_or_default();
            let ret = match value {
                value if value.eq_ignore_ascii_case("FULL") => Return::Full,
                value if value.eq_ignore_ascii_case("HDRS") => Return::Headers,
                _ => return Err(wrong("RET takes FULL or HDRS")),
            };
            once(&mut sender.ret, ret)?;
        } else if keyword.eq_ignore_ascii_case("ENVID") {
            let value =
                value.filter(|value| !value.is_empty() && value.len() <= ENVID_LENGTH && is_xtext(value, false));
            once(
                &mut sender.envid,
                value
                    .ok_or_else(|| wrong("ENVID takes up to 100 characters of xtext"))?
                    .to_owned(),
            )?;
        } else if keyword.eq_ignore_ascii_case("AUTH") {
            let value = value.filter(|value| *value == "<>" || (!value.is_empty() && is_xtext(value, false)));
            once(
                &mut sender.auth,
                value
                    .ok_or_else(|| wrong("AUTH takes <> or an address in xtext"))?
                    .to_owned(),
            )?;
        } else if future && keyword.eq_ignore_ascii_case("HOLDFOR") {
            let digits = value.filter(|v| (1..=9).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_digit()));
            let seconds = digits.and_then(|digits| digits.parse().ok());
            let seconds = seconds.ok_or_else(|| wrong("HOLDFOR takes seconds"))?;
            once(&mut sender.hold, Hold::For(seconds))?;
        } else if future && keyword.eq_ignore_ascii_case("HOLDUNTIL") {
            let time = value.and_then(parse_timestamp);
            let time = time.ok_or_else(|| wrong("HOLDUNTIL takes a time such as 2026-11-25T09:30:00Z"))?;
            once(&mut sender.hold, Hold::Until(time))?;
        } else {
            return Err(unknown());
        }
    }
    sender.body = body.unwrap_or_default();
    Ok(sender)
}

/// `RCPT TO:` path and the parameters that follow it.
pub(crate) fn recipient(address: Address, parameters: &str, extended: bool) -> Result<Recipient, Reply> {
    let mut recipient = Recipient {
        address,
        notify: None,
        orcpt: None,
    };
    for (keyword, value) in split(parameters, extended)? {
        if keyword.eq_ignore_ascii_case("NOTIFY") {
            let notify = value
                .and_then(Notify::parse)
                .ok_or_else(|| wrong("NOTIFY takes NEVER, or a list of SUCCESS, FAILURE, DELAY"))?;
            once(&mut recipient.notify, notify)?;
        } else if keyword.eq_ignore_ascii_case("ORCPT") {
            let value = value.filter(|value| value.len() <= ORCPT_LENGTH && is_orcpt(value));
            once(
                &mut recipient.orcpt,
                value
                    .ok_or_else(|| wrong("ORCPT takes a type, a semicolon and an address in xtext"))?
                    .to_owned(),
            )?;
        } else {
            return Err(unknown());
        }
    }
    Ok(recipient)
}

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`, separated by spaces.
fn split(parameters: &str, extended: bool) -> Result<impl Iterator<Item = (&str, Option<&str>)>, Reply> {
    if !parameters.is_empty() && !parameters.starts_with([' ', '\t']) {
        return Err(Reply::new(501, Status(5, 5, 4), "a space is missing after the address"));
    }
    let words = parameters.split([' ', '\t']).filter(|word| !word.is_empty());
    if !extended && words.clone().next().is_some() {
        return Err(Reply::new(555, Status(5, 5, 4), "parameters need EHLO"));
    }
    Ok(words.map(|word| match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    }))
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Reply> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(wrong("a parameter stands twice")),
    }
}

fn wrong(text: &'static str) -> Reply {
    Reply::new(501, Status(5, 5, 4), text)
}

fn unknown() -> Reply {
    Reply::new(555, Status(5, 5, 4), "parameter not known or not implemented")
}

/// `xtext = *( xchar / hexchar )` of RFC 3461 §4; with `utf8`, also what RFC 6533 §3 lets stand in a utf-8 address.
fn is_xtext(text: &str, utf8: bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        let fine = match b {
            b'+' => {
                let hex = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
                hex(bytes.next()) && hex(bytes.next())
            }
            b'=' => false,
            b'!'..=b'~' => true,
            b => utf8 && b >= 0x80,
        };
        if !fine {
            return false;
        }
    }
    true
}

/// `original-recipient-address = addr-type ";" xtext`
fn is_orcpt(text: &str) -> bool {
    let Some((kind, address)) = text.split_once(';') else {
        return false;
    };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    !kind.is_empty()
        && kind.bytes().all(atom)
        && !address.is_empty()
        && is_xtext(address, kind.eq_ignore_ascii_case("utf-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_parameters() {
        let cases: &[(&str, Result<&str, u16>)] = &[
            ("", Ok("None SevenBit false None None None")),
            (" SIZE=500000", Ok("Some(500000) SevenBit false None None None")),
            (
                " size=99999999999999999999",
                Ok("Some(18446744073709551615) SevenBit false None None None"),
            ),
            (" BODY=8bitmime SMTPUTF8", Ok("None EightBit true None None None")),
            (" BODY=BINARYMIME", Ok("None Binary false None None None")),
            (
                " RET=HDRS ENVID=QQ314159",
                Ok("None SevenBit false Some(Headers) Some(\"QQ314159\") None"),
            ),
            (
                " AUTH=e+3Dmc2@example.com",
                Ok("None SevenBit false None None Some(\"e+3Dmc2@example.com\")"),
            ),
            (" AUTH=<>", Ok("None SevenBit false None None Some(\"<>\")")),
            (" SIZE=1 SIZE=1", Err(501)),
            (" SIZE=", Err(501)),
            (" SIZE=x", Err(501)),
            (" SIZE", Err(501)),
            (" BODY=9BIT", Err(501)),
            (" SMTPUTF8=1", Err(501)),
            (" SMTPUTF8 SMTPUTF8", Err(501)),
            (" RET=SOME", Err(501)),
            (" ENVID=a+", Err(501)),
            (" ENVID=a+3d", Err(501)),
            (" REQUIRETLS=1", Err(501)),
            (" requiretls REQUIRETLS", Err(501)),
            (" HOLDFOR=60 HOLDFOR=60", Err(501)),
            (" HOLDFOR=60 HOLDUNTIL=2026-11-25T09:30:00Z", Err(501)),
            (" HOLDFOR=1234567890", Err(501)),
            (" HOLDFOR=-1", Err(501)),
            (" HOLDFOR", Err(501)),
            (" HOLDUNTIL=tomorrow", Err(501)),
            (" COLOUR=blue", Err(555)),
            (" =", Err(555)),
            ("SIZE=1", Err(501)),
        ];
        for (input, expected) in cases {
            let result = sender(ReversePath::Null, input, true, true);
            match (result, expected) {
                (Ok(sender), Ok(expected)) => {
                    let text = format!(
                        "{:?} {:?} {:?} {:?} {:?} {:?}",
                        sender.size, sender.body, sender.smtputf8, sender.ret, sender.envid, sender.auth
                    );
                    assert_eq!(text, *expected, "{input}");
                }
                (Err(reply), Err(code)) => assert_eq!(reply.code(), *code, "{input}"),
                (result, _) => panic!("{input}: {result:?}"),
            }
        }
        assert_eq!(
            sender(ReversePath::Null, " SIZE=1", false, true).unwrap_err().code(),
            555
        );
    }

    #[test]
    fn messages_that_wait() {
        let hold = |text| sender(ReversePath::Null, text, true, true).unwrap().hold;
        assert_eq!(hold(" HOLDFOR=60"), Some(Hold::For(60)));
        assert_eq!(
            hold(" HoldUntil=2026-11-25T10:30:00+01:00"),
            Some(Hold::Until(1_795_599_000))
        );
        // Where it is not offered, it is not known.
        let refused = sender(ReversePath::Null, " HOLDFOR=60", true, false);
        assert_eq!(refused.unwrap_err().code(), 555);
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        for text in ["NEVER", "SUCCESS", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"] {
            assert_eq!(Notify::parse(text).unwrap().to_string(), text);
        }
        let sender = sender(ReversePath::Null, " BODY=BINARYMIME RET=HDRS", true, false).unwrap();
        assert_eq!(format!("{} {}", sender.body, sender.ret.unwrap()), "BINARYMIME HDRS");
    }

    #[test]
    fn rcpt_parameters() {
        let address = || Address::parse("ada@phys.example").unwrap();
        let cases: &[(&str, Result<&str, u16>)] = &[
            (
                " NOTIFY=NEVER",
                Ok("Some(Notify { success: false, failure: false, delay: false }) None"),
            ),
            (
                " NOTIFY=SUCCESS,delay ORCPT=rfc822;Ada+20L@phys.example",
                Ok("Some(Notify { success: true, failure: false, delay: true }) Some(\"rfc822;Ada+20L@phys.example\")"),
            ),
            (
                " ORCPT=utf-8;grüße@x.example",
                Ok("None Some(\"utf-8;grüße@x.example\")"),
            ),
            (" ORCPT=rfc822;grüße@x.example", Err(501)),
            (" NOTIFY=NEVER,SUCCESS", Err(501)),
            (" NOTIFY=", Err(501)),
            (" NOTIFY", Err(501)),
            (" NOTIFY=NEVER NOTIFY=NEVER", Err(501)),
            (" ORCPT=ada@phys.example", Err(501)),
            (" ORCPT=rfc822;a=b", Err(501)),
            (" SIZE=1", Err(555)),
        ];
        for (input, expected) in cases {
            match (recipient(address(), input, true), expected) {
                (Ok(recipient), Ok(expected)) => {
                    assert_eq!(
                        format!("{:?} {:?}", recipient.notify, recipient.orcpt),
                        *expected,
                        "{input}"
                    );
                }
                (Err(reply), Err(code)) => assert_eq!(reply.code(), *code, "{input}"),
                (result, _) => panic!("{input}: {result:?}"),
            }
        }
    }
}
