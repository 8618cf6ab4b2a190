//! The client's side: proving who we are to a server that we hand mail to.
//!
//! The best mechanism both sides have is taken: SCRAM-SHA-256 with channel binding, then without (RFC 5802, RFC 7677), then `PLAIN` (RFC
//! 4616) and `LOGIN`. The last two show the password to whoever is at the other end, so the caller says whether they may be used.
//!
//! With SCRAM the server proves that it knows the password, too. A server that says "welcome" without that proof is not believed.

use crate::credentials::ScramHash;
use crate::{ChannelBinding, Failure, Mechanism, Password, prepare};
use aws_lc_rs::{constant_time, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// Rounds that a server may ask of us; more would be an attack on our processor.
const ITERATIONS: u32 = 1_000_000;
/// Rounds below which a password could be guessed from what goes over the wire (RFC 7677 §4).
const FEWEST_ITERATIONS: u32 = 4096;
/// Octets of a challenge.
const CHALLENGE: usize = 4096;

/// Who logs in, and how that is proven.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Password,
}

/// One exchange, seen from the client.
pub struct Login {
    mechanism: Mechanism,
    identity: Identity,
    state: State,
}

enum State {
    /// Nothing was said.
    Fresh {
        nonce: String,
        binding: ChannelBinding,
        plus_offered: bool,
    },
    /// `LOGIN`: the name was given, the password comes next.
    Named,
    /// SCRAM: the first message is out.
    First {
        bare: String,
        nonce: String,
        channel: Vec<u8>,
    },
    /// SCRAM: the proof is out; this is what the server must answer.
    Proven { expected: Vec<u8> },
    /// There is nothing left to say.
    Finished,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// The best way to log in of those that are `offered`; `None` where there is none. `plain`: the password may be shown to the other end
    /// (under TLS with a server that was verified, or by an explicit setting). `nonce` is random and printable, without commas.
    pub fn choose(
        offered: &[Mechanism],
        identity: Identity,
        nonce: String,
        binding: ChannelBinding,
        plain: bool,
    ) -> Option<Login> {
        let bound = binding != ChannelBinding::None;
        let usable = |mechanism: &Mechanism| match mechanism {
            Mechanism::ScramSha256Plus => bound,
            Mechanism::ScramSha256 => true,
            Mechanism::Plain | Mechanism::Login => plain,
            _ => false,
        };
        let best = [
            Mechanism::ScramSha256Plus,
            Mechanism::ScramSha256,
            Mechanism::Plain,
            Mechanism::Login,
        ];
        let mechanism = best.into_iter().find(|m| offered.contains(m) && usable(m))?;
        Some(Login {
            mechanism,
            identity,
            state: State::Fresh {
                nonce,
                binding,
                plus_offered: offered.contains(&Mechanism::ScramSha256Plus),
            },
        })
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What goes with the command itself; `None` where the server has to speak first.
    pub fn initial(&mut self) -> Option<Vec<u8>> {
        let State::Fresh {
            nonce,
            binding,
            plus_offered,
        } = std::mem::replace(&mut self.state, State::Finished)
        else {
            return None;
        };
        let name = &self.identity.name;
        match self.mechanism {
            Mechanism::Plain => Some([b"\0", name.as_bytes(), b"\0", self.identity.password.as_bytes()].concat()),
            Mechanism::Login => {
                self.state = State::Fresh {
                    nonce,
                    binding,
                    plus_offered,
                };
                None
            }
            _ => {
                let (header, data): (&str, &[u8]) = match (self.mechanism, &binding) {
                    (Mechanism::ScramSha256Plus, ChannelBinding::TlsExporter(data)) => ("p=tls-exporter,,", data),
                    // We could bind; the server does not seem to know how. If somebody took that out of its list, it will notice.
                    (_, ChannelBinding::TlsExporter(_)) if !plus_offered => ("y,,", &[]),
                    _ => ("n,,", &[]),
                };
                let bare = format!("n={},r={nonce}", name.replace('=', "=3D").replace(',', "=2C"));
                let message = format!("{header}{bare}").into_bytes();
                let channel = [header.as_bytes(), data].concat();
                self.state = State::First { bare, nonce, channel };
                Some(message)
            }
        }
    }

    /// The answer to a challenge.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Failure> {
        if challenge.len() > CHALLENGE {
            return Err(Failure::TooLong("challenge"));
        }
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Fresh { .. } if self.mechanism == Mechanism::Login => {
                self.state = State::Named;
                Ok(self.identity.name.clone().into_bytes())
            }
            State::Named => Ok(self.identity.password.as_bytes().to_vec()),
            State::First { bare, nonce, channel } => {
                let (answer, expected) = self.prove(&bare, &nonce, &channel, challenge)?;
                self.state = State::Proven { expected };
                Ok(answer)
            }
            State::Proven { expected } => {
                let signature = text(challenge)?
                    .strip_prefix("v=")
                    .and_then(|value| BASE64.decode(value.split(',').next().unwrap_or_default()).ok())
                    .ok_or(Failure::Malformed("the server gives no proof"))?;
                if constant_time::verify_slices_are_equal(&signature, &expected).is_err() {
                    return Err(Failure::Proof);
                }
                Ok(Vec::new())
            }
            State::Fresh { .. } | State::Finished => Err(Failure::Sequence("a challenge after the end")),
        }
    }

    /// Whether a "welcome" is to be believed: the exchange came to its end, and the server gave the proof that the mechanism asks of it.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// `"c=" base64 "," "r=" nonce "," "p=" proof`, and the server's signature that must follow (RFC 5802 §3).
    fn prove(&self, bare: &str, nonce: &str, channel: &[u8], challenge: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let first = text(challenge)?;
        let mut attributes = first.split(',');
        let mut attribute = |letter: &str| {
            attributes
                .next()
                .and_then(|part| part.strip_prefix(letter))
                .ok_or(Failure::Malformed("attribute missing or out of order"))
        };
        let (theirs, salt, rounds) = (attribute("r=")?, attribute("s=")?, attribute("i=")?);
        if !theirs.starts_with(nonce) || theirs.len() == nonce.len() {
            return Err(Failure::Nonce);
        }
        let salt = BASE64.decode(salt).map_err(|_| Failure::Malformed("not base64"))?;
        let rounds: u32 = rounds.parse().map_err(|_| Failure::Malformed("iterations"))?;
        if rounds > ITERATIONS {
            return Err(Failure::TooLong("iterations"));
        }
        let rounds = NonZeroU32::new(rounds)
            .filter(|r| r.get() >= FEWEST_ITERATIONS && !salt.is_empty())
            .ok_or(Failure::Malformed("too few iterations, or no salt"))?;
        let hash = ScramHash::Sha256;
        let password = prepare(self.identity.password.as_bytes())?;
        let mut salted = Zeroizing::new(vec![0u8; hash.octets()]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, &password, salted.as_mut());
        let client_key = Zeroizing::new(hash.mac(&salted, b"Client Key"));
        let server_key = Zeroizing::new(hash.mac(&salted, b"Server Key"));
        let without_proof = format!("c={},r={theirs}", BASE64.encode(channel));
        let signed = format!("{bare},{first},{without_proof}");
        let signature = hash.mac(&hash.digest(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(k, s)| k ^ s).collect();
        let answer = format!("{without_proof},p={}", BASE64.encode(proof));
        Ok((answer.into_bytes(), hash.mac(&server_key, signed.as_bytes())))
    }
}

fn text(challenge: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(challenge).map_err(|_| Failure::Malformed("challenge must be UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exchange, ScramCredentials, Step};

    fn identity(name: &str, password: &str) -> Identity {
        Identity {
            name: name.to_owned(),
            password: Password::new(password.as_bytes().to_vec()),
        }
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let offered = [Mechanism::ScramSha256, Mechanism::Plain];
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let mut login = Login::choose(&offered, identity("user", "pencil"), nonce, ChannelBinding::None, true).unwrap();
        assert_eq!(login.initial().unwrap(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            String::from_utf8(login.respond(challenge).unwrap()).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!login.is_complete(), "the server has proven nothing yet");
        assert_eq!(
            login
                .respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
                .unwrap(),
            b""
        );
        assert!(login.is_complete());
    }

    /// What a server may not do.
    #[test]
    fn servers_that_are_not_believed() {
        for (challenges, failure) in [
            (vec!["r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"], Failure::Nonce),
            (vec!["r=mine,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"], Failure::Nonce),
            (
                vec!["r=mineX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"],
                Failure::Malformed("too few iterations, or no salt"),
            ),
            (
                vec!["r=mineX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000"],
                Failure::TooLong("iterations"),
            ),
            (
                vec!["m=x,r=mineX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"],
                Failure::Malformed("attribute missing or out of order"),
            ),
            (
                vec!["r=mineX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "v=AAAA"],
                Failure::Proof,
            ),
            (
                vec!["r=mineX,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "e=other-error"],
                Failure::Malformed("the server gives no proof"),
            ),
        ] {
            let offered = [Mechanism::ScramSha256];
            let mut login =
                Login::choose(&offered, identity("u", "p"), "mine".into(), ChannelBinding::None, false).unwrap();
            login.initial().unwrap();
            let (last, before) = challenges.split_last().unwrap();
            for challenge in before {
                login.respond(challenge.as_bytes()).unwrap();
            }
            assert_eq!(login.respond(last.as_bytes()).unwrap_err(), failure, "{challenges:?}");
        }
    }

    #[test]
    fn the_best_that_both_have() {
        use Mechanism::{Login as Old, Plain, ScramSha1, ScramSha256, ScramSha256Plus};
        let bound = ChannelBinding::TlsExporter(vec![7; 32]);
        for (offered, binding, plain, expected) in [
            (&[Plain, ScramSha256][..], ChannelBinding::None, true, Some(ScramSha256)),
            (
                &[ScramSha256, ScramSha256Plus],
                bound.clone(),
                true,
                Some(ScramSha256Plus),
            ),
            (
                &[ScramSha256, ScramSha256Plus],
                ChannelBinding::None,
                true,
                Some(ScramSha256),
            ),
            (&[Old, Plain], ChannelBinding::None, true, Some(Plain)),
            (&[Old], ChannelBinding::None, true, Some(Old)),
            (&[Old, Plain], ChannelBinding::None, false, None),
            (&[ScramSha1], ChannelBinding::None, true, None),
        ] {
            let login = Login::choose(offered, identity("u", "p"), "n".into(), binding, plain);
            assert_eq!(login.map(|l| l.mechanism()), expected, "{offered:?}");
        }
    }

    /// Our client against our server, name and password with everything that needs escaping.
    #[test]
    fn both_sides() {
        let bound = ChannelBinding::TlsExporter(vec![7; 32]);
        let (name, password) = ("a=b,c@x", "gru\u{308}n");
        for (offered, binding) in [
            (vec![Mechanism::ScramSha256], ChannelBinding::None),
            (vec![Mechanism::ScramSha256, Mechanism::ScramSha256Plus], bound),
            (vec![Mechanism::Plain], ChannelBinding::None),
            (vec![Mechanism::Login], ChannelBinding::None),
        ] {
            let mut login =
                Login::choose(&offered, identity(name, password), "mine".into(), binding.clone(), true).unwrap();
            let mut exchange = Exchange::new(login.mechanism(), "theirs".into(), binding);
            let initial = login.initial();
            let mut step = exchange.respond(initial.as_deref());
            loop {
                step = match step {
                    Step::Challenge(challenge) => exchange.respond(Some(&login.respond(&challenge).unwrap())),
                    Step::Credentials { hash, .. } => {
                        let prepared = prepare(password.as_bytes()).unwrap();
                        let rounds = NonZeroU32::new(4096).unwrap();
                        exchange.credentials(ScramCredentials::derive(hash, &prepared, b"salt", rounds))
                    }
                    Step::Password {
                        authcid,
                        password: shown,
                        ..
                    } => {
                        assert_eq!((authcid.as_str(), shown.as_bytes()), (name, password.as_bytes()));
                        break;
                    }
                    Step::Done { authcid, .. } => {
                        assert_eq!(authcid, name);
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(login.is_complete(), "{offered:?}");
        }
    }
}
