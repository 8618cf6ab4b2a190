//! SCRAM (RFC 5802 §3, §5, §7) with SHA-1 or SHA-256 (RFC 7677).
//!
//! ```text
//! C: n,,n=user,r=cnonce                       gs2 header, user, the client's nonce
//! S: r=cnonce+snonce,s=salt,i=iterations
//! C: c=biws,r=cnonce+snonce,p=proof           the header again (with the channel's data), the proof
//! S: v=signature
//! ```

use crate::exchange::name;
use crate::{ChannelBinding, Failure, Limits, ScramCredentials};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The only channel binding type that we have (RFC 9266 §2).
const BINDING_TYPE: &str = "tls-exporter";

/// The client's first message, read and found acceptable.
#[derive(Debug)]
pub(crate) struct ClientFirst {
    /// What `c=` of the final message must hold: the gs2 header as it came and the channel's data.
    binding: Vec<u8>,
    authzid: Option<String>,
    authcid: String,
    /// The message after the gs2 header, byte for byte: it is part of what is signed.
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// `gs2-cbind-flag "," [ "a=" authzid ] "," [ "m=" … "," ] "n=" user "," "r=" nonce [ "," extensions ]`
    pub(crate) fn parse(
        message: &[u8],
        plus: bool,
        binding: &ChannelBinding,
        limits: &Limits,
    ) -> Result<ClientFirst, Failure> {
        let message = text(message)?;
        let (flag, rest) = message.split_once(',').ok_or(Failure::Malformed("no gs2 header"))?;
        let channel = channel_of(flag, plus, binding)?;
        let (authzid, bare) = rest.split_once(',').ok_or(Failure::Malformed("no gs2 header"))?;
        let authzid = match authzid.strip_prefix("a=") {
            Some(escaped) => Some(name(unescape(escaped)?.as_bytes(), limits)?),
            None if authzid.is_empty() => None,
            None => return Err(Failure::Malformed("gs2 header: authzid starts with a=")),
        };
        let header_length = message.len() - bare.len();
        let mut attributes = bare.split(',');
        let user = attribute(attributes.next(), 'n')?;
        let nonce = attribute(attributes.next(), 'r')?;
        check_nonce(nonce, limits)?;
        for extension in attributes {
            check_extension(extension)?;
        }
        let header = message.get(..header_length).unwrap_or_default();
        Ok(ClientFirst {
            binding: [header.as_bytes(), channel].concat(),
            authzid,
            authcid: name(unescape(user)?.as_bytes(), limits)?,
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
        })
    }

    pub(crate) fn authcid(&self) -> &str {
        &self.authcid
    }

    /// `"r=" nonce "," "s=" salt "," "i=" iterations`
    pub(crate) fn answer(self, server_nonce: &str, credentials: ScramCredentials) -> Result<ServerFirst, Failure> {
        if server_nonce.is_empty() || !server_nonce.bytes().all(is_nonce_octet) {
            return Err(Failure::Sequence("the server's nonce is empty or not printable"));
        }
        if credentials.salt.is_empty() || credentials.iterations == 0 {
            return Err(Failure::Sequence("credentials without salt or iterations"));
        }
        let nonce = format!("{}{server_nonce}", self.nonce);
        let salt = BASE64.encode(&credentials.salt);
        let message = format!("r={nonce},s={salt},i={}", credentials.iterations);
        Ok(ServerFirst {
            first: self,
            nonce,
            message,
            credentials,
        })
    }
}

/// The server's first message and all that is needed to judge the answer to it.
#[derive(Debug)]
pub(crate) struct ServerFirst {
    first: ClientFirst,
    nonce: String,
    message: String,
    credentials: ScramCredentials,
}

impl ServerFirst {
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// `"c=" base64 "," "r=" nonce [ "," extensions ] "," "p=" base64`; gives the server's final message.
    pub(crate) fn verify(self, response: &[u8]) -> Result<(Proven, String), Failure> {
        let message = text(response)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Failure::Malformed("no proof"))?;
        let mut attributes = without_proof.split(',');
        let binding = decode(attribute(attributes.next(), 'c')?)?;
        let nonce = attribute(attributes.next(), 'r')?;
        for extension in attributes {
            check_extension(extension)?;
        }
        let proof = decode(proof)?;
        if nonce != self.nonce {
            return Err(Failure::Nonce);
        }
        if aws_lc_rs::constant_time::verify_slices_are_equal(&binding, &self.first.binding).is_err() {
            return Err(Failure::BindingMismatch);
        }
        let signed = format!("{},{},{without_proof}", self.first.bare, self.message);
        if !self.credentials.proof_is_right(signed.as_bytes(), &proof) {
            return Err(Failure::Proof);
        }
        let signature = BASE64.encode(self.credentials.server_signature(signed.as_bytes()));
        let proven = Proven {
            authzid: self.first.authzid,
            authcid: self.first.authcid,
        };
        Ok((proven, format!("v={signature}")))
    }
}

/// Who has proven to know the password.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) authzid: Option<String>,
    pub(crate) authcid: String,
}

/// Judges the gs2 channel binding flag (RFC 5802 §6); gives the channel's data that the client must repeat.
fn channel_of<'b>(flag: &str, plus: bool, binding: &'b ChannelBinding) -> Result<&'b [u8], Failure> {
    match (flag, plus, binding) {
        ("n" | "y", true, _) => Err(Failure::Binding("-PLUS without channel binding")),
        ("n", false, _) => Ok(&[]),
        ("y", false, ChannelBinding::None) => Ok(&[]),
        ("y", false, ChannelBinding::TlsExporter(_)) => Err(Failure::Downgrade),
        _ => match flag.strip_prefix("p=") {
            None => Err(Failure::Malformed("gs2 header: channel binding flag is n, y or p=")),
            Some(_) if !plus => Err(Failure::Binding("asked for under a mechanism without it")),
            Some(BINDING_TYPE) => match binding {
                ChannelBinding::TlsExporter(data) => Ok(data),
                ChannelBinding::None => Err(Failure::Binding("this connection has none")),
            },
            Some(_) => Err(Failure::Binding("type is not tls-exporter")),
        },
    }
}

/// SCRAM's messages are UTF-8 without NUL (RFC 5802 §7, `value-char`).
fn text(message: &[u8]) -> Result<&str, Failure> {
    match std::str::from_utf8(message) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Failure::Malformed("message must be UTF-8 without NUL")),
    }
}

fn attribute(part: Option<&str>, letter: char) -> Result<&str, Failure> {
    let part = part.ok_or(Failure::Malformed("attribute missing"))?;
    match part.strip_prefix(letter).and_then(|rest| rest.strip_prefix('=')) {
        Some(value) => Ok(value),
        None if part.starts_with("m=") => Err(Failure::Malformed("mandatory extension not known")),
        None => Err(Failure::Malformed("attribute missing or out of order")),
    }
}

/// `attr-val = ALPHA "=" value`: optional extensions are passed over, the mandatory one is not.
fn check_extension(extension: &str) -> Result<(), Failure> {
    let bytes = extension.as_bytes();
    match (bytes.first(), bytes.get(1)) {
        (Some(b'm'), Some(b'=')) => Err(Failure::Malformed("mandatory extension not known")),
        (Some(letter), Some(b'=')) if letter.is_ascii_alphabetic() && bytes.len() > 2 => Ok(()),
        _ => Err(Failure::Malformed("extension must be letter=value")),
    }
}

fn check_nonce(nonce: &str, limits: &Limits) -> Result<(), Failure> {
    if nonce.len() > limits.nonce {
        return Err(Failure::TooLong("nonce"));
    }
    if nonce.is_empty() || !nonce.bytes().all(is_nonce_octet) {
        return Err(Failure::Malformed("nonce must be printable"));
    }
    Ok(())
}

/// `printable = %x21-2B / %x2D-7E`
fn is_nonce_octet(b: u8) -> bool {
    b.is_ascii_graphic() && b != b','
}

/// `saslname`: `=2C` stands for a comma, `=3D` for `=`; any other `=` is an error (RFC 5802 §5.1).
pub(crate) fn unescape(escaped: &str) -> Result<String, Failure> {
    let mut parts = escaped.split('=');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (c, rest) = if let Some(rest) = part.strip_prefix("2C") {
            (',', rest)
        } else if let Some(rest) = part.strip_prefix("3D") {
            ('=', rest)
        } else {
            return Err(Failure::Malformed("name has a bare ="));
        };
        plain.push(c);
        plain.push_str(rest);
    }
    Ok(plain)
}

fn decode(base64: &str) -> Result<Vec<u8>, Failure> {
    BASE64.decode(base64).map_err(|_| Failure::Malformed("not base64"))
}
