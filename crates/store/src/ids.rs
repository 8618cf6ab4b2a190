use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$name> for db::Value<'_> {
            fn from(id: $name) -> Self {
                db::Value::Integer(id.0 as i64)
            }
        }
    };
}

id!(
    /// A mailbox within its account. Never used again, also after the mailbox is deleted.
    MailboxId,
    u32
);
id!(
    /// A message within its mailbox (RFC 9051 §2.3.1.1): ascending, never used again while UIDVALIDITY stands.
    Uid,
    u32
);
id!(
    /// When something changed, counted per account (RFC 7162 §3.1; at most 63 bits).
    ModSeq,
    u64
);
id!(
    /// What a message says, within its account; copies share it.
    ContentId,
    u32
);
