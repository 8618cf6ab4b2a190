use std::fmt;

/// The key by which rows are divided: every table of an account starts its primary key with it, and no statement crosses accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<AccountId> for crate::Value<'_> {
    fn from(id: AccountId) -> Self {
        crate::Value::Integer(id.0)
    }
}
