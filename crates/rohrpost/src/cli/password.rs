//! Where a password comes from: one line of standard input, or made up.

use crate::failure::Failure;
use rand::Rng as _;
use std::io::BufRead as _;

/// A password that is easy to read out and type: 4 groups of 5 from 32 letters and digits, 100 bits.
pub fn generate() -> String {
    // Without l, o, 0 and 1, which people mix up.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut rng = rand::rng();
    let groups: Vec<String> = (0..4)
        .map(|_| {
            (0..5)
                .map(|_| char::from(ALPHABET[usize::from(rng.random::<u8>() & 31)]))
                .collect()
        })
        .collect();
    groups.join("-")
}

/// The first line of standard input.
pub fn from_stdin() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|e| Failure::new(format!("cannot read the password from standard input: {e}")))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::usage("there was no password on standard input")
            .advise("printf '%s\\n' \"$PASSWORD\" | rohrpost account add ADDRESS --password-stdin"));
    }
    if password.len() > 1000 {
        return Err(Failure::usage("a password has at most 1,000 octets"));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_passwords_differ_and_have_their_shape() {
        let (a, b) = (super::generate(), super::generate());
        assert_ne!(a, b);
        assert_eq!(a.len(), 23);
        assert!(a.split('-').all(|g| g.len() == 5));
    }
}
