//! The PROXY protocol, versions 1 and 2: how a load balancer says who is really calling, in front of the first byte of the connection
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! Whoever can reach a listener that expects this header can claim any address; so it is a setting of the listener, never guessed.

use crate::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, CRLF included (§2.1).
pub const V1_LENGTH: usize = 107;
/// The longest header of version 2 that is taken. Addresses need 52 octets at most here, the rest are extensions.
pub const V2_LENGTH: usize = 4096;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// The proxy itself (a health check), or somebody it cannot name: the connection's own addresses count.
    Local,
    /// A client.
    Client {
        /// The client's address.
        source: SocketAddr,
        /// The address the client called.
        destination: SocketAddr,
    },
}

/// Reads the header at the front of the input. Gives who calls and the header's length; `None` when more input is needed.
pub fn parse(input: &[u8]) -> Result<Option<(Proxied, usize)>> {
    let shared = input.len().min(V2_SIGNATURE.len());
    if input.get(..shared) == V2_SIGNATURE.get(..shared) && !input.is_empty() {
        return parse_v2(input);
    }
    let prefix = b"PROXY ";
    let shared = input.len().min(prefix.len());
    if input.get(..shared) != prefix.get(..shared) {
        return Err(Error::Proxy("it begins otherwise"));
    }
    parse_v1(input)
}

/// How many more octets surely belong to the header, so that a caller can read it without touching what follows. Zero when it is whole
/// or wrong.
pub fn missing(input: &[u8]) -> usize {
    /// `PROXY UNKNOWN` and CRLF.
    const V1_SHORTEST: usize = 15;
    if !matches!(parse(input), Ok(None)) {
        return 0;
    }
    if input.len() < V1_SHORTEST {
        return V1_SHORTEST - input.len();
    }
    if !input.starts_with(V2_SIGNATURE) {
        return 1;
    }
    match input.get(V2_FIXED - 2..V2_FIXED) {
        Some(&[high, low]) => (V2_FIXED + usize::from(u16::from_be_bytes([high, low]))).saturating_sub(input.len()),
        _ => V2_FIXED - input.len(),
    }
}

fn parse_v1(input: &[u8]) -> Result<Option<(Proxied, usize)>> {
    let window = input.get(..V1_LENGTH).unwrap_or(input);
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if input.len() >= V1_LENGTH {
            Err(Error::Proxy("the line is too long"))
        } else {
            Ok(None)
        };
    };
    let line = window
        .get(..end)
        .and_then(|line| line.strip_suffix(b"\r"))
        .ok_or(Error::Proxy("the line must end with CRLF"))?;
    let line = std::str::from_utf8(line).map_err(|_| Error::Proxy("the line is not ASCII"))?;
    let mut words = line.split(' ');
    words.next();
    let v4 = match words.next() {
        Some("TCP4") => true,
        Some("TCP6") => false,
        Some("UNKNOWN") => return Ok(Some((Proxied::Local, end + 1))),
        _ => return Err(Error::Proxy("the protocol is none of TCP4, TCP6, UNKNOWN")),
    };
    let mut address = || -> Result<IpAddr> {
        let address: IpAddr = words
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or(Error::Proxy("not an address"))?;
        if address.is_ipv4() == v4 {
            Ok(address)
        } else {
            Err(Error::Proxy("an address of the other family"))
        }
    };
    let (source, destination) = (address()?, address()?);
    let mut port = || -> Result<u16> {
        words
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or(Error::Proxy("not a port"))
    };
    let (source_port, destination_port) = (port()?, port()?);
    if words.next().is_some() {
        return Err(Error::Proxy("words after the ports"));
    }
    let client = Proxied::Client {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    };
    Ok(Some((client, end + 1)))
}

fn parse_v2(input: &[u8]) -> Result<Option<(Proxied, usize)>> {
    let Some(&[version, family, high, low]) = input.get(V2_SIGNATURE.len()..V2_FIXED) else {
        return Ok(None);
    };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > V2_LENGTH {
        return Err(Error::Proxy("the header is too long"));
    }
    let local = match version {
        0x20 => true,
        0x21 => false,
        _ => return Err(Error::Proxy("neither LOCAL nor PROXY of version 2")),
    };
    let Some(addresses) = input.get(V2_FIXED..length) else {
        return Ok(None);
    };
    if local {
        return Ok(Some((Proxied::Local, length)));
    }
    let short = Error::Proxy("the addresses are cut off");
    let client = match family {
        0x11 => {
            let Some(&[a, b, c, d, e, f, g, h, i, j, k, l]) = addresses.get(..12) else {
                return Err(short);
            };
            Proxied::Client {
                source: (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([i, j])).into(),
                destination: (Ipv4Addr::new(e, f, g, h), u16::from_be_bytes([k, l])).into(),
            }
        }
        0x21 => {
            let address = |at: usize| -> Result<Ipv6Addr> {
                let octets = addresses
                    .get(at..at + 16)
                    .and_then(|octets| <[u8; 16]>::try_from(octets).ok());
                Ok(Ipv6Addr::from(octets.ok_or(Error::Proxy("the addresses are cut off"))?))
            };
            let port = |at: usize| -> Result<u16> {
                let octets = addresses
                    .get(at..at + 2)
                    .and_then(|octets| <[u8; 2]>::try_from(octets).ok());
                Ok(u16::from_be_bytes(
                    octets.ok_or(Error::Proxy("the addresses are cut off"))?,
                ))
            };
            Proxied::Client {
                source: (address(0)?, port(32)?).into(),
                destination: (address(16)?, port(34)?).into(),
            }
        }
        // Unix sockets, datagrams, and what nobody has named yet (§2.2: the receiver takes the connection's own addresses).
        _ => Proxied::Local,
    };
    Ok(Some((client, length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(source: &str, destination: &str) -> Proxied {
        Proxied::Client {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut header = V2_SIGNATURE.to_vec();
        header.extend_from_slice(&[command, family]);
        header.extend_from_slice(&(body.len() as u16).to_be_bytes());
        header.extend_from_slice(body);
        header
    }

    #[test]
    fn known_headers() {
        let mut six = Vec::new();
        six.extend_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        six.extend_from_slice(&"2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
        six.extend_from_slice(&[0xdb, 0x04, 0, 25, 0x03, 0, 1, 9]);
        let cases: Vec<(Vec<u8>, Option<Proxied>)> = vec![
            // The example of §2.1, with an SMTP port.
            (
                b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 25\r\n".to_vec(),
                Some(client("192.168.0.1:56324", "192.168.0.11:25")),
            ),
            (
                b"PROXY TCP6 2001:db8::1 2001:db8::2 56068 25\r\n".to_vec(),
                Some(client("[2001:db8::1]:56068", "[2001:db8::2]:25")),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Some(Proxied::Local)),
            (
                b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(),
                Some(Proxied::Local),
            ),
            (b"PROXY TCP4 192.168.0.1 2001:db8::2 1 2\r\n".to_vec(), None),
            (b"PROXY TCP4 192.168.0.1 192.168.0.2 1 70000\r\n".to_vec(), None),
            (b"PROXY TCP4 192.168.0.1 192.168.0.2 1 2 3\r\n".to_vec(), None),
            (b"PROXY TCP4 192.168.0.1 192.168.0.2 1 2\n".to_vec(), None),
            (b"PROXY UDP4 192.168.0.1 192.168.0.2 1 2\r\n".to_vec(), None),
            ([b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(), None),
            (b"EHLO client.example\r\n".to_vec(), None),
            (
                v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0xdb, 0x04, 0, 25]),
                Some(client("192.0.2.1:56068", "192.0.2.2:25")),
            ),
            (
                v2(0x21, 0x21, &six),
                Some(client("[2001:db8::1]:56068", "[2001:db8::2]:25")),
            ),
            (v2(0x20, 0x00, &[]), Some(Proxied::Local)),
            (v2(0x21, 0x31, &[0; 216]), Some(Proxied::Local)),
            (v2(0x21, 0x11, &[0; 11]), None),
            (v2(0x11, 0x11, &[0; 12]), None),
            (v2(0x21, 0x11, &[0; 5000]), None),
        ];
        for (input, expected) in cases {
            let parsed = parse(&input);
            let expected = expected.map(|who| (who, input.len()));
            assert_eq!(parsed.clone().ok().flatten(), expected, "{input:?} {parsed:?}");
            if expected.is_some() {
                let followed = [input.as_slice(), b"EHLO x\r\n"].concat();
                let mut taken = 0;
                while missing(&followed[..taken]) > 0 {
                    taken += missing(&followed[..taken]);
                }
                assert_eq!(taken, input.len());
                assert_eq!(parse(&followed).unwrap(), expected);
                for end in 0..input.len() {
                    assert_eq!(parse(&input[..end]), Ok(None), "{:?}", &input[..end]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64), signed in any::<bool>()) {
            let input = if signed { [V2_SIGNATURE, &bytes].concat() } else { bytes };
            let _ = parse(&input);
        }
    }
}
