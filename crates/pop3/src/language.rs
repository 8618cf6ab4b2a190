//! What is said to people, in the languages there are. RFC 6856 §3.

use std::fmt;

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    German,
}

impl Language {
    pub(crate) const ALL: [Language; 2] = [Language::English, Language::German];

    pub(crate) fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
        }
    }

    /// Its name in itself.
    pub(crate) fn own_name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::German => "Deutsch",
        }
    }

    /// The language for a basic language range (RFC 4647 §3.4): `de-AT` finds `de`. `*` and `i-default` find the one we begin with.
    pub(crate) fn find(range: &str) -> Option<Language> {
        if range == "*" || range.eq_ignore_ascii_case("i-default") {
            return Some(Language::default());
        }
        let primary = range.split('-').next().unwrap_or_default();
        Language::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(primary))
    }
}

/// Something to say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text {
    Ready,
    UnknownCommand,
    BadArguments,
    NotUtf8,
    LineTooLong,
    TooManyErrors,
    NotNow,
    LogInFirst,
    TlsFirst,
    SendPassword,
    UserFirst,
    NoMechanism,
    Mechanisms,
    BadBase64,
    Cancelled,
    NoTls,
    BeginTls,
    TlsAfterUtf8,
    Capabilities,
    Utf8On,
    Languages,
    LanguageSet,
    NoLanguage,
    Maildrop { messages: usize, octets: u64 },
    Octets(u64),
    TopFollows,
    NoMessage,
    IsDeleted,
    Deleted,
    Reset,
    Fine,
    Bye,
    ByeRemoved(usize),
    NotRemoved,
    WrongPassword,
    InUse,
    TryAgain,
    Broken,
    Taken,
    Damaged,
    TooManyFailures,
    Silence,
    GoingDown,
}

/// A text in a language.
pub(crate) struct Said(pub(crate) Language, pub(crate) Text);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let german = self.0 == Language::German;
        let one = |english: &'static str, other: &'static str| if german { other } else { english };
        let words = match self.1 {
            Text::Ready => one("is ready for POP3", "ist bereit für POP3"),
            Text::UnknownCommand => one("there is no such command", "diesen Befehl gibt es nicht"),
            Text::BadArguments => one("the arguments are wrong", "die Argumente stimmen nicht"),
            Text::NotUtf8 => one(
                "that is not UTF-8, or has control characters",
                "das ist kein UTF-8 oder enthält Steuerzeichen",
            ),
            Text::LineTooLong => one("the line is too long", "die Zeile ist zu lang"),
            Text::TooManyErrors => one("too many errors, good bye", "zu viele Fehler, auf Wiedersehen"),
            Text::NotNow => one("not in this state", "nicht in diesem Zustand"),
            Text::LogInFirst => one("log in first", "erst anmelden"),
            Text::TlsFirst => one("start TLS first (STLS)", "erst TLS beginnen (STLS)"),
            Text::SendPassword => one("now the password", "nun das Kennwort"),
            Text::UserFirst => one("USER comes before PASS", "USER kommt vor PASS"),
            Text::NoMechanism => one("no such mechanism here", "diesen Mechanismus gibt es hier nicht"),
            Text::Mechanisms => one("mechanisms follow", "Mechanismen folgen"),
            Text::BadBase64 => one("that is not base64", "das ist kein Base64"),
            Text::Cancelled => one("cancelled", "abgebrochen"),
            Text::NoTls => one("TLS cannot be started here", "TLS ist hier nicht möglich"),
            Text::BeginTls => one("begin TLS now", "nun TLS beginnen"),
            Text::TlsAfterUtf8 => one("STLS comes before UTF8", "STLS kommt vor UTF8"),
            Text::Capabilities => one("capabilities follow", "Fähigkeiten folgen"),
            Text::Utf8On => one("UTF-8 it is", "UTF-8 ist an"),
            Text::Languages => one("languages follow", "Sprachen folgen"),
            Text::LanguageSet => one("English from here on", "ab jetzt Deutsch"),
            Text::NoLanguage => one(
                "that language is not spoken here",
                "diese Sprache wird hier nicht gesprochen",
            ),
            Text::Maildrop { messages, octets } => {
                return if german {
                    write!(f, "{messages} Nachrichten ({octets} Oktette)")
                } else {
                    write!(f, "{messages} messages ({octets} octets)")
                };
            }
            Text::Octets(octets) => {
                return write!(f, "{octets} {}", one("octets", "Oktette"));
            }
            Text::TopFollows => one("the top of it follows", "der Anfang folgt"),
            Text::NoMessage => one("there is no such message", "diese Nachricht gibt es nicht"),
            Text::IsDeleted => one(
                "that message is marked as deleted",
                "diese Nachricht ist als gelöscht markiert",
            ),
            Text::Deleted => one("will be gone after QUIT", "ist nach QUIT weg"),
            Text::Reset => one("nothing is marked any more", "nichts ist mehr markiert"),
            Text::Fine => one("fine", "gut"),
            Text::Bye => one("good bye", "auf Wiedersehen"),
            Text::ByeRemoved(count) => {
                return if german {
                    write!(f, "{count} gelöscht, auf Wiedersehen")
                } else {
                    write!(f, "{count} removed, good bye")
                };
            }
            Text::NotRemoved => one(
                "the marked messages could not be removed, none is gone; try again",
                "die markierten Nachrichten konnten nicht gelöscht werden, keine ist weg; bitte noch einmal versuchen",
            ),
            Text::WrongPassword => one("user or password wrong", "Name oder Kennwort falsch"),
            Text::InUse => one(
                "another POP3 session has this mailbox",
                "eine andere POP3-Sitzung hat dieses Postfach",
            ),
            Text::TryAgain => one(
                "cannot be done now, try again",
                "geht gerade nicht, bitte später noch einmal",
            ),
            Text::Broken => one(
                "the mailbox cannot be opened; the administrator will find the reason in the log",
                "das Postfach lässt sich nicht öffnen; der Grund steht im Protokoll des Servers",
            ),
            Text::Taken => one(
                "another program has taken that message away",
                "ein anderes Programm hat diese Nachricht entfernt",
            ),
            Text::Damaged => one(
                "the message is damaged on the server's disk; the administrator will find it with `rohrpost verify`",
                "die Nachricht ist auf der Platte des Servers beschädigt; `rohrpost verify` findet sie",
            ),
            Text::TooManyFailures => one(
                "too many failed logins, good bye",
                "zu viele Fehlversuche, auf Wiedersehen",
            ),
            Text::Silence => one(
                "silent for too long, nothing was removed",
                "zu lange still, nichts wurde gelöscht",
            ),
            Text::GoingDown => one(
                "the server is going down, nothing was removed; come back in a moment",
                "der Server wird angehalten, nichts wurde gelöscht; gleich noch einmal versuchen",
            ),
        };
        f.write_str(words)
    }
}
