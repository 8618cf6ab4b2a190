use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses: `192.0.2.0/24`, `2001:db8::/32`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address, host bits cleared.
    pub address: IpAddr,
    /// Leading bits that all its addresses share.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        mask(address.to_canonical(), self.prefix) == Some(self.address)
    }
}

/// `address` with all bits after `prefix` cleared; None when the prefix is longer than the address.
fn mask(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(a) => {
            let cleared = 32u32.checked_sub(u32::from(prefix))?;
            Some(IpAddr::V4(
                (u32::from(a) & u32::MAX.checked_shl(cleared).unwrap_or(0)).into(),
            ))
        }
        IpAddr::V6(a) => {
            let cleared = 128u32.checked_sub(u32::from(prefix))?;
            Some(IpAddr::V6(
                (u128::from(a) & u128::MAX.checked_shl(cleared).unwrap_or(0)).into(),
            ))
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("\"{text}\" is neither an address nor a network such as 192.0.2.0/24");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| fault())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let prefix = prefix.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
        let address = mask(address, prefix).ok_or_else(fault)?;
        Ok(Network { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains() {
        for (network, address, wanted) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.7/24", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("0.0.0.0/0", "203.0.113.5", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
            ("127.0.0.1", "127.0.0.2", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                wanted,
                "{network:?} {address}"
            );
        }
        for bad in [
            "",
            "x",
            "192.0.2.0/33",
            "2001:db8::/129",
            "192.0.2.0/",
            "192.0.2.0/24/1",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
