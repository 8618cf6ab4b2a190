//! What notices say, in each language: one [`Words`] a language, and sentences for the enhanced status codes (RFC 3463, IANA's registry).

use super::{Action, Notice, Reader};
use crate::Status;

/// A language that notices are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 2] = [Language::English, Language::German];

    /// Its tag (RFC 5646).
    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
        }
    }

    /// The language of a tag.
    pub fn parse(tag: &str) -> Option<Language> {
        Self::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }
}

/// What is said of a kind of news.
pub(super) struct News {
    subject: &'static str,
    heading: &'static str,
}

/// Everything that a notice says in a language. `{…}` is replaced.
pub(super) struct Words {
    /// Who the notice is from.
    pub(super) server: &'static str,
    /// Where else the text stands in this language.
    pub(super) below: &'static str,
    failed: News,
    delayed: News,
    relayed: News,
    expanded: News,
    delivered: News,
    /// To who set up a forwarding.
    forwarding: News,
    forwarding_delayed: News,
    /// To the postmaster.
    undeliverable: News,
    pub(super) sender: &'static str,
    pub(super) about: &'static str,
    pub(super) came: &'static str,
    pub(super) said: &'static str,
    pub(super) exactly: &'static str,
    pub(super) retry: &'static str,
    pub(super) more: &'static str,
    pub(super) whole: &'static str,
    pub(super) header: &'static str,
    pub(super) too_large: &'static str,
    pub(super) footer: &'static str,
    /// What stands between the day and the month.
    day: &'static str,
    months: [&'static str; 12],
    /// Why it failed and what to do, by the status's subject and detail; the first that suits.
    reasons: &'static [Reason],
    /// Where no reason suits.
    otherwise: (&'static str, &'static str),
}

/// Subject, details, why, what to do. No details are all.
type Reason = (u16, &'static [u16], &'static str, &'static str);

impl Words {
    fn news(&self, notice: &Notice<'_>, action: Action) -> &News {
        match (action, notice.reader) {
            (Action::Failed, Reader::Sender) => &self.failed,
            (Action::Failed, Reader::Forwarder) => &self.forwarding,
            (Action::Failed, Reader::Postmaster) => &self.undeliverable,
            (Action::Delayed { .. }, Reader::Forwarder) => &self.forwarding_delayed,
            (Action::Delayed { .. }, _) => &self.delayed,
            (Action::Relayed, _) => &self.relayed,
            (Action::Expanded, _) => &self.expanded,
            (Action::Delivered, _) => &self.delivered,
        }
    }

    /// Of what is worst.
    pub(super) fn subject(&self, notice: &Notice<'_>) -> &'static str {
        let worst = notice.recipients.iter().map(|recipient| recipient.action).min();
        self.news(notice, worst.unwrap_or(Action::Failed)).subject
    }

    pub(super) fn heading(&self, notice: &Notice<'_>, action: Action) -> String {
        self.news(notice, action).heading.to_owned()
    }

    pub(super) fn reason(&self, status: Status) -> (&'static str, &'static str) {
        let Status(_, subject, detail) = status;
        self.reasons
            .iter()
            .find(|(of, details, _, _)| *of == subject && (details.is_empty() || details.contains(&detail)))
            .map_or(self.otherwise, |(_, _, why, advice)| (why, advice))
    }

    pub(super) fn moment(&self, moment: &Moment) -> String {
        let month = self.months.get(moment.month).copied().unwrap_or_default();
        let Moment { day, year, clock, .. } = moment;
        format!("{day}{} {month} {year}, {clock} UTC", self.day)
    }
}

/// A moment, to be written in words.
pub(super) struct Moment {
    day: String,
    /// From 0.
    month: usize,
    year: String,
    clock: String,
}

impl Moment {
    pub(super) fn of(time: i64) -> Moment {
        const SHORT: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let mut date = Vec::with_capacity(32);
        crate::date(time, &mut date);
        let date = String::from_utf8_lossy(&date);
        // `Wed, 25 Nov 2026 09:30:00 +0000`
        let mut words = date.split(' ').skip(1).map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        let (day, month, year, clock) = (next(), next(), next(), next());
        Moment {
            day,
            month: SHORT.iter().position(|short| *short == month).unwrap_or_default(),
            year,
            clock: clock.get(..5).unwrap_or_default().to_owned(),
        }
    }
}

static ENGLISH: Words = Words {
    server: "Mail server",
    below: "English text below.",
    failed: News {
        subject: "Not delivered",
        heading: "Your message could not be delivered to:",
    },
    delayed: News {
        subject: "Delayed",
        heading: "Your message has not been delivered yet. You need not do anything, it will be tried again. It is still on its way to:",
    },
    relayed: News {
        subject: "Passed on",
        heading: "Your message was passed on to a server that does not confirm delivery. Nothing more will be heard of it, unless it fails:",
    },
    expanded: News {
        subject: "Passed on",
        heading: "Your message was passed on to everybody whom this address stands for:",
    },
    delivered: News {
        subject: "Delivered",
        heading: "Your message was delivered to:",
    },
    forwarding: News {
        subject: "Your forwarding has failed",
        heading: "A message could not be sent on as you have set it up. Its sender was not told. Please look at your forwarding if this happens more often. It was to go to:",
    },
    forwarding_delayed: News {
        subject: "Your forwarding is delayed",
        heading: "A message that is to be sent on as you have set it up has not got there yet. It will be tried again. It is still on its way to:",
    },
    undeliverable: News {
        subject: "Undeliverable notice",
        heading: "A message could not be delivered, and there is nobody else who could be told: its sender is unknown, or it was such a notice itself. It was to go to:",
    },
    sender: "Sender:",
    about: "Subject:",
    came: "Sent:",
    said: "The server {host} said:",
    exactly: "Exactly:",
    retry: "It will be tried until {until}; if it fails for good, you will be told.",
    more: "Further recipients:",
    whole: "The message is attached.",
    header: "The head of the message (sender, subject and so on) is attached.",
    too_large: "The message is too large to be sent back. Its head (sender, subject and so on) is attached.",
    footer: "This was written by the mail server {host}. If you have questions, ask {from} and give the number {id}.",
    day: "",
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    reasons: &[
        (
            1,
            &[1, 0],
            "This address does not exist there.",
            "Check how it is spelt. If it was right once, ask the recipient for the new one.",
        ),
        (
            1,
            &[2],
            "The part behind the @ is no name that mail could be sent to.",
            "Check how it is spelt.",
        ),
        (
            1,
            &[3, 5],
            "This is not written as addresses are.",
            "Check how it is spelt.",
        ),
        (
            1,
            &[4],
            "This address stands for several mailboxes there.",
            "Ask the recipient for the exact one.",
        ),
        (
            1,
            &[6],
            "The recipient has moved and left no new address.",
            "Ask the recipient for it in another way.",
        ),
        (
            1,
            &[7, 8],
            "The recipient's server does not accept your address as the sender.",
            "Check the sender that is set in your mail program.",
        ),
        (
            1,
            &[10],
            "The part behind the @ belongs to somebody who takes no mail at all.",
            "Check how it is spelt.",
        ),
        (
            2,
            &[1, 0],
            "The mailbox is closed.",
            "Reach the recipient in another way.",
        ),
        (
            2,
            &[2],
            "The recipient's mailbox is full.",
            "Send it again in some days, or reach the recipient in another way.",
        ),
        (
            2,
            &[3],
            "The message is larger than the recipient may get.",
            "Send it without its attachments, or share them by a link.",
        ),
        (
            3,
            &[4],
            "The message is larger than the recipient's server takes.",
            "Send it without its attachments, or share them by a link.",
        ),
        (
            3,
            &[],
            "The recipient's server has trouble of its own.",
            "Send it again later.",
        ),
        (
            4,
            &[1, 2, 5],
            "The recipient's server cannot be reached.",
            "Check what stands behind the @. If it is right, send the message again later.",
        ),
        (
            4,
            &[3, 4],
            "It could not be found out which server takes mail for this address.",
            "Check what stands behind the @. If it is right, send the message again later.",
        ),
        (
            4,
            &[6],
            "The message would go round in circles: the recipient's servers send it back and forth.",
            "Reach the recipient in another way, and tell them.",
        ),
        (
            4,
            &[7],
            "It was tried for days and did not succeed.",
            "Check what stands behind the @. If it is right, send the message again later.",
        ),
        (
            5,
            &[3],
            "The message has more recipients than the recipient's server takes at once.",
            "Send it to fewer people at once.",
        ),
        (
            5,
            &[],
            "The two servers did not understand each other.",
            "Ask those who keep your mail server.",
        ),
        (
            6,
            &[7, 8, 9, 10],
            "The message or the address has letters (such as ä or é) that the recipient's server cannot take in addresses.",
            "Ask the recipient for an address that is written with a to z alone.",
        ),
        (
            6,
            &[],
            "The recipient's server cannot take a message of this form.",
            "Send it as plain text, or without its attachments.",
        ),
        (
            7,
            &[4, 5, 10, 11, 30],
            "The message may only travel encrypted, and the way to the recipient's server is not safe.",
            "Reach the recipient in another way, or send it without asking for encryption.",
        ),
        (
            7,
            &[20, 21, 22, 23, 24, 25, 26, 29],
            "The recipient's server does not believe that the message is from you.",
            "Send it by the server that your address belongs to. If you have done so, tell those who keep it.",
        ),
        (
            7,
            &[27],
            "Your address takes no mail, so the recipient's server takes none from it.",
            "Check the sender that is set in your mail program.",
        ),
        (
            7,
            &[28],
            "The recipient's server got more messages than it wants.",
            "Send it again later.",
        ),
        (
            7,
            &[],
            "The recipient's server has refused it by its rules: it may think that it is advertising, or take no mail from you.",
            "What it said stands below. Reach the recipient in another way, or show this to those who keep your mail server.",
        ),
    ],
    otherwise: (
        "The recipient's server has not said why.",
        "Check how the address is spelt, or reach the recipient in another way.",
    ),
};

static GERMAN: Words = Words {
    server: "Mailserver",
    below: "Deutscher Text weiter unten.",
    failed: News {
        subject: "Nicht zugestellt",
        heading: "Ihre Nachricht konnte nicht zugestellt werden an:",
    },
    delayed: News {
        subject: "Verspätet",
        heading: "Ihre Nachricht ist noch nicht zugestellt. Sie müssen nichts tun, es wird weiter versucht. Sie ist noch unterwegs an:",
    },
    relayed: News {
        subject: "Weitergegeben",
        heading: "Ihre Nachricht wurde an einen Server weitergegeben, der die Zustellung nicht bestätigt. Sie hören nur noch davon, falls sie scheitert:",
    },
    expanded: News {
        subject: "Weitergegeben",
        heading: "Ihre Nachricht wurde an alle weitergegeben, für die diese Adresse steht:",
    },
    delivered: News {
        subject: "Zugestellt",
        heading: "Ihre Nachricht wurde zugestellt an:",
    },
    forwarding: News {
        subject: "Ihre Weiterleitung ist gescheitert",
        heading: "Eine Nachricht konnte nicht weitergeleitet werden, wie Sie es eingerichtet haben. Ihr Absender weiß davon nichts. Sehen Sie bitte nach Ihrer Weiterleitung, falls das öfter vorkommt. Sie sollte gehen an:",
    },
    forwarding_delayed: News {
        subject: "Ihre Weiterleitung verspätet sich",
        heading: "Eine Nachricht, die weitergeleitet werden soll, wie Sie es eingerichtet haben, ist noch nicht angekommen. Es wird weiter versucht. Sie ist noch unterwegs an:",
    },
    undeliverable: News {
        subject: "Unzustellbare Meldung",
        heading: "Eine Nachricht konnte nicht zugestellt werden, und es gibt niemanden sonst, dem das zu sagen wäre: Ihr Absender ist unbekannt, oder sie war selbst eine solche Meldung. Sie sollte gehen an:",
    },
    sender: "Absender:",
    about: "Betreff:",
    came: "Gesendet:",
    said: "Der Server {host} sagte:",
    exactly: "Genau:",
    retry: "Es wird bis {until} versucht; scheitert es endgültig, so erfahren Sie es.",
    more: "Weitere Empfänger:",
    whole: "Die Nachricht ist angehängt.",
    header: "Der Kopf der Nachricht (Absender, Betreff und so weiter) ist angehängt.",
    too_large: "Die Nachricht ist zu groß, um zurückgeschickt zu werden. Ihr Kopf (Absender, Betreff und so weiter) ist angehängt.",
    footer: "Dies schrieb der Mailserver {host}. Fragen beantwortet {from}; nennen Sie dabei die Nummer {id}.",
    day: ".",
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    reasons: &[
        (
            1,
            &[1, 0],
            "Diese Adresse gibt es dort nicht.",
            "Prüfen Sie, wie sie geschrieben ist. War sie einmal richtig, so fragen Sie den Empfänger nach der neuen.",
        ),
        (
            1,
            &[2],
            "Was hinter dem @ steht, ist kein Name, an den man Mail schicken könnte.",
            "Prüfen Sie, wie es geschrieben ist.",
        ),
        (
            1,
            &[3, 5],
            "So wird keine Adresse geschrieben.",
            "Prüfen Sie, wie sie geschrieben ist.",
        ),
        (
            1,
            &[4],
            "Diese Adresse steht dort für mehrere Postfächer.",
            "Fragen Sie den Empfänger nach der genauen.",
        ),
        (
            1,
            &[6],
            "Der Empfänger ist umgezogen und hat keine neue Adresse hinterlassen.",
            "Fragen Sie ihn auf anderem Wege danach.",
        ),
        (
            1,
            &[7, 8],
            "Der Server des Empfängers nimmt Ihre Adresse nicht als Absender an.",
            "Prüfen Sie, welcher Absender in Ihrem Mailprogramm eingestellt ist.",
        ),
        (
            1,
            &[10],
            "Was hinter dem @ steht, gehört jemandem, der überhaupt keine Mail annimmt.",
            "Prüfen Sie, wie es geschrieben ist.",
        ),
        (
            2,
            &[1, 0],
            "Das Postfach ist geschlossen.",
            "Erreichen Sie den Empfänger auf anderem Wege.",
        ),
        (
            2,
            &[2],
            "Das Postfach des Empfängers ist voll.",
            "Schicken Sie sie in einigen Tagen noch einmal, oder erreichen Sie den Empfänger auf anderem Wege.",
        ),
        (
            2,
            &[3],
            "Die Nachricht ist größer, als der Empfänger sie bekommen darf.",
            "Schicken Sie sie ohne ihre Anhänge, oder teilen Sie diese durch einen Link.",
        ),
        (
            3,
            &[4],
            "Die Nachricht ist größer, als der Server des Empfängers sie annimmt.",
            "Schicken Sie sie ohne ihre Anhänge, oder teilen Sie diese durch einen Link.",
        ),
        (
            3,
            &[],
            "Der Server des Empfängers hat selbst Schwierigkeiten.",
            "Schicken Sie sie später noch einmal.",
        ),
        (
            4,
            &[1, 2, 5],
            "Der Server des Empfängers ist nicht zu erreichen.",
            "Prüfen Sie, was hinter dem @ steht. Stimmt es, so schicken Sie die Nachricht später noch einmal.",
        ),
        (
            4,
            &[3, 4],
            "Es ließ sich nicht herausfinden, welcher Server Mail für diese Adresse annimmt.",
            "Prüfen Sie, was hinter dem @ steht. Stimmt es, so schicken Sie die Nachricht später noch einmal.",
        ),
        (
            4,
            &[6],
            "Die Nachricht würde im Kreis laufen: die Server des Empfängers schicken sie hin und her.",
            "Erreichen Sie den Empfänger auf anderem Wege, und sagen Sie es ihm.",
        ),
        (
            4,
            &[7],
            "Es wurde tagelang versucht und ist nicht gelungen.",
            "Prüfen Sie, was hinter dem @ steht. Stimmt es, so schicken Sie die Nachricht später noch einmal.",
        ),
        (
            5,
            &[3],
            "Die Nachricht hat mehr Empfänger, als der Server des Empfängers auf einmal annimmt.",
            "Schicken Sie sie an weniger Leute auf einmal.",
        ),
        (
            5,
            &[],
            "Die beiden Server haben einander nicht verstanden.",
            "Fragen Sie die, die Ihren Mailserver betreuen.",
        ),
        (
            6,
            &[7, 8, 9, 10],
            "In der Nachricht oder der Adresse stehen Buchstaben (wie ä oder é), die der Server des Empfängers in Adressen nicht annehmen kann.",
            "Fragen Sie den Empfänger nach einer Adresse, die nur mit a bis z geschrieben wird.",
        ),
        (
            6,
            &[],
            "Der Server des Empfängers kann eine Nachricht dieser Form nicht annehmen.",
            "Schicken Sie sie als reinen Text oder ohne ihre Anhänge.",
        ),
        (
            7,
            &[4, 5, 10, 11, 30],
            "Die Nachricht darf nur verschlüsselt reisen, und der Weg zum Server des Empfängers ist nicht sicher.",
            "Erreichen Sie den Empfänger auf anderem Wege, oder verlangen Sie die Verschlüsselung nicht.",
        ),
        (
            7,
            &[20, 21, 22, 23, 24, 25, 26, 29],
            "Der Server des Empfängers glaubt nicht, dass die Nachricht von Ihnen ist.",
            "Schicken Sie sie über den Server, zu dem Ihre Adresse gehört. Haben Sie das getan, so sagen Sie es denen, die ihn betreuen.",
        ),
        (
            7,
            &[27],
            "Ihre Adresse nimmt keine Mail an, darum nimmt der Server des Empfängers keine von ihr.",
            "Prüfen Sie, welcher Absender in Ihrem Mailprogramm eingestellt ist.",
        ),
        (
            7,
            &[28],
            "Der Server des Empfängers bekam mehr Nachrichten, als er will.",
            "Schicken Sie sie später noch einmal.",
        ),
        (
            7,
            &[],
            "Der Server des Empfängers hat sie nach seinen Regeln abgelehnt: vielleicht hält er sie für Werbung, oder er nimmt von Ihnen keine Mail an.",
            "Was er sagte, steht darunter. Erreichen Sie den Empfänger auf anderem Wege, oder zeigen Sie dies denen, die Ihren Mailserver betreuen.",
        ),
    ],
    otherwise: (
        "Der Server des Empfängers hat nicht gesagt, warum.",
        "Prüfen Sie, wie die Adresse geschrieben ist, oder erreichen Sie den Empfänger auf anderem Wege.",
    ),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_reason_for_the_same_codes() {
        let codes = |language: Language| {
            let reasons = language.words().reasons.iter();
            reasons
                .map(|(subject, details, _, _)| (*subject, *details))
                .collect::<Vec<_>>()
        };
        for language in Language::ALL {
            assert_eq!(codes(language), codes(Language::English), "{}", language.tag());
            assert_eq!(Language::parse(language.tag()), Some(language));
        }
    }

    #[test]
    fn moments_are_written_as_people_do() {
        let moment = Moment::of(1_795_599_000);
        assert_eq!(ENGLISH.moment(&moment), "25 November 2026, 09:30 UTC");
        assert_eq!(GERMAN.moment(&moment), "25. November 2026, 09:30 UTC");
    }
}
