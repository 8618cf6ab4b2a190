//! What people are told when something needs them.

use crate::own::{Letter, OwnMail};
use db::AccountId;
use directory::Directory;
use smtp::Body;
use smtp::dsn::Language;
use std::fmt::Write;
use std::net::IpAddr;

/// To the account and the postmaster: it sends as if somebody had stolen it, and its mail is held.
pub(crate) async fn stolen(
    own: &OwnMail,
    directory: &Directory,
    account: AccountId,
    excess: &str,
    from: IpAddr,
) -> ledger::Result<()> {
    let Some(account) = directory.account(account) else {
        return Ok(());
    };
    let address = account.address().to_owned();
    let postmaster = own.postmaster();
    let about = Theft {
        address: &address,
        excess,
        from,
        postmaster: &postmaster,
    };
    let in_all = |words: &dyn Fn(Language) -> Words| own.languages().iter().map(|language| words(*language)).collect();
    let told: [(&String, Vec<Words>); 2] = [
        (&address, in_all(&|language| about.to_owner(language))),
        (&postmaster, in_all(&|language| about.to_postmaster(language))),
    ];
    for (to, words) in told {
        let letter = Letter {
            to: vec![to.clone()],
            message: letter(own, to, &words),
            body: Body::SevenBit,
            smtputf8: !to.is_ascii(),
            by: "alarm",
            notes: format!("alarm: {address} sent {excess}"),
        };
        own.send(letter).await?;
    }
    Ok(())
}

/// A message in one language.
struct Words {
    subject: String,
    text: String,
}

struct Theft<'t> {
    address: &'t str,
    excess: &'t str,
    from: IpAddr,
    postmaster: &'t str,
}

impl Theft<'_> {
    fn to_owner(&self, language: Language) -> Words {
        let Theft {
            address,
            excess,
            from,
            postmaster,
        } = self;
        match language {
            Language::German => Words {
                subject: format!("Ihre Mail von {address} wird zurückgehalten"),
                text: format!(
                    "Von Ihrem Mailkonto {address} wurde mehr verschickt als üblich\n({excess}, zuletzt von der Adresse {from}).\n\n\
                     Vielleicht kennt jemand Ihr Passwort. Darum wird alles, was von diesem Konto\nverschickt wird, zurückgehalten. Verloren ist nichts.\n\n\
                     Haben Sie das selbst verschickt, so sagen Sie es bitte {postmaster}:\ndann geht es hinaus. Wenn nicht, ändern Sie gleich Ihr Passwort, und sagen Sie es\nebenfalls {postmaster}.\n"
                ),
            },
            Language::English => Words {
                subject: format!("Your mail from {address} is held back"),
                text: format!(
                    "More than usual was sent from your mail account {address}\n({excess}, last from the address {from}).\n\n\
                     Somebody may know your password. So everything that is sent from this account\nis held back. Nothing is lost.\n\n\
                     If you have sent this yourself, please tell {postmaster}, and it\nwill go out. If not, change your password now, and tell {postmaster}\nas well.\n"
                ),
            },
        }
    }

    fn to_postmaster(&self, language: Language) -> Words {
        let Theft {
            address, excess, from, ..
        } = self;
        let commands = format!(
            "    rohrpost account show {address}\n    rohrpost queue list --from {address}\n    rohrpost account passwd {address}\n    rohrpost account release {address}\n"
        );
        match language {
            Language::German => Words {
                subject: format!("Konto {address} verschickt zu viel und wird zurückgehalten"),
                text: format!(
                    "Vom Konto {address} wurde verschickt:\n{excess}, zuletzt von der Adresse {from}.\n\n\
                     Es verhält sich, als wäre sein Passwort gestohlen. Was es verschickt, wartet in der\nSchlange, bis Sie es freigeben. Nachsehen, das Passwort ändern, freigeben:\n\n{commands}"
                ),
            },
            Language::English => Words {
                subject: format!("Account {address} sends too much and is held"),
                text: format!(
                    "The account {address} sent {excess}, last from the address {from}.\n\n\
                     It behaves as if its password were stolen. What it sends waits in the queue until\nyou release it. To look, to change the password, to release:\n\n{commands}"
                ),
            },
        }
    }
}

/// All languages below each other; the first is that of the subject.
fn letter(own: &OwnMail, to: &str, words: &[Words]) -> Vec<u8> {
    let mut date = Vec::with_capacity(32);
    smtp::date(net::now(), &mut date);
    let subject = words.first().map(|words| words.subject.as_str()).unwrap_or_default();
    let mut out = String::with_capacity(2_000);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "Date: {}\r\nMessage-ID: <{}.alarm@{}>\r\nFrom: <{}>\r\nTo: <{}>\r\nSubject: {}\r\nAuto-Submitted: auto-generated\r\n\
         Importance: high\r\nMIME-Version: 1.0\r\n",
        String::from_utf8_lossy(&date),
        own.unique(),
        own.hostname(),
        own.postmaster(),
        mime::one_line(to),
        mime::encode_header(subject),
    );
    let rule = format!("\n{}\n\n", "-".repeat(72));
    let texts: Vec<&str> = words.iter().map(|words| words.text.as_str()).collect();
    out.push_str(&mime::text_part(&texts.join(&rule)));
    out.into_bytes()
}
